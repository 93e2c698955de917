"""A node and addresses for every Pod."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from netlab.api.controllers.conditions import with_condition
from netlab.api.controllers.index import Index
from netlab.api.journal import EventType
from netlab.api.selectors import selects
from netlab.api.store import Change, Store
from netlab.model.objects import Condition, Node, Pod, PodIP, PodStatus
from netlab.plan.addresses import PodAddresses


class Scheduler:
    """Key: a Pod's. Pods of one owner are spread over the nodes first, then all Pods."""

    def __init__(self, store: Store, index: Index) -> None:
        self._store = store
        self._index = index
        self._pools: dict[str, tuple[PodAddresses, ...]] = {}
        self._waiting: dict[str, None] = {}
        for node in store.list(Node):
            self._add_node(node)
        for pod in store.list(Pod):
            self._note_addresses(pod, used=True)

    def all_keys(self) -> Iterable[str]:
        """The Pods without an address."""
        return [pod.key for pod in self._store.list(Pod) if not pod.status.pod_ips]

    def keys_of(self, change: Change) -> Iterable[str]:
        """A Pod without address; all such Pods when a node changes or an address becomes free."""
        if isinstance(change.object, Node):
            self._note_node(change)
            return tuple(self._waiting)
        if not isinstance(change.object, Pod):
            return ()
        if isinstance(change.previous, Pod):
            self._note_addresses(change.previous, used=False)
        if change.type is EventType.DELETED:
            self._waiting.pop(change.object.key, None)
            return tuple(self._waiting)
        self._note_addresses(change.object, used=True)
        return () if change.object.status.pod_ips else (change.object.key,)

    def _note_node(self, change: Change) -> None:
        if change.type is EventType.DELETED:
            self._pools.pop(change.object.metadata.name, None)
        elif change.type is EventType.ADDED and isinstance(change.object, Node):
            self._add_node(change.object)

    def _add_node(self, node: Node) -> None:
        self._pools[node.metadata.name] = tuple(PodAddresses(ip_network(cidr)) for cidr in node.spec.pod_cidrs)

    def _note_addresses(self, pod: Pod, *, used: bool) -> None:
        if pod.spec.host_network:
            return
        for pool in self._pools.get(pod.spec.node_name or "", ()):
            for entry in pod.status.pod_ips:
                if used:
                    pool.use(ip_address(entry.ip))
                else:
                    pool.free(ip_address(entry.ip))

    def reconcile(self, key: str) -> None:
        """Place the Pod, or say in its condition PodScheduled why it cannot be."""
        pod = self._store.find_key(Pod, key)
        if pod is None or pod.status.pod_ips:
            self._waiting.pop(key, None)
            return
        node, why = self._choose(pod)
        if node is None:
            self._waiting[key] = None
            self._store.update(self._unschedulable(pod, why))
        else:
            self._waiting.pop(key, None)
            self._store.update(self._placed(pod, node))

    def _choose(self, pod: Pod) -> tuple[Node | None, str]:
        if pod.spec.node_name:
            node = self._store.find(Node, pod.spec.node_name)
            if node is None:
                return None, f'node "{pod.spec.node_name}" not found'
            return (node, "") if self._has_room(node, pod) else (None, f"{_full(node)} left for it")
        refusals: Counter[str] = Counter()
        suitable = []
        for node in self._store.list(Node):
            if why := self._unsuitable(node, pod):
                refusals[why] += 1
            else:
                suitable.append(node)
        if not suitable:
            reasons = ", ".join(f"{count} {why}" for why, count in sorted(refusals.items()))
            total = sum(refusals.values())
            return (
                None,
                f"0/{total} nodes are available: {reasons}." if total else "no nodes available to schedule pods",
            )
        return min(suitable, key=lambda node: self._load(node, pod)), ""

    def _unsuitable(self, node: Node, pod: Pod) -> str:
        if node.spec.unschedulable:
            return "node(s) were unschedulable"
        if not selects(pod.spec.node_selector, node.metadata.labels):
            return "node(s) didn't match Pod's node affinity/selector"
        return "" if self._has_room(node, pod) else "node(s) had no free Pod address"

    def _has_room(self, node: Node, pod: Pod) -> bool:
        pools = self._pools[node.metadata.name]
        return bool(pod.spec.host_network) or all(pool.lowest() is not None for pool in pools)

    def _load(self, node: Node, pod: Pod) -> tuple[int, int]:
        name = node.metadata.name
        siblings = sum(self._index.siblings[name, owner.uid] for owner in pod.metadata.owner_references)
        return siblings, self._index.pods_by_node.size(name)

    def _placed(self, pod: Pod, node: Node) -> Pod:
        own = [entry.address for entry in node.status.addresses if entry.type == "InternalIP"]
        given = (pool.lowest() for pool in self._pools[node.metadata.name])
        ips = own if pod.spec.host_network else [str(address) for address in given if address is not None]
        status = self._with_condition(pod.status, Condition(type="PodScheduled", status="True"))
        status = status.model_copy(
            update={
                "pod_ip": ips[0] if ips else None,
                "pod_ips": tuple(PodIP(ip=ip) for ip in ips),
                "host_ip": own[0] if own else None,
            }
        )
        spec = pod.spec.model_copy(update={"node_name": node.metadata.name})
        return pod.model_copy(update={"spec": spec, "status": status})

    def _unschedulable(self, pod: Pod, why: str) -> Pod:
        condition = Condition(type="PodScheduled", status="False", reason="Unschedulable", message=why)
        return pod.model_copy(update={"status": self._with_condition(pod.status, condition)})

    def _with_condition(self, status: PodStatus, condition: Condition) -> PodStatus:
        conditions = with_condition(status.conditions, condition, now=self._store.now())
        return status.model_copy(update={"conditions": conditions})


def _full(node: Node) -> str:
    return f"node {node.metadata.name} has no address of {', '.join(node.spec.pod_cidrs)}"
