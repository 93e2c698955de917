"""The names of the chains of mode userspace, as Kubernetes had them until 1.25."""

from __future__ import annotations

PORTALS_CONTAINER = "KUBE-PORTALS-CONTAINER"
"""Service addresses, asked by Pods and by other machines."""
PORTALS_HOST = "KUBE-PORTALS-HOST"
"""Service addresses, asked by the node itself."""
NODEPORT_CONTAINER = "KUBE-NODEPORT-CONTAINER"
"""Node ports, asked by Pods and by other machines."""
NODEPORT_HOST = "KUBE-NODEPORT-HOST"
"""Node ports, asked by the node itself."""
NODEPORT_NON_LOCAL = "KUBE-NODEPORT-NON-LOCAL"
"""In the table filter: lets what came to a node port in, where the policy of INPUT is DROP."""
NAT_CHAINS = (PORTALS_CONTAINER, PORTALS_HOST, NODEPORT_CONTAINER, NODEPORT_HOST)
