"""What a request does, without HTTP: admission, then the store, then the controllers."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TypeVar

from netlab.api.admission.entrance import Admission
from netlab.api.controllers.alarms import Alarms
from netlab.api.controllers.deployments import DeploymentController
from netlab.api.controllers.endpointslices import EndpointSliceController
from netlab.api.controllers.events import EventLimiter
from netlab.api.controllers.garbage import GarbageCollector
from netlab.api.controllers.index import Index
from netlab.api.controllers.kubernetes_service import KubernetesServiceController
from netlab.api.controllers.legacy_endpoints import EndpointsController
from netlab.api.controllers.load_balancers import LoadBalancerController
from netlab.api.controllers.loop import Controllers
from netlab.api.controllers.namespaces import NamespaceController
from netlab.api.controllers.nodes import NodeController
from netlab.api.controllers.replica_sets import ReplicaSetController
from netlab.api.controllers.scheduler import Scheduler
from netlab.api.controllers.service_addresses import ServiceAddressController, ServiceRangeController
from netlab.api.deleting import NOW, Deletion
from netlab.api.encoding import Json, as_json, decode_json
from netlab.api.openapi.shapes import shape_of
from netlab.api.ownership.applying import applied
from netlab.api.ownership.managers import Manager
from netlab.api.patching import merge
from netlab.api.statuses import bad_request, no_such_resource
from netlab.api.store import Store
from netlab.api.tracking import entries_for_apply, same_account, tracked, with_entries
from netlab.api.write_options import DeleteOptions, WriteOptions
from netlab.model.objects import KubernetesObject

K = TypeVar("K", bound=KubernetesObject)
KEPT_METADATA = ("generation", "deletion_timestamp", "deletion_grace_period_seconds")
"""Metadata that no client sets."""
UNTRACKED = WriteOptions()


class Cluster:
    """A store whose objects are defaulted, checked and completed as Kubernetes does it.

    After every write `work_to_do` is called, which must see to it that `settle` is called soon; by default it is called
    at once.
    """

    def __init__(self, store: Store, random: Random | None = None) -> None:
        self.store = store
        self.work_to_do: Callable[[], None] = self.settle
        self._admission = Admission(store, random or Random())
        self._deletion = Deletion(store, self._admission)
        index, self._alarms = Index(store), Alarms(store.now)
        self._controllers = Controllers(
            store,
            (
                NamespaceController(store),
                GarbageCollector(store, index),
                ServiceRangeController(store),
                ServiceAddressController(store),
                NodeController(store, index),
                KubernetesServiceController(store, self._admission),
                DeploymentController(store, index, self._admission, self._alarms),
                ReplicaSetController(store, index, self._admission, self._alarms),
                Scheduler(store, index),
                LoadBalancerController(store),
                EndpointSliceController(store, index, self._admission),
                EndpointsController(store, index, self._admission),
                EventLimiter(store),
            ),
            self._alarms,
        )
        self.settle()

    def settle(self) -> None:
        """Let the controllers work until they have nothing left to do."""
        self._controllers.settle()

    def seconds_left(self) -> float | None:
        """Until the controllers have something to do even if nobody writes anything; None: they have nothing."""
        return self._alarms.seconds_left()

    def create(self, value: K, options: WriteOptions = UNTRACKED) -> K:
        """Write a new object. Raises Refusal."""
        admitted = self._admission.create(value)
        if options.manager:
            said = self._admission.with_defaults(value)
            manager = Manager(options.manager, "Update", value.API_VERSION)
            admitted = tracked(admitted, said=said, before=None, manager=manager, now=self.store.now())
        return self._created(admitted, options)

    def _created(self, admitted: K, options: WriteOptions) -> K:
        if options.dry_run:
            return self.store.preview(admitted)
        created = self.store.create(admitted)
        self.work_to_do()
        return created

    def update(self, value: K, subresource: str = "", options: WriteOptions = UNTRACKED) -> K:
        """Write an object anew without its status, or (`status`) its status alone. Raises Refusal."""
        before = self.store.get(type(value), value.metadata.name, value.metadata.namespace)
        self.store.check_current(value, before)
        updated = self._admitted(value, before, subresource)
        if options.manager:
            said = self._admission.with_defaults(value)
            manager = Manager(options.manager, "Update", value.API_VERSION, subresource)
            updated = tracked(updated, said=said, before=before, manager=manager, now=self.store.now())
        return self._updated(updated, before, options)

    def _admitted(self, value: K, before: K, subresource: str) -> K:
        if subresource == "status":
            return self._admission.update_status(_with_status(before, value))
        if subresource not in ("", "scale", "finalize"):
            raise no_such_resource()
        kept = _with_status(_with_kept_metadata(value, before), before)
        return self._admission.update(kept, before)

    def _updated(self, value: K, before: K, options: WriteOptions) -> K:
        if options.dry_run:
            return self.store.preview(value)
        updated = self.store.update(value)
        if updated.metadata.deletion_timestamp and not updated.metadata.finalizers and before.metadata.finalizers:
            updated = self._deletion.finish(updated)
        self.work_to_do()
        return updated

    def patch(self, present: K, patch: dict[str, Json], subresource: str = "") -> K:
        """Change an object by a JSON merge patch. Raises Refusal."""
        merged = merge(as_json(present), patch)
        assert isinstance(merged, dict)
        return self.replace(present, merged, subresource)

    def replace(
        self,
        present: K,
        patched: dict[str, Json],
        subresource: str = "",
        options: WriteOptions = UNTRACKED,
    ) -> K:
        """Write what a patch has made of an object. Raises Refusal."""
        value = decode_json(type(present), patched)
        if value.key != present.key:
            raise bad_request("the name and the namespace of an object cannot be changed by a patch")
        return self.update(value, subresource, options)

    def apply(
        self,
        kind: type[K],
        present: K | None,
        config: dict[str, Json],
        *,
        options: WriteOptions,
        subresource: str = "",
    ) -> tuple[K, bool]:
        """Server-side apply: the object as it is then, and whether it is new. Raises Refusal; 409 for conflicts."""
        manager, now = Manager(options.manager, "Apply", kind.API_VERSION, subresource), self.store.now()
        found = applied(
            as_json(present) if present else {},
            config,
            shape_of(kind.API_VERSION, kind.__name__),
            entries=entries_for_apply(present, now=now) if present else (),
            manager=manager,
            now=now,
            force=options.force,
        )
        value = decode_json(kind, found.value)
        if present is None:
            return self._created(with_entries(self._admission.create(value), found.entries), options), True
        self.store.check_current(value, present)
        admitted = self._admitted(value, present, subresource)
        if admitted == present and same_account(present, found.entries):
            return present, False
        return self._updated(with_entries(admitted, found.entries), present, options), False

    def delete(
        self, kind: type[K], name: str, namespace: str | None = None, options: DeleteOptions = NOW
    ) -> tuple[K, bool]:
        """Delete an object: its last state, and whether it is gone. Raises Refusal.

        An object with finalizers is only marked, and goes with the last of them. A Pod on a node that is given time
        is marked too: its kubelet ends it and deletes it without grace.
        """
        deleted, gone = self._deletion.delete(self.store.get(kind, name, namespace), options)
        if not options.dry_run:
            self.work_to_do()
        return deleted, gone


def _with_status(value: K, source: K) -> K:
    """`value` with the status of `source`; kinds without a status have none to take."""
    if "status" not in type(value).model_fields:
        return value
    return value.model_copy(update={"status": getattr(source, "status", None)})


def _with_kept_metadata(value: K, before: K) -> K:
    kept = {name: getattr(before.metadata, name) for name in KEPT_METADATA}
    return value.model_copy(update={"metadata": value.metadata.model_copy(update=kept)})
