"""Netfilter rules as values: what a proxy mode spells, what the kernel is asked to hold, what it is read back as.

One `Rule` is one line of iptables-save(8). It is compared, printed and written into the kernel from these fields alone,
so that what a user reads and what the kernel does cannot differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network
COMMENT_LIMIT = 255
"""Characters that xt_comment holds (XT_MAX_COMMENT_LEN less the closing zero, <linux/netfilter/xt_comment.h>)."""


class Family(StrEnum):
    """An address family, as Kubernetes spells it in `ipFamilies`."""

    IPV4 = "IPv4"
    IPV6 = "IPv6"

    __hash__ = str.__hash__  # not that of the name, by a call into Python: they are parts of many keys


class Backend(StrEnum):
    """Where a kernel keeps iptables' rules: in the tables of iptables-legacy, or in nftables' (iptables-nft)."""

    LEGACY = "legacy"
    NFT = "nft"


class Protocol(StrEnum):
    """A transport protocol, as iptables spells it."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"

    __hash__ = str.__hash__  # not that of the name, by a call into Python: they are parts of many keys


PROBABILITY_UNIT = 1 / 2**31
"""xt_statistic holds a probability as a number of these (<linux/netfilter/xt_statistic.h>)."""


def held_probability(probability: float) -> float:
    """The probability that the kernel really uses: 1/3 is held as 0.33333333349."""
    return round(probability / PROBABILITY_UNIT) * PROBABILITY_UNIT


class Verdict(StrEnum):
    """Targets that need no options."""

    ACCEPT = "ACCEPT"
    DROP = "DROP"
    RETURN = "RETURN"

    __hash__ = str.__hash__


@dataclass(frozen=True, slots=True)
class Jump:
    """`-j CHAIN`: go on in another chain and come back."""

    chain: str


@dataclass(frozen=True, slots=True)
class Dnat:
    """`-j DNAT --to-destination ADDRESS:PORT`: the step that turns a Service address into a Pod's."""

    address: IPAddress
    port: int


@dataclass(frozen=True, slots=True)
class Redirect:
    """`-j REDIRECT --to-ports PORT`: to a port of this machine.

    Of the interface that the packet came in by; in OUTPUT, of loopback.
    """

    port: int


@dataclass(frozen=True, slots=True)
class Masquerade:
    """`-j MASQUERADE [--random-fully]`: the source becomes the address of the interface the packet leaves by."""

    random_fully: bool = True


@dataclass(frozen=True, slots=True)
class SetMark:
    """`-j MARK --set-xmark VALUE/MASK`: mark = (mark & ~MASK) ^ VALUE."""

    value: int
    mask: int


class IcmpError(StrEnum):
    """What a refused packet's sender is told, as iptables spells it in IPv4."""

    PORT_UNREACHABLE = "icmp-port-unreachable"
    NET_UNREACHABLE = "icmp-net-unreachable"


@dataclass(frozen=True, slots=True)
class Reject:
    """`-j REJECT`: answer with an ICMP error (IPv6: ICMPv6's port unreachable, or no route)."""

    error: IcmpError = IcmpError.PORT_UNREACHABLE


Target = Verdict | Jump | Dnat | Redirect | Masquerade | SetMark | Reject


class ConntrackState(StrEnum):
    """States of `-m conntrack --ctstate`."""

    NEW = "NEW"
    ESTABLISHED = "ESTABLISHED"
    RELATED = "RELATED"
    INVALID = "INVALID"
    DNAT = "DNAT"


@dataclass(frozen=True, slots=True)
class Conntrack:
    """`-m conntrack [!] --ctstate A,B`."""

    states: frozenset[ConntrackState]
    inverted: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """`-m mark [!] --mark VALUE/MASK`."""

    value: int
    mask: int
    inverted: bool = False


@dataclass(frozen=True, slots=True)
class Recent:
    """`-m recent`: the list of client addresses behind session affinity.

    `check_seconds` None writes the client into the list (`--set`); a number matches a client seen in the last so many
    seconds (`--rcheck --seconds N --reap`).
    """

    name: str
    check_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class SetMatch:
    """`-m set --match-set NAME dst,src`: the address set has what the packet says there, part by part."""

    name: str
    parts: tuple[str, ...]
    """`dst` or `src` for each part of an entry: of an address and a port `("dst", "dst")`."""


@dataclass(frozen=True, slots=True)
class VirtualMatch:
    """`-m ipvs --vaddr ADDRESS --vport PORT`: IPVS is about to send the packet on, and that is what it was sent to."""

    protocol: Protocol
    address: IPAddress
    port: int


class Rule(NamedTuple):
    """One rule: every condition that is not None must hold, then `target` (None counts packets and does nothing).

    A rule with a protocol also names the protocol's own match (`-p tcp -m tcp`), with a port or without one.
    It is a tuple because a node has tens of thousands of them, and this is the fastest to make. Name the fields, do not
    count them. Values, which differ from Service to Service, come before what tells one kind of rule from another.
    """

    source: IPNetwork | None = None
    destination: IPNetwork | None = None
    destination_port: int | None = None
    comment: str | None = None
    statistic: float | None = None
    """`-m statistic --mode random --probability P`; a value of `held_probability`, so that it compares exactly."""
    recent: Recent | None = None
    target: Target | None = None
    source_inverted: bool = False
    destination_inverted: bool = False
    protocol: Protocol | None = None
    in_interface: str | None = None
    """`-i NAME`; a name that ends in `+` stands for every interface whose name begins so."""
    in_interface_inverted: bool = False
    out_interface: str | None = None
    conntrack: Conntrack | None = None
    mark: Mark | None = None
    destination_local: bool | None = None
    """`-m addrtype --dst-type LOCAL`; False is `! --dst-type LOCAL`."""
    source_local: bool | None = None
    """`-m addrtype --src-type LOCAL`; False is `! --src-type LOCAL`."""
    address_set: SetMatch | None = None
    bridged_in: bool | None = None
    """`-m physdev --physdev-is-in`: it came in by a port of a bridge; False is `! --physdev-is-in`."""
    virtual: VirtualMatch | None = None
    extra: tuple[str, ...] = ()
    """Options that these fields cannot say, word by word: only in rules that were read, never in rules to write."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain that is wholly ours: whatever else was in it goes. Built-in chains are never written this way."""

    name: str
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Hook:
    """A rule of ours in a chain that is not (PREROUTING, FORWARD ...): it must be there, first among equals, once."""

    chain: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class Table:
    """All of ours in one table of one family.

    `chains` are made and filled; `hooks` are inserted at the top of their chains, the first of the list being inserted
    first and so ending lowest, where they are missing. `owned` tells which other chains in the table are ours and are
    deleted because `chains` no longer has them: those whose names start with one of these prefixes. `shared` are the
    names of those among `chains` that are only made where they are missing, as somebody else may fill them.
    """

    family: Family
    name: str
    chains: tuple[Chain, ...] = ()
    hooks: tuple[Hook, ...] = ()
    owned: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChainEdit:
    """A change inside a chain that many Services share.

    Each rule of `removed` goes once, wherever it is; those of `added` are inserted at the top in their order.
    """

    chain: str
    removed: tuple[Rule, ...] = ()
    added: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class TablePatch:
    """The difference between two `Table` values of the same family and name, as small as the change that made it.

    In this order: `chains` are made where missing and then filled anew, `edits` are done, `removed` chains (to which
    nothing jumps any more) are emptied and deleted.
    """

    family: Family
    name: str
    chains: tuple[Chain, ...] = ()
    edits: tuple[ChainEdit, ...] = ()
    removed: tuple[str, ...] = ()
