"""All Routes of one family in ipvs mode, kept up to date Service port by Service port, and what differs after a change.

Several Service ports may want the same thing (an address, an entry): it goes when the last of them goes. Where two want
the same virtual server with other real servers, as two Services do that claim one external address and port, the first
by name has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Generic, TypeVar

from netlab.model.ipvs import AddressSet, ServerKey, SetEntry, VirtualServer
from netlab.model.rules import Family, IPAddress, Table, VirtualMatch
from netlab.proxy.config import NodeFacts, ProxyConfig, local_traffic, nodeport_listeners
from netlab.proxy.decide import Route
from netlab.proxy.ipvs import names
from netlab.proxy.ipvs.rules import tables
from netlab.proxy.ipvs.service import ServiceParts, spell_service
from netlab.proxy.ports import PortKey

Thing = TypeVar("Thing", bound=Hashable)
Entry = tuple[str, SetEntry]
_NOTHING = ServiceParts()


@dataclass(frozen=True, slots=True)
class Difference:
    """What a change asks of the kernel. `tables` is None where the rules are still the same.

    Entries name their set as the kernel does.
    """

    servers: tuple[VirtualServer, ...] = ()
    """New ones, and those that are different."""
    servers_gone: tuple[ServerKey, ...] = ()
    entries: tuple[Entry, ...] = ()
    entries_gone: tuple[Entry, ...] = ()
    bound: tuple[IPAddress, ...] = ()
    unbound: tuple[IPAddress, ...] = ()
    tables: tuple[Table, ...] | None = None

    @property
    def nothing(self) -> bool:
        """Whether the kernel need not be touched."""
        return self == _SAME


_SAME = Difference()


@dataclass(slots=True)
class _Tally(Generic[Thing]):
    """How many want each thing, and what became wanted or unwanted since `settle`."""

    counts: Counter[Thing] = field(default_factory=Counter)
    before: dict[Thing, bool] = field(default_factory=dict)

    def change(self, old: Iterable[Thing], new: Iterable[Thing]) -> None:
        for thing in new:
            self.before.setdefault(thing, thing in self.counts)
            self.counts[thing] += 1
        for thing in old:
            self.before.setdefault(thing, thing in self.counts)
            self.counts[thing] -= 1
            if not self.counts[thing]:
                del self.counts[thing]

    def settle(self) -> tuple[tuple[Thing, ...], tuple[Thing, ...]]:
        """What is wanted now and was not, and what was wanted and is not."""
        added = tuple(thing for thing, was in self.before.items() if not was and thing in self.counts)
        gone = tuple(thing for thing, was in self.before.items() if was and thing not in self.counts)
        self.before.clear()
        return added, gone


class Spelling:
    """The virtual servers, address sets, addresses and rules of one family on one node.

    `node_addresses` are those of all its interfaces but kube-ipvs0.
    """

    def __init__(
        self, *, config: ProxyConfig, node: NodeFacts, family: Family, node_addresses: tuple[IPAddress, ...] = ()
    ) -> None:
        self._config = config = config.on_node(node)
        self._family = family
        self._local_traffic = local_traffic(config, node, family=family)
        self._settle_on(node_addresses)
        self._routes: dict[PortKey, Route] = {}
        self._parts: dict[PortKey, ServiceParts] = {}
        self._claims: dict[ServerKey, dict[PortKey, VirtualServer]] = {}
        self._entries: _Tally[Entry] = _Tally()
        self._filled: _Tally[str] = _Tally()
        self._bound: _Tally[IPAddress] = _Tally()
        self._barred: _Tally[VirtualMatch] = _Tally()

    def _settle_on(self, node_addresses: tuple[IPAddress, ...]) -> None:
        chosen = nodeport_listeners(self._config, local_addresses=node_addresses, family=self._family)
        ours = node_addresses if chosen is None else chosen
        self._everywhere = chosen is None
        self._listeners = tuple(dict.fromkeys(a for a in ours if _may_listen(a, self._family)))
        self._node_addresses = frozenset(node_addresses)

    # --- in

    def move_to(self, node_addresses: tuple[IPAddress, ...]) -> None:
        """The node's addresses are these now: where they are others, everything is spelled anew."""
        if frozenset(node_addresses) != self._node_addresses:
            self._settle_on(node_addresses)
            self.start(dict(self._routes))

    def start(self, routes: Mapping[PortKey, Route]) -> None:
        """Forget everything and take in these Routes."""
        self._routes.clear()
        self._parts.clear()
        self._claims.clear()
        self._entries, self._filled, self._bound, self._barred = _Tally(), _Tally(), _Tally(), _Tally()
        self.update(dict(routes))

    def update(self, changed: Mapping[PortKey, Route | None]) -> Difference:
        """Take in the Routes that changed (None: the port is gone); what is different now."""
        touched: dict[ServerKey, VirtualServer | None] = {}
        for key, route in changed.items():
            if key.family is self._family:
                self._keep(key, route)
                self._take(key, self._spelled(route) if route is not None else _NOTHING, touched)
        entries, entries_gone = self._entries.settle()
        bound, unbound = self._bound.settle()
        same_rules = not any((*self._filled.settle(), *self._barred.settle()))
        after = {key: self._server(key) for key in touched}
        return Difference(
            servers=tuple(server for key, server in after.items() if server and server != touched[key]),
            servers_gone=self.unwanted(key for key, server in after.items() if not server and touched[key]),
            entries=(*map(self._named, entries), *((self._named((names.IPVS_IPS, SetEntry(a)))) for a in bound)),
            entries_gone=(
                *map(self._named, entries_gone),
                *((self._named((names.IPVS_IPS, SetEntry(a)))) for a in unbound),
            ),
            bound=bound,
            unbound=unbound,
            tables=None if same_rules else self.tables(),
        )

    def _keep(self, key: PortKey, route: Route | None) -> None:
        if route is None:
            self._routes.pop(key, None)
        else:
            self._routes[key] = route

    def _spelled(self, route: Route) -> ServiceParts:
        return spell_service(
            route,
            scheduler=self._config.ipvs_scheduler,
            node_addresses=self._node_addresses,
            listeners=self._listeners,
        )

    def _take(self, key: PortKey, new: ServiceParts, touched: dict[ServerKey, VirtualServer | None]) -> None:
        old = self._parts.pop(key, _NOTHING)
        if new is not _NOTHING:
            self._parts[key] = new
        for server in (*old.servers, *new.servers):
            touched.setdefault(server.key, self._server(server.key))
        for server in old.servers:
            self._claims.get(server.key, {}).pop(key, None)
        for server in new.servers:
            self._claims.setdefault(server.key, {})[key] = server
        for server in old.servers:
            if not self._claims.get(server.key, True):
                del self._claims[server.key]
        self._entries.change(old.entries, new.entries)
        self._filled.change(_set_names(old), _set_names(new))
        self._bound.change(old.bound, new.bound)
        self._barred.change(old.barred, new.barred)

    # --- as last taken in

    @property
    def listeners(self) -> tuple[IPAddress, ...] | None:
        """The addresses on which node ports answer; None: on every one that the node has of its own."""
        return None if self._everywhere else self._listeners

    @property
    def servers(self) -> dict[ServerKey, VirtualServer]:
        """The virtual servers."""
        return {key: claims[min(claims)] for key, claims in self._claims.items()}

    def unwanted(self, keys: Iterable[ServerKey]) -> tuple[ServerKey, ...]:
        """Those of these virtual servers that are to go: what --ipvs-exclude-cidrs holds is left alone."""
        spared = self._config.ipvs_exclude_cidrs
        return tuple(key for key in keys if key not in self._claims and not any(key.address in each for each in spared))

    @property
    def sets(self) -> tuple[AddressSet, ...]:
        """The address sets, all of the family, some of them empty."""
        entries: dict[str, set[SetEntry]] = {}
        for name, entry in map(self._named, self._entries.counts):
            entries.setdefault(name, set()).add(entry)
        entries[names.set_name(names.IPVS_IPS, self._family)] = {SetEntry(address) for address in self.bound}
        empty = names.empty_sets(self._family)
        return tuple(each._replace(entries=frozenset(entries.get(each.name, ()))) for each in empty)

    @property
    def bound(self) -> frozenset[IPAddress]:
        """The addresses that kube-ipvs0 has."""
        return frozenset(self._bound.counts)

    def tables(self) -> tuple[Table, ...]:
        """The rules."""
        return tables(
            config=self._config,
            family=self._family,
            local_traffic=self._local_traffic,
            filled=self._filled.counts.keys(),
            barred=sorted(self._barred.counts, key=attrgetter("address", "port", "protocol")),
        )

    def rule_counts(self) -> Mapping[str, int]:
        """How many rules there are in each table, hooks among them."""
        return {table.name: len(table.hooks) + sum(len(c.rules) for c in table.chains) for table in self.tables()}

    def _server(self, key: ServerKey) -> VirtualServer | None:
        claims = self._claims.get(key)
        return claims[min(claims)] if claims else None

    def _named(self, entry: Entry) -> Entry:
        return names.set_name(entry[0], self._family), entry[1]


def _set_names(parts: ServiceParts) -> Iterable[str]:
    return [name for name, _ in parts.entries]


def _may_listen(address: IPAddress, family: Family) -> bool:
    """Loopback and link-local addresses are left out: a virtual server there could be reached by nobody else."""
    ours = (address.version == 4) == (family is Family.IPV4)
    return ours and not address.is_loopback and not (address.version == 6 and address.is_link_local)
