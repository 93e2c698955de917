"""DNS records as values. A name is its labels in lower case, so that a label with a dot in it stays one label.

Sources: RFC 1035 (types, codes), RFC 2782 (SRV), the Kubernetes DNS specification 1.1.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from netlab.model.rules import IPAddress

Name = tuple[str, ...]
TTL = 5
"""Seconds that an answer may be kept: CoreDNS' default, so that a change shows soon."""


class Kind(IntEnum):
    """The record types there are."""

    A = 1
    NS = 2
    CNAME = 5
    SOA = 6
    PTR = 12
    TXT = 16
    AAAA = 28
    SRV = 33
    ANY = 255


class Code(IntEnum):
    """Response codes (RCODE)."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    BADVERS = 16


@dataclass(frozen=True, slots=True)
class Address:
    """A or AAAA."""

    address: IPAddress

    @property
    def kind(self) -> Kind:
        return Kind.A if self.address.version == 4 else Kind.AAAA


@dataclass(frozen=True, slots=True)
class Alias:
    """CNAME."""

    target: Name
    kind = Kind.CNAME


@dataclass(frozen=True, slots=True)
class Location:
    """SRV. All have priority 0 here. `addresses` are the target's, which whoever asked will want next."""

    target: Name
    port: int
    weight: int
    addresses: tuple[IPAddress, ...]
    kind = Kind.SRV


@dataclass(frozen=True, slots=True)
class Pointer:
    """PTR."""

    target: Name
    kind = Kind.PTR


@dataclass(frozen=True, slots=True)
class Text:
    """TXT."""

    text: str
    kind = Kind.TXT


@dataclass(frozen=True, slots=True)
class NameServer:
    """NS."""

    target: Name
    kind = Kind.NS


@dataclass(frozen=True, slots=True)
class Authority:
    """SOA. Its other numbers say when a secondary server would ask again, and nobody is one."""

    server: Name
    contact: Name
    serial: int
    kind = Kind.SOA


Data = Address | Alias | Location | Pointer | Text | NameServer | Authority


@dataclass(frozen=True, slots=True)
class Record:
    """What a name has. All live TTL seconds."""

    name: Name
    data: Data


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said to a question: NOERROR without answers means that the name is there, but not this kind of record."""

    code: Code
    answers: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()


def parse_name(text: str) -> Name:
    """`web.default.svc.cluster.local`, with or without a dot at its end, as a name."""
    return tuple(label for label in text.lower().split(".") if label)


def spell_name(name: Name) -> str:
    """The name as text, without a dot at its end."""
    return ".".join(name)
