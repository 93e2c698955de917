"""Nodes, made from the Topology."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from netlab import __version__
from netlab.api.controllers.index import Index
from netlab.api.store import Change, Store
from netlab.api.versions import VERSION
from netlab.model.objects import Node, NodeAddress, NodeInfo, NodeSpec, NodeStatus, ObjectMeta, Pod
from netlab.model.topology import NodeEntry, Topology, TopologySpec
from netlab.plan.control_plane import CONTROL_PLANE_LABEL, control_plane

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""What Kubernetes calls processors that the kernel calls otherwise."""
TOPOLOGY_LABELS = "netlab/topology-labels"
"""An annotation: which of a Node's labels come from the Topology, so that those that go from it go from the Node."""


class NodeController:
    """Key: anything; all Nodes are looked at."""

    def __init__(self, store: Store, index: Index) -> None:
        self._store = store
        self._index = index

    def all_keys(self) -> Iterable[str]:
        """All."""
        return ("",)

    def keys_of(self, change: Change) -> Iterable[str]:
        """All, when the Topology changes."""
        return ("",) if isinstance(change.object, Topology) else ()

    def reconcile(self, key: str) -> None:
        """Make Nodes that the Topology has, and remove those that it has not, with their Pods."""
        entries = {entry.name: entry for topology in self._store.list(Topology) for entry in _with_roles(topology.spec)}
        for node in self._store.list(Node):
            entry = entries.get(node.metadata.name)
            if entry is None or _pod_cidrs(entry) != node.spec.pod_cidrs:
                self._remove(node.metadata.name)
        for entry in entries.values():
            self._make(entry)

    def _remove(self, name: str) -> None:
        """A Node whose Pod range changes is another Node: its Pods' addresses mean nothing any more."""
        for key in self._index.pods_by_node.of(name):
            namespace, _, pod = key.partition("/")
            self._store.delete(Pod, pod, namespace)
        self._store.delete(Node, name)

    def _make(self, entry: NodeEntry) -> None:
        present = self._store.find(Node, entry.name)
        if present is None:
            cidrs = _pod_cidrs(entry)
            spec = NodeSpec(pod_cidr=cidrs[0] if cidrs else None, pod_cidrs=cidrs)
            self._store.create(_completed(Node(metadata=ObjectMeta(name=entry.name), spec=spec), entry))
        else:
            self._store.update(_completed(present, entry))


def _capacity(entry: NodeEntry) -> dict[str, str]:
    """This machine's processors and memory, which all nodes share, and how many Pods have an address on the node.

    Nothing is counted against the first two; `kubectl describe node` divides by them.
    """
    kilobytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024
    pods = min((cidr.num_addresses - 2 for cidr in entry.pod_cidrs), default=0)
    return {"cpu": str(os.cpu_count() or 1), "memory": f"{kilobytes}Ki", "pods": str(max(0, pods))}


def _info() -> NodeInfo:
    """What all of a lab's nodes run on: this machine's kernel, and netlab in place of a container runtime."""
    machine = os.uname()
    return NodeInfo(
        kubelet_version=VERSION,
        kube_proxy_version=VERSION,
        operating_system="linux",
        architecture=ARCHITECTURES.get(machine.machine, machine.machine),
        kernel_version=machine.release,
        os_image="netlab",
        container_runtime_version=f"netlab://{__version__}",
        machine_id="",
        system_uuid="",
        boot_id="",
    )


def _with_roles(spec: TopologySpec) -> Iterator[NodeEntry]:
    """The nodes, the control plane's with the label that says so, as in a cluster that kubeadm made."""
    chosen = control_plane(spec)
    for entry in spec.nodes:
        role = {CONTROL_PLANE_LABEL: ""} if entry is chosen else {}
        yield entry.model_copy(update={"labels": {**role, **entry.labels}})


def _pod_cidrs(entry: NodeEntry) -> tuple[str, ...]:
    return tuple(str(cidr) for cidr in entry.pod_cidrs)


def _completed(node: Node, entry: NodeEntry) -> Node:
    """The Node with the entry's addresses and labels; labels that somebody else gave it stay."""
    metadata = node.metadata
    ours = set(filter(None, metadata.annotations.get(TOPOLOGY_LABELS, "").split(",")))
    labels = {key: value for key, value in metadata.labels.items() if key not in ours}
    labels |= {"kubernetes.io/hostname": entry.name, "kubernetes.io/os": "linux", **entry.labels}
    annotations = {**metadata.annotations, TOPOLOGY_LABELS: ",".join(sorted(entry.labels))}
    addresses = (
        *(NodeAddress(type="InternalIP", address=address) for address in entry.addresses),
        NodeAddress(type="Hostname", address=entry.name),
    )
    capacity = _capacity(entry)
    told = {"addresses": addresses, "node_info": _info(), "capacity": capacity, "allocatable": capacity}
    status: NodeStatus = node.status.model_copy(update=told)
    metadata = metadata.model_copy(update={"labels": labels, "annotations": annotations})
    return node.model_copy(update={"metadata": metadata, "status": status})
