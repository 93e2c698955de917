"""From what is to what is wanted: the steps between two states, in an order that the kernel accepts.

First the namespaces and the cables between them, then what lies on them, namespace by namespace (so that each can be
filled in one batch), deletions last: what stays is never without a route in between. Deleted before that is only what
stands in the way: an interface of a wanted name that is something else, and an address that is to be another, since
Linux takes all addresses of a subnet away with the first.

What the kernel does by itself has no step: the far end of a deleted cable, the content of a deleted namespace, the
routes and neighbours of a deleted interface.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import TypeGuard, TypeVar

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
End = tuple[str, str]
"""An interface by its namespace's name and its own."""


def diff(seen: Sequence[NamespaceState], wanted: Sequence[NamespaceState]) -> tuple[Step, ...]:
    """The steps that turn `seen` into `wanted`; none where they agree.

    Settings and tables that `wanted` does not name stay as they are. Of the two ends of a cable, the one that comes
    first in `wanted` is the one that makes it. ValueError: a cable in `wanted` has only one end.
    """
    before = {state.name: state for state in seen}
    gone = before.keys() - {state.name for state in wanted}
    changed = [state for state in wanted if before.get(state.name) != state]
    changes = [_Change(before.get(state.name, _fresh(state.name)), state) for state in changed]
    cut: set[End] = set()
    in_the_way = _cuts(changes, cut, lambda change: change.in_the_way)
    cut.update((link.peer_namespace, link.peer) for name in gone for link in before[name].links if _is_veth(link))
    superfluous = _cuts(changes, cut, lambda change: change.superfluous)
    new_links, made = _new_links(changes, wanted)
    return (
        *(step for change in changes for step in _settings(change, is_new=change.name not in before)),
        *in_the_way,
        *new_links,
        *(step for change in changes for step in _additions(change, made)),
        *(step for change in changes for step in _removals(change)),
        *superfluous,
        *(DeleteNamespace(name) for name in sorted(gone)),
    )


class _Change:
    """One namespace before and after, and which of its interfaces stay (`kept`), come and go."""

    def __init__(self, seen: NamespaceState, wanted: NamespaceState) -> None:
        self.name = wanted.name
        self.seen = seen
        self.wanted = wanted
        identities = {link.name: _identity(link) for link in wanted.links}
        self.kept = {link.name: link for link in seen.links if identities.get(link.name) == _identity(link)}
        self.new = [link for link in wanted.links if link.name not in self.kept]
        gone = [link for link in seen.links if link.name not in self.kept]
        self.in_the_way = [link for link in gone if link.name in identities]
        self.superfluous = [link for link in gone if link.name not in identities]


def _fresh(name: str) -> NamespaceState:
    return NamespaceState(name=name, links=(Loopback(up=False),))


def _identity(link: Link) -> tuple[object, ...]:
    """What of an interface cannot be changed: its kind, and what is not a LinkField."""
    return type(link), *(getattr(link, field.name) for field in fields(link) if field.name not in CHANGEABLE)


def _settings(change: _Change, *, is_new: bool) -> Iterator[Step]:
    if is_new:
        yield AddNamespace(change.name)
    as_is = frozenset(change.seen.sysctls)
    yield from (SetSysctl(change.name, sysctl) for sysctl in change.wanted.sysctls if sysctl not in as_is)


def _cuts(changes: Sequence[_Change], cut: set[End], choose: Callable[[_Change], Iterable[Link]]) -> list[DeleteLink]:
    """Delete the chosen interfaces; `cut` has the far ends that go with others, and gets more."""
    steps = []
    for change in changes:
        for link in choose(change):
            if (change.name, link.name) in cut:
                continue
            steps.append(DeleteLink(change.name, link))
            if _is_veth(link):
                cut.add((link.peer_namespace, link.peer))
    return steps


def _is_veth(link: Link) -> TypeGuard[Veth]:
    """Whether the interface is a cable's end."""
    return isinstance(link, Veth)


def _new_links(changes: Sequence[_Change], wanted: Sequence[NamespaceState]) -> tuple[list[AddLink], dict[End, Link]]:
    """The interfaces to be made, and all of them, far ends too, as they are once made."""
    ends = {(state.name, link.name): link for state in wanted for link in state.links}
    steps: list[AddLink] = []
    made: dict[End, Link] = {}
    for change in changes:
        for link in change.new:
            if (change.name, link.name) in made:
                continue
            far = _far_end(change.name, link, ends)
            steps.append(AddLink(change.name, link, far))
            made[change.name, link.name] = replace(link, hairpin=False)
            if far is not None and isinstance(link, Veth):
                made[link.peer_namespace, link.peer] = replace(far, master=None, hairpin=False, up=False)
    return steps, made


def _far_end(namespace: str, link: Link, ends: Mapping[End, Link]) -> Link | None:
    if not isinstance(link, Veth):
        return None
    far = ends.get((link.peer_namespace, link.peer))
    if far is None:
        raise ValueError(f"{link.name} in {namespace} has no other end {link.peer} in {link.peer_namespace}")
    return far


def _additions(change: _Change, made: Mapping[End, Link]) -> Iterator[Step]:
    """Put on the interfaces of one namespace what is missing there."""
    name, seen, wanted, kept = change.name, change.seen, change.wanted, change.kept
    now = {link.name: kept.get(link.name) or made[name, link.name] for link in wanted.links}
    lost = [address for address in seen.addresses if address.link in kept and address not in wanted.addresses]
    # Losing an address may cost an interface its other addresses and its routes, a new MAC costs it its neighbours.
    steady = kept.keys() - {address.link for address in lost}
    known = kept.keys() - {link.name for link in wanted.links if now[link.name].mac != link.mac}
    addresses = [address for address in seen.addresses if address.link in steady]
    routes = [route for route in seen.routes if route.link is None or route.link in steady]
    neighbours = [entry for entry in seen.neighbours if entry.link in known]
    fdb = [entry for entry in seen.fdb if entry.link in kept]
    yield from (SetLink(name, link, field) for link in wanted.links for field in _differing(now[link.name], link))
    yield from (DeleteAddress(name, address) for address in lost)
    yield from (AddAddress(name, address) for address in _missing(addresses, wanted.addresses))
    yield from (AddRoute(name, route) for route in _missing(routes, wanted.routes))
    yield from (AddNeighbour(name, entry) for entry in _missing(neighbours, wanted.neighbours))
    yield from (AddFdbEntry(name, entry) for entry in _missing(fdb, wanted.fdb))
    yield from (SetTable(name, table) for table in _missing(seen.tables, wanted.tables))


def _removals(change: _Change) -> Iterator[Step]:
    """Take away what is too much on the interfaces that stay."""
    name, seen, wanted, kept = change.name, change.seen, change.wanted, change.kept
    routes = [route for route in seen.routes if route.link is None or route.link in kept]
    neighbours = [entry for entry in seen.neighbours if entry.link in kept]
    fdb = [entry for entry in seen.fdb if entry.link in kept]
    yield from (DeleteRoute(name, route) for route in _extra(routes, wanted.routes, key=_route_key))
    yield from (DeleteNeighbour(name, entry) for entry in _extra(neighbours, wanted.neighbours, key=_neighbour_key))
    yield from (DeleteFdbEntry(name, entry) for entry in _extra(fdb, wanted.fdb, key=_fdb_key))


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
