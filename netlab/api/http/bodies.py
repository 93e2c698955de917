"""What a request brings: JSON, YAML or protocol buffers, and what the client wants said of unknown fields."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from aiohttp import hdrs, web

from netlab.api.encoding import Json, check_depth, finite, refuse_number
from netlab.api.openapi.checking import Findings, known_part
from netlab.api.openapi.shapes import shape_of
from netlab.api.protobuf import objects as protobuf
from netlab.api.statuses import Refusal, bad_request
from netlab.errors import InvalidInput
from netlab.load.plain import parse_documents

JSON, YAML = "application/json", "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
WARNINGS = web.RequestKey("WARNINGS", list[str])
"""Under this key a request has the list of what its answer is to warn of."""


class FieldValidation(StrEnum):
    """What becomes of a request with fields that its kind does not have; they are never stored."""

    IGNORE = "Ignore"
    WARN = "Warn"
    STRICT = "Strict"


@dataclass(frozen=True, slots=True)
class Body:
    """A JSON object, and the paths of the fields that it says twice (the last one counts)."""

    value: dict[str, Json]
    duplicates: tuple[str, ...] = ()
    raw: bytes = b""
    """The bytes, where they are JSON."""


def validation_of(request: web.Request) -> FieldValidation:
    """What the query asks for; Warn where it asks for nothing, as in Kubernetes."""
    text = request.query.get("fieldValidation") or FieldValidation.WARN
    try:
        return FieldValidation(text)
    except ValueError:
        supported = ", ".join(f'"{each}"' for each in FieldValidation)
        raise Refusal(
            422, "Invalid", f'fieldValidation: Unsupported value: "{text}": supported values: {supported}'
        ) from None


async def read_body(request: web.Request, *, also: tuple[str, ...] = ()) -> Body:
    """The object in the body. Raises Refusal: 400 where there is none, 415 where it is in another format.

    `also` are content types, besides the plain ones, whose bodies are JSON or YAML.
    """
    content_type = request.content_type if hdrs.CONTENT_TYPE in request.headers else JSON
    body = await request.read()
    if content_type == PROTOBUF:
        return Body(protobuf.decode(body))
    if content_type == YAML or (content_type.endswith("+yaml") and content_type in also):
        return _read_yaml(body)
    # What sends no content type of its own, as curl does, sends JSON.
    if content_type not in (JSON, "application/x-www-form-urlencoded", "application/octet-stream", "*/*", *also):
        raise unsupported((JSON, YAML, PROTOBUF, *also))
    return read_json(body)


def unsupported(supported: Iterable[str]) -> Refusal:
    """For a body in a format that is not read."""
    listing = ", ".join(supported)
    message = f"the body of the request was in an unknown format - accepted media types include: {listing}"
    return Refusal(415, "UnsupportedMediaType", message)


def read_json(body: bytes) -> Body:
    """The JSON object in these bytes. Raises Refusal 400."""
    twice: list[str] = []

    def once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice.extend(name for name in found if names.count(name) > 1)
        return found

    try:
        parsed: Json = json.loads(body, object_pairs_hook=once, parse_constant=refuse_number, parse_float=finite)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"the body is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise bad_request("the body is not a JSON object")
    check_depth(parsed)
    return Body(parsed, tuple(_place(parsed, name) for name in twice), body)


def _place(value: dict[str, Json], name: str) -> str:
    """Where a field of that name stands: its path, or its name alone where there are several."""
    return next(iter(_places(value, name, "")), name)


def _places(value: Json, name: str, path: str) -> list[str]:
    if isinstance(value, list):
        return [place for index, each in enumerate(value) for place in _places(each, name, f"{path}[{index}]")]
    if not isinstance(value, dict):
        return []
    here = [f"{path}.{name}" if path else name] if name in value else []
    deeper = (_places(each, name, f"{path}.{key}" if path else key) for key, each in value.items())
    return here + [place for places in deeper for place in places]


def _read_yaml(body: bytes) -> Body:
    try:
        return read_json(body)
    except Refusal:
        pass
    try:
        documents = parse_documents(body.decode(), file="body")
    except (UnicodeDecodeError, InvalidInput) as error:
        raise bad_request(f"the body is not YAML: {error}") from error
    if len(documents) != 1:
        raise bad_request(f"the body is {len(documents)} YAML documents instead of one")
    return read_json(json.dumps(documents[0]).encode())


def without_unknown(
    request: web.Request, body: Body, *, api_version: str, kind: str, validation: FieldValidation
) -> dict[str, Json]:
    """The object without fields that its kind does not have. Raises Refusal 400 for wrong types, and if Strict."""
    findings = Findings()
    value = known_part(body.value, shape_of(api_version, kind), findings)
    prefix = f'{kind} in version "{api_version}" cannot be handled as a {kind}'
    if findings.mistyped:
        raise bad_request(f"{prefix}: {findings.mistyped[0]}")
    if validation is FieldValidation.IGNORE or not (findings.unknown or body.duplicates):
        return value
    told = [
        *(f'unknown field "{path}"' for path in findings.unknown),
        *(f'duplicate field "{path}"' for path in body.duplicates),
    ]
    if validation is FieldValidation.STRICT:
        raise bad_request(f"{prefix}: strict decoding error: {', '.join(told)}")
    request.setdefault(WARNINGS, []).extend(told)
    return value
