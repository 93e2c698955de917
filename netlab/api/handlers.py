"""What the API server answers to each request: get, list, watch, create, update, patch, delete."""

from __future__ import annotations

from aiohttp import hdrs, web

from netlab.api.cluster import Cluster
from netlab.api.encoding import Json, as_json, decode, encode, parse_object
from netlab.api.listing import list_objects, watch_objects
from netlab.api.patching import merge
from netlab.api.requests import Target, list_options, parse_path
from netlab.api.scale import read_scale, scale_of, scaled
from netlab.api.statuses import Refusal, Status, StatusDetails, bad_request, invalid, no_such_resource
from netlab.model.objects import Deployment, KubernetesObject

CLUSTER = web.AppKey("CLUSTER", Cluster)


async def handle(request: web.Request) -> web.StreamResponse:
    """Answer a request for objects. Raises Refusal."""
    cluster, target = request.app[CLUSTER], parse_path(request.rel_url.raw_path)
    if target.name is None:
        return await _handle_collection(request, cluster, target)
    return await _handle_object(request, cluster, target, target.name)


async def _handle_collection(request: web.Request, cluster: Cluster, target: Target) -> web.StreamResponse:
    match request.method:
        case hdrs.METH_GET:
            options = list_options(request.query)
            if options.watch:
                return await watch_objects(request, cluster.store, target, options)
            return _json(list_objects(cluster.store, target, options))
        case hdrs.METH_POST if not target.kind.NAMESPACED or target.namespace:
            value = await _object_in_body(request, target)
            if causes := tuple(target.spelling.check(value)):
                raise invalid(target.kind, value.metadata.name, causes)
            return _json(target.spelling.write(encode(cluster.create(value))), status=201)
    raise _not_allowed()


async def _handle_object(request: web.Request, cluster: Cluster, target: Target, name: str) -> web.StreamResponse:
    if target.subresource == "scale" and target.kind is Deployment:
        return await _handle_scale(request, cluster, target, name)
    if target.subresource not in ("", "status") or (target.subresource and request.method == hdrs.METH_DELETE):
        raise no_such_resource()
    match request.method:
        case hdrs.METH_GET:
            return _json(target.spelling.write(cluster.store.stored(target.kind, name, target.namespace).encoded))
        case hdrs.METH_PUT:
            value = await _object_in_body(request, target)
            return _json(target.spelling.write(encode(cluster.update(value, target.subresource))))
        case hdrs.METH_PATCH:
            patch = target.spelling.rename(await _patch_in_body(request))
            present = cluster.store.get(target.kind, name, target.namespace)
            return _json(target.spelling.write(encode(cluster.patch(present, patch, target.subresource))))
        case hdrs.METH_DELETE:
            grace = await _grace_seconds(request)
            deleted, gone = cluster.delete(target.kind, name, target.namespace, grace_seconds=grace)
            return _json(_deleted(deleted).encode() if gone else target.spelling.write(encode(deleted)))
    raise _not_allowed()


async def _handle_scale(request: web.Request, cluster: Cluster, target: Target, name: str) -> web.Response:
    body: Json = None
    match request.method:
        case hdrs.METH_GET:
            pass
        case hdrs.METH_PUT:
            body = parse_object(await request.read())
        case hdrs.METH_PATCH:
            body = await _patch_in_body(request)
        case _:
            raise _not_allowed()
    deployment = cluster.store.get(Deployment, name, target.namespace)
    if body is not None:
        wanted = merge(as_json(scale_of(deployment)), body) if request.method == hdrs.METH_PATCH else body
        deployment = cluster.update(scaled(deployment, read_scale(wanted)))
    return _json(encode(scale_of(deployment)))


async def _grace_seconds(request: web.Request) -> int:
    """What the query says, or else the DeleteOptions in the body; 0 where neither does."""
    if text := request.query.get("gracePeriodSeconds"):
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise bad_request(f"invalid gracePeriodSeconds: {text!r} is no number of seconds")
        return int(text)
    body = await request.read()
    seconds = parse_object(body).get("gracePeriodSeconds") if body else 0
    return seconds if isinstance(seconds, int) and seconds > 0 else 0


def _json(body: bytes, *, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")


def _not_allowed() -> Refusal:
    return Refusal(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def _deleted(value: KubernetesObject) -> Status:
    details = StatusDetails.model_validate(
        {"name": value.metadata.name, "kind": value.PLURAL, "uid": value.metadata.uid}
    )
    return Status(status="Success", details=details, code=200)


async def _object_in_body(request: web.Request, target: Target) -> KubernetesObject:
    """The object in the body; what the URL says of its namespace and name must agree, or completes it."""
    value = decode(target.kind, target.spelling.read(await request.read()))
    metadata = value.metadata
    if target.name is not None and metadata.name not in ("", target.name):
        raise bad_request(
            f"the name of the object ({metadata.name}) does not match the name on the URL ({target.name})"
        )
    if target.kind.NAMESPACED and metadata.namespace not in (None, "", target.namespace or "default"):
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    completed = {
        "name": target.name or metadata.name,
        "namespace": (target.namespace or "default") if target.kind.NAMESPACED else None,
    }
    return value.model_copy(update={"metadata": metadata.model_copy(update=completed)})


async def _patch_in_body(request: web.Request) -> dict[str, Json]:
    if request.content_type != "application/merge-patch+json":
        supported = "application/merge-patch+json"
        raise Refusal(
            415,
            "UnsupportedMediaType",
            f"the body of the request was in an unknown format - accepted media types include: {supported}",
        )
    return parse_object(await request.read())
