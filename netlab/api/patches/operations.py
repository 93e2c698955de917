"""JSON patches (RFC 6902): a list of operations, all of them or none."""

from __future__ import annotations

from jsonpatch import JsonPatch, JsonPatchException
from jsonpointer import JsonPointerException

from netlab.api.encoding import Json
from netlab.api.statuses import Refusal, bad_request

OPERATIONS_LIMIT = 10_000
REJECTED = "the server rejected our request due to an error in our request"


def apply_operations(value: dict[str, Json], operations: Json) -> dict[str, Json]:
    """The object with a patch applied. Raises Refusal: 400 for what is no patch, 422 where it cannot be applied."""
    steps = [each for each in operations if isinstance(each, dict)] if isinstance(operations, list) else None
    if steps is None or not isinstance(operations, list) or len(steps) < len(operations):
        raise bad_request("a JSON patch is a list of operations")
    if len(operations) > OPERATIONS_LIMIT:
        message = f"The allowed maximum operations in a JSON patch is {OPERATIONS_LIMIT}, got {len(operations)}"
        raise Refusal(413, "RequestEntityTooLarge", f"Request entity too large: {message}")
    try:
        patched: Json = JsonPatch(steps).apply(value)
    except (JsonPatchException, JsonPointerException, TypeError, KeyError, ValueError, IndexError) as error:
        raise Refusal(422, "Invalid", f"{REJECTED}: {error}") from error
    if not isinstance(patched, dict):
        raise Refusal(422, "Invalid", f"{REJECTED}: nothing of the object would be left")
    return patched
