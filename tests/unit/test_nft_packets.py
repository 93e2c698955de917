"""What becomes of a packet in mode nftables: the packet tables, and any Services, traced through the rules.

tests/kernel/test_proxy_packets.py sends the packets of the tables through a kernel.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from ipaddress import ip_address
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nft_tracer import NftNode
from proxy_deeds import WORLDS, Deed, after
from proxy_objects import CONFIG, MACHINE_ADDRESSES, NODE1, NODE1_6, node, tables, tracker
from proxy_tables import SCENES, Probe, Scene
from proxy_tables.differences import in_nftables
from proxy_tracer import DROPPED, REFUSED, UNTOUCHED, Node, Outcome

from netlab.model.modes import ProxyMode
from netlab.model.objects import KubernetesObject
from netlab.model.rules import Family, IPAddress, Protocol
from netlab.proxy.addresses import with_port
from netlab.proxy.config import FromNetwork, ProxyConfig
from netlab.proxy.decide import Fate, MasqueradeClients, Route, decide_all
from netlab.proxy.nftables import spell
from netlab.proxy.slices import Endpoint

NEW_HERE = [scene for scene in SCENES if not scene.policies]
"""Without policies of the host's own tables, which are another table's matter."""
CLIENTS = {
    Family.IPV4: ("10.244.1.9", "10.244.2.9", "10.244.1.5", "10.244.2.6", NODE1, "198.51.100.7", "203.0.113.1"),
    Family.IPV6: ("fd00:10:244:1::9", "fd00:10:244:1::5", "fd00:10:244:2::6", NODE1_6, "2001:db8:77::7"),
}
"""Pods of this node and of others, those that are endpoints, the node, outsiders, a load balancer's own address."""
CONFIGS = (CONFIG, replace(CONFIG, masquerade_all=True), replace(CONFIG, cluster_cidrs=()))


def node1(
    *objects: KubernetesObject, config: ProxyConfig, family: Family, addresses: tuple[str, ...] = MACHINE_ADDRESSES
) -> NftNode:
    known, in_mode = tracker(*objects), replace(config, mode=ProxyMode.NFTABLES)
    routes = decide_all(known, in_mode).values()
    local = tuple(map(ip_address, addresses))
    table = spell(routes, config=in_mode, node=known.node, family=family, local_addresses=local)
    return NftNode((), addresses, route_localnet=False, table=table)


@pytest.mark.parametrize("scene", NEW_HERE, ids=lambda scene: scene.sentence)
def test_packets_fare_as_the_tables_say(scene: Scene) -> None:
    addresses = (*MACHINE_ADDRESSES, *scene.addresses)
    families = {probe.family for probe in scene.probes}
    nodes = {each: node1(*scene.objects, config=scene.config, family=each, addresses=addresses) for each in families}
    found = {str(probe): sent(nodes[probe.family], probe) for probe in scene.probes}
    assert found == in_nftables(scene)


def sent(here: NftNode, probe: Probe) -> Outcome:
    """What becomes of a probe; its client may be remembered by an endpoint."""
    if probe.last is None or here.table is None:
        return here.send(probe.source, probe.to)
    host, _, port = probe.last.endpoint.rpartition(":")
    place = f"__{host.strip('[]').replace(':', '.')}/{port}"
    memories = [each.name for each in here.table.sets if each.name.endswith(place)]
    return here.send(probe.source, probe.to, seconds_since=tuple((name, probe.last.seconds_ago) for name in memories))


# --- any Services


class Door(NamedTuple):
    """A way to a Service port: one of its addresses; `own` where the node itself has it."""

    kind: str
    address: IPAddress
    port: int
    protocol: Protocol

    @property
    def own(self) -> bool:
        return str(self.address) in MACHINE_ADDRESSES

    @property
    def to(self) -> str:
        return f"{with_port(self.address, self.port)}/{self.protocol}"


@settings(max_examples=80, deadline=None)
@given(WORLDS, st.sampled_from(CONFIGS), st.sampled_from(Family))
def test_in_two_modes_every_client_fares_as_was_decided(
    world: list[KubernetesObject], config: ProxyConfig, family: Family
) -> None:
    objects = after([Deed(node()), *map(Deed, world)], {})
    by_iptables = Node(tables(*objects.values(), config=config, family=family))
    by_nftables = node1(*objects.values(), config=config, family=family)
    for door, route in doors(decide_all(tracker(*objects.values()), config).values(), family):
        for client in CLIENTS[family]:
            found = by_iptables.send(client, door.to), by_nftables.send(client, door.to)
            assert found == (in_iptables(route, door, client), in_mode_nftables(route, door, client)), (client, door)


def doors(routes: Iterable[Route], family: Family) -> Iterator[tuple[Door, Route]]:
    """All that lead to one Service port alone."""
    found: dict[tuple[IPAddress, int, Protocol], list[tuple[Door, Route]]] = defaultdict(list)
    for route in routes:
        for door in doors_of(route) if route.key.family is family else ():
            found[door[1:]].append((door, route))
    yield from (leading[0] for leading in found.values() if len(leading) == 1)


def doors_of(route: Route) -> Iterator[Door]:
    port, protocol = route.port, route.key.protocol
    yield Door("cluster", port.cluster_ip, port.port, protocol)
    yield from (Door("external", address, port.port, protocol) for address in port.external_ips)
    yield from (Door("balanced", address, port.port, protocol) for address in port.load_balancer_ips)
    own = (address for address in map(ip_address, MACHINE_ADDRESSES) if address.version == port.cluster_ip.version)
    if port.node_port:
        yield from (Door("node", each, port.node_port, protocol) for each in own if not each.is_loopback)


def in_iptables(route: Route, door: Door, client: str) -> Outcome:
    """The node itself is not refused at an outer address, and gets there."""
    decided = decision(route, door, client)
    outer = door.kind in {"external", "balanced"} and not door.own
    if route.refused:
        return UNTOUCHED if outer and client in MACHINE_ADDRESSES else REFUSED
    return decided if isinstance(decided, Outcome) else decided.outcome(lambda _: True)


def in_mode_nftables(route: Route, door: Door, client: str) -> Outcome:
    """Node ports are on primary addresses; an endpoint of another node that reaches itself is not masqueraded."""
    if door.kind == "node" and str(door.address) not in (NODE1, NODE1_6):
        return UNTOUCHED
    decided = decision(route, door, client)
    return decided if isinstance(decided, Outcome) else decided.outcome(lambda endpoint: endpoint.local)


class Decision(NamedTuple):
    """One of these endpoints, for a client there, masqueraded or as itself."""

    endpoints: tuple[Endpoint, ...]
    client: IPAddress
    masqueraded: bool

    def outcome(self, hairpin: Callable[[Endpoint], bool]) -> Outcome:
        """`hairpin` tells whether an endpoint that reaches itself is masqueraded."""
        hidden = frozenset(
            each.name for each in self.endpoints if self.masqueraded or (each.address == self.client and hairpin(each))
        )
        return Outcome(frozenset(each.name for each in self.endpoints) - hidden, hidden)


def decision(route: Route, door: Door, client: str) -> Outcome | Decision:
    """What `netlab.proxy.decide` has said of a packet, in words of its own docstring."""
    source, fate = ip_address(client), route.internal if door.kind == "cluster" else route.external
    is_pod = isinstance(route.local_traffic, FromNetwork) and source in route.local_traffic.network
    allowed = route.allowed_sources if door.kind == "balanced" else None
    if allowed is not None and not any(source in network for network in allowed):
        return DROPPED
    if door.kind == "cluster":
        told = {MasqueradeClients.ALL: True, MasqueradeClients.OUTSIDERS: not is_pod, MasqueradeClients.NONE: False}
        masqueraded = told[route.masquerade_internal]
    else:
        inside = is_pod or client in MACHINE_ADDRESSES
        masqueraded = not route.external_stays_on_node or (client in MACHINE_ADDRESSES and not is_pod)
        fate = Fate.CLUSTER if route.external_stays_on_node and inside and not route.refused else fate
    if fate in {Fate.REFUSED, Fate.DROPPED}:
        return REFUSED if fate is Fate.REFUSED else DROPPED
    return Decision(route.cluster if fate is Fate.CLUSTER else route.local, source, masqueraded)
