"""The settings of a network namespace that mode ipvs needs."""

from __future__ import annotations

from netlab.model.state import Sysctl

SYSCTLS = (
    Sysctl("net/ipv4/vs/conntrack", "1"),
    Sysctl("net/ipv4/vs/expire_nodest_conn", "1"),
    Sysctl("net/ipv4/vs/expire_quiescent_template", "1"),
    Sysctl("net/ipv4/ip_forward", "1"),
)
"""conn_reuse_mode stays as it is: kube-proxy sets it only on kernels before 5.9. arp_ignore and arp_announce belong to
--ipvs-strict-arp, which is off."""
