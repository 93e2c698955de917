"""What the API server answers to each request: get, list, watch, create, update, patch, delete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import hdrs, web

from netlab.api.cluster import Cluster
from netlab.api.encoding import check_kind, decode, decode_json, encode
from netlab.api.http import negotiation
from netlab.api.http.answers import json_response, object_response
from netlab.api.http.bodies import Body, read_body, validation_of, without_unknown
from netlab.api.http.listing import Answer, list_objects, watch_objects
from netlab.api.http.pages import Pages
from netlab.api.http.patch_requests import patch_object
from netlab.api.http.pod_requests import CONNECTING, handle_pod
from netlab.api.http.requests import Target, list_options, parse_path
from netlab.api.http.scale import SCALED, handle_scale
from netlab.api.registry import AGENT
from netlab.api.selectors import predicate
from netlab.api.statuses import (
    Status,
    StatusDetails,
    bad_request,
    invalid,
    no_such_resource,
    not_allowed,
)
from netlab.api.streams.access import PodAccess
from netlab.api.write_options import DeleteOptions, WriteOptions, delete_options, write_options
from netlab.model.objects import Endpoints, Event, KubernetesObject, Namespace, Pod, Service

CLUSTER = web.AppKey("CLUSTER", Cluster)
PAGES = web.AppKey("PAGES", Pages)


@dataclass(frozen=True, slots=True)
class Access:
    """The way into the lab's Pods, where there is one."""

    pods: PodAccess | None


ACCESS = web.AppKey("ACCESS", Access)
RETURNED = (Pod, Service)
"""Kinds of which a deletion answers with the object that is gone, as in Kubernetes; else with a Status."""
CREATED_BY_UPDATE = (Service, Endpoints, Event)
"""Kinds of which an update creates what is not there, as in Kubernetes."""


async def handle(request: web.Request) -> web.StreamResponse:
    """Answer a request for objects. Raises Refusal."""
    cluster, target = request.app[CLUSTER], parse_path(request.rel_url.raw_path)
    if target.name is None:
        return await _handle_collection(request, cluster, target)
    if target.subresource == "scale" and target.kind in SCALED:
        return await handle_scale(request, cluster, target, options_of(request))
    if target.kind is Pod and target.subresource in ("log", *CONNECTING):
        return await handle_pod(request, cluster, target, request.app[ACCESS].pods)
    if target.subresource not in ("", "status") and not _is_finalize(request, target):
        raise no_such_resource()
    return await _handle_object(request, cluster, target, target.name)


def _is_finalize(request: web.Request, target: Target) -> bool:
    return target.kind is Namespace and target.subresource == "finalize" and request.method == hdrs.METH_PUT


def options_of(request: web.Request) -> WriteOptions:
    """How the client wants its write done. Raises Refusal."""
    # Of what netlab's own programs set nobody keeps account.
    agent = request.headers.get(hdrs.USER_AGENT, "unknown").partition("/")[0]
    return write_options(request.query, user_agent="" if agent == AGENT else agent)


async def _handle_collection(request: web.Request, cluster: Cluster, target: Target) -> web.StreamResponse:
    match request.method:
        case hdrs.METH_GET:
            options = list_options(request.query)
            answer = Answer(negotiation.wanted(request), negotiation.included(request))
            if options.watch:
                return await watch_objects(request, cluster.store, target, options, answer)
            return json_response(list_objects(cluster.store, request.app[PAGES], target, options, answer))
        case hdrs.METH_POST if not target.kind.NAMESPACED or target.namespace:
            value = await _object_in_body(request, target)
            if causes := tuple(target.spelling.check(value)):
                raise invalid(target.kind, value.metadata.name, causes)
            created = cluster.create(value, options_of(request))
            return json_response(target.spelling.write(encode(created)), status=201)
        case hdrs.METH_DELETE if not target.kind.NAMESPACED or target.namespace:
            return await _delete_collection(request, cluster, target)
    raise not_allowed()


async def _handle_object(request: web.Request, cluster: Cluster, target: Target, name: str) -> web.Response:
    match request.method:
        case hdrs.METH_GET:
            return _one(request, cluster, target, name)
        case hdrs.METH_PUT:
            return await _update(request, cluster, target, name)
        case hdrs.METH_PATCH:
            value, new = await patch_object(request, cluster, target, options_of(request))
            return json_response(target.spelling.write(encode(value)), status=201 if new else 200)
        case hdrs.METH_DELETE if not target.subresource:
            deleted, gone = cluster.delete(target.kind, name, target.namespace, await _delete_options(request))
            if gone and not isinstance(deleted, RETURNED):
                return json_response(_deleted(deleted).encode())
            return json_response(target.spelling.write(encode(deleted)))
    raise not_allowed()


def _one(request: web.Request, cluster: Cluster, target: Target, name: str) -> web.Response:
    stored = cluster.store.stored(target.kind, name, target.namespace)
    return object_response(request, stored.object, target.spelling.write(stored.encoded))


async def _update(request: web.Request, cluster: Cluster, target: Target, name: str) -> web.Response:
    value, options = await _object_in_body(request, target), options_of(request)
    there = cluster.store.find(target.kind, name, target.namespace) is not None
    if not there and isinstance(value, CREATED_BY_UPDATE) and not value.metadata.resource_version:
        return json_response(target.spelling.write(encode(cluster.create(value, options))), status=201)
    return json_response(target.spelling.write(encode(cluster.update(value, target.subresource, options))))


async def _delete_options(request: web.Request) -> DeleteOptions:
    body = await read_body(request) if request.can_read_body else Body({})
    return delete_options(request.query, body.value)


async def _delete_collection(request: web.Request, cluster: Cluster, target: Target) -> web.Response:
    """Delete all that the selectors choose: their last states, as a list."""
    options, wanted = list_options(request.query), await _delete_options(request)
    matches = predicate(target.kind, labels=options.labels, fields=options.fields)
    chosen = [each for each in cluster.store.list(target.kind, target.namespace) if matches is None or matches(each)]
    deleted = [
        cluster.delete(target.kind, each.metadata.name, each.metadata.namespace, wanted)[0]
        for each in chosen
        if cluster.store.find(target.kind, each.metadata.name, each.metadata.namespace) is not None
    ]
    return json_response(_list_of(target, deleted, version=cluster.store.version))


def _list_of(target: Target, values: Sequence[KubernetesObject], *, version: int) -> bytes:
    items = b",".join(target.spelling.write(encode(each)) for each in values)
    kind, api_version = target.kind.__name__.encode(), target.spelling.api_version.encode()
    head = b'{"kind":"%bList","apiVersion":"%b","metadata":{"resourceVersion":"%d"}' % (kind, api_version, version)
    return b'%b,"items":[%b]}' % (head, items)


def _deleted(value: KubernetesObject) -> Status:
    group = value.API_VERSION.rpartition("/")[0]
    details = StatusDetails.model_validate(
        {"name": value.metadata.name, "group": group or None, "kind": value.PLURAL, "uid": value.metadata.uid}
    )
    return Status(status="Success", details=details, code=200)


async def _object_in_body(request: web.Request, target: Target) -> KubernetesObject:
    """The object in the body; what the URL says of its namespace and name must agree, or completes it."""
    body = await read_body(request)
    api_version, kind = target.spelling.api_version, target.kind.__name__
    check_kind(target.kind, body.value, api_version=api_version)
    known = without_unknown(request, body, api_version=api_version, kind=kind, validation=validation_of(request))
    unchanged = known is body.value and body.raw and api_version == target.kind.API_VERSION
    value = decode(target.kind, body.raw) if unchanged else decode_json(target.kind, target.spelling.rename(known))
    return _completed(value, target)


def _completed(value: KubernetesObject, target: Target) -> KubernetesObject:
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
