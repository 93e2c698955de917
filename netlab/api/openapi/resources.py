"""What can be done with each kind, and under which names: the source of discovery and of the OpenAPI documents."""

from __future__ import annotations

from dataclasses import dataclass

from netlab.api.registry import SERVED
from netlab.api.review_kinds import REVIEWS
from netlab.api.spelling import EVENTS_API
from netlab.model.objects import (
    ConfigMap,
    Deployment,
    Endpoints,
    EndpointSlice,
    Event,
    IPAddress,
    KubernetesObject,
    Namespace,
    Node,
    Pod,
    ReplicaSet,
    Service,
    ServiceCIDR,
)
from netlab.model.topology import Topology

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
CHANGE = ("get", "patch", "update")


@dataclass(frozen=True, slots=True)
class Subresource:
    """`/scale` of a Deployment: its own kind, in a group that need not be the Deployment's."""

    name: str
    kind: str
    verbs: tuple[str, ...] = CHANGE
    api_version: str = ""
    """Where its kind is from; "": where the object is from."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A collection that is served."""

    kind: type[KubernetesObject]
    api_version: str
    singular: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[Subresource, ...] = ()
    verbs: tuple[str, ...] = VERBS

    @property
    def group(self) -> str:
        """The API group, "" for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """The version in the group, `v1`."""
        return self.api_version.rpartition("/")[2]

    def of(self, *verbs: str) -> tuple[str, ...]:
        """Those of these verbs that it knows."""
        return tuple(verb for verb in verbs if verb in self.verbs)


@dataclass(frozen=True, slots=True)
class _Names:
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[Subresource, ...] = ()


_SCALE = Subresource("scale", "Scale", api_version="autoscaling/v1")
_CONNECT = ("create", "get")
_NAMES: dict[type[KubernetesObject], _Names] = {
    Namespace: _Names(
        ("ns",), subresources=(Subresource("finalize", "Namespace", ("update",)), Subresource("status", "Namespace"))
    ),
    Node: _Names(("no",), subresources=(Subresource("status", "Node"),)),
    Pod: _Names(
        ("po",),
        ("all",),
        (
            Subresource("attach", "PodAttachOptions", _CONNECT),
            Subresource("exec", "PodExecOptions", _CONNECT),
            Subresource("log", "Pod", ("get",)),
            Subresource("portforward", "PodPortForwardOptions", _CONNECT),
            Subresource("status", "Pod"),
        ),
    ),
    Service: _Names(("svc",), ("all",), (Subresource("status", "Service"),)),
    Endpoints: _Names(("ep",)),
    EndpointSlice: _Names(),
    Deployment: _Names(("deploy",), ("all",), (_SCALE, Subresource("status", "Deployment"))),
    ReplicaSet: _Names(("rs",), ("all",), (_SCALE, Subresource("status", "ReplicaSet"))),
    Event: _Names(("ev",)),
    ConfigMap: _Names(("cm",)),
    ServiceCIDR: _Names(subresources=(Subresource("status", "ServiceCIDR"),)),
    IPAddress: _Names(("ip",)),
    Topology: _Names(),
}


def _resource(kind: type[KubernetesObject], api_version: str) -> Resource:
    names = _NAMES[kind]
    return Resource(kind, api_version, kind.__name__.lower(), names.short_names, names.categories, names.subresources)


RESOURCES: tuple[Resource, ...] = (
    *(_resource(kind, kind.API_VERSION) for kind in SERVED),
    _resource(Event, EVENTS_API),
    *(Resource(kind, kind.API_VERSION, kind.__name__.lower(), verbs=("create",)) for kind in REVIEWS),
)
"""Every collection that is served, Events under both of their APIs, and what can be created alone."""
GROUP_VERSIONS: tuple[str, ...] = tuple(dict.fromkeys(resource.api_version for resource in RESOURCES))
"""`v1`, `apps/v1`, ...: each group has one version."""


def resources_of(api_version: str) -> tuple[Resource, ...]:
    """The collections of one API."""
    return tuple(each for each in RESOURCES if each.api_version == api_version)
