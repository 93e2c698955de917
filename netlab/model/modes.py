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


MODES_THERE = frozenset({ProxyMode.IPTABLES, ProxyMode.IPVS})
"""The proxy modes that this version has. Another one is refused, never replaced in silence."""
