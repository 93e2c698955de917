"""What the table has whatever Services there are: its sets and maps, its hooks, and the chains that they lead to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import cast

from netlab.model.nft_rules import (
    AddressIn,
    AddressInAny,
    ByMap,
    Drop,
    Field,
    FlipMark,
    InSet,
    Jump,
    LocalAddress,
    Marked,
    Masquerade,
    NewFlow,
    Part,
    Reject,
    Rule,
    SetMark,
    Side,
    Translated,
)
from netlab.model.nft_tables import Chain, Element, Hook, KeyType, Set
from netlab.model.rules import Family, IPAddress, IPNetwork
from netlab.proxy.config import NodeFacts, ProxyConfig, local_traffic
from netlab.proxy.nftables import names
from netlab.proxy.nftables.choosing import TO_PORT, TO_SERVICE
from netlab.proxy.nftables.service import local_match

LOOPBACK: dict[Family, IPNetwork] = {Family.IPV4: IPv4Network("127.0.0.0/8"), Family.IPV6: IPv6Network("::1/128")}


def base_sets() -> tuple[Set, ...]:
    """The sets and maps that Services share."""
    address, port = (KeyType.ADDRESS,), (KeyType.PROTOCOL, KeyType.PORT)
    service, hairpin = (*address, *port), (*address, *address, *port)
    no_endpoints = "vmap to drop or reject packets to"
    return (
        Set(names.HAIRPIN, hairpin, "service hairpin connections"),
        Set(names.CLUSTER_IPS, address, "Active ClusterIPs"),
        Set(names.NODEPORT_IPS, address, "IPs that accept NodePort traffic"),
        _map(names.NO_ENDPOINT_SERVICES, service, f"{no_endpoints} services with no endpoints"),
        _map(names.NO_ENDPOINT_NODEPORTS, port, f"{no_endpoints} service nodeports with no endpoints"),
        _map(names.FIREWALL_IPS, service, "destinations that are subject to LoadBalancerSourceRanges"),
        _map(names.SERVICE_IPS, service, "ClusterIP, ExternalIP and LoadBalancer IP traffic"),
        _map(names.SERVICE_NODEPORTS, port, "NodePort traffic"),
    )


def _map(name: str, keys: tuple[KeyType, ...], comment: str) -> Set:
    return Set(name, keys, comment, verdicts=True)


def base_elements(listeners: tuple[IPAddress, ...] | None) -> tuple[Element, ...]:
    """The node's addresses that node ports are on, loopback never among them."""
    return tuple(Element(names.NODEPORT_IPS, (a,)) for a in listeners or () if not a.is_loopback)


def base_chains(
    config: ProxyConfig, node: NodeFacts, *, family: Family, listeners: tuple[IPAddress, ...] | None
) -> tuple[Chain, ...]:
    """The chains that Services share; `listeners` None means that node ports are on every address."""
    to_node = _to_node(family) if listeners is None else (InSet((Field.DESTINATION,), names.NODEPORT_IPS),)
    return (
        *_HOOKED,
        Chain("nodeport-endpoints-check", (Rule((*to_node, ByMap(TO_PORT, names.NO_ENDPOINT_NODEPORTS))),)),
        Chain("service-endpoints-check", (Rule((ByMap(TO_SERVICE, names.NO_ENDPOINT_SERVICES),)),)),
        Chain("firewall-check", (Rule((ByMap(TO_SERVICE, names.FIREWALL_IPS),)),)),
        Chain(
            "services",
            (
                *_masquerade_clients(config, node, family=family),
                Rule((ByMap(TO_SERVICE, names.SERVICE_IPS),)),
                Rule((*to_node, ByMap(TO_PORT, names.SERVICE_NODEPORTS))),
            ),
        ),
        Chain("masquerading", tuple(_masquerading(config))),
        Chain("cluster-ips-check", tuple(_cluster_ips_check(config, family=family))),
        Chain(names.REJECT, (Rule((Reject(),)),), comment="helper for @no-endpoint-services / @no-endpoint-nodeports"),
    )


def _check(chain: str) -> Rule:
    return Rule((NewFlow(), Jump(chain)))


_CHECK_SERVICES = (_check("service-endpoints-check"), _check("cluster-ips-check"))
_TO_SERVICES = (Rule((Jump("services"),)),)
_HOOKED = (
    Chain("filter-prerouting-pre-dnat", (_check("firewall-check"),), hook=Hook("filter", "prerouting", -110)),
    Chain("filter-output-pre-dnat", (_check("firewall-check"),), hook=Hook("filter", "output", -110)),
    Chain(
        "filter-input",
        (_check("nodeport-endpoints-check"), _check("service-endpoints-check")),
        hook=Hook("filter", "input", 0),
    ),
    Chain("filter-forward", _CHECK_SERVICES, hook=Hook("filter", "forward", 0)),
    Chain("filter-output", _CHECK_SERVICES, hook=Hook("filter", "output", 0)),
    Chain("nat-prerouting", _TO_SERVICES, hook=Hook("nat", "prerouting", -100)),
    Chain("nat-output", _TO_SERVICES, hook=Hook("nat", "output", -100)),
    Chain("nat-postrouting", (Rule((Jump("masquerading"),)),), hook=Hook("nat", "postrouting", 100)),
)


def _to_node(family: Family) -> tuple[Part, ...]:
    return (AddressIn(Side.DESTINATION, LOOPBACK[family], negated=True), LocalAddress(Side.DESTINATION))


def _masquerade_clients(config: ProxyConfig, node: NodeFacts, *, family: Family) -> Iterator[Rule]:
    clients, mark = InSet((Field.DESTINATION,), names.CLUSTER_IPS), SetMark(config.masquerade_mark)
    local = local_traffic(config, node, family=family)
    if config.masquerade_all:
        yield Rule((clients, mark), "masquerade all clusterIP traffic")
    elif local:
        others = replace(local_match(local), negated=True)
        yield Rule((clients, others, mark), "masquerade clusterIP traffic from outside cluster")


def _masquerading(config: ProxyConfig) -> Iterator[Rule]:
    """Masquerade what is marked, and what comes back to its own sender; the mark goes first."""
    mark, masquerade = config.masquerade_mark, Masquerade(fully_random=config.random_fully)
    yield Rule((Marked(mark), FlipMark(mark), masquerade))
    yield Rule((Translated(), InSet((Field.SOURCE, *TO_SERVICE), names.HAIRPIN), masquerade))


def _cluster_ips_check(config: ProxyConfig, *, family: Family) -> Iterator[Rule]:
    yield Rule(
        (InSet((Field.DESTINATION,), names.CLUSTER_IPS), Reject()), "Reject traffic to invalid ports of ClusterIPs"
    )
    ranges = _service_ranges(config, family)
    if ranges:
        one = len(ranges) == 1
        found = AddressIn(Side.DESTINATION, ranges[0]) if one else AddressInAny(Side.DESTINATION, ranges)
        yield Rule((found, Drop()), "Drop traffic to unallocated ClusterIPs")


def _service_ranges(config: ProxyConfig, family: Family) -> tuple[IPNetwork, ...]:
    ours = [each for each in config.service_cidrs if (each.version == 4) is (family is Family.IPV4)]
    same_kind = cast("list[IPv4Network]", ours)  # or IPv6Network, never both
    return tuple(collapse_addresses(same_kind))  # nftables takes none that overlap
