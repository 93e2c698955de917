"""What a request does, without HTTP: admission, then the store, then the controllers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TypeVar

from netlab.api.admission.entrance import Admission
from netlab.api.controllers.deployments import DeploymentController
from netlab.api.controllers.endpointslices import EndpointSliceController
from netlab.api.controllers.events import EventLimiter
from netlab.api.controllers.garbage import GarbageCollector
from netlab.api.controllers.index import Index
from netlab.api.controllers.kubernetes_service import KubernetesServiceController
from netlab.api.controllers.load_balancers import LoadBalancerController
from netlab.api.controllers.loop import Controllers
from netlab.api.controllers.namespaces import NamespaceController
from netlab.api.controllers.nodes import NodeController
from netlab.api.controllers.scheduler import Scheduler
from netlab.api.encoding import Json, as_json, decode
from netlab.api.patching import merge
from netlab.api.statuses import bad_request, no_such_resource
from netlab.api.store import Store
from netlab.model.objects import KubernetesObject, Pod

K = TypeVar("K", bound=KubernetesObject)
KEPT_METADATA = ("generation", "deletion_timestamp", "deletion_grace_period_seconds")
"""Metadata that no client sets."""


class Cluster:
    """A store whose objects are defaulted, checked and completed as Kubernetes does it.

    After every write `work_to_do` is called, which must see to it that `settle` is called soon; by default it is called
    at once.
    """

    def __init__(self, store: Store, random: Random | None = None) -> None:
        self.store = store
        self.work_to_do: Callable[[], None] = self.settle
        self._admission = Admission(store, random or Random())
        index = Index(store)
        self._controllers = Controllers(
            store,
            (
                NamespaceController(store),
                GarbageCollector(store, index),
                NodeController(store, index),
                KubernetesServiceController(store, self._admission),
                DeploymentController(store, index, self._admission),
                Scheduler(store, index),
                LoadBalancerController(store),
                EndpointSliceController(store, index, self._admission),
                EventLimiter(store),
            ),
        )
        self.settle()

    def settle(self) -> None:
        """Let the controllers work until they have nothing left to do."""
        self._controllers.settle()

    def create(self, value: K) -> K:
        """Write a new object. Raises Refusal."""
        created = self.store.create(self._admission.create(value))
        self.work_to_do()
        return created

    def update(self, value: K, subresource: str = "") -> K:
        """Write an object anew without its status, or (`status`) its status alone. Raises Refusal."""
        before = self.store.get(type(value), value.metadata.name, value.metadata.namespace)
        self.store.check_current(value, before)
        if subresource == "status":
            value = self._admission.update_status(_with_status(before, value))
        elif subresource:
            raise no_such_resource()
        else:
            value = self._admission.update(_with_status(_with_kept_metadata(value, before), before), before)
        updated = self.store.update(value)
        if updated.metadata.deletion_timestamp and not updated.metadata.finalizers and before.metadata.finalizers:
            updated = self.store.delete(type(value), value.metadata.name, value.metadata.namespace)
        self.work_to_do()
        return updated

    def patch(self, present: K, patch: dict[str, Json], subresource: str = "") -> K:
        """Change an object by a JSON merge patch. Raises Refusal."""
        patched = decode(type(present), json.dumps(merge(as_json(present), patch)).encode())
        if patched.key != present.key:
            raise bad_request("the name and the namespace of an object cannot be changed by a patch")
        return self.update(patched, subresource)

    def delete(
        self, kind: type[K], name: str, namespace: str | None = None, *, grace_seconds: int = 0
    ) -> tuple[K, bool]:
        """Delete an object: its last state, and whether it is gone. Raises Refusal.

        An object with finalizers is only marked, and goes with the last of them. A Pod on a node that is given
        `grace_seconds` is marked too: its kubelet ends it and deletes it without grace.
        """
        value = self.store.get(kind, name, namespace)
        self._admission.check_delete(value)
        graceful = isinstance(value, Pod) and value.spec.node_name is not None and grace_seconds > 0
        if value.metadata.finalizers or graceful:
            deleted, gone = self._mark_deleted(value, grace_seconds), False
        else:
            deleted, gone = self.store.delete(kind, name, namespace), True
        self.work_to_do()
        return deleted, gone

    def _mark_deleted(self, value: K, grace_seconds: int) -> K:
        if value.metadata.deletion_timestamp:
            return value
        moment = datetime.now(UTC) + timedelta(seconds=grace_seconds)
        marks = {
            "deletion_timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "deletion_grace_period_seconds": grace_seconds,
        }
        metadata = value.metadata.model_copy(update=marks)
        return self.store.update(value.model_copy(update={"metadata": metadata}))


def _with_status(value: K, source: K) -> K:
    """`value` with the status of `source`; kinds without a status have none to take."""
    if "status" not in type(value).model_fields:
        return value
    return value.model_copy(update={"status": getattr(source, "status", None)})


def _with_kept_metadata(value: K, before: K) -> K:
    kept = {name: getattr(before.metadata, name) for name in KEPT_METADATA}
    return value.model_copy(update={"metadata": value.metadata.model_copy(update=kept)})
