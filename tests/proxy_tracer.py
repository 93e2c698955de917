"""Send a packet through Tables as the kernel would: every way it can take where chance decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from ipaddress import ip_address, ip_network

from proxy_objects import MACHINE_ADDRESSES

from netlab.model.rules import (
    Conntrack,
    ConntrackState,
    Dnat,
    IPAddress,
    Jump,
    Masquerade,
    Protocol,
    Reject,
    Rule,
    SetMark,
    Table,
    Verdict,
)
from netlab.proxy.addresses import with_port

POD_NETWORKS = ("10.244.1.0/24", "fd00:10:244:1::/64")
"""Where the Pods of node1 are."""


OUT = [("filter", "FORWARD"), ("nat", "POSTROUTING")]


class End(StrEnum):
    ACCEPTED = "accepted"
    MASQUERADED = "masqueraded"
    DROPPED = "dropped"
    REFUSED = "refused"
    HUNG_UP = "hung up on"
    """Only in mode userspace: the connection is accepted, and ends at once without a byte."""


class Signal(StrEnum):
    """What kind of packet it is."""

    FIRST = "first"
    """The first packet of a flow; over TCP a SYN."""
    STRAY = "stray"
    """A TCP reset of a connection that nobody knows: conntrack calls it INVALID, and translates nothing."""


@dataclass(frozen=True)
class Packet:
    """A packet under way. `seconds_since` tells how long ago its client last reached which endpoint chain."""

    source: IPAddress
    destination: IPAddress
    port: int
    protocol: Protocol = Protocol.TCP
    in_interface: str = "eth0"
    mark: int = 0
    translated: bool = False
    signal: Signal = Signal.FIRST
    seconds_since: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What may become of a packet: the endpoints it may reach under its own address, those that it may reach under the
    node's, or that it is stopped or passes."""

    kept: frozenset[str] = frozenset()
    masqueraded: frozenset[str] = frozenset()
    end: End | None = None

    def __or__(self, other: Outcome) -> Outcome:
        assert self.end is None
        assert other.end is None
        return Outcome(self.kept | other.kept, self.masqueraded | other.masqueraded)

    @property
    def endpoints(self) -> frozenset[str]:
        return self.kept | self.masqueraded


def reaches(*endpoints: str) -> Outcome:
    """One of these endpoints, under the client's own address."""
    return Outcome(kept=frozenset(endpoints))


def masqueraded(*endpoints: str) -> Outcome:
    """One of these endpoints, under the node's address."""
    return Outcome(masqueraded=frozenset(endpoints))


REFUSED, DROPPED, UNTOUCHED = Outcome(end=End.REFUSED), Outcome(end=End.DROPPED), Outcome(end=End.ACCEPTED)
HUNG_UP = Outcome(end=End.HUNG_UP)
Way = tuple[End | None, Packet]


@dataclass(frozen=True)
class Node:
    """A node with rules of one family and with addresses of its own."""

    tables: tuple[Table, ...]
    addresses: tuple[str, ...] = MACHINE_ADDRESSES
    policies: tuple[tuple[str, Verdict], ...] = ()
    route_localnet: bool = True

    def send(self, source: str, to: str, **packet: object) -> Outcome:
        """All that may become of a packet to ADDRESS:PORT[/PROTOCOL]. Ways of different kinds are an error."""
        ways = set(self._travel(replace(read_packet(source, to), **packet)))  # type: ignore[arg-type]
        ends = {end for end, packet in ways if end in {End.DROPPED, End.REFUSED} or not packet.translated}
        if ends:
            assert len({end for end, _ in ways}) == 1, f"one packet, several fates: {ways}"
            return Outcome(end=ends.pop())
        found = {End.ACCEPTED: set[str](), End.MASQUERADED: set[str]()}
        for end, arrived in ways:
            found[end].add(with_port(arrived.destination, arrived.port))
        return Outcome(frozenset(found[End.ACCEPTED]), frozenset(found[End.MASQUERADED]))

    def _travel(self, packet: Packet) -> Iterator[tuple[End, Packet]]:
        """Through the hooks of a packet's way; what the node sends to itself goes out by lo and comes in again."""
        own = self._is_own(packet.source)
        if packet.destination.is_loopback and not (own or (self.route_localnet and packet.destination.version == 4)):
            yield End.DROPPED, packet  # by the kernel itself, before any hook
            return
        for _, translated in self._translate("OUTPUT" if own else "PREROUTING", packet):
            to_itself = self._is_own(translated.destination)
            hooks = [("filter", "OUTPUT"), ("nat", "POSTROUTING")] if own else [] if to_itself else OUT
            yield from self._pass(hooks + ([("filter", "INPUT")] if to_itself else []), translated)

    def _pass(self, hooks: list[tuple[str, str]], packet: Packet) -> Iterator[tuple[End, Packet]]:
        if not hooks:
            yield End.ACCEPTED, packet
            return
        (table, hook), *rest = hooks
        passing = self._translate(hook, packet) if table == "nat" else self._hook(table, hook, packet)
        for end, after in passing:
            if end in {End.DROPPED, End.REFUSED}:
                yield end, after
                continue
            for later, arrived in self._pass(rest, after):
                yield end if later is End.ACCEPTED else later, arrived

    def _translate(self, hook: str, packet: Packet) -> Iterator[tuple[End, Packet]]:
        return self._hook("nat", hook, packet) if packet.signal is Signal.FIRST else iter([(End.ACCEPTED, packet)])

    def _is_own(self, address: IPAddress) -> bool:
        return str(address) in self.addresses or address.is_loopback

    def _hook(self, table: str, hook: str, packet: Packet) -> Iterator[tuple[End, Packet]]:
        (found,) = (t for t in self.tables if t.name == table)
        rules = [h.rule for h in reversed(found.hooks) if h.chain == hook]
        policy = End.DROPPED if table == "filter" and (hook, Verdict.DROP) in self.policies else End.ACCEPTED
        for end, after in self._walk(found, rules, packet):
            yield end or policy, after

    def _walk(self, table: Table, rules: Iterable[Rule], packet: Packet) -> Iterator[Way]:
        """The ways through a chain; None is its end, after which the chain that jumped goes on."""
        under_way = [packet]
        for rule in rules:
            going_on: list[Packet] = []
            for each in under_way:
                matches = self._matches(rule, each)
                if not matches or rule.statistic is not None:
                    going_on.append(each)
                for end, after in self._apply(table, rule, each) if matches else ():
                    if end is not None or rule.target is Verdict.RETURN:
                        yield end, after
                    else:
                        going_on.append(after)
            under_way = going_on
        yield from ((None, each) for each in under_way)

    def _apply(self, table: Table, rule: Rule, packet: Packet) -> Iterator[Way]:
        match rule.target:
            case Jump(chain):
                (found,) = (c for c in table.chains if c.name == chain)
                yield from self._walk(table, found.rules, packet)
            case Dnat(address, port):
                yield End.ACCEPTED, replace(packet, destination=address, port=port, translated=True)
            case SetMark(value, mask):
                yield None, replace(packet, mark=(packet.mark & ~mask) ^ value)
            case Masquerade():
                yield End.MASQUERADED, packet
            case Reject():
                yield End.REFUSED, packet
            case Verdict.ACCEPT:
                yield End.ACCEPTED, packet
            case Verdict.DROP:
                yield End.DROPPED, packet
            case _:
                yield None, packet

    def _matches(self, rule: Rule, packet: Packet) -> bool:
        interface = rule.in_interface
        wild = interface is not None and interface.endswith("+")
        return (
            (rule.source is None or (packet.source in rule.source) != rule.source_inverted)
            and (rule.destination is None or (packet.destination in rule.destination) != rule.destination_inverted)
            and rule.protocol in {None, packet.protocol}
            and rule.destination_port in {None, packet.port}
            and (
                interface is None
                or (packet.in_interface.startswith(interface[:-1]) if wild else packet.in_interface == interface)
                != rule.in_interface_inverted
            )
            and rule.source_local in {None, self._is_own(packet.source)}
            and rule.destination_local in {None, self._is_own(packet.destination)}
            and (rule.mark is None or (packet.mark & rule.mark.mask == rule.mark.value) != rule.mark.inverted)
            and (rule.conntrack is None or _state_matches(rule.conntrack, packet))
            and self._is_recent(rule, packet)
        )

    def _is_recent(self, rule: Rule, packet: Packet) -> bool:
        if rule.recent is None or rule.recent.check_seconds is None:
            return True
        return any(name == rule.recent.name and ago < rule.recent.check_seconds for name, ago in packet.seconds_since)


@cache
def read_packet(source: str, to: str) -> Packet:
    """The packet from that address to `ADDRESS:PORT`, `ADDRESS:PORT/udp`, `/sctp` or `/rst`, as it meets the node."""
    where, _, kind = to.partition("/")
    address, _, port = where.rpartition(":")
    return Packet(
        ip_address(source),
        ip_address(address.strip("[]")),
        int(port),
        protocol=Protocol(kind) if kind not in {"", "rst"} else Protocol.TCP,
        signal=Signal.STRAY if kind == "rst" else Signal.FIRST,
        in_interface=in_interface(source),
    )


@cache
def in_interface(source: str) -> str:
    """By which interface of node1 a packet comes: its own Pods' by cni0, all others' by eth0."""
    return "cni0" if any(ip_address(source) in ip_network(text) for text in POD_NETWORKS) else "eth0"


def _state_matches(wanted: Conntrack, packet: Packet) -> bool:
    state = ConntrackState.NEW if packet.signal is Signal.FIRST else ConntrackState.INVALID
    states = {state} | ({ConntrackState.DNAT} if packet.translated else set())
    return bool(states & wanted.states) != wanted.inverted
