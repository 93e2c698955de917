"""How the journey ended, where, and what did it."""

from __future__ import annotations

from dataclasses import dataclass

from netlab.kernel.conntrack import Flow as Connection
from netlab.kernel.conntrack import Tuple
from netlab.kernel.conntrack_news import spelled
from netlab.model.cluster import ClusterView, pod_name, pod_place
from netlab.model.journey import Hop, Journey, PacketSeen, PacketVerdict, Way
from netlab.model.names import Place
from netlab.model.objects import Service
from netlab.model.targets import Target
from netlab.probe.tracing.hops import Narrator

PORT = "port unreachable"
"""What a machine says of a port where nobody listens; all other errors are those of a router."""
ENDS = ("DROP", "REJECT")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a flow once it is over; connections with the namespace that made them."""

    view: ClusterView
    verdict: PacketVerdict
    narrator: Narrator
    connections: list[tuple[str, Connection]]
    counted: frozenset[str] = frozenset()
    """The namespaces whose rules were counted: of the rules without counters nothing is known."""


def ended(from_: Place, to: Target, facts: Facts) -> Journey:
    """The Journey, with the verdict at the hop where it fell."""
    hops = _with_connections(facts)
    hops, meaning = _with_verdict(hops, facts)
    return Journey(
        from_=str(from_),
        to=str(to),
        verdict=facts.verdict,
        pod=_pod(hops, facts),
        meaning=meaning,
        hops=tuple(hops),
    )


def _pod(hops: list[Hop], facts: Facts) -> str | None:
    got = [hop.at for hop in hops if hop.hook == "socket"]
    names = {str(pod_place(pod)): pod_name(pod) for pod in facts.view.pods}
    return names.get(got[-1]) if got else None


# --- connections


def _with_connections(facts: Facts) -> list[Hop]:
    """The hops, each connection told at the hook that translated its first packet, or else at the last one it met."""
    hops = list(facts.narrator.hops)
    for where, connection in facts.connections:
        place = where.removeprefix(f"{facts.view.lab}.")
        number = _made_at(hops, place, connection.original)
        if number is not None:
            detail = "; ".join(filter(None, (spelled(connection), hops[number].detail)))
            hops[number] = hops[number].model_copy(update={"detail": detail})
    return hops


def _made_at(hops: list[Hop], place: str, original: Tuple) -> int | None:
    """The number of the hop that has made the connection."""
    met = [
        number
        for number, hop in enumerate(hops)
        if hop.way is Way.REQUEST
        and hop.at.partition("/")[2] == place
        and "/" in hop.hook
        and not hop.hook.startswith("link/")
        and _is(original, hops[max(0, number - 1)].packet, hop.packet)
    ]
    translated = [number for number in met if {"dst", "dport"} & set(hops[number].changed)]
    return next(iter(translated or met[-1:]), None)


def _is(original: Tuple, *packets: PacketSeen) -> bool:
    """Whether one of the packets is the connection's first."""
    ends = (str(original.source), str(original.destination))
    ports = (original.source_port, original.destination_port)
    return any(
        (packet.src, packet.dst) == ends and (packet.sport is None or (packet.sport, packet.dport) == ports)
        for packet in packets
    )


# --- the verdict


def _with_verdict(hops: list[Hop], facts: Facts) -> tuple[list[Hop], str]:
    requests = [number for number, hop in enumerate(hops) if hop.way is Way.REQUEST]
    replies = [number for number, hop in enumerate(hops) if hop.way is Way.REPLY]
    last = requests[-1]
    place = hops[last]
    stopped = _stopped_by(place) or facts.narrator.stopped.get(last)
    if stopped:
        return _marked(hops, last, facts.verdict), f"{place.at} {_did(stopped)} it in {place.hook}: {stopped}"
    choice = facts.narrator.choices.get(last)
    if choice is not None and choice.number:
        return _marked(hops, last, facts.verdict), f"{place.at} has no way for it: {choice.text}"
    answered = [hops[number] for number in replies]
    no_further = _no_further(answered[0], facts) if answered and answered[0].at == place.at else None
    if no_further:
        return _marked(hops, last, facts.verdict), f"{place.at} {no_further}"
    if answered and answered[0].at == place.at:
        return _at_socket(hops, last, facts, answered)
    if facts.narrator.delivered.get(Way.REQUEST) == place.at:
        program = Hop(at=place.at, hook=_program(hops, last, facts), packet=place.packet, verdict=facts.verdict)
        return [*hops[: last + 1], program, *hops[last + 1 :]], f"{place.at} got it; there was no answer"
    return _marked(hops, last, facts.verdict), f"it was seen last at {place.at}, {place.hook}"


def _no_further(answer: Hop, facts: Facts) -> str | None:
    """What a place did that sent an error back and gave the packet to no program; None where a program may have it."""
    if not _is_error(answer):
        return None
    if answer.packet.flags != PORT:
        return f"sent it no further, and says: {answer.packet.flags}"
    is_counted = f"{facts.view.lab}.{answer.at.partition('/')[2]}" in facts.counted
    if is_counted and facts.narrator.delivered.get(Way.REQUEST) != answer.at:
        return "refused it before any program got it, by a rule that has no counter"
    return None


def _at_socket(hops: list[Hop], last: int, facts: Facts, answered: list[Hop]) -> tuple[list[Hop], str]:
    packet = hops[last].packet
    lost = facts.verdict is PacketVerdict.DROPPED
    refused = _is_error(answered[0]) or (answered[0].packet.flags or "").startswith("R")
    detail = f"nobody listens on port {packet.dport}" if refused else None
    if refused and _is_error(answered[0]) and _is_balanced(hops[last], facts):
        detail = "the virtual server has no real server"
    at_socket = PacketVerdict.REFUSED if refused else PacketVerdict.REACHED
    by_balancer = _is_error(answered[0]) and _is_balanced(hops[last], facts)
    socket = Hop(
        at=hops[last].at,
        hook="ipvs" if by_balancer else _program(hops, last, facts),
        way=Way.REQUEST,
        packet=packet,
        detail=detail,
        verdict=at_socket,
    )
    told = [*hops[: last + 1], socket, *hops[last + 1 :]]
    if lost:
        end = told[-1]
        stopped = _stopped_by(end)
        by = f": {stopped}" if stopped else _stranger(end, facts)
        return _marked(told, len(told) - 1, facts.verdict), f"the answer was lost at {end.at}, {end.hook}{by}"
    if refused:
        return told, f"{socket.at} got it and turned it down: {detail}"
    return [*told, *_heard(told, facts)], f"{socket.at} got it and answered"


def _heard(hops: list[Hop], facts: Facts) -> list[Hop]:
    """The answer as the program heard it that asked, where it was translated behind the last hook: a hop of its own.

    Its socket takes answers from the address alone that it asked.
    """
    asked, end = hops[0].packet, hops[-1]
    if facts.verdict is not PacketVerdict.REACHED or end.at != hops[0].at or end.way is not Way.REPLY:
        return []
    heard = end.packet.model_copy(update={"src": asked.dst, "sport": asked.dport})
    changed = tuple(name for name in ("src", "sport") if getattr(heard, name) != getattr(end.packet, name))
    hook = "ipvs" if end.at in facts.narrator.balancers else "nat/INPUT"
    return [Hop(at=end.at, hook=hook, way=Way.REPLY, packet=heard, changed=changed)] if changed else []


def _is_balanced(hop: Hop, facts: Facts) -> bool:
    """Whether it is a virtual server of IPVS that was asked."""
    if hop.at not in facts.narrator.balancers:
        return False
    return any(_serves(service, hop.packet) for service in facts.view.services)


def _serves(service: Service, packet: PacketSeen) -> bool:
    """Whether the packet is for one of its addresses and ports, or for a node port."""
    spec, ingress = service.spec, service.status.load_balancer.ingress
    addresses = {*spec.cluster_ips, *spec.external_ips, *(each.ip for each in ingress)}
    return packet.dport is not None and any(
        packet.dport == port.node_port or (packet.dport == port.port and packet.dst in addresses) for port in spec.ports
    )


def _program(hops: list[Hop], last: int, facts: Facts) -> str:
    """What got the packet: the proxy of a node where rules led it to one, else a socket."""
    first, packet = hops[0].packet, hops[last].packet
    led = (first.dst, first.dport) != (packet.dst, packet.dport)
    endpoints = {(str(address), port) for address, port in facts.view.endpoint_sockets()}
    at_node = hops[last].at.startswith("node/")
    return "proxy" if led and at_node and (packet.dst, packet.dport) not in endpoints else "socket"


def _stranger(end: Hop, facts: Facts) -> str:
    """Why who asked does not take the answer that came."""
    asked = next(hop for hop in facts.narrator.hops if hop.way is Way.REQUEST)
    if end.at != asked.at or (end.packet.src, end.packet.sport) == (asked.packet.dst, asked.packet.dport):
        return ""
    return (
        f": it comes from {end.packet.src}, who was not asked, for nothing translated it back "
        "(over a bridge that takes bridge-nf-call-iptables = 1)"
    )


def _is_error(hop: Hop) -> bool:
    return hop.packet.proto == "icmp" and "echo" not in (hop.packet.flags or "")


def _stopped_by(hop: Hop) -> str | None:
    """The rule that ended the packet at this hop."""
    last = hop.rules[-1].rule if hop.rules else ""
    words = last.replace(";", " ").split()
    return last if any(word in words for word in (*ENDS, "drop", "reject")) else None


def _did(rule: str) -> str:
    return "refused" if "reject" in rule.lower() else "dropped"


def _marked(hops: list[Hop], number: int, verdict: PacketVerdict) -> list[Hop]:
    return [hop.model_copy(update={"verdict": verdict}) if n == number else hop for n, hop in enumerate(hops)]
