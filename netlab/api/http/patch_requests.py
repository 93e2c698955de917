"""PATCH: what the four kinds of patch make of an object."""

from __future__ import annotations

import json

from aiohttp import web

from netlab.api.cluster import Cluster
from netlab.api.encoding import Json, check_kind, parse
from netlab.api.http.bodies import Body, read_body, read_json, unsupported, validation_of, without_unknown
from netlab.api.http.requests import Target
from netlab.api.openapi.shapes import shape_of
from netlab.api.patches.operations import apply_operations
from netlab.api.patches.strategic import strategic_merge
from netlab.api.patching import merge
from netlab.api.statuses import Refusal, bad_request
from netlab.api.write_options import WriteOptions
from netlab.model.objects import KubernetesObject

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
PATCHES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)
JsonObject = dict[str, Json]


async def patch_object(
    request: web.Request, cluster: Cluster, target: Target, options: WriteOptions
) -> tuple[KubernetesObject, bool]:
    """The object as a patch has made it, and whether the patch (an apply) has created it. Raises Refusal."""
    if request.content_type == APPLY_PATCH:
        return await _apply(request, cluster, target, options)
    await request.read()  # before the object is looked up: what is written while the patch arrives is no conflict
    present = cluster.store.stored(target.kind, target.name or "", target.namespace)
    live: JsonObject = json.loads(target.spelling.write(present.encoded))
    patched = await patched_json(request, live, api_version=target.spelling.api_version, kind=target.kind.__name__)
    known = _known(request, Body(patched), target)
    value = cluster.replace(present.object, target.spelling.rename(known), target.subresource, options)
    return value, False


def _known(request: web.Request, body: Body, target: Target) -> JsonObject:
    api_version, kind = target.spelling.api_version, target.kind.__name__
    return without_unknown(request, body, api_version=api_version, kind=kind, validation=validation_of(request))


async def patched_json(request: web.Request, live: JsonObject, *, api_version: str, kind: str) -> JsonObject:
    """The JSON of an object with the patch in the body applied. Raises Refusal: 415 for another kind of body."""
    if request.content_type == JSON_PATCH:
        return apply_operations(live, parse(await request.read()))
    if request.content_type == MERGE_PATCH:
        merged = merge(live, read_json(await request.read()).value)
        assert isinstance(merged, dict)
        return merged
    if request.content_type == STRATEGIC_PATCH:
        return strategic_merge(live, read_json(await request.read()).value, shape_of(api_version, kind))
    raise unsupported(PATCHES)


async def _apply(
    request: web.Request, cluster: Cluster, target: Target, options: WriteOptions
) -> tuple[KubernetesObject, bool]:
    if not request.query.get("fieldManager"):
        raise bad_request(
            'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
        )
    body = await read_body(request, also=(APPLY_PATCH,))
    check_kind(target.kind, body.value, api_version=target.spelling.api_version)
    config = target.spelling.rename(_known(request, body, target))
    metadata = _completed(config.get("metadata"), target)
    present = cluster.store.find(target.kind, target.name or "", target.namespace)
    if present is None and target.subresource:
        cluster.store.get(target.kind, target.name or "", target.namespace)
    whole: JsonObject = {"apiVersion": target.kind.API_VERSION, "kind": target.kind.__name__, **config}
    return cluster.apply(
        target.kind, present, {**whole, "metadata": metadata}, options=options, subresource=target.subresource
    )


def _completed(metadata: Json, target: Target) -> JsonObject:
    """The metadata of an applied configuration with what the URL says. Raises Refusal 400."""
    told = metadata if isinstance(metadata, dict) else {}
    if told.get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    if told.get("name", target.name) != target.name:
        raise Refusal(
            400,
            "BadRequest",
            f"the name of the object ({told['name']}) does not match the name on the URL ({target.name})",
        )
    if target.kind.NAMESPACED and told.get("namespace", target.namespace) != target.namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    place: JsonObject = {"namespace": target.namespace} if target.kind.NAMESPACED else {}
    return {**told, "name": target.name, **place}
