"""Rules of a node in words, in the order of a packet's way, of one Service alone, and compared."""

from __future__ import annotations

import re
from functools import cache
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from netlab.api.simulate import simulate
from netlab.cli.rule_reports import Count, Spot, counted, differing, listing, progress
from netlab.dns.addon import with_cluster_dns
from netlab.load import load_lab
from netlab.model.modes import ProxyMode
from netlab.model.rule_listing import (
    ChainDifference,
    ListedChain,
    ListedRule,
    ListedTable,
    RuleDifferences,
    RuleSet,
)
from netlab.model.rules import (
    Conntrack,
    ConntrackState,
    Dnat,
    Family,
    IcmpError,
    Jump,
    Mark,
    Masquerade,
    Protocol,
    Recent,
    Redirect,
    Reject,
    Rule,
    SetMark,
    Verdict,
)
from netlab.proxy import iptables, nftables
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.decide import decide_all
from netlab.proxy.explain import explain
from netlab.proxy.lab_config import lab_config
from netlab.proxy.nftables.listing import read_table
from netlab.proxy.nftables.text import table_text
from netlab.proxy.nftables.words import explain_element, explain_rule
from netlab.proxy.packet_order import OTHER_ORDER, ServiceSpelled, differences, in_packet_order, narrowed
from netlab.proxy.save_text import BUILT_IN, rule_text

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
LABS = sorted(path.stem for path in TOPOLOGIES.glob("*.yaml"))
WEB = ServiceSpelled("default/web", frozenset({"10.96.0.80", "10.244.0.2", "10.244.1.2"}))


@cache
def tracked(lab: str) -> tuple[ChangeTracker, object]:
    found = simulate(with_cluster_dns(load_lab(TOPOLOGIES / f"{lab}.yaml")))
    tracker = ChangeTracker(node_name="node1")
    for each in (*found.nodes, *found.services, *found.endpoint_slices):
        tracker.put(each)
    tracker.collect()
    return tracker, found.topology


def spelled(lab: str, table: str) -> ListedTable:
    """What iptables would list of a node's table."""
    tracker, topology = tracked(lab)
    config = lab_config(topology.spec, "node1")  # type: ignore[attr-defined]
    tables = iptables.spell(
        decide_all(tracker, config).values(),
        config=config,
        node=tracker.node,
        family=Family.IPV4,
        endpoint_total=tracker.endpoint_total(Family.IPV4),
    )
    (wanted,) = (each for each in tables if each.name == table)
    hooks = {name: [hook.rule for hook in reversed(wanted.hooks) if hook.chain == name] for name in BUILT_IN[table]}
    rules = {**hooks, **{chain.name: list(chain.rules) for chain in wanted.chains}}
    return ListedTable(
        family=Family.IPV4,
        name=table,
        tool="iptables",
        chains=tuple(ListedChain(name=name, rules=tuple(listed(name, each) for each in rules[name])) for name in rules),
    )


def listed(chain: str, rule: Rule) -> ListedRule:
    return ListedRule(
        rule=rule_text(chain, rule, family=Family.IPV4),
        comment=rule.comment,
        packets=0,
        explanation=explain(rule),
        jump=rule.target.chain if isinstance(rule.target, Jump) else None,
    )


def nft_table(lab: str) -> ListedTable:
    tracker, topology = tracked(lab)
    config = lab_config(topology.spec, "node1")  # type: ignore[attr-defined]
    routes = decide_all(tracker, config).values()
    table = nftables.spell(
        routes,
        config=config,
        node=tracker.node,
        family=Family.IPV4,
        local_addresses=(ip_address("172.18.0.2"),),
    )
    return ListedTable(family=Family.IPV4, name="kube-proxy", tool="nft", chains=read_table(table_text(table)))


def names(table: ListedTable) -> list[str]:
    return [chain.name for chain in table.chains]


# --- words


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Rule(target=Verdict.ACCEPT), "all packets: let them pass this table"),
        (
            Rule(
                destination=ip_network("10.96.0.80"),
                protocol=Protocol.TCP,
                destination_port=80,
                target=Jump("KUBE-SVC-ABC"),
            ),
            "packets to 10.96.0.80 tcp port 80: go on in KUBE-SVC-ABC, which picks one of the Service's endpoints",
        ),
        (
            Rule(statistic=0.5, comment="default/web -> 10.244.0.2:8080", target=Jump("KUBE-SEP-ABC")),
            "packets that are picked by chance, 50 of 100: go on in KUBE-SEP-ABC, the endpoint 10.244.0.2:8080",
        ),
        (
            Rule(protocol=Protocol.UDP, target=Dnat(ip_address("fd00::2"), 53)),
            "packets by udp: the destination becomes [fd00::2]:53",
        ),
        (
            Rule(source=ip_network("10.244.0.0/16"), source_inverted=True, target=Jump("KUBE-MARK-MASQ")),
            "packets from anywhere but 10.244.0.0/16: go on in KUBE-MARK-MASQ, "
            "which marks them, so that on their way out their source becomes this node",
        ),
        (
            Rule(mark=Mark(0x4000, 0x4000, inverted=True), target=Verdict.RETURN),
            "packets that do not carry the mark 0x4000: leave this chain",
        ),
        (Rule(target=SetMark(0x4000, 0)), "all packets: the mark 0x4000 is taken away, as it has done its work"),
        (
            Rule(conntrack=Conntrack(frozenset({ConntrackState.NEW})), in_interface="cni0", target=Verdict.DROP),
            "packets in by cni0 that begin a connection: drop them without a word",
        ),
        (
            Rule(destination_local=True, recent=Recent("KUBE-SEP-ABC", 30), target=Redirect(4000)),
            "packets to an address of this node that come from a client of the last 30 seconds (session affinity): "
            "the destination becomes port 4000 of this node, where kube-proxy listens",
        ),
        (
            Rule(target=Reject(IcmpError.PORT_UNREACHABLE)),
            "all packets: refuse them: their sender is told that the port is unreachable",
        ),
        (
            Rule(out_interface="eth0", target=Masquerade()),
            "packets out by eth0: the source becomes this node's address, so that the answer comes back here",
        ),
        (Rule(extra=("-m", "ttl"), target=Verdict.DROP), "packets that match -m ttl: drop them without a word"),
    ],
)
def test_a_rule_of_iptables_is_said_in_words(rule: Rule, words: str) -> None:
    assert explain(rule) == words


@pytest.mark.parametrize("lab", LABS)
@pytest.mark.parametrize("table", ["nat", "filter"])
def test_every_rule_that_netlab_writes_has_words(lab: str, table: str) -> None:
    for chain in spelled(lab, table).chains:
        for rule in chain.rules:
            assert not re.search(r"(^| )--?[a-z]|None|\bmatch\b", rule.explanation), rule.explanation


@pytest.mark.parametrize("lab", LABS)
def test_every_rule_of_nftables_that_netlab_writes_has_words(lab: str) -> None:
    rules = [rule for chain in nft_table(lab).chains for rule in chain.rules]
    assert rules
    for rule in rules:
        assert not re.search(r"\b(?:daddr|saddr|vmap|meta|numgen|fib|ct|dnat|goto)\b(?!:)", rule.explanation), rule


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("jump services", "all packets: go on in services"),
        (
            "ct state new counter packets 1 bytes 2 jump x",
            "packets that begin a connection: go on in x",
        ),
        (
            "ip daddr . meta l4proto . th dport vmap @service-ips",
            "all packets: what the map service-ips has for them is done",
        ),
        (
            'ip daddr 10.96.0.0/12 drop comment "Drop traffic"',
            "packets to 10.96.0.0/12: drop them without a word",
        ),
        (
            "numgen random mod 3 0 meta l4proto tcp dnat to 10.244.0.2:8080",
            "packets picked by chance, one of 3 by tcp: the destination becomes 10.244.0.2:8080",
        ),
        (
            "dnat ip6 to ip6 daddr . meta l4proto . th dport . numgen random mod 3 map @endpoints-3",
            "all packets: the destination becomes what the map endpoints-3 has for them and a number drawn by chance, "
            "one of 3; those that it does not have go on to the next rule",
        ),
        ("udp sport 7 notrack", "packets udp sport 7 notrack: count them"),
    ],
)
def test_a_rule_of_nftables_is_said_in_words(rule: str, words: str) -> None:
    assert explain_rule(rule) == words


def test_elements_of_one_service_stand_side_by_side_in_the_order_of_their_numbers() -> None:
    first, second = "10.96.0.9 . tcp . 80", "10.96.0.80 . tcp . 80"
    drawn = [f"{key} . {number} : 10.244.0.{number} . 8080" for number in (10, 9) for key in (second, first)]
    (chain,) = read_table(f"table ip t {{\n\tmap m {{\n\t\telements = {{ {', '.join(drawn)} }}\n\t}}\n}}\n")
    assert [each.rule.partition(" : ")[0] for each in chain.rules] == [
        f"{first} . 9",
        f"{first} . 10",
        f"{second} . 9",
        f"{second} . 10",
    ]


def test_elements_of_maps_and_sets_are_said_in_words() -> None:
    assert explain_element("map service-ips", "10.96.0.80 . tcp . 80 : goto service-X") == (
        "packets to 10.96.0.80 tcp port 80: go on in service-X"
    )
    assert explain_element("map endpoints-2", "10.96.0.80 . tcp . 80 . 1 : 10.244.0.2 . 8080") == (
        "packets to 10.96.0.80 tcp port 80 that drew 1: the destination becomes 10.244.0.2:8080"
    )
    assert explain_element("map nodeport-endpoints-2", "udp . 30053 . 0 : fd00:10:244::2 . 53") == (
        "packets to udp port 30053 that drew 0: the destination becomes [fd00:10:244::2]:53"
    )
    assert explain_element("set cluster-ips", "10.96.0.80") == "10.96.0.80 is one of cluster-ips"
    assert explain_element("set hairpin-connections", "10.244.0.2 . 10.244.0.2 . tcp . 8080") == (
        "packets from 10.244.0.2 to 10.244.0.2 tcp port 8080 are among hairpin-connections"
    )


# --- order


def test_chains_come_in_the_order_of_a_packets_way() -> None:
    found = names(in_packet_order(spelled("two-nodes", "nat")))
    assert found[:2] == ["PREROUTING", "KUBE-SERVICES"]
    assert found.index("KUBE-SERVICES") < found.index("KUBE-SVC-LOLE4ISW44XBNF3G")
    endpoints = [found.index(name) for name in ("KUBE-SEP-2OYZRSTTDHUPO7SU", "KUBE-SEP-PXJ2U7QYT2QW5545")]
    assert found.index("KUBE-SVC-LOLE4ISW44XBNF3G") < min(endpoints)
    assert max(endpoints) < found.index("OUTPUT") < found.index("POSTROUTING") < found.index("KUBE-POSTROUTING")
    assert found[-1] == "KUBE-PROXY-CANARY"
    assert sorted(found) == sorted(names(spelled("two-nodes", "nat")))


def test_base_chains_of_nftables_come_by_hook_and_priority() -> None:
    table = in_packet_order(nft_table("nftables"))
    base = [chain.name for chain in table.chains if chain.hook]
    assert base == [
        *("filter-prerouting-pre-dnat", "nat-prerouting", "filter-input", "filter-forward"),
        *("filter-output-pre-dnat", "nat-output", "filter-output", "nat-postrouting"),
    ]
    found = names(table)
    assert (
        found.index("services") < found.index("map service-ips") < found.index("service-SUSTUHLJ-default/web/tcp/http")
    )


# --- one Service


def test_of_one_service_there_are_its_rules_and_those_of_none() -> None:
    table = narrowed(spelled("two-nodes", "nat"), WEB)
    text = "\n".join(rule.rule for chain in table.chains for rule in chain.rules)
    assert "default/web " in text
    assert "default/web-outside" not in text
    assert "kube-dns" not in text
    assert {"KUBE-SVC-LOLE4ISW44XBNF3G", "KUBE-MARK-MASQ", "KUBE-POSTROUTING"} <= set(names(table))
    jumps = {rule.jump for chain in table.chains for rule in chain.rules if rule.jump}
    assert jumps <= set(names(table)), "what a rule leads to is shown"
    assert all(chain.rules for chain in table.chains)


def test_of_one_service_in_nftables_there_are_its_elements() -> None:
    web = ServiceSpelled("default/web", WEB.addresses, frozenset({"30080"}))
    table = narrowed(nft_table("nftables"), web)
    text = "\n".join(f"{chain.name} {rule.rule}" for chain in table.chains for rule in chain.rules)
    assert "10.96.0.80 . tcp . 80 : goto service-SUSTUHLJ-default/web/tcp/http" in text
    assert "tcp . 30080" in text
    assert "kube-dns" not in text
    assert "10.96.0.90" not in text
    order = ("service-SUSTUHLJ-default/web/tcp/http", "endpoints", "map endpoints-2")
    assert [name for name in names(table) if name in order] == list(order)
    rules = {chain.name: [rule.rule for rule in chain.rules] for chain in table.chains}
    assert rules["endpoints"] == [
        "dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 2 map @endpoints-2",
        "dnat ip to meta l4proto . th dport . numgen random mod 2 map @nodeport-endpoints-2",
        'drop comment "its endpoints were just being changed: the next attempt finds them"',
    ]
    assert {rule.split(" . ")[0] for rule in rules["map endpoints-2"]} == {"10.96.0.80"}


def test_what_leads_to_the_same_endpoints_from_another_services_port_is_not_there() -> None:
    table = narrowed(nft_table("nftables"), WEB)
    assert "map endpoints-2" in names(table)
    assert "map nodeport-endpoints-2" not in names(table)


def test_a_service_without_rules_leaves_only_what_is_for_all() -> None:
    table = narrowed(spelled("two-nodes", "nat"), ServiceSpelled("default/none", frozenset()))
    assert not [name for name in names(table) if name.startswith(("KUBE-SVC", "KUBE-SEP", "KUBE-EXT"))]


def test_of_virtual_servers_only_those_of_the_service_remain() -> None:
    servers = {
        "10.96.0.80:80": "10.244.0.2:8080",
        "172.18.0.2:30080": "10.244.0.2:8080",
        "10.96.0.9:80": "10.244.0.2:8080",
    }
    chains = tuple(
        ListedChain(name=f"tcp {key} rr", hook="ipvs", rules=(ListedRule(rule=f"{key} -> {real} weight 1"),))
        for key, real in servers.items()
    )
    table = ListedTable(family=Family.IPV4, name="ipvs", tool="ipvsadm", chains=chains)
    web = ServiceSpelled("default/web", WEB.addresses, frozenset({"30080"}))
    assert names(narrowed(table, web)) == ["tcp 10.96.0.80:80 rr", "tcp 172.18.0.2:30080 rr"]


# --- compared


def with_rules(table: ListedTable, chain: str, rules: tuple[ListedRule, ...]) -> ListedTable:
    chains = tuple(each.model_copy(update={"rules": rules}) if each.name == chain else each for each in table.chains)
    return table.model_copy(update={"chains": chains})


def rules_of(table: ListedTable, chain: str) -> tuple[ListedRule, ...]:
    return next(each.rules for each in table.chains if each.name == chain)


def test_a_table_does_not_differ_from_itself() -> None:
    for table in (spelled("two-nodes", "nat"), spelled("load-balancer", "filter"), nft_table("nftables")):
        assert list(differences(table, table)) == []


def test_a_missing_and_an_unwanted_rule_and_a_missing_chain_are_told() -> None:
    wanted = spelled("two-nodes", "nat")
    first, *others = rules_of(wanted, "KUBE-POSTROUTING")
    stranger = ListedRule(rule="-A KUBE-POSTROUTING -j ACCEPT")
    seen = with_rules(wanted, "KUBE-POSTROUTING", (*others, stranger))
    assert list(differences(seen, wanted)) == [("KUBE-POSTROUTING", (first.rule,), (stranger.rule,))]
    gone = wanted.model_copy(update={"chains": tuple(c for c in wanted.chains if c.name != "KUBE-PROXY-CANARY")})
    assert list(differences(gone, wanted)) == [("KUBE-PROXY-CANARY", (), ())]


def test_other_peoples_rules_and_chains_do_not_count_but_a_missing_hook_does() -> None:
    wanted = spelled("two-nodes", "nat")
    own = (*rules_of(wanted, "PREROUTING"), ListedRule(rule="-A PREROUTING -j MINE"))
    seen = with_rules(wanted, "PREROUTING", own)
    mine = ListedChain(name="MINE", rules=(ListedRule(rule="-A MINE -j DROP"),))
    assert list(differences(seen.model_copy(update={"chains": (*seen.chains, mine)}), wanted)) == []
    unhooked = with_rules(wanted, "PREROUTING", ())
    assert [each[0] for each in differences(unhooked, wanted)] == ["PREROUTING"]


def test_order_counts_where_rules_exclude_one_another_by_it() -> None:
    wanted = spelled("two-nodes", "nat")
    services = rules_of(wanted, "KUBE-SERVICES")
    assert len(services) > 2
    shuffled = with_rules(wanted, "KUBE-SERVICES", (*reversed(services[:-1]), services[-1]))
    assert list(differences(shuffled, wanted)) == []
    last_first = with_rules(wanted, "KUBE-SERVICES", (services[-1], *services[:-1]))
    assert list(differences(last_first, wanted)) == [("KUBE-SERVICES", (OTHER_ORDER,), ())]
    chain = "KUBE-SVC-LOLE4ISW44XBNF3G"
    turned = with_rules(wanted, chain, tuple(reversed(rules_of(wanted, chain))))
    assert [each[0] for each in differences(turned, wanted)] == [chain]


def test_node_ports_exclude_one_another_whatever_their_order() -> None:
    wanted = spelled("nodeport", "nat")
    ports = rules_of(wanted, "KUBE-NODEPORTS")
    assert len(ports) > 1
    turned = with_rules(wanted, "KUBE-NODEPORTS", tuple(reversed(ports)))
    assert list(differences(turned, wanted)) == []


# --- reports


def rule_set(packets: int) -> RuleSet:
    rule = ListedRule(rule="-A X -j ACCEPT", packets=packets, octets=60 * packets, explanation="let them pass")
    chains = (ListedChain(name="X", policy="ACCEPT", rules=(rule, rule)), ListedChain(name="EMPTY"))
    table = ListedTable(family=Family.IPV4, name="nat", tool="iptables", chains=chains)
    return RuleSet(node="node1", mode=ProxyMode.IPTABLES, tables=(table,))


def test_a_listing_shows_counters_and_words_on_demand_and_no_empty_chain() -> None:
    shown = listing(rule_set(7), explained=True)
    assert "  X (policy ACCEPT)\n    7  -j ACCEPT\n         = let them pass\n" in shown
    assert "EMPTY" not in shown
    assert "= let" not in listing(rule_set(7), explained=False)
    assert listing(RuleSet(node="n", mode=ProxyMode.IPTABLES), explained=False) == "node n, mode iptables: no rules\n"


def test_only_what_was_counted_since_is_shown() -> None:
    before, now = counted(rule_set(1)), counted(rule_set(1))
    assert len(before) == 2, "two rules of the same words are two"
    assert progress(before, now) == ""
    now[Spot("IPv4", "nat", "X", "-A X -j ACCEPT", 1)] = Count(4, 240)
    assert progress(before, now) == "    +3 packets  nat -A X -j ACCEPT\n"


def test_differences_are_said_chain_by_chain() -> None:
    chain = ChainDifference(family=Family.IPV4, table="nat", chain="X", missing=("-A X",), unwanted=("-A X -j Y",))
    gone = ChainDifference(family=Family.IPV4, table="nat", chain="Y")
    told = differing(RuleDifferences(node="node1", mode=ProxyMode.IPTABLES, differences=(chain, gone)))
    assert "IPv4 nat X\n  missing   -A X\n  unwanted  -A X -j Y\n" in told
    assert "IPv4 nat Y\n  the chain is missing\n" in told
    assert "as they should be" in differing(RuleDifferences(node="node1", mode=ProxyMode.IPTABLES))
