"""Where mode nftables lets a packet fare differently from mode iptables, each difference by its name.

The tables say what packets meet in mode iptables; KUBE-PROXY's own differences are these and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_network

from proxy_objects import MACHINE_ADDRESSES, NODE1, NODE1_6, tracker
from proxy_tracer import DROPPED, REFUSED, UNTOUCHED, Outcome, Packet, Signal, read_packet

from netlab.model.rules import Verdict
from netlab.proxy.addresses import with_port
from netlab.proxy.ports import ServicePort
from proxy_tables.case import Probe, Scene


@dataclass(frozen=True)
class Sent:
    """A packet of a scene, and what the tables say of it."""

    scene: Scene
    probe: Probe

    @property
    def packet(self) -> Packet:
        return read_packet(self.probe.source, self.probe.to)

    @property
    def expected(self) -> Outcome:
        return self.probe.outcome

    @property
    def ports(self) -> tuple[ServicePort, ...]:
        known = tracker(*self.scene.objects).ports
        return tuple(port for key, port in known.items() if key.family is self.probe.family)

    @property
    def own(self) -> tuple[str, ...]:
        return (*MACHINE_ADDRESSES, *self.scene.addresses)

    @property
    def from_node(self) -> bool:
        return str(self.packet.source) in self.own or self.packet.source.is_loopback

    @property
    def to_node(self) -> bool:
        return str(self.packet.destination) in self.own or self.packet.destination.is_loopback

    def is_for(self, addresses: Callable[[ServicePort], Iterable[object]]) -> bool:
        """Whether it goes to a Service port at one of those addresses."""
        packet = self.packet
        return any(
            packet.destination in addresses(port) and (packet.protocol, packet.port) == (port.key.protocol, port.port)
            for port in self.ports
        )


@dataclass(frozen=True)
class Difference:
    """A name, when it applies, and what then becomes of the packet."""

    name: str
    applies: Callable[[Sent], bool]
    outcome: Callable[[Sent], Outcome]


def in_nftables(scene: Scene) -> dict[str, Outcome]:
    """What each packet of a scene meets in mode nftables."""
    return {str(probe): _outcome(Sent(scene, probe)) for probe in scene.probes}


def _outcome(sent: Sent) -> Outcome:
    found = next((each for each in NFTABLES if each.applies(sent)), None)
    return found.outcome(sent) if found else sent.expected


# --- when


def _is_stray(sent: Sent) -> bool:
    return sent.packet.signal is Signal.STRAY and sent.expected == DROPPED


def _is_node_port_elsewhere(sent: Sent) -> bool:
    """A node port at an address of the node on which there are none."""
    packet = sent.packet
    is_one = any((port.key.protocol, port.node_port) == (packet.protocol, packet.port) for port in sent.ports)
    other = sent.is_for(lambda port: (*port.external_ips, *port.load_balancer_ips))
    return is_one and sent.to_node and not other and not _has_node_ports(sent)


def _has_node_ports(sent: Sent) -> bool:
    """Whether there are node ports at that address: the primary ones, or those that --nodeport-addresses names."""
    config, address = sent.scene.config, sent.packet.destination
    if address.is_loopback:
        return False
    networks = [each for each in config.nodeport_addresses if each.version == address.version]
    if config.nodeport_primary or not config.nodeport_addresses:
        return str(address) in (NODE1, NODE1_6)
    return not networks or any(address in network for network in networks)


def _is_wrong_port_of_a_cluster_ip(sent: Sent) -> bool:
    passes = sent.expected == UNTOUCHED or (sent.expected == DROPPED and _is_forward_closed(sent))
    other_port = sent.packet.signal is Signal.FIRST and not sent.is_for(lambda port: [port.cluster_ip])
    return other_port and passes and any(sent.packet.destination == port.cluster_ip for port in sent.ports)


def _is_forward_closed(sent: Sent) -> bool:
    return ("FORWARD", Verdict.DROP) in sent.scene.policies


def _is_from_the_node_to_an_outer_address_without_endpoints(sent: Sent) -> bool:
    outer = sent.is_for(lambda port: (*port.external_ips, *port.load_balancer_ips))
    return sent.from_node and sent.expected == UNTOUCHED and outer


def _refused_or_dropped_before(sent: Sent) -> Outcome:
    refused = replace(sent, probe=sent.probe._replace(outcome=REFUSED))
    return DROPPED if _is_outside_the_ranges_without_endpoints(refused) else REFUSED


def _is_stopped_by_the_hosts_policy(sent: Sent) -> bool:
    return _is_forward_closed(sent) and bool(sent.expected.endpoints) and not sent.from_node


def _is_stopped_at_the_door(sent: Sent) -> bool:
    accepted = sent.expected == UNTOUCHED and sent.to_node
    return ("INPUT", Verdict.DROP) in sent.scene.policies and accepted and not sent.packet.source.is_loopback


def _is_from_a_remote_endpoint_to_itself(sent: Sent) -> bool:
    config, source = sent.scene.config, sent.packet.source
    by_hairpin_alone = sent.is_for(lambda port: [port.cluster_ip]) and not config.masquerade_all
    short_way = sent.is_for(lambda port: port.addresses if port.external_local else [])
    is_pod = any(source in network for network in config.cluster_cidrs)
    itself = [name for name in sent.expected.masqueraded if name.startswith(_host(sent))]
    return is_pod and bool(itself) and (by_hairpin_alone or short_way) and not _runs_here(sent)


def _runs_here(sent: Sent) -> bool:
    return any(sent.packet.source in ip_network(text) for text in ("10.244.1.0/24", "fd00:10:244:1::/64"))


def _host(sent: Sent) -> str:
    return with_port(sent.packet.source, 0)[:-1]


def _is_outside_the_ranges_without_endpoints(sent: Sent) -> bool:
    source = sent.packet.source
    firewalled = sent.is_for(
        lambda port: (
            port.load_balancer_ips
            if port.source_ranges and not any(source in network for network in port.source_ranges)
            else ()
        )
    )
    return sent.expected == REFUSED and firewalled


def _is_from_the_node_to_loopback(sent: Sent) -> bool:
    packet = sent.packet
    return sent.expected == DROPPED and packet.destination.is_loopback and sent.from_node


def _itself_kept(sent: Sent) -> Outcome:
    itself = frozenset(name for name in sent.expected.masqueraded if name.startswith(_host(sent)))
    return Outcome(sent.expected.kept | itself, sent.expected.masqueraded - itself)


def _at_the_node_itself(sent: Sent) -> Outcome:
    """Loopback addresses are closed to others by the kernel itself: mode nftables does not set route_localnet."""
    return DROPPED if sent.packet.destination.is_loopback and not sent.from_node else UNTOUCHED


NFTABLES = (
    Difference("a packet that conntrack calls INVALID passes", _is_stray, lambda _: UNTOUCHED),
    Difference(
        "node ports are on the node's primary addresses alone, and never on loopback",
        _is_node_port_elsewhere,
        _at_the_node_itself,
    ),
    Difference(
        "the node too is refused at an outer address without endpoints",
        _is_from_the_node_to_an_outer_address_without_endpoints,
        _refused_or_dropped_before,
    ),
    Difference("a port that a ClusterIP does not have is refused", _is_wrong_port_of_a_cluster_ip, lambda _: REFUSED),
    Difference(
        "what iptables' policy of FORWARD drops is dropped: no table can accept for another",
        _is_stopped_by_the_hosts_policy,
        lambda _: DROPPED,
    ),
    Difference("health check ports are not opened in iptables' INPUT", _is_stopped_at_the_door, lambda _: DROPPED),
    Difference(
        "a remote endpoint that reaches itself through this node is not masqueraded",
        _is_from_a_remote_endpoint_to_itself,
        _itself_kept,
    ),
    Difference(
        "who is outside the source ranges is dropped, endpoints or none",
        _is_outside_the_ranges_without_endpoints,
        lambda _: DROPPED,
    ),
    Difference("the node itself may use loopback as before", _is_from_the_node_to_loopback, lambda _: UNTOUCHED),
)
