"""What a shape looks like: two builds of it by libxtables, with different values, and where they differ.

Where the two hold the values they were given is where every copy takes its own. A shape whose builds differ anywhere
else is refused, never guessed.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from netlab.errors import KernelError
from netlab.kernel.iptables_compile import Build, compile_rules
from netlab.kernel.iptables_handle import EntryLayout, entry_layout
from netlab.kernel.iptables_shapes import CHAIN_LIMIT, NUMBER, PORT, PORTS, RECENT_LIMIT, Shape, standard_target
from netlab.model.rules import (
    COMMENT_LIMIT,
    PROBABILITY_UNIT,
    Dnat,
    Family,
    IPAddress,
    IPNetwork,
    Jump,
    Recent,
    Redirect,
    Rule,
    Verdict,
)

NAME_OFFSET = 2
"""Of the extension's name in struct xt_entry_target and xt_entry_match, after its size in two bytes."""
NAME_SIZE = 29
BITS = {Family.IPV4: 32, Family.IPV6: 128}
SAMPLE_PORTS = (0x5A31, 0x3C47)
SAMPLE_NAT_PORTS = (0x6B52, 0x2D78)
SAMPLE_NAMES = ("netlab-A", "NETLAB+b")
SAMPLE_COMMENTS = ("Comment!", "#hint: 7")
SAMPLE_SECONDS = (0x01A2B3, 0x02C4D5)
SAMPLE_PROBABILITIES = (0x12345678 * PROBABILITY_UNIT, 0x2468ACE1 * PROBABILITY_UNIT)
SAMPLE_TARGETS = (Verdict.ACCEPT, Verdict.RETURN)
"""Stand-ins for a jump: libiptc takes a chain's name where these verdicts have theirs."""
SAMPLE_SOURCES: dict[Family, tuple[IPNetwork, IPNetwork]] = {
    Family.IPV4: (IPv4Network("203.0.113.77/32"), IPv4Network("198.51.100.0/22")),
    Family.IPV6: (IPv6Network("2001:db8:1:2:3:4:5:6/128"), IPv6Network("fd00:9:8:7::/71")),
}
SAMPLE_DESTINATIONS: dict[Family, tuple[IPNetwork, IPNetwork]] = {
    Family.IPV4: (IPv4Network("192.0.2.54/31"), IPv4Network("172.29.0.0/17")),
    Family.IPV6: (IPv6Network("2001:db8:a:b:c:d:e:e/127"), IPv6Network("fd77:6:5:4:1::/83")),
}
SAMPLE_ADDRESSES: dict[Family, tuple[IPAddress, IPAddress]] = {
    Family.IPV4: (IPv4Address("10.201.57.133"), IPv4Address("100.99.88.77")),
    Family.IPV6: (IPv6Address("fd55::1:2:3:44"), IPv6Address("2001:db8:ffee:ddcc::99")),
}


def compile_shapes(rules: Sequence[Rule], family: Family) -> list[Shape]:
    """The shape of each of the rules; KernelError where libxtables cannot say one, or says it in an unknown way."""
    samples = [[_sample(rule, family, variant=variant) for variant in (0, 1)] for rule in rules]
    builds = compile_rules([sample for pair in samples for sample in pair], family)
    pairs = [builds[at : at + 2] for at in range(0, len(builds), 2)]
    return [
        _shape(_Comparison(rule, pair, built), family) for rule, pair, built in zip(rules, samples, pairs, strict=True)
    ]


def _sample(rule: Rule, family: Family, *, variant: int) -> Rule:
    """A rule of the same shape with other values."""
    target, recent = rule.target, rule.recent
    if isinstance(target, Jump):
        target = SAMPLE_TARGETS[variant]
    elif isinstance(target, Dnat):
        target = Dnat(SAMPLE_ADDRESSES[family][variant], SAMPLE_NAT_PORTS[variant])
    elif isinstance(target, Redirect):
        target = Redirect(SAMPLE_NAT_PORTS[variant])
    if recent is not None:
        seconds = None if recent.check_seconds is None else SAMPLE_SECONDS[variant]
        recent = Recent(SAMPLE_NAMES[variant], seconds)
    return rule._replace(
        source=None if rule.source is None else SAMPLE_SOURCES[family][variant],
        destination=None if rule.destination is None else SAMPLE_DESTINATIONS[family][variant],
        destination_port=None if rule.destination_port is None else SAMPLE_PORTS[variant],
        comment=None if rule.comment is None else SAMPLE_COMMENTS[variant],
        statistic=None if rule.statistic is None else SAMPLE_PROBABILITIES[variant],
        recent=recent,
        target=target,
    )


class _Comparison:
    """Two builds of one shape. Each value found is blanked in both; what is left must be equal."""

    def __init__(self, rule: Rule, samples: list[Rule], builds: list[Build]) -> None:
        self.rule = rule
        self.samples = samples
        self.data = [bytearray(build.data) for build in builds]
        self.mask = builds[0].mask
        if len(self.data[0]) != len(self.data[1]):
            raise self.unknown("two rules of one shape have different lengths")

    def find(self, values: tuple[bytes, bytes], *, places: int) -> tuple[int, ...]:
        """Where the first build holds the first value and the second build the second."""
        first, second = self.data
        size = len(values[0])
        found = tuple(
            at
            for at in range(len(first) - size + 1)
            if first[at : at + size] == values[0] and second[at : at + len(values[1])] == values[1]
        )
        if len(found) != places:
            raise self.unknown(f"{values[0]!r} stands in {len(found)} places instead of {places}")
        for at in found:
            for data in self.data:
                data[at : at + size] = bytes(size)
        return found

    def at_network(self, address: int, mask: int, values: tuple[IPNetwork | None, IPNetwork | None]) -> None:
        """Like `find`, for networks, whose offsets are known."""
        first, second = values
        if first is not None and second is not None:
            self._at(address, (first.network_address.packed, second.network_address.packed))
            self._at(mask, (first.netmask.packed, second.netmask.packed))

    def _at(self, offset: int, values: tuple[bytes, bytes]) -> None:
        for data, value in zip(self.data, values, strict=True):
            if data[offset : offset + len(value)] != value:
                raise self.unknown(f"{value!r} does not stand at {offset}")
            data[offset : offset + len(value)] = bytes(len(value))

    def rest(self) -> bytes:
        """What both builds share, the values blanked."""
        if self.data[0] != self.data[1]:
            raise self.unknown("two builds differ outside their values")
        return bytes(self.data[0])

    def unknown(self, detail: str) -> KernelError:
        return KernelError("compile a rule", "libxtables", errno.EPROTO, f"{detail}: {self.rule}")


def _shape(both: _Comparison, family: Family) -> Shape:
    """The shape of two builds: where the values go, and what is left."""
    rule, layout = both.rule, entry_layout(family)
    first, second = both.samples
    both.at_network(layout.source, layout.source_mask, (first.source, second.source))
    both.at_network(layout.destination, layout.destination_mask, (first.destination, second.destination))
    address = layout.address
    places = (
        (first.source, layout.source),
        (first.destination, layout.destination),
        (first.source, layout.source_mask),
        (first.destination, layout.destination_mask),
    )
    holes = [(at, address) for network, at in places if network is not None]
    holes += [(at, COMMENT_LIMIT + 1) for at in _text(both, (first.comment, second.comment))]
    holes += [(at, NUMBER.size) for at in _probability(both)]
    holes += [(at, NUMBER.size) for at in _seconds(both)]
    holes += [(at, RECENT_LIMIT + 1) for at in (_text(both, SAMPLE_NAMES) if rule.recent is not None else ())]
    holes += [(at, PORTS.size) for at in _ports(both)]
    holes += [(at, CHAIN_LIMIT + 1) for at in (_text(both, SAMPLE_TARGETS) if isinstance(rule.target, Jump) else ())]
    holes += [(at, address) for at in _nat_addresses(both)]
    holes += [(at, PORT.size) for at in _nat_ports(both)]
    rest = both.rest()
    leads_to = standard_target(rule.target)
    return Shape(
        form=_form(both, rest, holes),
        size=len(rest),
        mask=both.mask,
        told_by=_told_by(rest, both.mask, layout, standard=leads_to is not None),
        masks=_netmasks(BITS[family]),
        leads_to=leads_to,
        names_set=rule.address_set is not None,
    )


def _form(both: _Comparison, rest: bytes, holes: list[tuple[int, int]]) -> bytes:
    """The rest with a `%b` in place of each hole (offset and size), which must be in the order of `Shape.stamp`."""
    parts, end = [], 0
    for at, size in holes:
        if at < end or any(rest[at : at + size]):
            raise both.unknown(f"a value of {size} bytes does not fit at {at}")
        parts.append(rest[end:at].replace(b"%", b"%%"))
        end = at + size
    return b"%b".join((*parts, rest[end:].replace(b"%", b"%%")))


def _text(both: _Comparison, values: tuple[str | None, str | None]) -> tuple[int, ...]:
    first, second = values
    if first is None or second is None:
        return ()
    return both.find((first.encode(), second.encode()), places=1)


def _ports(both: _Comparison) -> tuple[int, ...]:
    if both.rule.destination_port is None:
        return ()
    first, second = (PORTS.pack(port, port) for port in SAMPLE_PORTS)
    return both.find((first, second), places=1)


def _probability(both: _Comparison) -> tuple[int, ...]:
    """The probability, and the counter of the other mode of the same match, which libxtables sets to it."""
    if both.rule.statistic is None:
        return ()
    first, second = (NUMBER.pack(round(value / PROBABILITY_UNIT)) for value in SAMPLE_PROBABILITIES)
    return both.find((first, second), places=2)


def _seconds(both: _Comparison) -> tuple[int, ...]:
    if both.rule.recent is None or both.rule.recent.check_seconds is None:
        return ()
    first, second = (NUMBER.pack(seconds) for seconds in SAMPLE_SECONDS)
    return both.find((first, second), places=1)


def _nat_addresses(both: _Comparison) -> tuple[int, ...]:
    """The first and the last address of the range that DNAT takes."""
    first, second = (sample.target for sample in both.samples)
    if not isinstance(first, Dnat) or not isinstance(second, Dnat):
        return ()
    return both.find((first.address.packed, second.address.packed), places=2)


def _nat_ports(both: _Comparison) -> tuple[int, ...]:
    """The first and the last port of the range that DNAT or REDIRECT takes."""
    if not isinstance(both.rule.target, Dnat | Redirect):
        return ()
    first, second = (PORT.pack(port) for port in SAMPLE_NAT_PORTS)
    return both.find((first, second), places=2)


def _told_by(template: bytes, mask: bytes, layout: EntryLayout, *, standard: bool) -> int:
    """The bits in which a rule read from the kernel equals the same rule stamped, as one big-endian number.

    Not: counters and the kernel's own fields, what follows the end of an extension's name (the kernel copies only the
    name out), and all of a standard target, whose meaning libiptc tells.
    """
    bits = bytearray(mask)
    bits[layout.nfcache : layout.target_offset] = bytes(layout.target_offset - layout.nfcache)
    bits[layout.comefrom : layout.size] = bytes(layout.size - layout.comefrom)
    target = int.from_bytes(template[layout.target_offset : layout.target_offset + 2], sys.byteorder)
    at = layout.size
    while at < len(template):
        size = int.from_bytes(template[at : at + NAME_OFFSET], sys.byteorder)
        name = template[at + NAME_OFFSET : at + NAME_OFFSET + NAME_SIZE].rstrip(b"\0")
        unread = NAME_SIZE - len(name)
        end = at + NAME_OFFSET + NAME_SIZE
        bits[end - unread : end] = bytes(unread)
        at += size
    if standard:
        bits[target + NAME_OFFSET :] = bytes(len(bits) - target - NAME_OFFSET)
    return int.from_bytes(bits, "big")


@cache
def _netmasks(bits: int) -> tuple[bytes, ...]:
    full = (1 << bits) - 1
    return tuple((full ^ (full >> length)).to_bytes(bits // 8, "big") for length in range(bits + 1))
