"""The proxy modes: the ways in which a kube-proxy can make a node's kernel follow its Services."""

from __future__ import annotations

from enum import StrEnum


class ProxyMode(StrEnum):
    """A proxy mode, as kube-proxy's --proxy-mode spells it."""

    IPTABLES = "iptables"
    NFTABLES = "nftables"
    IPVS = "ipvs"
    USERSPACE = "userspace"
    """Gone from Kubernetes since 1.26: it explains why there are others."""


BY_PROCESS = frozenset({ProxyMode.USERSPACE})
"""Those whose rules lead to ports of the kube-proxy process: without it there are none, and nobody answers."""
