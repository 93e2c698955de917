"""The steps that change a lab's namespaces: what `diff` orders, `kernel` carries out and `commands` spells."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from netlab.model.rules import Table
from netlab.model.state import Address, FdbEntry, Link, Neighbour, Route, Sysctl


class LinkField(StrEnum):
    """What can be changed of an interface that is there."""

    MAC = "mac"
    MTU = "mtu"
    MASTER = "master"
    HAIRPIN = "hairpin"
    UP = "up"


@dataclass(frozen=True, slots=True)
class Step:
    """One change in the network namespace of that name, which the kernel makes wholly or not at all."""

    namespace: str


@dataclass(frozen=True, slots=True)
class AddNamespace(Step):
    """Make the namespace and name it."""


@dataclass(frozen=True, slots=True)
class DeleteNamespace(Step):
    """Delete the namespace with all that is in it, and the far ends of its cables."""


@dataclass(frozen=True, slots=True)
class SetSysctl(Step):
    """Write a kernel setting."""

    sysctl: Sysctl


@dataclass(frozen=True, slots=True)
class AddLink(Step):
    """Make an interface; of a veth pair both ends: `far` is the one in the other namespace, and is left down."""

    link: Link
    far: Link | None = None


@dataclass(frozen=True, slots=True)
class SetLink(Step):
    """Change one field of an interface to what it is in `link`."""

    link: Link
    field: LinkField


@dataclass(frozen=True, slots=True)
class DeleteLink(Step):
    """Delete an interface; of a veth pair both ends go."""

    link: Link


@dataclass(frozen=True, slots=True)
class AddAddress(Step):
    """Give an interface an address."""

    address: Address


@dataclass(frozen=True, slots=True)
class DeleteAddress(Step):
    """Take an address away."""

    address: Address


@dataclass(frozen=True, slots=True)
class AddRoute(Step):
    """Add a route; one for the same destination is replaced."""

    route: Route


@dataclass(frozen=True, slots=True)
class DeleteRoute(Step):
    """Delete a route."""

    route: Route


@dataclass(frozen=True, slots=True)
class AddNeighbour(Step):
    """Add a permanent neighbour entry; one for the same address is replaced."""

    neighbour: Neighbour


@dataclass(frozen=True, slots=True)
class DeleteNeighbour(Step):
    """Delete a neighbour entry."""

    neighbour: Neighbour


@dataclass(frozen=True, slots=True)
class AddFdbEntry(Step):
    """Add a forwarding entry to a VXLAN interface; one for the same MAC is replaced."""

    entry: FdbEntry


@dataclass(frozen=True, slots=True)
class DeleteFdbEntry(Step):
    """Delete a forwarding entry."""

    entry: FdbEntry


@dataclass(frozen=True, slots=True)
class SetTable(Step):
    """Make our part of a netfilter table so."""

    table: Table
