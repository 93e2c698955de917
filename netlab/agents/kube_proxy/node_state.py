"""What a Node says about its own end."""

from __future__ import annotations

from netlab.model.objects import Node

LEAVING_TAINT = "ToBeDeletedByClusterAutoscaler"
"""Set by the cluster autoscaler on a node that it is about to take away (KEP-3836)."""


def is_leaving(node: Node) -> bool:
    """Whether load balancers should send the node nothing new."""
    if node.metadata.deletion_timestamp:
        return True
    taints = (node.spec.model_extra or {}).get("taints")
    return isinstance(taints, list) and any(
        isinstance(taint, dict) and taint.get("key") == LEAVING_TAINT for taint in taints
    )
