"""Objects as they were remembered: what has come since goes, what has gone comes again, what is different changes back.

Pods of Deployments and the slices of Services are left to the controllers that make them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping

from netlab.api.encoding import as_json
from netlab.api.sync_client import SyncClient
from netlab.errors import ApiError, NotFound
from netlab.lab.baseline import Document, from_json, is_derived
from netlab.model.objects import Endpoints, EndpointSlice, KubernetesObject, Namespace, Node, Pod, ReplicaSet
from netlab.model.topology import Topology

FIRST_TO_COME: tuple[type[KubernetesObject], ...] = (Topology, Namespace, Node)
GIVEN_BY_SERVER = frozenset(
    ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "managedFields")
)
BOOKKEEPING = "deployment.kubernetes.io/"
"""How annotations begin in which a Deployment's controller counts."""
Objects = Mapping[tuple[str, str], KubernetesObject]


def restore(client: SyncClient, remembered: Iterable[Document], live: Iterable[KubernetesObject]) -> list[str]:
    """Make the `live` objects of the API those that are remembered; what was done, in words. ApiError."""
    wanted, there = _by_key(map(from_json, remembered)), _by_key(live)
    done = [_deleted(client, there[key]) for key in there.keys() - wanted.keys() if not is_derived(there[key])]
    for key in sorted(wanted, key=lambda key: not isinstance(wanted[key], FIRST_TO_COME)):
        done += _restored(client, wanted[key], there.get(key))
    return done


def _by_key(objects: Iterable[KubernetesObject]) -> Objects:
    return {(value.kind, value.key): value for value in objects}


def _restored(client: SyncClient, wanted: KubernetesObject, live: KubernetesObject | None) -> Iterator[str]:
    if live is None:
        if not is_derived(wanted):
            yield _created(client, wanted)
    elif not _is_same(wanted, live):
        if is_derived(wanted):
            yield _deleted(client, live)
        elif isinstance(wanted, Pod):
            yield _deleted(client, live)
            yield _created(client, wanted)
        else:
            yield _changed(client, wanted, live)


def _is_same(wanted: KubernetesObject, live: KubernetesObject) -> bool:
    if wanted.metadata.resource_version == live.metadata.resource_version:
        return True
    if isinstance(wanted, EndpointSlice | Endpoints | ReplicaSet) and is_derived(wanted):
        return True
    return _described(wanted) == _described(live) and not _has_failed(wanted, live)


def _has_failed(wanted: KubernetesObject, live: KubernetesObject) -> bool:
    """Whether a Pod was ready and is not, or has ended."""
    if not isinstance(wanted, Pod) or not isinstance(live, Pod):
        return False
    return (wanted.condition("Ready"), wanted.status.phase) != (live.condition("Ready"), live.status.phase)


def _described(value: KubernetesObject) -> Document:
    """What somebody wrote of the object, not what came of it."""
    document = as_json(value)
    document.pop("status", None)
    metadata = document.get("metadata")
    if isinstance(metadata, dict):
        told = {name: part for name, part in metadata.items() if name not in GIVEN_BY_SERVER}
        if isinstance(annotations := told.get("annotations"), dict):
            told["annotations"] = {key: text for key, text in annotations.items() if not key.startswith(BOOKKEEPING)}
        document["metadata"] = {name: part for name, part in told.items() if part}
    return document


def _created(client: SyncClient, wanted: KubernetesObject) -> str:
    client.create(from_json(_described(wanted)))
    return f"{_name(wanted)} is there again"


def _changed(client: SyncClient, wanted: KubernetesObject, live: KubernetesObject) -> str:
    """In place; where that is refused (a Service that has another address now) by making it anew."""
    described = from_json(_described(wanted))
    version = {"resource_version": live.metadata.resource_version, "uid": live.metadata.uid}
    metadata = described.metadata.model_copy(update=version)
    try:
        client.update(described.model_copy(update={"metadata": metadata, **_status(live)}))
    except NotFound:
        raise
    except ApiError:
        _deleted(client, live)
        _created(client, wanted)
    return f"{_name(wanted)} is as it was"


def _status(live: KubernetesObject) -> dict[str, object]:
    return {"status": live.status} if hasattr(live, "status") else {}


def _deleted(client: SyncClient, doomed: KubernetesObject) -> str:
    grace = 0 if isinstance(doomed, Pod) else None
    with contextlib.suppress(NotFound):  # it went with another one
        client.delete(
            type(doomed), doomed.metadata.name, namespace=doomed.metadata.namespace or "default", grace_seconds=grace
        )
    return f"{_name(doomed)} is gone"


def _name(value: KubernetesObject) -> str:
    return f"{value.kind} {value.key.removeprefix('default/')}"
