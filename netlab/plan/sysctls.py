"""The kernel settings of each kind of namespace (ip-sysctl.rst and the bridge's, in the kernel's documentation).

A new namespace takes IPv4's `conf` from the host's, whatever its administrator made of them, so what matters is set.
Writing `all` of forwarding and disable_ipv6 writes every interface's and `default` too; others must be written to both.
"""

from __future__ import annotations

from netlab.model.state import Sysctl

NO_ICMP_LIMIT = Sysctl("net/ipv4/icmp_ratemask", "0")
"""No kind of ICMP message is limited. Else a client gets six refusals, then one a second, and the rest seem lost."""
NO_ICMPV6_LIMIT = Sysctl("net/ipv6/icmp/ratemask", "0")
"""The same: limited is only the type 0, which does not exist."""
WITHOUT_IPV6 = (Sysctl("net/ipv6/conf/all/disable_ipv6", "1"),)
WITH_IPV6 = (
    # Before there are interfaces: they copy `default`, and an address would stay unusable for a second otherwise.
    Sysctl("net/ipv6/conf/all/accept_dad", "0"),
    Sysctl("net/ipv6/conf/default/accept_dad", "0"),
    # Nobody advertises routers here. A Pod that asks for one would ask every port of the bridge three times.
    Sysctl("net/ipv6/conf/default/accept_ra", "0"),
    NO_ICMPV6_LIMIT,
)
FORWARDING = (
    Sysctl("net/ipv4/conf/all/forwarding", "1"),
    # A reply may come in by another way than the request went out: from Pod to Pod, both on the node's bridge.
    Sysctl("net/ipv4/conf/all/rp_filter", "0"),
    Sysctl("net/ipv4/conf/default/rp_filter", "0"),
    # A Pod told by ICMP to go straight to its neighbour would go past the node, which must translate the reply back.
    Sysctl("net/ipv4/conf/all/send_redirects", "0"),
    Sysctl("net/ipv4/conf/default/send_redirects", "0"),
)
FORWARDING_IPV6 = (Sysctl("net/ipv6/conf/all/forwarding", "1"),)


def host_sysctls(*, ipv6: bool) -> tuple[Sysctl, ...]:
    """A Pod's, an external's: a machine that only sends and receives."""
    return (NO_ICMP_LIMIT, *(WITH_IPV6 if ipv6 else WITHOUT_IPV6))


def router_sysctls(*, ipv6: bool, bridged_through_netfilter: bool) -> tuple[Sysctl, ...]:
    """A node's, the fabric's: a machine that forwards.

    `bridged_through_netfilter`: whether a frame from port to port of a bridge passes iptables. On a node it must: the
    reply of a Pod to its neighbour goes through the bridge alone, and only connection tracking can turn the Pod's
    address back into the Service's. On the wire it must not. The default is that it does (bridge-nf-call-iptables).
    """
    through = "1" if bridged_through_netfilter else "0"
    return (
        *host_sysctls(ipv6=ipv6),
        *FORWARDING,
        *(FORWARDING_IPV6 if ipv6 else ()),
        Sysctl("net/bridge/bridge-nf-call-iptables", through),
        Sysctl("net/bridge/bridge-nf-call-ip6tables", through),
        Sysctl("net/bridge/bridge-nf-call-arptables", "0"),
    )


MANAGED: tuple[str, ...] = tuple(
    dict.fromkeys(
        setting.key for ipv6 in (True, False) for setting in router_sysctls(ipv6=ipv6, bridged_through_netfilter=True)
    )
)
"""Every key that netlab sets in some namespace: what is read back."""
