"""JSON patches (RFC 6902): a list of operations, all of them or none."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence

from jsonpatch import JsonPatch, JsonPatchException, JsonPatchTestFailed
from jsonpointer import JsonPointer, JsonPointerException

from netlab.api.encoding import OBJECT_LIMIT, Json
from netlab.api.statuses import Refusal, bad_request

OPERATIONS_LIMIT = 10_000
COPIES_LIMIT = OBJECT_LIMIT
"""Bytes of JSON that the copies of one patch may make."""
JsonObject = dict[str, Json]
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
        patched = _applied(value, steps)
    except (JsonPatchException, JsonPointerException, TypeError, KeyError, ValueError, IndexError) as error:
        raise Refusal(422, "Invalid", f"{REJECTED}: {error}") from error
    if not isinstance(patched, dict):
        raise Refusal(422, "Invalid", f"{REJECTED}: nothing of the object would be left")
    return patched


def _applied(value: JsonObject, steps: Sequence[JsonObject]) -> Json:
    """The operations one by one: each copy may double what there is, so that all of them together have a limit."""
    patched: Json = copy.deepcopy(value)
    copied = 0
    for step in steps:
        if step.get("op") == "copy":
            copied += len(json.dumps(JsonPointer(str(step.get("from"))).resolve(patched)))
            if copied > COPIES_LIMIT:
                message = f"Unable to complete the copy, the accumulated size increase of copy is {copied}"
                raise Refusal(413, "RequestEntityTooLarge", f"Request entity too large: {message}")
        try:
            patched = JsonPatch([step]).apply(patched, in_place=True)
        except JsonPatchTestFailed as error:
            raise ValueError(f"testing value {step.get('path')} failed: test failed") from error
    return patched
