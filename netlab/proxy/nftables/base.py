"""What the table has whatever Services there are: its sets and maps, its hooks, and the chains that they lead to."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.model.rules import Family, IPAddress
from netlab.proxy.config import NodeFacts, ProxyConfig, local_traffic
from netlab.proxy.nftables import names
from netlab.proxy.nftables.service import local_match, set_mark
from netlab.proxy.nftables.values import WORDS, Chain, Element, Set

PORT = "meta l4proto . th dport"
LOOPBACK = {Family.IPV4: "127.0.0.0/8", Family.IPV6: "::1"}


def base_sets(family: Family) -> tuple[Set, ...]:
    """The sets and maps that Services share."""
    address = WORDS[family].address
    service, port = f"{address} . inet_proto . inet_service : verdict", "inet_proto . inet_service : verdict"
    hairpin = f"{address} . {address} . inet_proto . inet_service"
    no_endpoints = "vmap to drop or reject packets to"
    return (
        Set(names.HAIRPIN, hairpin, "service hairpin connections"),
        Set(names.CLUSTER_IPS, address, "Active ClusterIPs"),
        Set(names.NODEPORT_IPS, address, "IPs that accept NodePort traffic"),
        Set(names.NO_ENDPOINT_SERVICES, service, f"{no_endpoints} services with no endpoints"),
        Set(names.NO_ENDPOINT_NODEPORTS, port, f"{no_endpoints} service nodeports with no endpoints"),
        Set(names.FIREWALL_IPS, service, "destinations that are subject to LoadBalancerSourceRanges"),
        Set(names.SERVICE_IPS, service, "ClusterIP, ExternalIP and LoadBalancer IP traffic"),
        Set(names.SERVICE_NODEPORTS, port, "NodePort traffic"),
    )


def base_elements(listeners: tuple[IPAddress, ...] | None) -> tuple[Element, ...]:
    """The node's addresses that node ports are on, loopback never among them."""
    return tuple(Element(names.NODEPORT_IPS, str(a)) for a in listeners or () if not a.is_loopback)


def base_chains(
    config: ProxyConfig, node: NodeFacts, *, family: Family, listeners: tuple[IPAddress, ...] | None
) -> tuple[Chain, ...]:
    """The chains that Services share; `listeners` None means that node ports are on every address."""
    destination = f"{WORDS[family].ip} daddr"
    to_node = _to_node(family) if listeners is None else f"{destination} @{names.NODEPORT_IPS}"
    return (
        *_HOOKED,
        Chain("nodeport-endpoints-check", (f"{to_node} {PORT} vmap @{names.NO_ENDPOINT_NODEPORTS}",)),
        Chain("service-endpoints-check", (f"{destination} . {PORT} vmap @{names.NO_ENDPOINT_SERVICES}",)),
        Chain("firewall-check", (f"{destination} . {PORT} vmap @{names.FIREWALL_IPS}",)),
        Chain(
            "services",
            (
                *_masquerade_clients(config, node, family=family),
                f"{destination} . {PORT} vmap @{names.SERVICE_IPS}",
                f"{to_node} {PORT} vmap @{names.SERVICE_NODEPORTS}",
            ),
        ),
        Chain("masquerading", tuple(_masquerading(config, family=family))),
        Chain("cluster-ips-check", tuple(_cluster_ips_check(config, family=family))),
        Chain(names.REJECT, ("reject",), comment="helper for @no-endpoint-services / @no-endpoint-nodeports"),
    )


_NEW = "ct state new jump"
_CHECK_SERVICES = (f"{_NEW} service-endpoints-check", f"{_NEW} cluster-ips-check")
_HOOKED = (
    Chain(
        "filter-prerouting-pre-dnat",
        (f"{_NEW} firewall-check",),
        hook="type filter hook prerouting priority dstnat - 10",
    ),
    Chain("filter-output-pre-dnat", (f"{_NEW} firewall-check",), hook="type filter hook output priority -110"),
    Chain(
        "filter-input",
        (f"{_NEW} nodeport-endpoints-check", f"{_NEW} service-endpoints-check"),
        hook="type filter hook input priority filter",
    ),
    Chain("filter-forward", _CHECK_SERVICES, hook="type filter hook forward priority filter"),
    Chain("filter-output", _CHECK_SERVICES, hook="type filter hook output priority filter"),
    Chain("nat-prerouting", ("jump services",), hook="type nat hook prerouting priority dstnat"),
    Chain("nat-output", ("jump services",), hook="type nat hook output priority -100"),
    Chain("nat-postrouting", ("jump masquerading",), hook="type nat hook postrouting priority srcnat"),
)


def _to_node(family: Family) -> str:
    return f"{WORDS[family].ip} daddr != {LOOPBACK[family]} fib daddr type local"


def _masquerade_clients(config: ProxyConfig, node: NodeFacts, *, family: Family) -> Iterator[str]:
    clients = f"{WORDS[family].ip} daddr @{names.CLUSTER_IPS}"
    mark = set_mark(config.masquerade_mark)
    local = local_traffic(config, node, family=family)
    if config.masquerade_all:
        yield f'{clients} {mark} comment "masquerade all clusterIP traffic"'
    elif local:
        others = local_match(local, family=family) % "!= "
        yield f'{clients} {others} {mark} comment "masquerade clusterIP traffic from outside cluster"'


def _masquerading(config: ProxyConfig, *, family: Family) -> Iterator[str]:
    """Masquerade what is marked, and what comes back to its own sender; the mark goes first."""
    mark, ip = f"{config.masquerade_mark:#010x}", WORDS[family].ip
    random = " fully-random" if config.random_fully else ""
    yield f"meta mark & {mark} != 0x00000000 meta mark set meta mark ^ {mark} masquerade{random}"
    yield f"ct status dnat {ip} saddr . {ip} daddr . {PORT} @{names.HAIRPIN} masquerade{random}"


def _cluster_ips_check(config: ProxyConfig, *, family: Family) -> Iterator[str]:
    destination = f"{WORDS[family].ip} daddr"
    yield f'{destination} @{names.CLUSTER_IPS} reject comment "Reject traffic to invalid ports of ClusterIPs"'
    ranges = [str(each) for each in config.service_cidrs if (each.version == 4) is (family is Family.IPV4)]
    if ranges:
        found = ranges[0] if len(ranges) == 1 else f"{{ {', '.join(ranges)} }}"
        yield f'{destination} {found} drop comment "Drop traffic to unallocated ClusterIPs"'
