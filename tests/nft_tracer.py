"""Send a packet through a table of mode nftables as the kernel would: every way it can take where chance decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from proxy_tracer import End, Node, Packet, Signal, Way

from netlab.model.nft_rules import (
    AddressIn,
    AddressInAny,
    ByMap,
    Dnat,
    DnatByMap,
    Drop,
    Field,
    FlipMark,
    Goto,
    IncomingInterface,
    InSet,
    Jump,
    LocalAddress,
    Marked,
    Masquerade,
    NewFlow,
    OfProtocol,
    OneIn,
    Part,
    Reject,
    RememberSource,
    Rule,
    SetMark,
    Side,
    Translated,
)
from netlab.model.nft_tables import Chain, Drawn, Element, Key, Set, Table
from netlab.model.rules import IPAddress

BEFORE_NAT = -110
VERDICTS = ByMap | Jump | Goto | Dnat | DnatByMap | Masquerade | Drop | Reject


@dataclass(frozen=True)
class NftNode(Node):
    """A node with a table of mode nftables; `tables` of iptables it has none."""

    table: Table | None = None

    @cached_property
    def _chains(self) -> dict[str, Chain]:
        assert self.table
        return {chain.name: chain for chain in self.table.chains}

    @cached_property
    def _sets(self) -> dict[str, Set]:
        assert self.table
        return {each.name: each for each in self.table.sets}

    @cached_property
    def _elements(self) -> dict[tuple[str, Key], Element]:
        assert self.table
        return {(each.set, each.key): each for each in self.table.elements}

    # --- hooks

    def _travel(self, packet: Packet) -> Iterator[tuple[End, Packet]]:
        hook = "output" if self._is_own(packet.source) else "prerouting"
        for end, checked in self._at(hook, "filter", BEFORE_NAT, packet):
            yield from [(end, checked)] if end else super()._travel(checked)

    def _hook(self, table: str, hook: str, packet: Packet) -> Iterator[tuple[End, Packet]]:
        for end, after in self._at(hook.lower(), table, None, packet):
            yield end or End.ACCEPTED, after

    def _at(self, hook: str, kind: str, priority: int | None, packet: Packet) -> Iterator[Way]:
        """By the chain of that kind at a hook, if there is one; without a priority the one that is not before nat."""
        here = [each for each in self._chains.values() if each.hook and each.hook[:2] == (kind, hook)]
        found = [each for each in here if each.hook and (each.hook.priority == BEFORE_NAT) == (priority is not None)]
        assert len(found) <= 1
        yield from self._through(found[0], packet) if found else [(None, packet)]

    # --- rules

    def _through(self, chain: Chain, packet: Packet) -> Iterator[Way]:
        """The ways through a chain; None is its end."""
        under_way = [packet]
        for rule in chain.rules:
            going_on: list[Packet] = []
            for each in under_way:
                for end, over, after in self._follow(rule, each):
                    if over:
                        yield end, after
                    else:
                        going_on.append(after)
            under_way = list(dict.fromkeys(going_on))
        yield from ((None, each) for each in under_way)

    def _follow(self, rule: Rule, packet: Packet) -> Iterator[tuple[End | None, bool, Packet]]:
        """What may come of a rule: an end or None, and whether the chain is left with it."""
        *_, last = rule.parts
        for part in rule.parts:
            if part is last and isinstance(part, VERDICTS):
                yield from self._verdict(part, packet)
                return
            passed = self._pass_part(part, packet)
            if passed is None or (isinstance(part, OneIn) and part.count > 1):
                yield None, False, packet
            if passed is None:
                return
            packet = passed
        yield None, False, packet

    def _verdict(self, part: Part, packet: Packet) -> Iterator[tuple[End | None, bool, Packet]]:
        match part:
            case Jump(chain):
                yield from ((end, end is not None, after) for end, after in self._through(self._chains[chain], packet))
            case Goto(chain):
                yield from ((end, True, after) for end, after in self._through(self._chains[chain], packet))
            case Drop():
                yield End.DROPPED, True, packet
            case Reject():
                yield End.REFUSED, True, packet
            case Masquerade():
                yield End.MASQUERADED, True, packet
            case Dnat(address, port):
                yield End.ACCEPTED, True, replace(packet, destination=address, port=port, translated=True)
            case ByMap(fields, name):
                found = self._elements.get((name, _key(fields, packet)))
                yield from (
                    self._verdict(found.leads_to, packet) if found and found.leads_to else [(None, False, packet)]
                )
            case DnatByMap(fields, count, name):
                assert self._sets[name].one_of == count
                for number in range(count):
                    yield from self._look_up(name, (*_key(fields, packet), Drawn(number)), packet)

    def _look_up(self, name: str, key: Key, packet: Packet) -> Iterator[tuple[End | None, bool, Packet]]:
        """What a map holds for the key; the rule is passed over where it holds nothing."""
        found = self._elements.get((name, key))
        yield from self._verdict(found.leads_to, packet) if found and found.leads_to else [(None, False, packet)]

    def _pass_part(self, part: Part, packet: Packet) -> Packet | None:
        """The packet after a part that it matches or that changes it; None where it does not match."""
        match part:
            case SetMark(mark):
                return replace(packet, mark=packet.mark | mark)
            case FlipMark(mark):
                return replace(packet, mark=packet.mark ^ mark)
            case RememberSource() | OneIn():
                return packet
        return packet if self._is_met(part, packet) else None

    def _is_met(self, part: Part, packet: Packet) -> bool:
        match part:
            case InSet(fields, name):
                return self._is_in_set(fields, name, packet)
            case OfProtocol(protocol):
                return packet.protocol is protocol
            case NewFlow():
                return packet.signal is Signal.FIRST
            case Translated():
                return packet.translated
            case Marked(mark):
                return bool(packet.mark & mark)
        return self._is_between(part, packet)

    def _is_in_set(self, fields: tuple[Field, ...], name: str, packet: Packet) -> bool:
        """A set with a time holds clients that were there lately."""
        seconds = self._sets[name].seconds
        if seconds is None:
            return (name, _key(fields, packet)) in self._elements
        assert fields == (Field.SOURCE,)
        return any(each == name and ago < seconds for each, ago in packet.seconds_since)

    def _is_between(self, part: Part, packet: Packet) -> bool:
        """Whether the packet comes from there, or goes there."""
        match part:
            case AddressIn(side, network, negated):
                return (_address(side, packet) in network) != negated
            case AddressInAny(side, networks, negated):
                return any(_address(side, packet) in network for network in networks) != negated
            case LocalAddress(side):
                return self._is_own(_address(side, packet))
            case IncomingInterface(name, prefix, negated):
                came_by = "" if self._is_own(packet.source) else packet.in_interface
                return (came_by.startswith(name) if prefix else came_by == name) != negated
        raise AssertionError(part)


def _address(side: Side, packet: Packet) -> IPAddress:
    return packet.source if side is Side.SOURCE else packet.destination


def _key(fields: tuple[Field, ...], packet: Packet) -> Key:
    values = {
        Field.SOURCE: packet.source,
        Field.DESTINATION: packet.destination,
        Field.PROTOCOL: packet.protocol,
        Field.PORT: packet.port,
    }
    return tuple(values[each] for each in fields)
