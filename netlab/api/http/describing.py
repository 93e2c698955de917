"""What the server says of itself over HTTP: its version, discovery, OpenAPI."""

from __future__ import annotations

import json
from functools import cache

from aiohttp import hdrs, web

from netlab.api.encoding import Json
from netlab.api.openapi import discovery, documents
from netlab.api.openapi.protobuf import encode_document
from netlab.api.statuses import no_such_resource
from netlab.api.versions import VERSION

VERSION_INFO: dict[str, Json] = {
    "major": "1",
    "minor": "36",
    "gitVersion": VERSION,
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}
JSON = "application/json"
PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
"""As the server spells it: an at-sign, as in what clients accept, is no part of a media type."""
AGGREGATED = "APIGroupDiscoveryList"


def add_routes(router: web.UrlDispatcher) -> None:
    """The paths at which no objects are."""
    router.add_get("/version", _version)
    router.add_get("/api", _core)
    router.add_get("/apis", _groups)
    router.add_get("/apis/{group}", _group)
    router.add_get("/api/{version}", _resources)
    router.add_get("/apis/{group}/{version}", _resources)
    router.add_get("/openapi/v2", _openapi_second)
    router.add_get("/openapi/v3", _openapi_index)
    router.add_get("/openapi/v3/{path:.+}", _openapi_third)


def _json(value: Json, content_type: str = JSON) -> web.Response:
    return web.Response(body=json.dumps(value).encode(), headers={hdrs.CONTENT_TYPE: content_type})


async def _version(_request: web.Request) -> web.Response:
    return _json(VERSION_INFO)


def _aggregated(request: web.Request, *, core: bool) -> web.Response | None:
    """Discovery in one document, in the first of its versions that the client takes; None where it takes none."""
    for accepted in request.headers.get(hdrs.ACCEPT, "").split(","):
        parameters = dict(part.strip().partition("=")[::2] for part in accepted.split(";")[1:])
        version = parameters.get("v")
        if parameters.get("as") == AGGREGATED and version in ("v2", "v2beta1"):
            content_type = f"{JSON};g=apidiscovery.k8s.io;v={version};as={AGGREGATED}"
            return _json(discovery.aggregated(core=core, version=version), content_type)
    return None


async def _core(request: web.Request) -> web.Response:
    return _aggregated(request, core=True) or _json(discovery.api_versions())


async def _groups(request: web.Request) -> web.Response:
    return _aggregated(request, core=False) or _json(discovery.group_list())


async def _group(request: web.Request) -> web.Response:
    return _found(discovery.group(request.match_info["group"]))


async def _resources(request: web.Request) -> web.Response:
    group, version = request.match_info.get("group"), request.match_info["version"]
    return _found(discovery.resource_list(f"{group}/{version}" if group else version))


def _found(document: dict[str, Json] | None) -> web.Response:
    if document is None:
        raise no_such_resource()
    return _json(document)


@cache
def _second(*, protobuf: bool) -> bytes:
    document = documents.second_document(VERSION)
    return encode_document(document) if protobuf else json.dumps(document, separators=(",", ":")).encode()


async def _openapi_second(request: web.Request) -> web.Response:
    protobuf = "proto-openapi.spec.v2" in request.headers.get(hdrs.ACCEPT, "")
    content_type = PROTOBUF if protobuf else JSON
    return web.Response(body=_second(protobuf=protobuf), headers={hdrs.CONTENT_TYPE: content_type})


async def _openapi_index(_request: web.Request) -> web.Response:
    return _json(documents.third_index(VERSION))


async def _openapi_third(request: web.Request) -> web.Response:
    document = documents.third_at(request.match_info["path"], VERSION)
    if document is None:
        raise no_such_resource()
    return web.Response(body=document, content_type=JSON)
