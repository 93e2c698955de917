"""What the API server answers to each request: get, list, watch, create, update, patch, delete."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable

from aiohttp import hdrs, web

from netlab.api.cluster import Cluster
from netlab.api.encoding import Json, decode, encode, parse_object
from netlab.api.journal import EventType
from netlab.api.requests import ListOptions, Target, list_options, parse_path
from netlab.api.selectors import predicate
from netlab.api.statuses import Refusal, Status, StatusDetails, bad_request
from netlab.api.store import Store
from netlab.api.watching import Watch, bookmark_line, error_line, event_line
from netlab.model.objects import KubernetesObject

log = logging.getLogger(__name__)

BOOKMARK_SECONDS = 60.0
"""How often an idle watch that asked for bookmarks gets one."""
INITIAL_CHUNK = 64
"""Lines of a watch's initial state that are written at once."""
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
                return await _watch(request, cluster.store, target, options)
            return _list(cluster.store, target, options)
        case hdrs.METH_POST:
            value = await _object_in_body(request, target)
            return _json(encode(cluster.create(value)), status=201)
    raise _not_allowed()


async def _handle_object(request: web.Request, cluster: Cluster, target: Target, name: str) -> web.StreamResponse:
    match request.method:
        case hdrs.METH_GET:
            return _json(cluster.store.stored(target.kind, name, target.namespace).encoded)
        case hdrs.METH_PUT:
            value = await _object_in_body(request, target)
            return _json(encode(cluster.update(value, target.subresource)))
        case hdrs.METH_PATCH:
            patch = await _patch_in_body(request)
            present = cluster.store.get(target.kind, name, target.namespace)
            return _json(encode(cluster.patch(present, patch, target.subresource)))
        case hdrs.METH_DELETE:
            deleted = cluster.delete(target.kind, name, target.namespace)
            return _json(_deleted(deleted).encode())
    raise _not_allowed()


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
    value = decode(target.kind, await request.read())
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


def _list(store: Store, target: Target, options: ListOptions) -> web.Response:
    store.check_version(options.version or 0)
    matches = predicate(target.kind, labels=options.labels, fields=options.fields)
    found = store.all_stored(target.kind, target.namespace)
    items = b",".join(stored.encoded for stored in found if matches is None or matches(stored.object))
    metadata = json.dumps({"resourceVersion": str(store.version)}).encode()
    head = b'{"kind":"%bList","apiVersion":"%b"' % (target.kind.__name__.encode(), target.kind.API_VERSION.encode())
    return _json(b'%b,"metadata":%b,"items":[%b]}' % (head, metadata, items))


async def _watch(request: web.Request, store: Store, target: Target, options: ListOptions) -> web.StreamResponse:
    matches = predicate(target.kind, labels=options.labels, fields=options.fields)
    watch = Watch(store, target.kind, namespace=target.namespace, matches=matches)
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "application/json"})
    try:
        start = tuple(_initial_lines(store, watch, target, options))
        await response.prepare(request)
        for position in range(0, len(start), INITIAL_CHUNK):
            await response.write(b"".join(start[position : position + INITIAL_CHUNK]))
        await _follow(watch, response, options)
    except Refusal as refusal:
        await response.prepare(request)
        await response.write(error_line(refusal))
    except ConnectionError:
        log.debug("a watch of %s went away", target.kind.PLURAL)
    finally:
        watch.close()
    return response


def _initial_lines(store: Store, watch: Watch, target: Target, options: ListOptions) -> Iterable[bytes]:
    """What happened since the version asked for, or else what there is."""
    if options.version and not options.send_initial_events:
        return tuple(watch.lines_for(store.changes_since(target.kind, options.version)))
    store.check_version(options.version or 0)
    found = store.all_stored(target.kind, target.namespace)
    lines = [event_line(EventType.ADDED, stored.encoded) for stored in found if watch.wants(stored.object)]
    if options.send_initial_events and options.bookmarks:
        lines.append(bookmark_line(target.kind, store.version, initial_events_end=True))
    return lines


async def _follow(watch: Watch, response: web.StreamResponse, options: ListOptions) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + options.timeout if options.timeout else None
    while not watch.overrun:
        patience = BOOKMARK_SECONDS if end is None else min(BOOKMARK_SECONDS, end - loop.time())
        if patience <= 0:
            return
        if lines := await watch.take(patience):
            await response.write(lines)
        elif options.bookmarks and not watch.overrun:
            await response.write(bookmark_line(watch.kind, watch.version))
