"""Change by change: patches lead where the whole tables are, and are as small as the change."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from proxy_objects import CONFIG, endpoint, endpoint_slice, node, service
from proxy_steps import STEPS, Step

from netlab.model.objects import KubernetesObject
from netlab.model.rules import Family, Rule, Table, TablePatch
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.decide import decide
from netlab.proxy.iptables import Spelling


@dataclass
class Kernel:
    """What TablePatch says about how it is carried out."""

    chains: dict[tuple[str, str], list[Rule]] = field(default_factory=dict)

    def load(self, tables: tuple[Table, ...]) -> None:
        self.chains = {(table.name, chain.name): list(chain.rules) for table in tables for chain in table.chains}

    def apply(self, patch: TablePatch) -> None:
        for chain in patch.chains:
            self.chains[patch.name, chain.name] = list(chain.rules)
        for edit in patch.edits:
            rules = self.chains[patch.name, edit.chain]
            for rule in edit.removed:
                rules.remove(rule)
            self.chains[patch.name, edit.chain] = [*edit.added, *rules]
        for name in patch.removed:
            del self.chains[patch.name, name]


@dataclass
class World:
    """node1's proxy beside the kernel that it patches."""

    known: ChangeTracker = field(default_factory=lambda: ChangeTracker(node_name="node1"))
    kernel: Kernel = field(default_factory=Kernel)

    def __post_init__(self) -> None:
        self.known.put(node())
        self.known.collect()
        self.spelling = Spelling(config=CONFIG, node=self.known.node, family=Family.IPV4)
        self.spelling.start({}, endpoint_total=0)
        self.kernel.load(self.spelling.tables())

    def sync(self) -> tuple[TablePatch, ...]:
        routes = {
            key: decide(port, self.known.endpoints(key), node=self.known.node, config=CONFIG)
            if (port := self.known.ports.get(key))
            else None
            for key in self.known.collect().ports
        }
        patches = self.spelling.update(routes, endpoint_total=self.known.endpoint_total(Family.IPV4))
        for patch in patches:
            self.kernel.apply(patch)
        return patches

    def put(self, *objects: KubernetesObject) -> tuple[TablePatch, ...]:
        for obj in objects:
            self.known.put(obj)
        return self.sync()

    def agrees(self) -> bool:
        """Whether the patched kernel holds what whole tables say, rule for rule, and their count is known."""
        counted, whole = dict(self.spelling.rule_counts()), Kernel()
        tables = self.spelling.tables()
        whole.load(tables)
        rules = {table.name: len(table.hooks) + sum(len(chain.rules) for chain in table.chains) for table in tables}
        return self.kernel.chains == whole.chains and counted == rules


def many(count: int) -> list[KubernetesObject]:
    return [
        obj
        for index in range(count)
        for obj in (
            service(f"s{index}", spec={"clusterIP": f"10.96.1.{index}"}),
            endpoint_slice(endpoint(f"10.244.2.{index}"), name=f"s{index}-1", service=f"s{index}"),
        )
    ]


def test_one_endpoint_more_touches_that_services_chains_alone() -> None:
    world = World()
    world.put(*many(20))
    both = (endpoint("10.244.2.7"), endpoint("10.244.3.7"))
    (patch,) = world.put(endpoint_slice(*both, name="s7-1", service="s7"))
    assert [chain.name[:9] for chain in patch.chains] == ["KUBE-SVC-", "KUBE-SEP-"]
    assert (patch.name, patch.edits, patch.removed) == ("nat", (), ())
    assert world.agrees()


def test_the_last_endpoint_that_goes_moves_the_service_to_the_refused() -> None:
    world = World()
    world.put(*many(3))
    nat, filter_ = world.put(endpoint_slice(name="s1-1", service="s1"))
    assert (nat.chains, len(nat.removed)) == ((), 2)
    assert [(edit.chain, len(edit.removed), len(edit.added)) for edit in nat.edits] == [("KUBE-SERVICES", 1, 0)]
    assert [(edit.chain, len(edit.removed), len(edit.added)) for edit in filter_.edits] == [("KUBE-SERVICES", 0, 1)]
    assert world.agrees()


def test_a_change_that_no_rule_depends_on_patches_nothing() -> None:
    world = World()
    world.put(service(), endpoint_slice(endpoint("10.244.2.6")))
    unready = endpoint("10.244.3.7", ready=False, serving=False)
    assert world.put(endpoint_slice(endpoint("10.244.2.6"), unready)) == ()


def test_comments_about_endpoints_go_with_the_thousand_and_first_and_come_back() -> None:
    def comments(world: World) -> int:
        own = [rules for (_, name), rules in world.kernel.chains.items() if name.startswith(("KUBE-SEP-", "KUBE-SVC-"))]
        return sum(rule.comment is not None and "cluster IP" not in rule.comment for rules in own for rule in rules)

    world = World()
    crowd = [endpoint(f"10.244.{2 + i // 250}.{i % 250 + 1}") for i in range(998)]
    world.put(*many(2), service(), endpoint_slice(*crowd))
    assert comments(world) == 1000 * 3
    world.put(endpoint_slice(*crowd, endpoint("10.244.9.1")))
    assert comments(world) == 0
    assert world.agrees()
    world.put(endpoint_slice(*crowd))
    assert comments(world) == 1000 * 3
    assert world.agrees()


@settings(max_examples=60)
@given(STEPS)
def test_any_changes_lead_to_the_whole_tables(steps: list[Step]) -> None:
    world = World()
    for step in steps:
        step.take(world.known)
        world.sync()
        assert world.agrees()


@pytest.mark.parametrize("family", list(Family))
def test_every_chain_that_is_jumped_to_is_there(family: Family) -> None:
    spelling = Spelling(config=CONFIG, node=ChangeTracker(node_name="node1").node, family=family)
    spelling.start({}, endpoint_total=0)
    for table in spelling.tables():
        there = {chain.name for chain in table.chains}
        rules = [rule for chain in table.chains for rule in chain.rules] + [hook.rule for hook in table.hooks]
        assert {rule.target.chain for rule in rules if hasattr(rule.target, "chain")} <= there
