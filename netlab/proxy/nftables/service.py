"""One Route as nftables: the chains of its own, and what it puts into the maps that Services share.

    service-ips ───────> service-X or local-X ──> endpoints or local-endpoints: dnat
    service-nodeports ─> external-X ──┘               (with affinity a chain and a set for each endpoint)
    firewall-ips ──────> firewall-X: drop outsiders, before anything is translated
    no-endpoint-...  ──> reject-chain, or drop

kube-proxy picks the endpoint by an anonymous map for each Service, `dnat to numgen random mod 3 map {...}`, in which
nearly all of its time is spent in the kernel. Here Services share maps with names (`choosing`): packets fare the same,
and the kernel takes them hundreds of times faster. With affinity there are as many rules as endpoints, each followed
with the chance that leaves all alike.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from ipaddress import IPv4Network, collapse_addresses
from typing import NamedTuple, cast

from netlab.model.nft_rules import (
    AddressIn,
    AddressInAny,
    Dnat,
    Drop,
    Field,
    Goto,
    IncomingInterface,
    InSet,
    LocalAddress,
    OfProtocol,
    OneIn,
    Part,
    RememberSource,
    Rule,
    SetMark,
    Side,
)
from netlab.model.nft_tables import Chain, Element, Key, KeyType, Set
from netlab.model.rules import IPAddress
from netlab.proxy.config import FromNetwork, LocalTraffic
from netlab.proxy.decide import Fate, Route
from netlab.proxy.nftables import names
from netlab.proxy.nftables.choosing import BY_ADDRESS, BY_NODE_PORT, Draw
from netlab.proxy.slices import Endpoint


class ServiceRules(NamedTuple):
    """What one Service port needs."""

    chains: tuple[Chain, ...] = ()
    sets: tuple[Set, ...] = ()
    elements: tuple[Element | Draw, ...] = ()


NOTHING = ServiceRules()
CHOOSE, CHOOSE_HERE = (Rule((Goto(names.ENDPOINTS),)),), (Rule((Goto(names.LOCAL_ENDPOINTS),)),)
AFFINITY_SIZE = 65535
"""Clients that the memory of one endpoint holds."""


def spell_service(route: Route, *, mark: int) -> ServiceRules:
    """Spell one Route; `mark` asks for masquerading."""
    speller = _Speller(route, mark)
    sets = () if route.port.affinity_seconds is None else tuple(speller.sets())
    return ServiceRules(tuple(speller.chains()), sets, tuple(speller.elements()))


def local_match(local: LocalTraffic) -> AddressIn | IncomingInterface:
    """What matches packets of the cluster's own Pods."""
    if isinstance(local, FromNetwork):
        return AddressIn(Side.SOURCE, local.network)
    return IncomingInterface(local.name, local.prefix)


class _Speller:
    """The words that the rules of one Route share, and a method a chain.

    What every Service has is put into lists, all else yielded: with tens of thousands a generator each is felt.
    """

    def __init__(self, route: Route, mark: int) -> None:
        self.route = route
        self.port = route.port
        self.key = route.port.key
        self.name = names.port_name(self.key)
        self.mark = mark

    # --- in shared sets and maps

    def elements(self) -> list[Element | Draw]:
        route, port = self.route, self.port
        found: list[Element | Draw] = [Element(names.CLUSTER_IPS, (port.cluster_ip,))]
        found += [self._hairpin(endpoint) for endpoint in route.reachable if endpoint.local]
        if self._leads_on(route.internal):
            key = self._key(port.cluster_ip)
            found.append(Element(names.SERVICE_IPS, key, Goto(self._policy_chain(route.internal))))
            found += self._draws(key, BY_ADDRESS, fates=(route.internal,))
        else:
            found.append(self._blocked(port.cluster_ip, route.internal))
        if port.externally_accessible:
            found += self._from_outside()
        return found

    def _from_outside(self) -> Iterator[Element | Draw]:
        route, port = self.route, self.port
        for address in (*port.external_ips, *port.load_balancer_ips):
            yield from self._outside_address(address)
        if route.allowed_sources is not None:
            for address in port.load_balancer_ips:
                yield Element(names.FIREWALL_IPS, self._key(address), Goto(f"firewall-{self.name}"))
        if port.node_port:
            yield from self._node_port(port.node_port)

    def _key(self, address: IPAddress) -> Key:
        return address, self.key.protocol, self.port.port

    def _hairpin(self, endpoint: Endpoint) -> Element:
        return Element(names.HAIRPIN, (endpoint.address, endpoint.address, self.key.protocol, endpoint.port))

    def _blocked(self, address: IPAddress, fate: Fate) -> Element:
        return Element(names.NO_ENDPOINT_SERVICES, self._key(address), _verdict(fate), str(self.key))

    def _outside_address(self, address: IPAddress) -> Iterator[Element | Draw]:
        """Under policy Local without an endpoint here, Pods and the node still go on; others meet the drop."""
        if not self.route.refused:
            key = self._key(address)
            yield Element(names.SERVICE_IPS, key, Goto(f"external-{self.name}"))
            yield from self._draws(key, BY_ADDRESS, fates=self._external_fates())
        if not self._leads_on(self.route.external):
            yield self._blocked(address, self.route.external)

    def _node_port(self, number: int) -> Iterator[Element | Draw]:
        key = (self.key.protocol, number)
        if not self.route.refused:
            yield Element(names.SERVICE_NODEPORTS, key, Goto(f"external-{self.name}"))
            yield from self._draws(key, BY_NODE_PORT, fates=self._external_fates())
        if not self._leads_on(self.route.external):
            yield Element(names.NO_ENDPOINT_NODEPORTS, key, _verdict(self.route.external), str(self.key))

    def _draws(self, key: Key, maps: tuple[str, str], *, fates: Collection[Fate]) -> Iterator[Draw]:
        """What packets with the key draw from, of all endpoints and of this node's. With affinity the chains choose."""
        if self.port.affinity_seconds is None:
            of_all, of_node = maps
            if Fate.CLUSTER in fates:
                yield Draw(of_all, key, _targets(self.route.cluster))
            if Fate.LOCAL in fates:
                yield Draw(of_node, key, _targets(self.route.local))

    def _external_fates(self) -> tuple[Fate, ...]:
        """What may become of packets from outside, and of those that take a short cut."""
        return (self.route.external, Fate.CLUSTER) if self.route.external_stays_on_node else (self.route.external,)

    @staticmethod
    def _leads_on(fate: Fate) -> bool:
        return fate is Fate.CLUSTER or fate is Fate.LOCAL

    def _policy_chain(self, fate: Fate) -> str:
        return f"service-{self.name}" if fate is Fate.CLUSTER else f"local-{self.name}"

    # --- chains of its own

    def chains(self) -> list[Chain]:
        route, found = self.route, list[Chain]()
        if self.port.affinity_seconds is not None:
            found += [
                Chain(self._endpoint_chain(endpoint), tuple(self._endpoint_rules(endpoint)))
                for endpoint in route.reachable
            ]
        if route.cluster:
            found.append(Chain(f"service-{self.name}", self._policy_rules(route.cluster, CHOOSE)))
        if route.local:
            found.append(Chain(f"local-{self.name}", self._policy_rules(route.local, CHOOSE_HERE)))
        if self.port.externally_accessible and not route.refused:
            found.append(Chain(f"external-{self.name}", tuple(self._external_rules())))
        if route.allowed_sources is not None:
            found.append(Chain(f"firewall-{self.name}", tuple(self._firewall_rules())))
        return found

    def sets(self) -> Iterator[Set]:
        """With affinity, the clients that each endpoint remembers."""
        seconds = self.port.affinity_seconds
        if seconds is not None:
            for endpoint in self.route.reachable:
                yield Set(self._memory(endpoint), (KeyType.ADDRESS,), seconds=seconds, size=AFFINITY_SIZE)

    def _endpoint_chain(self, endpoint: Endpoint) -> str:
        return f"endpoint-{names.endpoint_name(self.key, endpoint)}"

    def _memory(self, endpoint: Endpoint) -> str:
        return f"affinity-{names.endpoint_name(self.key, endpoint)}"

    def _policy_rules(self, endpoints: tuple[Endpoint, ...], choose: tuple[Rule, ...]) -> tuple[Rule, ...]:
        """With affinity, clients that are remembered, then every endpoint with the chance that leaves all alike."""
        if self.port.affinity_seconds is None:
            return choose
        chains = [Goto(self._endpoint_chain(endpoint)) for endpoint in endpoints]
        known = [InSet((Field.SOURCE,), self._memory(endpoint)) for endpoint in endpoints]
        remembered = map(Rule, zip(known, chains, strict=True))
        return (*remembered, *_by_chance(chains))

    def _endpoint_rules(self, endpoint: Endpoint) -> Iterator[Rule]:
        yield Rule((RememberSource(self._memory(endpoint)),))
        yield Rule((OfProtocol(self.key.protocol), Dnat(endpoint.address, endpoint.port)))

    def _external_rules(self) -> Iterator[Rule]:
        if not self.route.external_stays_on_node:
            yield Rule((SetMark(self.mark),), "masquerade")
        else:
            yield from self._short_cuts()
        if self._leads_on(self.route.external):
            yield Rule((Goto(self._policy_chain(self.route.external)),))

    def _short_cuts(self) -> Iterator[Rule]:
        """Pods and the node go to any endpoint, as if they had gone out to a load balancer and come back in."""
        everywhere, from_node = Goto(f"service-{self.name}"), LocalAddress(Side.SOURCE)
        if self.route.local_traffic:
            yield Rule((local_match(self.route.local_traffic), everywhere), "short-circuit pod traffic")
        yield Rule((from_node, SetMark(self.mark)), "masquerade local traffic")
        yield Rule((from_node, everywhere), "short-circuit local traffic")

    def _firewall_rules(self) -> Iterator[Rule]:
        ranges = cast("Iterable[IPv4Network]", self.route.allowed_sources or ())  # or IPv6Network, never both
        allowed = tuple(collapse_addresses(ranges))  # nftables takes none that overlap
        yield Rule((AddressInAny(Side.SOURCE, allowed, negated=True), Drop()))


def _targets(endpoints: Iterable[Endpoint]) -> tuple[Dnat, ...]:
    return tuple([Dnat(endpoint.address, endpoint.port) for endpoint in endpoints])


def _by_chance(ends: Sequence[Part]) -> Iterator[Rule]:
    """One rule for each end: the first taken by one packet in so many, the last by all that come so far."""
    for left, end in zip(range(len(ends), 0, -1), ends, strict=True):
        yield Rule((OneIn(left), end) if left > 1 else (end,))


def _verdict(fate: Fate) -> Goto | Drop:
    return Goto(names.REJECT) if fate is Fate.REFUSED else Drop()
