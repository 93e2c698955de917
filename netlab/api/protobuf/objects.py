"""An object in protocol buffers as the JSON object that it is.

The numbers of the fields are in kubernetes-1.34.json, written by scripts/kubernetes-protobuf. Go writes every field
that is no pointer, zeros and empty texts too, which JSON leaves out: what is zero is kept of those in POINTERS alone.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from netlab.api.encoding import Json
from netlab.api.openapi.definitions import META, name_of
from netlab.api.protobuf.wire import fields, signed
from netlab.api.statuses import bad_request

MAGIC = b"k8s\0"
DEPTH_LIMIT = 50
POINTERS = frozenset(
    [
        "activeDeadlineSeconds",
        "allocateLoadBalancerNodePorts",
        "allowPrivilegeEscalation",
        "automountServiceAccountToken",
        "blockOwnerDeletion",
        "controller",
        "defaultMode",
        "deletionGracePeriodSeconds",
        "enableServiceLinks",
        "fsGroup",
        "gracePeriodSeconds",
        "hostUsers",
        "immutable",
        "mode",
        "optional",
        "orphanDependents",
        "priority",
        "privileged",
        "progressDeadlineSeconds",
        "readOnlyRootFilesystem",
        "replicas",
        "revisionHistoryLimit",
        "runAsGroup",
        "runAsNonRoot",
        "runAsUser",
        "serving",
        "setHostnameAsFQDN",
        "shareProcessNamespace",
        "started",
        "terminating",
        "terminationGracePeriodSeconds",
        "timeoutSeconds",
        "tolerationSeconds",
    ]
)
"""Fields that are written only where they were said, so that a zero means zero."""
Message = Mapping[int, tuple[str, str]]


@cache
def _messages() -> dict[str, Message]:
    text = Path(__file__).with_name("kubernetes-1.34.json").read_text(encoding="utf-8")
    return {
        name: {int(number): tuple(told) for number, told in told.items()} for name, told in json.loads(text).items()
    }


def decode(body: bytes) -> dict[str, Json]:
    """The object in a body. Raises Refusal 400."""
    try:
        return _decode(body)
    except (ValueError, KeyError, RecursionError) as error:
        raise bad_request(f"the body is no object in protocol buffers that can be read: {error}") from error


def _decode(body: bytes) -> dict[str, Json]:
    if not body.startswith(MAGIC):
        raise ValueError("it does not begin with k8s and a zero")
    outer = dict(fields(body.removeprefix(MAGIC)))
    named = {number: _bytes(value).decode() for number, value in fields(_bytes(outer.get(1, b"")))}
    api_version, kind = named.get(1, ""), named.get(2, "")
    # DeleteOptions has its own group's version as well as everybody else's.
    name = f"{META}.DeleteOptions" if kind == "DeleteOptions" else name_of(api_version, kind)
    return {"apiVersion": api_version, "kind": kind, **_object(name, _bytes(outer.get(2, b"")), depth=0)}


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a field is a number that should have a length")
    return value


def _object(name: str, message: bytes, *, depth: int) -> dict[str, Json]:
    if depth > DEPTH_LIMIT:
        raise ValueError(f"it is nested deeper than {DEPTH_LIMIT} levels")
    known, found = _messages()[name], dict[str, Json]()
    for number, raw in fields(message):
        if number not in known:
            continue
        field, kind = known[number]
        if field == "":
            found |= _object(kind, _bytes(raw), depth=depth + 1)
        elif kind.startswith("["):
            listed = found.setdefault(field, [])
            assert isinstance(listed, list)
            listed.append(_value(kind[1:-1], raw, depth=depth))
        elif kind.startswith("{"):
            mapped = found.setdefault(field, {})
            assert isinstance(mapped, dict)
            key, value = _entry(kind[1:-1], _bytes(raw), depth=depth)
            mapped[key] = value
        elif (value := _value(kind, raw, depth=depth)) not in ("", 0, False, None, {}) or _told(field, value):
            found[field] = value
    return found


def _told(field: str, value: Json) -> bool:
    """Whether a zero or an empty object was said: of objects only those that mean something by being there."""
    return field in POINTERS if not isinstance(value, dict) else field in ("emptyDir", "podSelector", "clientIP")


def _entry(kind: str, message: bytes, *, depth: int) -> tuple[str, Json]:
    parts = dict(fields(message))
    return _bytes(parts.get(1, b"")).decode(), _value(kind, parts.get(2, b""), depth=depth)


def _value(kind: str, raw: int | bytes, *, depth: int) -> Json:
    if read := _PLAIN.get(kind):
        return read(raw)
    return _object(kind, _bytes(raw), depth=depth + 1)


def _number(raw: int | bytes) -> Json:
    return signed(raw) if isinstance(raw, int) else 0


def _double(raw: int | bytes) -> Json:
    (number,) = struct.unpack("<d", _bytes(raw))
    return float(number)


def _text(raw: int | bytes) -> Json:
    return _bytes(raw).decode()


def _time(raw: int | bytes, *, digits: int = 0) -> Json:
    parts = {number: signed(value) for number, value in fields(_bytes(raw)) if isinstance(value, int)}
    if not parts.get(1):
        return None
    moment = datetime.fromtimestamp(parts[1], UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{parts.get(2, 0) // 1000:06}Z" if digits else f"{moment}Z"


def _int_or_string(raw: int | bytes) -> Json:
    parts = dict(fields(_bytes(raw)))
    return _text(parts.get(3, b"")) if parts.get(1) else _number(parts.get(2, 0))


def _json(raw: int | bytes) -> Json:
    parts = dict(fields(_bytes(raw)))
    found: Json = json.loads(_bytes(parts.get(1, b"null")))
    return found


_UTIL = "io.k8s.apimachinery.pkg"
_PLAIN: dict[str, Callable[[int | bytes], Json]] = {
    "int": _number,
    "bool": bool,
    "double": _double,
    "string": _text,
    "bytes": lambda raw: base64.b64encode(_bytes(raw)).decode(),
    f"{META}.Time": _time,
    f"{META}.MicroTime": lambda raw: _time(raw, digits=6),
    f"{META}.FieldsV1": _json,
    f"{_UTIL}.runtime.RawExtension": _json,
    f"{_UTIL}.api.resource.Quantity": lambda raw: _text(dict(fields(_bytes(raw))).get(1, b"")),
    f"{_UTIL}.util.intstr.IntOrString": _int_or_string,
}
