"""Where each kind is served: `/api/v1/namespaces/NAMESPACE/pods/NAME`, `/apis/apps/v1/...`."""

from __future__ import annotations

from urllib.parse import quote

from netlab import __version__
from netlab.model.objects import SERVED_KINDS, KubernetesObject
from netlab.model.topology import Topology

AGENT = "netlab"
"""How netlab's own programs call themselves to an API server."""
USER_AGENT = f"{AGENT}/{__version__}"
SERVED: tuple[type[KubernetesObject], ...] = (*SERVED_KINDS, Topology)
"""Every kind that has a URL."""

_BY_PLURAL = {(kind.API_VERSION, kind.PLURAL): kind for kind in SERVED}
BY_PLURAL: dict[str, type[KubernetesObject]] = {kind.PLURAL: kind for kind in SERVED}
"""The kinds by plural name alone: no two groups of a lab share one."""


def kind_at(api_version: str, plural: str) -> type[KubernetesObject] | None:
    """The kind served under `apps/v1` and `deployments`."""
    return _BY_PLURAL.get((api_version, plural))


def group(kind: type[KubernetesObject]) -> str:
    """The API group, "" for the core group."""
    return kind.API_VERSION.partition("/")[0] if "/" in kind.API_VERSION else ""


def resource(kind: type[KubernetesObject]) -> str:
    """How messages name the collection: `pods`, `deployments.apps`."""
    return f"{kind.PLURAL}.{group(kind)}" if group(kind) else kind.PLURAL


def qualified_kind(kind: type[KubernetesObject]) -> str:
    """How messages name the kind: `Pod`, `Deployment.apps`."""
    return f"{kind.__name__}.{group(kind)}" if group(kind) else kind.__name__


def collection_path(kind: type[KubernetesObject], namespace: str | None = None) -> str:
    """The URL path of all objects of a kind, in one namespace or (None) in all."""
    root = f"/apis/{kind.API_VERSION}" if group(kind) else f"/api/{kind.API_VERSION}"
    inside = f"/namespaces/{quote(namespace, safe='')}" if kind.NAMESPACED and namespace else ""
    return f"{root}{inside}/{kind.PLURAL}"


def object_path(kind: type[KubernetesObject], name: str, namespace: str | None = None, subresource: str = "") -> str:
    """The URL path of one object or of a subresource of it."""
    path = f"{collection_path(kind, namespace or 'default')}/{quote(name, safe='')}"
    return f"{path}/{subresource}" if subresource else path


def object_key(kind: type[KubernetesObject], name: str, namespace: str | None = None) -> str:
    """`namespace/name` (namespace `default` where None), or the name alone for what lives in no namespace."""
    return f"{namespace or 'default'}/{name}" if kind.NAMESPACED else name
