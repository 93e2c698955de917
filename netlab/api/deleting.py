"""The end of an object: at once, or first marked because somebody has something to do before it goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TypeVar

from netlab.api.admission.entrance import Admission
from netlab.api.statuses import conflict
from netlab.api.store import Store
from netlab.api.write_options import DeleteOptions, Propagation
from netlab.model.objects import KubernetesObject, Namespace, NamespaceStatus, Pod

K = TypeVar("K", bound=KubernetesObject)
NOW = DeleteOptions(grace_seconds=0)
POD_GRACE = 30
"""Seconds that a Pod has which does not say how many."""
FINALIZERS = {Propagation.FOREGROUND: "foregroundDeletion", Propagation.ORPHAN: "orphan"}
"""By which the garbage collector is told what to do first."""


class Deletion:
    """Deletes what is asked for."""

    def __init__(self, store: Store, admission: Admission) -> None:
        self._store = store
        self._admission = admission

    def delete(self, value: K, options: DeleteOptions) -> tuple[K, bool]:
        """The object's last state, and whether it is gone. Raises Refusal."""
        _check_conditions(value, options)
        self._admission.check_delete(value)
        seconds = grace(value, options)
        finalizers = value.metadata.finalizers
        if not value.metadata.deletion_timestamp and (more := FINALIZERS.get(options.propagation)):
            finalizers = tuple(dict.fromkeys((*finalizers, more)))
        ending = marked(value, seconds, finalizers)
        gone = not (finalizers or seconds > 0 or isinstance(value, Namespace))
        if options.dry_run:
            return (value, True) if gone else (ending, False)
        if gone:
            return self._store.delete(type(value), value.metadata.name, value.metadata.namespace), True
        return self._store.update(ending), False

    def finish(self, value: K) -> K:
        """Remove an object that was marked and of which the last finalizer is gone; a Pod once its kubelet says so."""
        waits = isinstance(value, Pod) and value.spec.node_name and value.metadata.deletion_grace_period_seconds
        if waits or isinstance(value, Namespace):
            return value
        return self._store.delete(type(value), value.metadata.name, value.metadata.namespace)


def end(store: Store, value: KubernetesObject) -> bool:
    """Delete what a controller takes away: whether it is gone, or has finalizers or (a Pod on a node) time to end."""
    seconds = grace(value, DeleteOptions())
    if not (seconds or value.metadata.finalizers):
        store.delete(type(value), value.metadata.name, value.metadata.namespace)
        return True
    store.update(marked(value, seconds, value.metadata.finalizers))
    return False


def _check_conditions(value: KubernetesObject, options: DeleteOptions) -> None:
    metadata = value.metadata
    for name, wanted, there in (
        ("UID", options.uid, metadata.uid),
        ("ResourceVersion", options.version, metadata.resource_version),
    ):
        if wanted and wanted != there:
            why = f"Precondition failed: {name} in precondition: {wanted}, {name} in object meta: {there}"
            raise conflict(type(value), metadata.name, f"the object has been modified: {why}")


def grace(value: KubernetesObject, options: DeleteOptions) -> int:
    """Seconds that an object is given to end by itself: only a Pod that may still run is given any."""
    if not isinstance(value, Pod) or not value.spec.node_name or value.has_ended:
        return 0
    own = value.spec.termination_grace_period_seconds
    wanted = options.grace_seconds if options.grace_seconds is not None else POD_GRACE if own is None else own
    given = value.metadata.deletion_grace_period_seconds
    # Who asks again can only shorten it.
    return wanted if given is None or not value.metadata.deletion_timestamp else min(wanted, given)


def marked(value: K, seconds: int, finalizers: tuple[str, ...]) -> K:
    """The object with the marks of one that is being deleted; it goes once the last of `finalizers` is gone."""
    metadata = value.metadata
    if metadata.deletion_timestamp and metadata.deletion_grace_period_seconds in (None, seconds):
        return value
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    marks = {
        "deletion_timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "deletion_grace_period_seconds": seconds,
        "finalizers": finalizers,
        "generation": None if metadata.generation is None else metadata.generation + 1,
    }
    changed: dict[str, object] = {"metadata": metadata.model_copy(update=marks)}
    if isinstance(value, Namespace):
        changed["status"] = NamespaceStatus(phase="Terminating")
    return value.model_copy(update=changed)
