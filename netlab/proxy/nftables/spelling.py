"""A whole table, and what must change in it when a Route does.

Several Service ports may want the same element (a ClusterIP's, an endpoint's hairpin): it stays until the last of them
has gone. If they disagree about where it leads, as two Services do that claim one external address and port, the first
by name has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from netlab.model.nft_tables import Chain, Element, Key, Set, Table, TablePatch
from netlab.model.rules import Family, IPAddress
from netlab.proxy.collector import collector_resting
from netlab.proxy.config import NodeFacts, ProxyConfig, nodeport_listeners
from netlab.proxy.decide import Route
from netlab.proxy.nftables.base import base_chains, base_elements, base_sets
from netlab.proxy.nftables.choosing import Draw, SizedMap, choosing_chains, maps
from netlab.proxy.nftables.service import NOTHING, ServiceRules, spell_service
from netlab.proxy.ports import PortKey

T = TypeVar("T", Chain, Set)
Place = tuple[str, Key]
"""A set, and a key in it."""
Claim = Element | Draw


def spell(
    routes: Iterable[Route],
    *,
    config: ProxyConfig,
    node: NodeFacts,
    family: Family,
    local_addresses: tuple[IPAddress, ...] = (),
) -> Table:
    """The table of one family. See `Spelling` for the arguments."""
    spelling = Spelling(config=config, node=node, family=family, local_addresses=local_addresses)
    spelling.start({route.key: route for route in routes})
    return spelling.table()


class Spelling:
    """The table of one family on one node, kept up to date Service port by Service port.

    `local_addresses` are those that the machine has now: of them --nodeport-addresses chooses.
    """

    def __init__(
        self, *, config: ProxyConfig, node: NodeFacts, family: Family, local_addresses: tuple[IPAddress, ...] = ()
    ) -> None:
        config = config.on_node(node)
        self._family = family
        self._mark = config.masquerade_mark
        self._listeners = nodeport_listeners(config, local_addresses=local_addresses, family=family)
        self._base = base_chains(config, node, family=family, listeners=self._listeners)
        self._routes: dict[PortKey, Route] = {}
        self._claims: dict[Place, dict[PortKey, Claim]] = {}
        self._sized: Counter[SizedMap] = Counter()
        """How many keys have so many endpoints to choose from."""
        self._choosing = NOTHING
        self._rule_count = 0
        """Of the Services' own chains."""
        self._fresh = True

    @property
    def listeners(self) -> tuple[IPAddress, ...] | None:
        """The addresses on which node ports answer; None: on every local one."""
        return self._listeners

    @property
    def rule_count(self) -> int:
        """How many rules there are, after the last update."""
        if self._fresh:
            self._spell_all()
        return self._rule_count + _rules_of(self._base) + _rules_of(self._choosing.chains)

    def start(self, routes: Mapping[PortKey, Route]) -> None:
        """Forget everything and take in these Routes."""
        self._routes = {key: route for key, route in routes.items() if key.family is self._family}
        self._claims = {}
        self._fresh = True

    def table(self) -> Table:
        """The table as it is after the last update, whole."""
        with collector_resting():
            services = self._spell_all()
        base, shared = self.base(), self.choosing()
        return base._replace(
            sets=(*base.sets, *shared.sets, *(each for service in services for each in service.sets)),
            chains=(*base.chains, *shared.chains, *(chain for service in services for chain in service.chains)),
            elements=tuple(self.elements()),
        )

    def base(self) -> Table:
        """The part of the table that is there whatever Services there are."""
        return Table(self._family, base_sets(), self._base, base_elements(self._listeners))

    def services(self) -> Iterator[ServiceRules]:
        """Every Route's rules, spelled as they are asked for; on the way, who claims what."""
        fresh, count = self._fresh, 0
        for key, route in self._routes.items():
            rules = self._spelled(route)
            if fresh:
                count += _rules_of(rules.chains)
                for element in rules.elements:
                    self._claims.setdefault(element[:2], {})[key] = element
            yield rules
        if fresh:
            self._fresh, self._rule_count = False, count
            self._sized = Counter(_sized(map(_winner, self._claims.values())))
            self._choosing = _shared(self._sized)

    def choosing(self) -> ServiceRules:
        """The chains that choose endpoints for Services, and the maps that they look into, once those are spelled."""
        return self._choosing

    def elements(self) -> Iterator[Element]:
        """What all sets and maps hold, once `services` are spelled."""
        yield from base_elements(self._listeners)
        for each in map(_winner, self._claims.values()):
            yield from _elements(each)

    def update(self, changed: Mapping[PortKey, Route | None]) -> TablePatch:
        """Take in the Routes that changed (None: the port is gone); the least that must change in the table."""
        if self._fresh:
            self._spell_all()
        differences = [
            (key, self._spelled(self._routes.get(key)), self._spelled(route))
            for key, route in changed.items()
            if key.family is self._family
        ]
        for key, _, _ in differences:
            self._routes.pop(key, None)
            if (route := changed[key]) is not None:
                self._routes[key] = route
        self._rule_count += sum(_rules_of(new.chains) - _rules_of(old.chains) for _, old, new in differences)
        before, sized = self._choosing, set(self._sized)
        gone, come = self._claim(differences)
        if self._sized.keys() != sized:
            self._choosing = _shared(self._sized)
        pairs = [(before, self._choosing), *((old, new) for _, old, new in differences)]
        return TablePatch(
            self._family,
            sets=tuple(each for old, new in pairs for each in _beyond(new.sets, old.sets)),
            chains=tuple(each for old, new in pairs for each in _to_fill(old, new)),
            elements_gone=gone,
            elements=come,
            chains_gone=tuple(each for old, new in pairs for each in _names_gone(old.chains, new.chains)),
            sets_gone=tuple(each for old, new in pairs for each in _beyond(old.sets, new.sets)),
        )

    def _spell_all(self) -> list[ServiceRules]:
        return list(self.services())

    def _spelled(self, route: Route | None) -> ServiceRules:
        return NOTHING if route is None else spell_service(route, mark=self._mark)

    def _claim(
        self, differences: list[tuple[PortKey, ServiceRules, ServiceRules]]
    ) -> tuple[tuple[Element, ...], tuple[Element, ...]]:
        """Give up and take elements; which of the kernel's must go, and which must come."""
        places = {each[:2] for _, old, new in differences for each in (*old.elements, *new.elements)}
        before = {place: _winner(claims) for place in places if (claims := self._claims.get(place))}
        for key, old, new in differences:
            for element in old.elements:
                self._claims[element[:2]].pop(key, None)
            for element in new.elements:
                self._claims.setdefault(element[:2], {})[key] = element
        after = {place: _winner(claims) for place in places if (claims := self._claims.get(place))}
        for place in places - after.keys():
            del self._claims[place]
        self._sized.subtract(_sized(before.values()))
        self._sized.update(_sized(after.values()))
        self._sized += Counter()  # without those that there are none of
        gone = [each for place, old in before.items() if after.get(place) != old for each in _elements(old)]
        come = [each for place, new in after.items() if before.get(place) != new for each in _elements(new)]
        stays = set(gone) & set(come)
        return tuple(each for each in gone if each not in stays), tuple(each for each in come if each not in stays)


def _winner(claims: Mapping[PortKey, Claim]) -> Claim:
    return claims[min(claims)] if len(claims) > 1 else next(iter(claims.values()))


def _sized(claimed: Iterable[Claim]) -> list[SizedMap]:
    return [each.sized for each in claimed if isinstance(each, Draw)]


def _shared(sized: Collection[SizedMap]) -> ServiceRules:
    return ServiceRules(choosing_chains(sized), tuple(maps(sized)))


def _elements(claimed: Claim) -> Sequence[Element]:
    return claimed.elements() if isinstance(claimed, Draw) else (claimed,)


def _rules_of(chains: Iterable[Chain]) -> int:
    return sum([len(chain.rules) for chain in chains])


def _to_fill(old: ServiceRules, new: ServiceRules) -> Iterable[Chain]:
    """The chains that are different; all, where a set that they name is made anew."""
    kept = {each.name for each in old.sets} & {each.name for each in new.sets}
    anew = any(each.name in kept for each in _beyond(new.sets, old.sets))
    return new.chains if anew else _beyond(new.chains, old.chains)


def _beyond(these: Iterable[T], those: Iterable[T]) -> Iterator[T]:
    known = set(those)
    return (each for each in these if each not in known)


def _names_gone(old: Iterable[Chain], new: Iterable[Chain]) -> Iterator[str]:
    kept = {chain.name for chain in new}
    return (chain.name for chain in old if chain.name not in kept)
