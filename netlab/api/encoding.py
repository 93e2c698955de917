"""Objects to JSON and back, and what to say of JSON that is no such object.

Only fields that somebody set are written, so that an object comes back as it was given. Reading is strict: "80" is no
number, as in Kubernetes. `null` means that the field is absent.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from netlab.api.statuses import Cause, Refusal, bad_request, invalid
from netlab.model.objects import KubernetesObject, Part, Service

K = TypeVar("K", bound=KubernetesObject)
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""What `json.loads` gives."""


def encode(value: KubernetesObject) -> bytes:
    """The object as JSON, with its apiVersion and kind."""
    if {"api_version", "kind"} - value.model_fields_set:
        value = value.model_copy(update={"api_version": value.api_version, "kind": value.kind})
    return encode_part(value)


def encode_part(value: Part) -> bytes:
    """A part of an object as JSON."""
    return value.model_dump_json(by_alias=True, exclude_none=True, exclude_unset=True).encode()


def as_json(value: KubernetesObject) -> dict[str, Json]:
    """The object as `json.loads` would give it."""
    decoded: dict[str, Json] = json.loads(encode(value))
    return decoded


def decode(kind: type[K], body: bytes) -> K:
    """The object in `body`. Raises Refusal: 400 for what is not JSON or of wrong type, 422 for a bad value."""
    if _UNUSUAL.search(body) or (kind is Service and _ZERO.search(body)):
        parsed = without_nulls(parse(body))
        body = json.dumps(_without_zeros(parsed) if kind is Service else parsed).encode()
    try:
        return kind.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise _refusal(kind, error, body) from error


def decode_json(kind: type[K], value: dict[str, Json]) -> K:
    """The object that a JSON object is. Raises Refusal as `decode` does, and 413 where it is too large."""
    body = json.dumps(value).encode()
    if len(body) > OBJECT_LIMIT:
        message = f"Request entity too large: the object would be {len(body)} bytes: limit is {OBJECT_LIMIT}"
        raise Refusal(413, "RequestEntityTooLarge", message)
    return decode(kind, body)


def decode_trusted(kind: type[K], body: bytes) -> K:
    """The object in JSON that `encode` wrote."""
    return kind.model_validate_json(body)


def parse(body: bytes) -> Json:
    """The JSON in `body`. Raises Refusal 400 where there is none."""
    try:
        parsed: Json = json.loads(body, parse_constant=refuse_number, parse_float=finite)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"the body is not JSON: {error}") from error
    check_depth(parsed)
    return parsed


OBJECT_LIMIT = 3 * 1024 * 1024
"""Bytes of an object's JSON, as of a request's body in Kubernetes."""
DEPTH_LIMIT = 100
"""Levels of lists and objects inside one another: more than any Kubernetes object has, fewer than Python's stack."""
_UNUSUAL = re.compile(rb"null|NaN|Infinity|[0-9][eE]\+?[0-9]{3}")
"""What pydantic would read otherwise than Kubernetes does: nulls, and numbers that JSON does not have."""


_ZERO = re.compile(rb':\s*(?:0\s*[,}]|"")')
_SERVICE_SPEC_ZEROS = frozenset(
    ("type", "clusterIP", "sessionAffinity", "loadBalancerIP", "externalName", "externalTrafficPolicy")
)
_SERVICE_PORT_ZEROS = frozenset(("name", "protocol", "targetPort", "nodePort"))


def _without_zeros(service: Json) -> Json:
    """A Service without those zeros and empty texts that mean, as in Kubernetes' own Go, that nothing was said."""
    spec = service.get("spec") if isinstance(service, dict) else None
    if not isinstance(service, dict) or not isinstance(spec, dict):
        return service
    said = _said(spec, _SERVICE_SPEC_ZEROS | {"healthCheckNodePort"})
    if isinstance(ports := said.get("ports"), list):
        said["ports"] = [_said(port, _SERVICE_PORT_ZEROS) if isinstance(port, dict) else port for port in ports]
    return service | {"spec": said}


def _said(part: dict[str, Json], zeros: frozenset[str]) -> dict[str, Json]:
    return {name: value for name, value in part.items() if name not in zeros or not _is_zero(value)}


def _is_zero(value: Json) -> bool:
    return value == "" or (type(value) is int and value == 0)


def check_depth(parsed: Json) -> None:
    """Raise Refusal 400 where the value is nested too deep."""
    level: list[Json] = [parsed]
    for _ in range(DEPTH_LIMIT):
        parts = (part.values() if isinstance(part, dict) else part for part in level if isinstance(part, dict | list))
        level = [item for part in parts for item in part]
        if not level:
            return
    raise bad_request(f"the body is not JSON that can be used: it is nested deeper than {DEPTH_LIMIT} levels")


def finite(text: str) -> float:
    """The number. ValueError where it is too large to be one."""
    number = float(text)
    return number if math.isfinite(number) else refuse_number(text)


def refuse_number(text: str) -> float:
    """Raise ValueError for what JSON knows no number for."""
    raise ValueError(f"{text} is no number")


def without_nulls(value: Json) -> Json:
    """The same without fields that are null."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def check_kind(kind: type[KubernetesObject], parsed: Mapping[str, Json], *, api_version: str = "") -> None:
    """Raise Refusal 400 unless apiVersion and kind, where given, are those of `kind` (in that version of the API)."""
    expected = api_version or kind.API_VERSION
    version, name = parsed.get("apiVersion") or expected, parsed.get("kind") or kind.__name__
    if name != kind.__name__:
        raise bad_request(f'{name} in version "{version}" cannot be handled as a {kind.__name__}')
    if version != expected:
        raise bad_request(
            f"the API version in the data ({version}) does not match the expected API version ({expected})"
        )


_VALUE_ERRORS = {"missing", "literal_error", "enum", "greater_than_equal", "less_than_equal"}


def _refusal(kind: type[KubernetesObject], error: ValidationError, body: bytes) -> Refusal:
    details = _distinct(error.errors(include_url=False, include_context=True))
    if details[0]["type"] == "json_invalid":
        return bad_request(f"the body is not JSON: {details[0]['msg']}")
    parsed = parse(body)
    if isinstance(parsed, dict):
        check_kind(kind, parsed)
    if any(detail["type"] not in _VALUE_ERRORS for detail in details):
        problems = "; ".join(_type_problem(kind, detail) for detail in details if detail["type"] not in _VALUE_ERRORS)
        name, version = kind.__name__, kind.API_VERSION
        return bad_request(f'{name} in version "{version}" cannot be handled as a {name}: {problems}')
    metadata = parsed.get("metadata") if isinstance(parsed, dict) else None
    name_given = metadata.get("name", "") if isinstance(metadata, dict) else ""
    return invalid(kind, str(name_given), tuple(_cause(kind, detail) for detail in details))


def _distinct(details: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """One error a field: of a union (a port by number or by name) the first that is not about a wrong type wins."""
    chosen: dict[str, ErrorDetails] = {}
    for detail in details:
        path = field_path(detail["loc"])
        if path not in chosen or (chosen[path]["type"] not in _VALUE_ERRORS and detail["type"] in _VALUE_ERRORS):
            chosen[path] = detail
    return list(chosen.values())


_UNION_MARKS = {"constrained-int", "int", "str", "IPv4Network", "IPv6Network", "ip_v4_network", "ip_v6_network"}


def field_path(location: Sequence[int | str]) -> str:
    """`spec.ports[0].targetPort`, out of the place that pydantic gives."""
    path = ""
    for index, step in enumerate(location):
        if isinstance(step, int):
            path += f"[{step}]"
        elif not (index == len(location) - 1 and step in _UNION_MARKS):
            path += f".{step}" if path else step
    return path


def _type_problem(kind: type[KubernetesObject], detail: ErrorDetails) -> str:
    path = field_path(detail["loc"])
    return f"{path}: {detail['msg']}" if path else f"a {kind.__name__} must be a JSON object"


def quote(value: object) -> str:
    """A value as Kubernetes prints it in a message: strings in quotes, lists as JSON."""
    return json.dumps(value, separators=(",", ":"), default=str)


def _cause(kind: type[KubernetesObject], detail: ErrorDetails) -> Cause:
    path, given = field_path(detail["loc"]), quote(detail["input"])
    if detail["type"] == "missing":
        return Cause(reason="FieldValueRequired", message="Required value", field=path)
    if detail["type"] in ("literal_error", "enum"):
        expected = re.findall("'([^']*)'", detail["ctx"]["expected"])
        supported = ", ".join(quote(each) for each in sorted(expected))
        message = f"Unsupported value: {given}: supported values: {supported}"
        return Cause(reason="FieldValueNotSupported", message=message, field=path)
    message = f"Invalid value: {given}: {_range_message(detail)}"
    return Cause(reason="FieldValueInvalid", message=message, field=path)


def _range_message(detail: ErrorDetails) -> str:
    limits = detail["ctx"]
    if detail["loc"][-2:] == ("clientIP", "timeoutSeconds"):
        return "must be greater than 0 and less than 86400"
    if "port" in str(detail["loc"][-1]).lower() or detail["loc"][-1] in _UNION_MARKS:
        return "must be between 1 and 65535, inclusive"
    if "ge" in limits:
        return f"must be greater than or equal to {limits['ge']}"
    return f"must be less than or equal to {limits['le']}"
