"""Where the API server is found on the wire: the control plane's node, port 6443, and the Service in front of it."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.model.rules import IPAddress
from netlab.model.topology import Cidr, NodeEntry, TopologySpec

CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"
"""A node with this label, whatever its value, is the control plane's."""
API_PORT = 6443
KUBERNETES = ("default", "kubernetes")
"""Namespace and name of the Service that stands for the API server in every cluster."""
KUBERNETES_PORT = 443


def control_plane(spec: TopologySpec) -> NodeEntry | None:
    """The node on which the API server listens: the first with the label, else the first; None: there is no node."""
    labelled = (node for node in spec.nodes if CONTROL_PLANE_LABEL in node.labels)
    return next(labelled, None) or next(iter(spec.nodes), None)


def kubernetes_address(service_cidrs: Iterable[Cidr]) -> IPAddress | None:
    """The address of default/kubernetes: the first of the first Service range; None where that has none for Services.

    Source: the documentation of kube-apiserver's --service-cluster-ip-range.
    """
    cidr = next(iter(service_cidrs), None)
    if cidr is None or cidr.num_addresses <= 2:
        return None
    return cidr.network_address + 1
