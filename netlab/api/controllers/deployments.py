"""Pods, made from Deployments."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from netlab.api.admission.entrance import Admission
from netlab.api.controllers.index import Index, owned_by
from netlab.api.encoding import encode_part
from netlab.api.journal import EventType
from netlab.api.store import Change, Store
from netlab.model.objects import Deployment, DeploymentStatus, ObjectMeta, OwnerReference, Pod, PodTemplate

HASH_LABEL = "pod-template-hash"


class DeploymentController:
    """Key: a Deployment's. A changed template replaces all Pods at once: there is no ReplicaSet in between."""

    def __init__(self, store: Store, index: Index, admission: Admission) -> None:
        self._store = store
        self._index = index
        self._admission = admission

    def all_keys(self) -> Iterable[str]:
        """All Deployments."""
        return self._store.keys(Deployment)

    def keys_of(self, change: Change) -> Iterable[str]:
        """The Deployment whose spec changed, or whose Pod did."""
        if isinstance(change.object, Deployment):
            before = change.previous.spec if isinstance(change.previous, Deployment) else None
            same = change.type is EventType.DELETED or change.object.spec is before
            return () if same else (change.object.key,)
        if isinstance(change.object, Pod) and (key := owned_by(change.object, Deployment)):
            return (key,)
        return ()

    def reconcile(self, key: str) -> None:
        """Have as many Pods of the present template as the Deployment wants and none of another, and count them."""
        deployment = self._store.find_key(Deployment, key)
        if deployment is None:
            return
        template_hash = hash_of(deployment.spec.template)
        pods = self._pods(deployment)
        current = [pod for pod in pods if pod.metadata.labels.get(HASH_LABEL) == template_hash]
        wanted = deployment.spec.replicas
        surplus = sorted(current, key=_worth)[: len(current) - wanted] if len(current) > wanted else []
        outdated = [pod for pod in pods if pod.metadata.labels.get(HASH_LABEL) != template_hash]
        for pod in (*outdated, *surplus):
            self._store.delete(Pod, pod.metadata.name, pod.metadata.namespace)
        for _ in range(wanted - len(current)):
            self._store.create(self._admission.create(_new_pod(deployment, template_hash)))
        self._count(deployment, template_hash)

    def _pods(self, deployment: Deployment) -> list[Pod]:
        """The Deployment's Pods, without those that are on their way out."""
        keys = self._index.pods_by_owner.of(deployment.metadata.uid)
        found = (self._store.find_key(Pod, key) for key in keys)
        return [pod for pod in found if pod is not None and pod.metadata.deletion_timestamp is None]

    def _count(self, deployment: Deployment, template_hash: str) -> None:
        pods = self._pods(deployment)
        status = status_of(pods, template_hash, generation=deployment.metadata.generation)
        unknown = deployment.status.model_extra or {}
        status = status.model_copy(update=unknown)
        self._store.update(deployment.model_copy(update={"status": status}))


def hash_of(template: PodTemplate) -> str:
    """A short name for a template: Pods with the same one were made from the same template."""
    digest = hashlib.sha256(encode_part(template)).digest()
    alphabet = "bcdfghjklmnpqrstvwxz2456789"
    return "".join(alphabet[byte % len(alphabet)] for byte in digest[:10])


def status_of(pods: Sequence[Pod], template_hash: str, *, generation: int | None) -> DeploymentStatus:
    """The counts of a Deployment's status. A Pod that is ready is available at once (minReadySeconds is 0)."""
    ready = sum(pod.condition("Ready") for pod in pods)
    updated = sum(pod.metadata.labels.get(HASH_LABEL) == template_hash for pod in pods)
    return DeploymentStatus(
        replicas=len(pods),
        ready_replicas=ready,
        available_replicas=ready,
        updated_replicas=updated,
        observed_generation=generation,
    )


def _worth(pod: Pod) -> tuple[bool, bool, int]:
    """What goes first when there are too many: without a node, then not ready, then the youngest."""
    return bool(pod.spec.node_name), pod.condition("Ready"), -int(pod.metadata.resource_version or 0)


def _new_pod(deployment: Deployment, template_hash: str) -> Pod:
    template, owner = deployment.spec.template, deployment.metadata
    reference = OwnerReference(
        api_version=deployment.API_VERSION,
        kind="Deployment",
        name=owner.name,
        uid=owner.uid or "",
        controller=True,
    )
    metadata = ObjectMeta(
        generate_name=f"{owner.name}-{template_hash}-",
        namespace=owner.namespace,
        labels={**template.metadata.labels, HASH_LABEL: template_hash},
        annotations=template.metadata.annotations,
        owner_references=(reference,),
    )
    return Pod(metadata=metadata, spec=template.spec)
