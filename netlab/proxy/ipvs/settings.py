"""The settings of a network namespace that mode ipvs needs."""

from __future__ import annotations

from netlab.model.state import Sysctl
from netlab.proxy.config import ProxyConfig

SYSCTLS = (
    Sysctl("net/ipv4/vs/conntrack", "1"),
    Sysctl("net/ipv4/vs/expire_nodest_conn", "1"),
    Sysctl("net/ipv4/vs/expire_quiescent_template", "1"),
    Sysctl("net/ipv4/ip_forward", "1"),
)
"""conn_reuse_mode stays as it is: kube-proxy sets it only on kernels before 5.9."""
STRICT_ARP = (Sysctl("net/ipv4/conf/all/arp_ignore", "1"), Sysctl("net/ipv4/conf/all/arp_announce", "2"))
"""An interface answers for its own addresses alone, and asks from them: kube-ipvs0's are for no wire. Without the flag
kube-proxy leaves both as they are, and does not set them back."""


def settings(config: ProxyConfig) -> tuple[Sysctl, ...]:
    """What kube-proxy sets when it starts, with these flags."""
    return SYSCTLS + (STRICT_ARP if config.ipvs_strict_arp else ())
