"""Send a packet through Tables as the kernel would: every way it can take where chance decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import ip_address

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

POD, NODE, OUTSIDER = "10.244.1.9", "192.168.50.11", "198.51.100.7"
POD_6, NODE_6, OUTSIDER_6 = "fd00:10:244:1::9", "fd00:50::11", "2001:db8::7"


class End(StrEnum):
    ACCEPTED = "accepted"
    MASQUERADED = "masqueraded"
    DROPPED = "dropped"
    REFUSED = "refused"


@dataclass(frozen=True)
class Packet:
    """The first packet of a flow. `seconds_since` tells how long ago its client last reached which endpoint chain."""

    source: IPAddress
    destination: IPAddress
    port: int
    protocol: Protocol = Protocol.TCP
    in_interface: str = "eth0"
    mark: int = 0
    translated: bool = False
    seconds_since: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What may become of a packet: the endpoints it may reach and under whose address, or that it is stopped."""

    reaches: frozenset[str] = frozenset()
    masqueraded: bool = False
    end: End | None = None


def reaches(*endpoints: str) -> Outcome:
    """One of these endpoints, under the client's own address."""
    return Outcome(frozenset(endpoints))


def masqueraded(*endpoints: str) -> Outcome:
    """One of these endpoints, under the node's address."""
    return Outcome(frozenset(endpoints), masqueraded=True)


REFUSED, DROPPED, UNTOUCHED = Outcome(end=End.REFUSED), Outcome(end=End.DROPPED), Outcome(end=End.ACCEPTED)


@dataclass(frozen=True)
class Node:
    """A node with rules and with addresses of its own."""

    tables: tuple[Table, ...]
    addresses: tuple[str, ...] = (NODE, NODE_6, "172.20.0.9", "127.0.0.1", "::1")

    def send(self, source: str, to: str, **packet: object) -> Outcome:
        """All that may become of a packet to ADDRESS:PORT. Ways of different kinds for one packet are an error."""
        address, _, port = to.rpartition(":")
        first = replace(Packet(ip_address(source), ip_address(address.strip("[]")), int(port)), **packet)  # type: ignore[arg-type]
        ends = set(self._travel(first))
        kinds = {end if end in {End.DROPPED, End.REFUSED} else (end, p.translated) for end, p in ends}
        assert len(kinds) == 1, f"one packet, several fates: {kinds}"
        ((end, arrived), *_) = ends
        if end in {End.DROPPED, End.REFUSED} or not arrived.translated:
            return Outcome(end=end)
        names = frozenset(with_port(packet.destination, packet.port) for _, packet in ends)
        return Outcome(names, masqueraded=end is End.MASQUERADED)

    def _travel(self, packet: Packet) -> Iterator[tuple[End, Packet]]:
        own = self._is_own(packet.source)
        for _, translated in self._hook("nat", "OUTPUT" if own else "PREROUTING", packet):
            way = "OUTPUT" if own else "INPUT" if self._is_own(translated.destination) else "FORWARD"
            for end, filtered in self._hook("filter", way, translated):
                if end is not End.ACCEPTED:
                    yield end, filtered
                else:
                    yield from self._hook("nat", "POSTROUTING", filtered)

    def _is_own(self, address: IPAddress) -> bool:
        return str(address) in self.addresses or address.is_loopback

    def _hook(self, table: str, hook: str, packet: Packet) -> Iterator[tuple[End, Packet]]:
        (found,) = (t for t in self.tables if t.name == table)
        rules = [h.rule for h in reversed(found.hooks) if h.chain == hook]
        for end, after in self._walk(found, rules, packet):
            yield end or End.ACCEPTED, after

    def _walk(self, table: Table, rules: list[Rule], packet: Packet) -> Iterator[tuple[End | None, Packet]]:
        """The ways through a chain; None is its end, after which the chain that jumped goes on."""
        if not rules:
            yield None, packet
            return
        rule, rest = rules[0], rules[1:]
        matches = self._matches(rule, packet)
        if matches:
            for end, after in self._apply(table, rule, packet):
                if end is None and rule.target is not Verdict.RETURN:
                    yield from self._walk(table, rest, after)
                else:
                    yield end, after
        if not matches or rule.statistic is not None:
            yield from self._walk(table, rest, packet)

    def _apply(self, table: Table, rule: Rule, packet: Packet) -> Iterator[tuple[End | None, Packet]]:
        match rule.target:
            case Jump(chain):
                (found,) = (c for c in table.chains if c.name == chain)
                yield from self._walk(table, list(found.rules), packet)
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


def _state_matches(wanted: Conntrack, packet: Packet) -> bool:
    states = {ConntrackState.NEW} | ({ConntrackState.DNAT} if packet.translated else set())
    return bool(states & wanted.states) != wanted.inverted
