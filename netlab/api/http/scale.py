"""The subresource `scale` of a Deployment or ReplicaSet: its number of replicas and nothing else."""

from __future__ import annotations

import json

from aiohttp import hdrs, web

from netlab.api.cluster import Cluster
from netlab.api.encoding import as_json, decode_json, encode
from netlab.api.http.answers import json_response, object_response
from netlab.api.http.bodies import read_body
from netlab.api.http.patch_requests import patched_json
from netlab.api.http.requests import Target
from netlab.api.scale_kind import Scale, ScaleSpec, ScaleStatus
from netlab.api.statuses import conflict, not_allowed
from netlab.api.tables.column import selector
from netlab.api.write_options import WriteOptions
from netlab.model.objects import Deployment, ObjectMeta, ReplicaSet

SCALED = (Deployment, ReplicaSet)


async def handle_scale(request: web.Request, cluster: Cluster, target: Target, options: WriteOptions) -> web.Response:
    """Answer a request for the scale of an object. Raises Refusal."""
    await request.read()  # before the object is looked up: what is written while a patch arrives is no conflict
    value = cluster.store.get(target.kind, target.name or "", target.namespace)
    assert isinstance(value, SCALED)
    present = scale_of(value)
    match request.method:
        case hdrs.METH_GET:
            return object_response(request, present, _json(present))
        case hdrs.METH_PUT:
            wanted = decode_json(Scale, (await read_body(request)).value)
        case hdrs.METH_PATCH:
            live = json.loads(encode(present))
            patched = await patched_json(request, live, api_version=Scale.API_VERSION, kind="Scale")
            wanted = decode_json(Scale, patched)
        case _:
            raise not_allowed()
    return json_response(_json(scale_of(cluster.update(scaled(value, wanted), "scale", options))))


def _json(value: Scale) -> bytes:
    return json.dumps(as_json(value)).encode()


def scale_of(value: Deployment | ReplicaSet) -> Scale:
    """The object's scale."""
    metadata = value.metadata
    return Scale(
        metadata=ObjectMeta(
            name=metadata.name,
            namespace=metadata.namespace,
            uid=metadata.uid,
            resource_version=metadata.resource_version,
            creation_timestamp=metadata.creation_timestamp,
        ),
        spec=ScaleSpec(replicas=value.spec.replicas),
        status=ScaleStatus(replicas=value.status.replicas, selector=selector(value.spec.selector)),
    )


def scaled(value: Deployment | ReplicaSet, wanted: Scale) -> Deployment | ReplicaSet:
    """The object with the replicas wanted. Raises Refusal Conflict where `wanted` is of an old version."""
    version = wanted.metadata.resource_version
    if version and version != value.metadata.resource_version:
        raise conflict(type(value), value.metadata.name)
    if isinstance(value, Deployment):
        return value.model_copy(update={"spec": value.spec.model_copy(update={"replicas": wanted.spec.replicas})})
    return value.model_copy(update={"spec": value.spec.model_copy(update={"replicas": wanted.spec.replicas})})
