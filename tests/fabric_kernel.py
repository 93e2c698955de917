"""A kernel in memory: what the steps of a plan do to namespaces, with the refusals and side effects of the real one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from netlab.model.rules import Table
from netlab.model.state import (
    Address,
    FdbEntry,
    Link,
    Loopback,
    NamespaceState,
    Neighbour,
    Route,
    RouteKind,
    Sysctl,
    Veth,
)
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


class Refused(AssertionError):
    """The kernel would answer with an error."""


@dataclass(slots=True)
class Namespace:
    """One namespace's tables, each keyed as the kernel keys it."""

    sysctls: dict[str, str] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=lambda: {"lo": Loopback(up=False)})
    addresses: list[Address] = field(default_factory=list)
    routes: dict[object, Route] = field(default_factory=dict)
    neighbours: dict[object, Neighbour] = field(default_factory=dict)
    fdb: dict[object, FdbEntry] = field(default_factory=dict)
    tables: dict[object, Table] = field(default_factory=dict)


class FakeKernel:
    """Carries out steps; `states` reads back."""

    def __init__(self, states: Iterable[NamespaceState] = ()) -> None:
        self._namespaces = {state.name: _namespace(state) for state in states}

    def apply(self, steps: Iterable[Step]) -> None:
        """Carry out the steps in order; Refused where the kernel would refuse one."""
        for step in steps:
            self._apply(step)

    def states(self) -> tuple[NamespaceState, ...]:
        """What the namespaces hold."""
        return tuple(_state(name, namespace) for name, namespace in self._namespaces.items())

    def _apply(self, step: Step) -> None:
        match step:
            case AddNamespace(name):
                self._refuse_if(name in self._namespaces, step, "File exists")
                self._namespaces[name] = Namespace()
            case DeleteNamespace(name):
                for link in list(self._at(step).links.values()):
                    self._delete_far_end(link)
                del self._namespaces[name]
            case AddLink(_, link, far):
                self._add_link(step, link, far)
            case SetLink(_, link, link_field):
                self._set_link(step, link, link_field)
            case DeleteLink(_, link):
                self._refuse_if(link.name not in self._at(step).links, step, "Cannot find device")
                self._delete_far_end(self._at(step).links[link.name])
                _delete_link(self._at(step), link.name)
            case _:
                self._apply_content(self._at(step), step)

    def _apply_content(self, here: Namespace, step: Step) -> None:
        match step:
            case SetSysctl(_, Sysctl(key, value)):
                here.sysctls[key] = value
            case SetTable(_, table):
                here.tables[table.family, table.name] = table
            case AddAddress(_, address):
                self._refuse_if(address.link not in here.links, step, "Cannot find device")
                here.addresses = [*(each for each in here.addresses if each != address), address]
            case DeleteAddress(_, address):
                _delete_address(here, address)
            case AddRoute(_, route):
                self._check_route(here, step, route)
                here.routes[route.destination] = route
            case DeleteRoute(_, route):
                here.routes.pop(route.destination, None)
            case AddNeighbour(_, entry):
                self._refuse_if(entry.link not in here.links, step, "Cannot find device")
                here.neighbours[entry.link, entry.address] = entry
            case DeleteNeighbour(_, entry):
                here.neighbours.pop((entry.link, entry.address), None)
            case AddFdbEntry(_, entry):
                self._refuse_if(entry.link not in here.links, step, "Cannot find device")
                here.fdb[entry.link, entry.mac] = entry
            case DeleteFdbEntry(_, entry):
                here.fdb.pop((entry.link, entry.mac), None)
            case _:
                raise TypeError(step)

    def _add_link(self, step: AddLink, link: Link, far: Link | None) -> None:
        here = self._at(step)
        self._refuse_if(link.name in here.links, step, "File exists")
        self._refuse_if(bool(link.master) and link.master not in here.links, step, "Device does not exist")
        here.links[link.name] = replace(link, hairpin=False)
        if isinstance(link, Veth):
            there = self._namespaces.get(link.peer_namespace)
            if there is None or far is None or far.name in there.links:
                raise Refused(f"{step}: no place for the far end")
            there.links[far.name] = replace(far, master=None, hairpin=False, up=False)

    def _set_link(self, step: SetLink, link: Link, link_field: LinkField) -> None:
        here = self._at(step)
        now = here.links.get(link.name)
        self._refuse_if(now is None, step, "Cannot find device")
        self._refuse_if(link_field is LinkField.HAIRPIN and not (now and now.master), step, "Operation not supported")
        if now:
            here.links[link.name] = replace(now, **{link_field.value: getattr(link, link_field)})
        if link_field is LinkField.MAC:
            here.neighbours = {key: each for key, each in here.neighbours.items() if each.link != link.name}

    def _check_route(self, here: Namespace, step: Step, route: Route) -> None:
        if route.kind is RouteKind.UNREACHABLE:
            return
        link = here.links.get(route.link or "")
        self._refuse_if(link is None or not link.up, step, "Network is down")
        self._refuse_if(not _is_reachable(here, route), step, "Nexthop has invalid gateway")

    def _delete_far_end(self, link: Link) -> None:
        if isinstance(link, Veth) and link.peer_namespace in self._namespaces:
            _delete_link(self._namespaces[link.peer_namespace], link.peer)

    def _at(self, step: Step) -> Namespace:
        self._refuse_if(step.namespace not in self._namespaces, step, "No such file or directory")
        return self._namespaces[step.namespace]

    def _refuse_if(self, wrong: bool, step: Step, answer: str) -> None:
        if wrong:
            raise Refused(f"{answer}: {step}")


def _is_reachable(here: Namespace, route: Route) -> bool:
    """Whether the next hop is on the link: by an address, a route without a next hop, or because `onlink` says so."""
    if route.via is None or route.onlink or route.via.is_link_local:
        return True
    own = (each.interface.network for each in here.addresses if each.link == route.link)
    direct = (each.destination for each in here.routes.values() if each.link == route.link and each.via is None)
    return any(route.via in network for network in (*own, *direct))


def _delete_address(here: Namespace, address: Address) -> None:
    """With the first address of a subnet its others go, and with an interface's last one all of its routes."""
    same = [each for each in here.addresses if each.link == address.link]
    subnet = [each for each in same if each.interface.network == address.interface.network]
    gone = subnet if subnet and subnet[0] == address else [address]
    here.addresses = [each for each in here.addresses if each not in gone]
    if not any(each.link == address.link for each in here.addresses):
        here.routes = {key: each for key, each in here.routes.items() if each.link != address.link}


def _delete_link(here: Namespace, name: str) -> None:
    here.links.pop(name, None)
    here.addresses = [each for each in here.addresses if each.link != name]
    here.routes = {key: each for key, each in here.routes.items() if each.link != name}
    here.neighbours = {key: each for key, each in here.neighbours.items() if each.link != name}
    here.fdb = {key: each for key, each in here.fdb.items() if each.link != name}


def _namespace(state: NamespaceState) -> Namespace:
    return Namespace(
        sysctls={each.key: each.value for each in state.sysctls},
        links={each.name: each for each in state.links},
        addresses=list(state.addresses),
        routes={each.destination: each for each in state.routes},
        neighbours={(each.link, each.address): each for each in state.neighbours},
        fdb={(each.link, each.mac): each for each in state.fdb},
        tables={(each.family, each.name): each for each in state.tables},
    )


def _state(name: str, namespace: Namespace) -> NamespaceState:
    return NamespaceState(
        name=name,
        sysctls=tuple(Sysctl(key, value) for key, value in namespace.sysctls.items()),
        links=tuple(namespace.links.values()),
        addresses=tuple(namespace.addresses),
        routes=tuple(namespace.routes.values()),
        neighbours=tuple(namespace.neighbours.values()),
        fdb=tuple(namespace.fdb.values()),
        tables=tuple(namespace.tables.values()),
    )


def same(one: Sequence[NamespaceState], other: Sequence[NamespaceState]) -> bool:
    """Whether two readings say the same, in whatever order."""
    return {each.name: _unordered(each) for each in one} == {each.name: _unordered(each) for each in other}


def _unordered(state: NamespaceState) -> tuple[frozenset[object], ...]:
    return tuple(frozenset(values) for values in _sequences(state))


def _sequences(state: NamespaceState) -> Iterator[tuple[object, ...]]:
    yield from (state.sysctls, state.links, state.addresses, state.routes, state.neighbours, state.fdb, state.tables)
