"""Where mode userspace lets a packet fare otherwise than mode iptables does, each difference by its name.

Kubernetes had the mode until 1.25, with neither traffic policies nor hints; its rules lead to a process or do nothing.
Several may hold for one packet: each is asked of what the ones before it left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from proxy_objects import tracker
from proxy_tracer import DROPPED, HUNG_UP, REFUSED, UNTOUCHED, Outcome, Signal, masqueraded

from netlab.model.rules import Protocol, Verdict
from netlab.proxy.ports import ServicePort
from proxy_tables.case import AFFINITY_SECONDS, Scene
from proxy_tables.differences import Difference, Sent


def in_userspace(scene: Scene) -> dict[str, Outcome]:
    """What each packet of a scene meets in mode userspace, or whoever sends it."""
    return {str(probe): _outcome(Sent(scene, probe)) for probe in scene.probes}


def met(sent: Sent) -> Iterator[str]:
    """The names of the differences that a packet meets."""
    for each in USERSPACE:
        if each.applies(sent):
            yield each.name
            sent = _after(each, sent)


def _outcome(sent: Sent) -> Outcome:
    for each in USERSPACE:
        if each.applies(sent):
            sent = _after(each, sent)
    return sent.expected


def _after(difference: Difference, sent: Sent) -> Sent:
    return replace(sent, probe=sent.probe._replace(outcome=difference.outcome(sent)))


# --- which Service port is meant, and who can serve it


def _asked(sent: Sent) -> ServicePort | None:
    """The Service port that a first packet is for, at whichever of its addresses."""
    packet = sent.packet
    if packet.signal is Signal.STRAY:
        return None
    of_protocol = [port for port in sent.ports if port.key.protocol is packet.protocol]
    return next((port for port in of_protocol if _is_at_address(sent, port) or _is_at_node_port(sent, port)), None)


def _is_at_address(sent: Sent, port: ServicePort) -> bool:
    return sent.packet.destination in port.addresses and sent.packet.port == port.port


def _is_at_node_port(sent: Sent, port: ServicePort) -> bool:
    return sent.to_node and sent.packet.port == port.node_port


def _all_alike(sent: Sent) -> Outcome:
    """Every endpoint that is ready, else every one that ends and still serves; a client's own before all."""
    port = _asked(sent)
    assert port
    known = tracker(*sent.scene.objects).endpoints(port.key)
    ready = [each.name for each in known if each.ready]
    usable = ready or [each.name for each in known if each.serving and each.terminating]
    last = sent.probe.last
    if port.affinity_seconds and last and last.endpoint in usable and last.seconds_ago < AFFINITY_SECONDS:
        return masqueraded(last.endpoint)
    return masqueraded(*usable) if usable else REFUSED


def _is_served(sent: Sent) -> bool:
    return sent.expected == REFUSED or bool(sent.expected.endpoints)


# --- when


def _is_sctp(sent: Sent) -> bool:
    return sent.packet.protocol is Protocol.SCTP and _asked(sent) is not None


def _is_firewalled(sent: Sent) -> bool:
    ranged = sent.is_for(lambda port: port.load_balancer_ips if port.source_ranges else ())
    return ranged and sent.expected != UNTOUCHED


def _is_stray(sent: Sent) -> bool:
    return sent.packet.signal is Signal.STRAY and sent.expected == DROPPED


def _is_at_a_loopback_node_port(sent: Sent) -> bool:
    """Where --nodeport-addresses do not leave loopback out."""
    port, to = _asked(sent), sent.packet.destination
    networks = [each for each in sent.scene.config.nodeport_addresses if each.version == to.version]
    here = not sent.scene.config.nodeport_primary and (not networks or any(to in network for network in networks))
    closed = bool(networks) and not sent.scene.config.iptables_localhost_nodeports
    return port is not None and to.is_loopback and sent.from_node and here and not closed and not _is_served(sent)


def _is_from_the_node_to_loopback(sent: Sent) -> bool:
    return sent.packet.destination.is_loopback and sent.from_node and sent.expected == DROPPED


def _is_at_a_closed_node_port(sent: Sent) -> bool:
    """Where --nodeport-addresses leave out the address: mode iptables drops or refuses there all the same."""
    port, networks = _asked(sent), sent.scene.config.nodeport_addresses
    closed = bool(networks) and not any(sent.packet.destination in network for network in networks)
    stopped = sent.expected in {REFUSED, DROPPED}
    return port is not None and _is_at_node_port(sent, port) and not _is_at_address(sent, port) and closed and stopped


def _is_from_the_node_to_an_outer_address_without_endpoints(sent: Sent) -> bool:
    outer = sent.is_for(lambda port: (*port.external_ips, *port.load_balancer_ips) if not port.source_ranges else ())
    return sent.from_node and sent.expected == UNTOUCHED and outer


def _is_stopped_by_the_hosts_policy(sent: Sent) -> bool:
    closed = ("FORWARD", Verdict.DROP) in sent.scene.policies
    return closed and sent.expected == DROPPED and _asked(sent) is not None


def _is_bound_by_policy(sent: Sent) -> bool:
    port = _asked(sent)
    bound = port is not None and (port.internal_local or port.external_local)
    return bound and (sent.expected == DROPPED or _chooses_otherwise(sent))


def _chooses_otherwise(sent: Sent) -> bool:
    """Other endpoints are used than if all were alike."""
    return bool(sent.expected.endpoints) and sent.expected.endpoints != _all_alike(sent).endpoints


def _is_stopped_at_the_door(sent: Sent) -> bool:
    from_outside = not sent.packet.source.is_loopback and sent.to_node
    return ("INPUT", Verdict.DROP) in sent.scene.policies and from_outside and sent.expected == UNTOUCHED


def _to(outcome: Outcome) -> Callable[[Sent], Outcome]:
    return lambda _: outcome


USERSPACE = (
    Difference("SCTP is not served, and passes", _is_sctp, _to(UNTOUCHED)),
    Difference(
        "a load balancer's address with source ranges is not served, and passes", _is_firewalled, _to(UNTOUCHED)
    ),
    Difference("a packet that conntrack calls INVALID passes", _is_stray, _to(UNTOUCHED)),
    Difference(
        "node ports are on loopback in IPv6 too, and whatever --iptables-localhost-nodeports says",
        _is_at_a_loopback_node_port,
        _all_alike,
    ),
    Difference("the node itself may use loopback as before", _is_from_the_node_to_loopback, _to(UNTOUCHED)),
    Difference(
        "where --nodeport-addresses have no node port nothing is stopped either",
        _is_at_a_closed_node_port,
        _to(UNTOUCHED),
    ),
    Difference(
        "the node too is led to kube-proxy at an outer address without endpoints",
        _is_from_the_node_to_an_outer_address_without_endpoints,
        _to(REFUSED),
    ),
    Difference(
        "kube-proxy's connections are the node's own: a policy of FORWARD does not concern them",
        _is_stopped_by_the_hosts_policy,
        _all_alike,
    ),
    Difference("traffic policies are not known: all usable endpoints are used", _is_bound_by_policy, _all_alike),
    Difference("hints are not known: all usable endpoints are used", _chooses_otherwise, _all_alike),
    Difference(
        "the endpoint's client is kube-proxy: it sees the node's address, whoever asks",
        lambda sent: bool(sent.expected.kept),
        lambda sent: masqueraded(*sent.expected.endpoints),
    ),
    Difference(
        "without an endpoint a connection is accepted and hung up on",
        lambda sent: sent.expected == REFUSED and sent.packet.protocol is Protocol.TCP,
        _to(HUNG_UP),
    ),
    Difference(
        "without an endpoint a datagram meets silence",
        lambda sent: sent.expected == REFUSED and sent.packet.protocol is Protocol.UDP,
        _to(DROPPED),
    ),
    Difference("health check ports are not opened in INPUT", _is_stopped_at_the_door, _to(DROPPED)),
)
