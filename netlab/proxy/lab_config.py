"""A topology as the flags of its kube-proxies."""

from __future__ import annotations

from netlab.model.topology import PodLink, TopologySpec
from netlab.proxy.config import ProxyConfig


def lab_config(spec: TopologySpec, node: str) -> ProxyConfig:
    """The flags of a lab's kube-proxy on that node."""
    network = spec.network
    return ProxyConfig(
        node_name=node,
        mode=spec.proxy_mode(node),
        cluster_cidrs=network.pod_cidrs,
        service_cidrs=network.service_cidrs,
        ipvs_scheduler=spec.proxy.ipvs.scheduler,
        ipvs_strict_arp=spec.proxy.ipvs.strict_arp,
        ipvs_exclude_cidrs=spec.proxy.ipvs.exclude_cidrs,
        userspace_on_node_address=network.pod_link is PodLink.PTP,
    )
