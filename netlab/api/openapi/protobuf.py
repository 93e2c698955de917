"""The OpenAPI document of version 2 in protocol buffers, the only form in which older kubectls take it.

Source: the messages of gnostic's OpenAPIv2 (`openapi.v2.Document`), of which what a lab's document has is written. The
numbers of the fields are theirs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from netlab.api.encoding import Json

JsonObject = Mapping[str, Json]
_METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}


def encode_document(document: JsonObject) -> bytes:
    """The bytes of a document as `documents.second_document` gives it."""
    info, paths, types = _object(document["info"]), _object(document["paths"]), _object(document["definitions"])
    items = (_field(2, _named(path, _path_item(_object(item)))) for path, item in paths.items())
    return b"".join(
        (
            _text(1, document["swagger"]),
            _field(2, _text(1, info["title"]) + _text(2, info["version"])),
            _field(8, b"".join(items)),
            _field(9, _schemas(types)),
        )
    )


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _field(number: int, content: bytes) -> bytes:
    """A field that has a length: a message, a text."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _text(number: int, value: Json) -> bytes:
    return _field(number, str(value).encode()) if value else b""


def _texts(number: int, values: Json) -> bytes:
    return b"".join(_text(number, value) for value in _list(values))


def _flag(number: int, value: Json) -> bytes:
    return _varint(number << 3) + b"\x01" if value is True else b""


def _named(name: str, content: bytes) -> bytes:
    return _text(1, name) + _field(2, content)


def _any(value: Json) -> bytes:
    """A value of any kind, as YAML."""
    return _text(2, json.dumps(value))


def _extensions(number: int, values: JsonObject) -> bytes:
    found = ((name, value) for name, value in values.items() if name.startswith("x-"))
    return b"".join(_field(number, _named(name, _any(value))) for name, value in found)


def _schemas(types: JsonObject) -> bytes:
    return b"".join(_field(1, _named(name, _schema(_object(schema)))) for name, schema in types.items())


def _schema(schema: JsonObject) -> bytes:
    parts = [_text(1, schema.get("$ref")), _text(2, schema.get("format")), _text(4, schema.get("description"))]
    parts.append(_texts(19, schema.get("required")))
    parts += [_field(20, _any(value)) for value in _list(schema.get("enum"))]
    if isinstance(rest := schema.get("additionalProperties"), dict):
        parts.append(_field(21, _field(1, _schema(rest))))
    if kind := schema.get("type"):
        parts.append(_field(22, _text(1, kind)))
    if isinstance(items := schema.get("items"), dict):
        parts.append(_field(23, _field(1, _schema(items))))
    if isinstance(fields := schema.get("properties"), dict):
        parts.append(_field(25, _schemas(fields)))
    return b"".join((*parts, _extensions(31, schema)))


def _path_item(item: JsonObject) -> bytes:
    operations = (_field(number, _operation(_object(item[name]))) for name, number in _METHODS.items() if name in item)
    return b"".join((*operations, _parameters(9, item.get("parameters"))))


def _operation(operation: JsonObject) -> bytes:
    return b"".join(
        (
            _text(5, operation["operationId"]),
            _texts(6, operation.get("produces")),
            _texts(7, operation.get("consumes")),
            _parameters(8, operation.get("parameters")),
            _field(9, b"".join(_responses(_object(operation["responses"])))),
            _extensions(13, operation),
        )
    )


def _responses(responses: JsonObject) -> Iterable[bytes]:
    for code, response in responses.items():
        told = _object(response)
        body = _text(1, told.get("description")) + _field(2, _field(1, _schema(_object(told.get("schema")))))
        yield _field(1, _named(code, _field(1, body)))


def _parameters(number: int, parameters: Json) -> bytes:
    return b"".join(_field(number, _field(1, _parameter(_object(each)))) for each in _list(parameters))


def _parameter(parameter: JsonObject) -> bytes:
    place, name = parameter["in"], parameter["name"]
    if place == "body":
        schema = _field(5, _schema(_object(parameter["schema"])))
        return _field(1, _text(2, name) + _text(3, place) + _flag(4, True) + schema)
    kind, number = (6, 3) if place == "query" else (5, 4)
    told = _flag(1, parameter.get("required")) + _text(2, place) + _text(4, name) + _text(kind, parameter["type"])
    return _field(2, _field(number, told))
