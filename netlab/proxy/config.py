"""How kube-proxy was started: its flags as values, and what follows from them and from its node."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from netlab.model.ipvs import Scheduler
from netlab.model.modes import ProxyMode
from netlab.model.rules import Family, IPAddress, IPNetwork
from netlab.proxy.addresses import family_of, host_network

LOOPBACK = {Family.IPV4: IPv4Address("127.0.0.1"), Family.IPV6: IPv6Address("::1")}


class DetectLocalMode(StrEnum):
    """`--detect-local-mode`: how to tell traffic of this cluster's Pods from other traffic."""

    CLUSTER_CIDR = "ClusterCIDR"
    NODE_CIDR = "NodeCIDR"
    BRIDGE_INTERFACE = "BridgeInterface"
    INTERFACE_NAME_PREFIX = "InterfaceNamePrefix"


@dataclass(frozen=True, slots=True)
class FromNetwork:
    """Local traffic is what has a source inside `network`."""

    network: IPNetwork


@dataclass(frozen=True, slots=True)
class FromInterface:
    """Local traffic is what comes in by the interface `name`, or by any whose name begins so where `prefix` is set."""

    name: str
    prefix: bool


LocalTraffic = FromNetwork | FromInterface


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What rules depend on of the node they are for.

    `addresses` are its own, its InternalIPs if it has any, `pod_cidrs` its share of the Pod range: at most one a family
    each. `zone` is empty where the node has no label topology.kubernetes.io/zone.
    """

    name: str
    zone: str = ""
    addresses: tuple[IPAddress, ...] = ()
    pod_cidrs: tuple[IPNetwork, ...] = ()

    def at(self, address: IPAddress | None) -> NodeFacts:
        """The same node with that as its own address of the family, whatever its object says."""
        if address is None:
            return self
        others = tuple(each for each in self.addresses if each.version != address.version)
        return replace(self, addresses=(address, *others))

    def address(self, family: Family) -> IPAddress | None:
        """The node's own address of that family."""
        return next((address for address in self.addresses if family_of(address) is family), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyConfig:
    """The flags of kube-proxy that change rules. Defaults are kube-proxy's.

    `nodeport_addresses` without any of a family means every local address of it; `nodeport_primary` is
    `--nodeport-addresses primary`, which `on_node` puts into the node's own addresses. `service_cidrs` are the ranges
    of ClusterIPs, where they are known.
    `bind_address` is, in spite of its name, what counts as the node's own address.
    `userspace_on_node_address`: mode userspace is met at the node's own address, as with kube-proxy's --bind-address,
    not at that of the interface that a packet comes in by: one to a Pod may have none, and REDIRECT drops there.
    `ipvs_strict_arp`: nobody on a wire is told that the node has the Services' addresses. `ipvs_exclude_cidrs`: virtual
    servers there may be somebody else's, and are never deleted.
    `conntrack_tcp_liberal` is the node's sysctl nf_conntrack_tcp_be_liberal: with it INVALID packets pass.
    """

    node_name: str
    bind_address: IPAddress | None = None
    mode: ProxyMode = ProxyMode.IPTABLES
    cluster_cidrs: tuple[IPNetwork, ...] = ()
    service_cidrs: tuple[IPNetwork, ...] = ()
    detect_local_mode: DetectLocalMode = DetectLocalMode.CLUSTER_CIDR
    bridge_interface: str = ""
    interface_name_prefix: str = ""
    masquerade_all: bool = False
    masquerade_bit: int = 14
    random_fully: bool = True
    nodeport_addresses: tuple[IPNetwork, ...] = ()
    nodeport_primary: bool = False
    iptables_localhost_nodeports: bool = True
    conntrack_tcp_liberal: bool = False
    userspace_on_node_address: bool = False
    ipvs_scheduler: Scheduler = Scheduler.RR
    ipvs_strict_arp: bool = False
    ipvs_exclude_cidrs: tuple[IPNetwork, ...] = ()

    @property
    def masquerade_mark(self) -> int:
        """The bit of a packet's mark that asks for masquerading: 0x4000."""
        return 1 << self.masquerade_bit

    def localhost_nodeports(self, family: Family) -> bool:
        """Whether node ports answer on loopback addresses. Never in IPv6, which has no route_localnet."""
        if family is Family.IPV6 or not self.iptables_localhost_nodeports or self.nodeport_primary:
            return False
        networks, loopback = self._nodeport_networks(family), LOOPBACK[family]
        return not networks or any(loopback in net or net.network_address.is_loopback for net in networks)

    def nodeports_everywhere(self, family: Family) -> bool:
        """Whether node ports listen on every local address of the family."""
        networks = self._nodeport_networks(family)
        return not self.nodeport_primary and (not networks or any(network.prefixlen == 0 for network in networks))

    @property
    def follows_node_addresses(self) -> bool:
        """Whether node ports listen on the node's primary addresses: in mode nftables unless anything is said."""
        return self.nodeport_primary or (self.mode is ProxyMode.NFTABLES and not self.nodeport_addresses)

    @property
    def wants_service_cidrs(self) -> bool:
        """Whether rules depend on what the ServiceCIDR objects of the API say."""
        return self.mode is ProxyMode.NFTABLES and not self.service_cidrs

    def with_service_cidrs(self, known: tuple[IPNetwork, ...]) -> ProxyConfig:
        """The same with these ranges of ClusterIPs, unless it has some of its own."""
        return self if self.service_cidrs or not known else replace(self, service_cidrs=known)

    def on_node(self, node: NodeFacts) -> ProxyConfig:
        """The same with `primary` as addresses, once the node is known to have one.

        A family in which it has none is not restricted, as any that --nodeport-addresses does not speak of.
        """
        if not self.follows_node_addresses or not node.addresses:
            return self
        own = tuple(host_network(address) for address in node.addresses if not address.is_loopback)
        return replace(self, nodeport_primary=False, nodeport_addresses=own)

    def _nodeport_networks(self, family: Family) -> list[IPNetwork]:
        return [network for network in self.nodeport_addresses if family_of(network) is family]


def local_traffic(config: ProxyConfig, node: NodeFacts, *, family: Family) -> LocalTraffic | None:
    """How rules of that family tell the cluster's own Pods apart; None where nothing tells them apart."""
    match config.detect_local_mode:
        case DetectLocalMode.CLUSTER_CIDR:
            return _first_network(config.cluster_cidrs, family=family)
        case DetectLocalMode.NODE_CIDR:
            return _first_network(node.pod_cidrs, family=family)
        case DetectLocalMode.BRIDGE_INTERFACE:
            return FromInterface(config.bridge_interface, prefix=False) if config.bridge_interface else None
        case DetectLocalMode.INTERFACE_NAME_PREFIX:
            return FromInterface(config.interface_name_prefix, prefix=True) if config.interface_name_prefix else None


def _first_network(networks: tuple[IPNetwork, ...], *, family: Family) -> FromNetwork | None:
    return next((FromNetwork(network) for network in networks if family_of(network) is family), None)


def nodeport_listeners(
    config: ProxyConfig, *, local_addresses: tuple[IPAddress, ...], family: Family
) -> tuple[IPAddress, ...] | None:
    """The addresses on which node ports answer, out of those that the machine has; None: on every local one.

    `config` is the one `on_node`.
    """
    if config.nodeports_everywhere(family):
        return None
    return tuple(
        address
        for address in local_addresses
        if family_of(address) is family
        and any(address in network for network in config.nodeport_addresses if family_of(network) is family)
        and (not address.is_loopback or config.localhost_nodeports(family))
    )
