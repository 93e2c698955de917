"""The OpenAPI documents: version 2 in one piece, version 3 one an API, and the index of the latter."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cache

from netlab.api.encoding import Json
from netlab.api.openapi.definitions import META, REFERENCE, closure, definitions, name_of
from netlab.api.openapi.operations import BOOLEANS, INTEGERS, PARAMETERS, PATCH_TYPES, Operation, operations
from netlab.api.openapi.resources import GROUP_VERSIONS

JsonObject = dict[str, Json]
COMPONENT = "#/components/schemas/"
BODY_OF = {"create": "", "update": "", "patch": f"{META}.Patch", "delete": f"{META}.DeleteOptions"}
"""What is sent with a verb, "": the object itself."""


def _info(version: str) -> JsonObject:
    return {"title": "Kubernetes", "version": version}


def _parameter_type(name: str) -> str:
    return "boolean" if name in BOOLEANS else "integer" if name in INTEGERS else "string"


def _body(operation: Operation) -> str | None:
    if operation.verb not in BODY_OF:
        return f"{META}.DeleteOptions" if operation.verb == "deletecollection" else None
    return BODY_OF[operation.verb] or name_of(operation.api_version, operation.kind)


def _answer(operation: Operation) -> str:
    if operation.verb in ("delete", "deletecollection"):
        return f"{META}.Status"
    return name_of(operation.api_version, operation.kind)


def _mark(operation: Operation) -> JsonObject:
    """What client libraries go by: the verb and the kind."""
    group, _, version = operation.api_version.rpartition("/")
    kind: JsonObject = {"group": group, "kind": operation.kind.removesuffix("List"), "version": version}
    return {"x-kubernetes-action": operation.verb, "x-kubernetes-group-version-kind": kind}


def _paths(wanted: Iterable[Operation], *, third: bool) -> JsonObject:
    paths: JsonObject = {}
    for each in wanted:
        item = paths.setdefault(each.path, {})
        assert isinstance(item, dict)
        item[each.method] = _third(each) if third else _second(each)
        if variables := [name for name in ("namespace", "name") if f"{{{name}}}" in each.path]:
            item["parameters"] = [_path_variable(name, third=third) for name in variables]
    return paths


def _path_variable(name: str, *, third: bool) -> JsonObject:
    kind: JsonObject = {"schema": {"type": "string"}} if third else {"type": "string"}
    return {"name": name, "in": "path", "required": True, **kind}


def _second(operation: Operation) -> JsonObject:
    parameters: list[Json] = [
        {"name": name, "in": "query", "type": _parameter_type(name)} for name in PARAMETERS[operation.verb]
    ]
    if body := _body(operation):
        parameters.insert(0, {"name": "body", "in": "body", "schema": {"$ref": f"{REFERENCE}{body}"}})
    return {
        "consumes": list(PATCH_TYPES) if operation.verb == "patch" else ["*/*"],
        "operationId": operation.id,
        "parameters": parameters,
        "produces": ["application/json"],
        "responses": {"200": {"description": "OK", "schema": {"$ref": f"{REFERENCE}{_answer(operation)}"}}},
        **_mark(operation),
    }


def _third(operation: Operation) -> JsonObject:
    parameters: list[Json] = [
        {"name": name, "in": "query", "schema": {"type": _parameter_type(name)}} for name in PARAMETERS[operation.verb]
    ]
    found: JsonObject = {"operationId": operation.id, "parameters": parameters}
    if body := _body(operation):
        types = PATCH_TYPES if operation.verb == "patch" else ("*/*",)
        found["requestBody"] = {"content": {kind: _content(body) for kind in types}}
    answer: JsonObject = {"application/json": _content(_answer(operation))}
    return {**found, "responses": {"200": {"description": "OK", "content": answer}}, **_mark(operation)}


def _content(name: str) -> JsonObject:
    return {"schema": {"$ref": f"{COMPONENT}{name}"}}


@cache
def second_document(version: str) -> JsonObject:
    """`/openapi/v2`, of everything; `version` is the server's."""
    return {
        "swagger": "2.0",
        "info": _info(version),
        "paths": _paths(operations(), third=False),
        "definitions": {name: dict(schema) for name, schema in sorted(definitions().items())},
    }


@cache
def third_document(api_version: str, version: str) -> bytes:
    """`/openapi/v3/apis/apps/v1`, as JSON."""
    wanted = tuple(each for each in operations() if each.resource.api_version == api_version)
    types = closure(tuple(name for each in wanted for name in (_body(each), _answer(each)) if name))
    schemas: JsonObject = {name: _with_components(dict(definitions()[name])) for name in types}
    document: JsonObject = {
        "openapi": "3.0.0",
        "info": _info(version),
        "paths": _paths(wanted, third=True),
        "components": {"schemas": schemas},
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _with_components(schema: Json) -> Json:
    """The same with references as version 3 spells them: alone, since what stands beside one is not looked at."""
    if isinstance(schema, list):
        return [_with_components(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return {key: _with_components(value) for key, value in schema.items()}
    target: Json = {"$ref": reference.replace(REFERENCE, COMPONENT)}
    rest: JsonObject = {key: value for key, value in schema.items() if key != "$ref"}
    return {"allOf": [target], **rest} if rest else target


def path_of(api_version: str) -> str:
    """`apis/apps/v1`, under /openapi/v3/."""
    return f"apis/{api_version}" if "/" in api_version else f"api/{api_version}"


def third_index(version: str) -> JsonObject:
    """`/openapi/v3`: where the document of each API is."""
    paths: JsonObject = {}
    for api_version in GROUP_VERSIONS:
        digest = hashlib.sha512(third_document(api_version, version)).hexdigest().upper()
        where = path_of(api_version)
        paths[where] = {"serverRelativeURL": f"/openapi/v3/{where}?hash={digest}"}
    return {"paths": paths}


def third_at(where: str, version: str) -> bytes | None:
    """The document at that place under /openapi/v3/; None where there is none."""
    found = next((each for each in GROUP_VERSIONS if path_of(each) == where), None)
    return third_document(found, version) if found else None
