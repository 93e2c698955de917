"""Mode nftables change by change: patches lead where the whole table is, as the kernel takes them, and stay small."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from hypothesis import given, settings
from nft_kernel import Kernel
from proxy_objects import CONFIG, endpoint, endpoint_slice, node, service
from proxy_steps import STEPS, Step

from netlab.model.modes import ProxyMode
from netlab.model.nft_rules import Dnat
from netlab.model.nft_tables import Element, TablePatch
from netlab.model.objects import KubernetesObject
from netlab.model.rules import Family, Protocol
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.decide import decide_all
from netlab.proxy.nftables import Spelling
from netlab.proxy.nftables.changes import patching

NFT = replace(CONFIG, mode=ProxyMode.NFTABLES)


@dataclass
class World:
    """node1's proxy beside the kernel that it patches."""

    known: ChangeTracker = field(default_factory=lambda: ChangeTracker(node_name="node1"))
    kernel: Kernel = field(default_factory=Kernel)

    def __post_init__(self) -> None:
        self.known.put(node())
        self.known.collect()
        self.spelling = Spelling(config=NFT, node=self.known.node, family=Family.IPV4)
        self.spelling.start({})
        self.kernel.load(self.spelling.table())

    def put(self, *objects: KubernetesObject) -> TablePatch:
        for each in objects:
            self.known.put(each)
        changed = self.known.collect().ports
        routes = decide_all(self.known, NFT)
        patch = self.spelling.update({key: routes.get(key) for key in changed})
        for change in patching(patch):
            self.kernel.make(change)
        return patch

    def agrees(self) -> bool:
        """Whether the patched kernel holds what the whole table says, and the rules are counted right."""
        table, whole = self.spelling.table(), Kernel()
        whole.load(table)
        return self.kernel == whole and self.spelling.rule_count == table.rule_count

    def endpoints_of(self, address: str) -> dict[str, list[str]]:
        """By map, the endpoints that a packet to port 80 of the address may get."""
        key = (ip_address(address), Protocol.TCP, 80)
        found: dict[str, list[str]] = {}
        for name, elements in self.kernel.elements.items():
            for each in elements.values():
                if each.key[:-1] == key and isinstance(each.leads_to, Dnat):
                    found.setdefault(name, []).append(str(each.leads_to.address))
        return found


def pods(*numbers: int, service: str = "web") -> KubernetesObject:
    return endpoint_slice(*(endpoint(f"10.244.2.{number}") for number in numbers), name=f"{service}-1", service=service)


def many(count: int) -> list[KubernetesObject]:
    """Services of two endpoints each."""
    return [
        each
        for index in range(count)
        for each in (
            service(f"s{index}", spec={"clusterIP": f"10.96.1.{index}"}),
            pods(2 * index, 2 * index + 1, service=f"s{index}"),
        )
    ]


def told(elements: tuple[Element, ...]) -> list[tuple[str, str, str]]:
    """Which map, which number, which endpoint."""
    return [(e.set, str(e.key[-1]), str(e.leads_to.address)) for e in elements if isinstance(e.leads_to, Dnat)]


def test_an_endpoint_in_the_place_of_another_is_one_element_and_no_rule() -> None:
    world = World()
    world.put(*many(20))
    patch = world.put(pods(14, 200, service="s7"))
    assert told(patch.elements_gone) == [("endpoints-2", "1", "10.244.2.15")]
    assert told(patch.elements) == [("endpoints-2", "1", "10.244.2.200")]
    assert not any((patch.sets, patch.chains, patch.chains_gone, patch.sets_gone))
    assert world.agrees()


def test_an_endpoint_more_is_no_rule_where_another_service_has_as_many() -> None:
    world = World()
    world.put(*many(20), service(), pods(100, 101, 102))
    patch = world.put(pods(14, 15, 200, service="s7"))
    assert {each.set for each in patch.elements_gone} == {"endpoints-2"}
    assert {each.set for each in patch.elements} == {"endpoints-3"}
    assert (len(patch.elements_gone), len(patch.elements)) == (2, 3)
    assert not any((patch.sets, patch.chains, patch.chains_gone, patch.sets_gone))
    assert world.agrees()


def test_the_first_service_with_so_many_endpoints_brings_their_map_and_the_last_takes_it_away() -> None:
    world = World()
    world.put(*many(3))
    come = world.put(pods(2, 3, 4, service="s1"))
    assert [each.name for each in come.sets] == ["endpoints-3"]
    assert [chain.name for chain in come.chains] == ["endpoints"]
    gone = world.put(pods(2, service="s1"))
    assert [each.name for each in gone.sets] == ["endpoints-1"]
    assert [each.name for each in gone.sets_gone] == ["endpoints-3"]
    assert world.agrees()


def test_of_two_services_at_one_address_the_first_by_name_has_all_its_packets() -> None:
    shared: dict[str, object] = {"externalIPs": ["203.0.113.20"]}
    first, second = (
        service(name, spec={**shared, "clusterIP": f"10.96.0.{at}"}) for at, name in enumerate("ab", start=1)
    )
    world = World()
    world.put(second, pods(7, service="b"))
    assert world.endpoints_of("203.0.113.20") == {"endpoints-1": ["10.244.2.7"]}
    world.put(first, pods(1, 2, 3, service="a"))
    assert world.endpoints_of("203.0.113.20") == {"endpoints-3": ["10.244.2.1", "10.244.2.2", "10.244.2.3"]}
    assert world.agrees()
    world.put(pods(7, 8, service="b"))
    assert world.endpoints_of("203.0.113.20") == {"endpoints-3": ["10.244.2.1", "10.244.2.2", "10.244.2.3"]}
    world.known.remove(first)
    world.put()
    assert world.endpoints_of("203.0.113.20") == {"endpoints-2": ["10.244.2.7", "10.244.2.8"]}
    assert world.agrees()


@settings(max_examples=100)
@given(STEPS)
def test_any_changes_lead_to_the_whole_table(steps: list[Step]) -> None:
    world = World()
    for step in steps:
        step.take(world.known)
        world.put()
        assert world.agrees()
