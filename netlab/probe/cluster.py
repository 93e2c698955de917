"""The lab as the probe sees it: `netlab.model.cluster`, under the name by which probes have always called it."""

from netlab.model.cluster import (
    ClusterView,
    Destination,
    family_of,
    node_addresses,
    pod_addresses,
    pod_name,
    pod_place,
    spell,
)

__all__ = [
    "ClusterView",
    "Destination",
    "family_of",
    "node_addresses",
    "pod_addresses",
    "pod_name",
    "pod_place",
    "spell",
]
