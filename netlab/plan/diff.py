"""From what is to what is wanted: the steps between two states, in an order that the kernel accepts.

First the namespaces and the cables between them, then what lies on them, namespace by namespace (so that each can be
filled in one batch), deletions last: what stays is never without a route in between. Deleted before that is only what
stands in the way: an interface of a wanted name that is something else, and addresses, since Linux takes all other
addresses of a subnet away with the first.

What the kernel does by itself has no step: the far end of a deleted cable, the content of a deleted namespace, the
routes and neighbours of a deleted interface.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from netlab.model.state import FdbEntry, Link, Loopback, NamespaceState, Neighbour, Route, Veth
from netlab.plan.steps import (
    AddAddress,
    AddFdbEntry,
    AddLink,
    AddNamespace,
    AddNeighbour,
    AddRoute,
    DeleteAddress,
    DeleteFdbEntry,
    DeleteLink,
    DeleteNamespace,
    DeleteNeighbour,
    DeleteRoute,
    LinkField,
    SetLink,
    SetSysctl,
    SetTable,
    Step,
)

CHANGEABLE = frozenset(LinkField)
Item = TypeVar("Item")
Ends = dict[tuple[str, str], Link]
"""Interfaces by namespace and name."""


def diff(seen: Sequence[NamespaceState], wanted: Sequence[NamespaceState]) -> tuple[Step, ...]:
    """The steps that turn `seen` into `wanted`; none where they agree.

    Settings and tables that `wanted` does not name stay as they are. Of the two ends of a cable, the one that comes
    first in `wanted` is the one that makes it. ValueError: a cable in `wanted` has only one end.
    """
    before = {state.name: state for state in seen}
    gone = before.keys() - {state.name for state in wanted}
    changes = [
        _Change(seen=before.get(state.name, _fresh(state.name)), wanted=state, gone=frozenset(gone))
        for state in wanted
        if before.get(state.name) != state
    ]
    new_links, made = _new_links(changes, wanted)
    return (
        *(step for change in changes for step in _settings(change, is_new=change.wanted.name not in before)),
        *(DeleteLink(change.wanted.name, link) for change in changes for link in change.in_the_way),
        *new_links,
        *(step for change in changes for step in _content(change, made)),
        *(DeleteNamespace(name) for name in sorted(gone)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """One namespace before and after. `gone`: the namespaces that are deleted, and their cables with them."""

    seen: NamespaceState
    wanted: NamespaceState
    gone: frozenset[str]

    @property
    def in_the_way(self) -> tuple[Link, ...]:
        """Interfaces that are there under a wanted name, but as something else."""
        wanted = {link.name: link for link in self.wanted.links}
        return tuple(
            link for link in self.seen.links if link.name in wanted and _identity(link) != _identity(wanted[link.name])
        )

    @property
    def kept(self) -> dict[str, Link]:
        """The interfaces that are there and stay."""
        wanted = {link.name: _identity(link) for link in self.wanted.links}
        return {link.name: link for link in self.seen.links if wanted.get(link.name) == _identity(link)}

    @property
    def new(self) -> tuple[Link, ...]:
        """The interfaces to be made."""
        kept = self.kept
        return tuple(link for link in self.wanted.links if link.name not in kept)

    @property
    def superfluous(self) -> tuple[Link, ...]:
        """The interfaces to be deleted, without those that go with a deleted namespace."""
        wanted = {link.name for link in self.wanted.links}
        return tuple(
            link
            for link in self.seen.links
            if link.name not in wanted and not (isinstance(link, Veth) and link.peer_namespace in self.gone)
        )


def _fresh(name: str) -> NamespaceState:
    return NamespaceState(name=name, links=(Loopback(up=False),))


def _identity(link: Link) -> tuple[object, ...]:
    """What of an interface cannot be changed: its kind, and what is not a LinkField."""
    return type(link), *(getattr(link, field.name) for field in fields(link) if field.name not in CHANGEABLE)


def _settings(change: _Change, *, is_new: bool) -> Iterator[Step]:
    name = change.wanted.name
    if is_new:
        yield AddNamespace(name)
    as_is = frozenset(change.seen.sysctls)
    yield from (SetSysctl(name, sysctl) for sysctl in change.wanted.sysctls if sysctl not in as_is)


def _new_links(changes: Sequence[_Change], wanted: Sequence[NamespaceState]) -> tuple[list[AddLink], Ends]:
    """The interfaces to be made, and all of them, far ends too, as they are once made."""
    ends = {(state.name, link.name): link for state in wanted for link in state.links}
    steps: list[AddLink] = []
    made: Ends = {}
    for change in changes:
        name = change.wanted.name
        for link in change.new:
            if (name, link.name) in made:
                continue
            far = _far_end(name, link, ends)
            steps.append(AddLink(name, link, far))
            made[name, link.name] = replace(link, hairpin=False)
            if far is not None and isinstance(link, Veth):
                made[link.peer_namespace, link.peer] = replace(far, master=None, hairpin=False, up=False)
    return steps, made


def _far_end(namespace: str, link: Link, ends: Ends) -> Link | None:
    if not isinstance(link, Veth):
        return None
    far = ends.get((link.peer_namespace, link.peer))
    if far is None:
        raise ValueError(f"{link.name} in {namespace} has no other end {link.peer} in {link.peer_namespace}")
    return far


def _content(change: _Change, made: Ends) -> Iterator[Step]:
    """What lies on the interfaces of one namespace."""
    name, seen, wanted, kept = change.wanted.name, change.seen, change.wanted, change.kept
    now = {link.name: kept.get(link.name) or made[name, link.name] for link in wanted.links}
    lost = [address for address in seen.addresses if address.link in kept and address not in wanted.addresses]
    renumbered = {address.link for address in lost}
    new_mac = {link.name for link in wanted.links if now[link.name].mac != link.mac}
    steady, known = kept.keys() - renumbered, kept.keys() - new_mac
    routes = [route for route in seen.routes if route.link is None or route.link in kept]
    neighbours = [entry for entry in seen.neighbours if entry.link in kept]
    fdb = [entry for entry in seen.fdb if entry.link in kept]

    yield from (SetLink(name, link, field) for link in wanted.links for field in _differing(now[link.name], link))
    yield from (DeleteAddress(name, address) for address in lost)
    yield from (
        AddAddress(name, it) for it in _missing((a for a in seen.addresses if a.link in steady), wanted.addresses)
    )
    still = (route for route in routes if route.link is None or route.link in steady)
    yield from (AddRoute(name, it) for it in _missing(still, wanted.routes))
    yield from (
        AddNeighbour(name, it) for it in _missing((n for n in neighbours if n.link in known), wanted.neighbours)
    )
    yield from (AddFdbEntry(name, it) for it in _missing(fdb, wanted.fdb))
    yield from (SetTable(name, table) for table in _missing(seen.tables, wanted.tables))
    yield from (DeleteRoute(name, it) for it in _extra(routes, wanted.routes, key=_route_key))
    yield from (DeleteNeighbour(name, it) for it in _extra(neighbours, wanted.neighbours, key=_neighbour_key))
    yield from (DeleteFdbEntry(name, it) for it in _extra(fdb, wanted.fdb, key=_fdb_key))
    yield from (DeleteLink(name, link) for link in change.superfluous)


def _differing(now: Link, wanted: Link) -> tuple[LinkField, ...]:
    """The fields to be changed, in the order in which the kernel takes them."""
    return tuple(field for field in LinkField if getattr(now, field) != getattr(wanted, field))


def _missing(seen: Iterable[Item], wanted: Sequence[Item]) -> list[Item]:
    have = set(seen)
    return [item for item in wanted if item not in have]


def _extra(seen: Sequence[Item], wanted: Sequence[Item], *, key: Callable[[Item], object]) -> list[Item]:
    """What is to go. What has a successor in `wanted` (the same key) is replaced by it and not deleted."""
    successors = {key(item) for item in wanted}
    return [item for item in seen if key(item) not in successors]


def _route_key(route: Route) -> object:
    return route.destination


def _neighbour_key(neighbour: Neighbour) -> object:
    return neighbour.link, neighbour.address


def _fdb_key(entry: FdbEntry) -> object:
    return entry.link, entry.mac
