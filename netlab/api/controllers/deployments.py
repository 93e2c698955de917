"""ReplicaSets, made from Deployments: one a template, and Pods go over from one to the next."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import TypeVar

from netlab.api.admission.entrance import Admission
from netlab.api.controllers.alarms import Alarms
from netlab.api.controllers.deployment_status import seconds_to_deadline, status_of
from netlab.api.controllers.index import Index, owned_by
from netlab.api.controllers.rollouts import Version, limits_of, recreate, rolling
from netlab.api.controllers.telling import tell
from netlab.api.encoding import Json, encode_part
from netlab.api.journal import EventType
from netlab.api.store import Change, Store
from netlab.model.objects import (
    Deployment,
    KubernetesObject,
    LabelSelector,
    ObjectMeta,
    OwnerReference,
    Pod,
    PodTemplate,
    ReplicaSet,
    ReplicaSetSpec,
)

K = TypeVar("K", Deployment, ReplicaSet)
HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
DESIRED = "deployment.kubernetes.io/desired-replicas"
HISTORY = 10
"""How many ReplicaSets of earlier templates are kept where the Deployment does not say."""


class DeploymentController:
    """Key: a Deployment's."""

    def __init__(self, store: Store, index: Index, admission: Admission, alarms: Alarms) -> None:
        self._store = store
        self._index = index
        self._admission = admission
        self._alarms = alarms

    def all_keys(self) -> Iterable[str]:
        """All Deployments."""
        return self._store.keys(Deployment)

    def keys_of(self, change: Change) -> Iterable[str]:
        """The Deployment whose spec changed, or whose ReplicaSet did, or of which a Pod is gone (Recreate waits)."""
        if isinstance(change.object, Deployment):
            before = change.previous.spec if isinstance(change.previous, Deployment) else None
            same = change.type is EventType.DELETED or change.object.spec is before
            return () if same else (change.object.key,)
        found: KubernetesObject | None = change.object
        if isinstance(found, Pod) and change.type is EventType.DELETED:
            found = self._store.find_key(ReplicaSet, owned_by(found, ReplicaSet) or "")
        if isinstance(found, ReplicaSet) and (key := owned_by(found, Deployment)):
            return (key,)
        return ()

    def reconcile(self, key: str) -> None:
        """Take the next step towards having all Pods of the present template, and say how far that is."""
        deployment = self._store.find_key(Deployment, key)
        if deployment is None or deployment.metadata.deletion_timestamp:
            return
        self._adopt(deployment)
        template_hash = hash_of(deployment.spec.template)
        sets = self._sets(deployment)
        new = next((each for each in sets if each.metadata.labels.get(HASH_LABEL) == template_hash), None)
        old = [each for each in sets if each is not new]
        if not deployment.spec.paused:
            new = self._newest(deployment, new, old, template_hash)
            self._scale(deployment, new, old)
            self._forget(deployment, old)
        elif sets:
            self._resize(deployment, new or sets[-1], deployment.spec.replicas if len(sets) == 1 else None)
        self._report(deployment, template_hash)

    def _sets(self, deployment: Deployment) -> list[ReplicaSet]:
        """The Deployment's ReplicaSets, the oldest revision first."""
        keys = self._index.replica_sets_by_owner.of(deployment.metadata.uid)
        found = (self._store.find_key(ReplicaSet, key) for key in keys)
        return sorted((each for each in found if each and not each.metadata.deletion_timestamp), key=revision)

    def _adopt(self, deployment: Deployment) -> None:
        """Take in ReplicaSets that fit and belong to nobody, as after a deletion that left orphans."""
        terms = deployment.spec.selector.match_labels.items()
        for key in self._index.orphaned_replica_sets.of(deployment.metadata.namespace):
            orphan = self._store.find_key(ReplicaSet, key)
            if orphan and terms and terms <= orphan.metadata.labels.items():
                owners = (*orphan.metadata.owner_references, _reference(deployment))
                metadata = orphan.metadata.model_copy(update={"owner_references": owners})
                self._store.update(orphan.model_copy(update={"metadata": metadata}))

    def _newest(
        self, deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet], template_hash: str
    ) -> ReplicaSet:
        """The ReplicaSet of the present template, with the highest revision."""
        last = max(map(revision, old), default=0)
        if new is None:
            return self._store.create(self._admission.create(_replica_set(deployment, template_hash, last + 1)))
        if new.spec.min_ready_seconds != deployment.spec.min_ready_seconds:
            spec = new.spec.model_copy(update={"min_ready_seconds": deployment.spec.min_ready_seconds})
            new = self._store.update(new.model_copy(update={"spec": spec}))
        if revision(new) > last:
            return new
        return self._store.update(_annotated(new, REVISION, str(last + 1)))

    def _scale(self, deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]) -> None:
        spec = deployment.spec
        newest = _version(new, there=new.status.replicas)
        versions = tuple(_version(each, there=self._there(each)) for each in old)
        if spec.strategy.type == "Recreate":
            wanted, rest = recreate(spec.replicas, newest, versions)
        elif not any(each.wanted for each in versions):
            wanted, rest = spec.replicas, tuple(0 for _ in old)
        else:
            wanted, rest = rolling(spec.replicas, newest, versions, limits_of(spec))
        self._resize(deployment, new, wanted)
        for each, count in zip(old, rest, strict=True):
            self._resize(deployment, each, count)

    def _there(self, value: ReplicaSet) -> int:
        """How many Pods a ReplicaSet has, with those that are still on their way out."""
        pods = (self._store.find_key(Pod, key) for key in self._index.pods_by_owner.of(value.metadata.uid))
        return sum(pod is not None and not pod.has_ended for pod in pods)

    def _resize(self, deployment: Deployment, which: ReplicaSet, replicas: int | None) -> None:
        before = which.spec.replicas
        if replicas is None or replicas == before:
            return
        spec = which.spec.model_copy(update={"replicas": replicas})
        resized = _annotated(which.model_copy(update={"spec": spec}), DESIRED, str(deployment.spec.replicas))
        metadata = resized.metadata.model_copy(update={"generation": (resized.metadata.generation or 1) + 1})
        self._store.update(resized.model_copy(update={"metadata": metadata}))
        way = "up" if replicas > before else "down"
        message = f"Scaled {way} replica set {which.metadata.name} from {before} to {replicas}"
        tell(self._store, deployment, reason="ScalingReplicaSet", message=message, component="deployment-controller")

    def _forget(self, deployment: Deployment, old: Sequence[ReplicaSet]) -> None:
        limit = deployment.spec.revision_history_limit
        idle = [each for each in old if not (each.spec.replicas or each.status.replicas)]
        for each in idle[: max(0, len(idle) - (HISTORY if limit is None else limit))]:
            self._store.delete(ReplicaSet, each.metadata.name, each.metadata.namespace)

    def _report(self, deployment: Deployment, template_hash: str) -> None:
        sets = self._sets(deployment)
        new = next((each for each in sets if each.metadata.labels.get(HASH_LABEL) == template_hash), None)
        now = self._store.now()
        status = status_of(deployment, new, sets, now=now)
        if (seconds := seconds_to_deadline(deployment, status, now=now)) is not None:
            self._alarms.set(self, deployment.key, seconds=seconds)
        counted = deployment.model_copy(update={"status": status})
        if new is not None:
            counted = _annotated(counted, REVISION, str(revision(new)))
        self._store.update(counted)


def hash_of(template: PodTemplate) -> str:
    """A short name for a template: Pods with the same one were made from the same template."""
    said = json.dumps(_said(json.loads(encode_part(template))), sort_keys=True)
    digest = hashlib.sha256(said.encode()).digest()
    alphabet = "bcdfghjklmnpqrstvwxz2456789"
    return "".join(alphabet[byte % len(alphabet)] for byte in digest[:10])


def _said(value: Json) -> Json:
    """Without what is empty: clients differ in whether they write that, and in which order they write."""
    if isinstance(value, dict):
        return {key: said for key, each in value.items() if (said := _said(each)) not in (None, "", {}, [])}
    return [_said(each) for each in value] if isinstance(value, list) else value


def revision(value: ReplicaSet) -> int:
    """Which of its Deployment's templates a ReplicaSet is of, counted from 1; 0 where it does not say."""
    text = value.metadata.annotations.get(REVISION, "0")
    return int(text) if text.isdecimal() else 0


def _annotated(value: K, key: str, text: str) -> K:
    annotations = {**value.metadata.annotations, key: text}
    return value.model_copy(update={"metadata": value.metadata.model_copy(update={"annotations": annotations})})


def _version(value: ReplicaSet, *, there: int) -> Version:
    return Version(value.spec.replicas, there, value.status.available_replicas or 0)


def _reference(deployment: Deployment) -> OwnerReference:
    return OwnerReference(
        api_version=deployment.API_VERSION,
        kind="Deployment",
        name=deployment.metadata.name,
        uid=deployment.metadata.uid or "",
        controller=True,
        block_owner_deletion=True,
    )


def _replica_set(deployment: Deployment, template_hash: str, number: int) -> ReplicaSet:
    spec, owner, own = deployment.spec, deployment.metadata, {HASH_LABEL: template_hash}
    selector = LabelSelector(
        match_labels={**spec.selector.match_labels, **own}, match_expressions=spec.selector.match_expressions
    )
    labels = {**spec.template.metadata.labels, **own}
    template = spec.template.model_copy(
        update={"metadata": spec.template.metadata.model_copy(update={"labels": labels})}
    )
    annotations = {DESIRED: str(spec.replicas), REVISION: str(number)}
    metadata = ObjectMeta(
        name=f"{owner.name}-{template_hash}",
        namespace=owner.namespace,
        labels=labels,
        annotations=annotations,
        owner_references=(_reference(deployment),),
    )
    return ReplicaSet(
        metadata=metadata,
        spec=ReplicaSetSpec(replicas=0, selector=selector, template=template, min_ready_seconds=spec.min_ready_seconds),
    )
