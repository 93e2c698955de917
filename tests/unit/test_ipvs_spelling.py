"""Routes in mode ipvs: virtual servers, address sets and rules, and the least that a change asks for."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from proxy_objects import CONFIG, LEAVING, MACHINE_ADDRESSES, endpoint, endpoint_slice, node, service, tracker
from proxy_steps import STEPS, Step
from proxy_tables.case import (
    AFFINITY,
    BALANCED,
    BOTH,
    ETP_LOCAL,
    EXTERNAL,
    HERE,
    INGRESS,
    ITP_LOCAL,
    NODE_PORT,
    RANGES,
    THERE,
)
from proxy_tables.differences_ipvs import TABLES
from proxy_tables.in_ipvs import SCENES_IN_IPVS, TELLINGS_IN_IPVS

from netlab.model.ipvs import Scheduler
from netlab.model.modes import ProxyMode
from netlab.model.objects import KubernetesObject
from netlab.model.rules import Family, Table
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.config import ProxyConfig
from netlab.proxy.decide import decide_all
from netlab.proxy.ipvs import Spelling
from netlab.proxy.ipvs.names import USES, set_name
from netlab.proxy.ipvs.settings import settings
from netlab.proxy.ipvs.text import servers_text, sets_text
from netlab.proxy.save_reader import read_save
from netlab.proxy.save_text import save_text

IPVS = replace(CONFIG, mode=ProxyMode.IPVS)
WEB = service()
TWO = endpoint_slice(*BOTH)


def spelled(
    *objects: KubernetesObject, config: ProxyConfig = IPVS, addresses: tuple[str, ...] = MACHINE_ADDRESSES
) -> Spelling:
    return started(tracker(node(), *objects), config=config, addresses=addresses)


def started(
    known: ChangeTracker, *, config: ProxyConfig = IPVS, addresses: tuple[str, ...] = MACHINE_ADDRESSES
) -> Spelling:
    found = Spelling(
        config=config,
        node=known.node,
        family=Family.IPV4,
        node_addresses=tuple(map(ip_address, addresses)),
    )
    found.start(decide_all(known, config))
    return found


def servers(spelling: Spelling) -> list[str]:
    return servers_text(spelling.servers.values()).splitlines()


def members(spelling: Spelling) -> dict[str, set[str]]:
    return {each.name: set(map(str, each.entries)) for each in spelling.sets if each.entries}


def rules(spelling: Spelling, chain: str) -> list[str]:
    lines = save_text(spelling.tables()).splitlines()
    return [line.removeprefix(f"-A {chain} ") for line in lines if line.startswith(f"-A {chain} ")]


def test_a_cluster_ip_is_a_virtual_server_an_entry_and_an_address_of_the_node() -> None:
    found = spelled(WEB, TWO)
    assert servers(found) == [
        "-A -t 10.96.0.10:80 -s rr",
        "-a -t 10.96.0.10:80 -r 10.244.1.5:8080 -m -w 1",
        "-a -t 10.96.0.10:80 -r 10.244.2.6:8080 -m -w 1",
    ]
    assert members(found) == {
        "KUBE-CLUSTER-IP": {"10.96.0.10,tcp:80"},
        "KUBE-LOOP-BACK": {"10.244.1.5,tcp:8080,10.244.1.5"},
        "KUBE-IPVS-IPS": {"10.96.0.10"},
    }
    assert found.bound == {ip_address("10.96.0.10")}


def test_without_endpoints_there_is_a_virtual_server_without_real_ones() -> None:
    assert servers(spelled(WEB)) == ["-A -t 10.96.0.10:80 -s rr"]


def test_a_node_port_is_on_the_node_s_own_addresses_and_never_on_loopback() -> None:
    found = spelled(service(spec=NODE_PORT), TWO, addresses=("127.0.0.1", "192.168.50.11", "169.254.7.7", "::1"))
    assert {line.split()[2] for line in servers(found)} == {
        "10.96.0.10:80",
        "192.168.50.11:30080",
        "169.254.7.7:30080",
    }
    assert members(found)["KUBE-NODE-PORT-TCP"] == {"30080"}


def test_an_sctp_node_port_stands_in_its_set_with_each_address() -> None:
    spec: dict[str, object] = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080, "protocol": "SCTP"}]}
    found = spelled(service(spec=spec), addresses=("192.168.50.11",))
    assert members(found)["KUBE-NODE-PORT-SCTP-HASH"] == {"192.168.50.11,sctp:30080"}
    assert "-A --sctp-service 192.168.50.11:30080 -s rr" in servers(found)


def test_nodeport_addresses_choose_among_the_node_s_addresses() -> None:
    chosen = replace(IPVS, nodeport_addresses=(ip_network("172.16.0.0/12"), ip_network("127.0.0.0/8")))
    found = spelled(service(spec=NODE_PORT), config=chosen)
    assert {line.split()[2] for line in servers(found)} == {"10.96.0.10:80", "172.20.0.9:30080"}
    assert found.listeners == (ip_address("172.20.0.9"),)


@pytest.mark.parametrize(
    ("spec", "at", "endpoints", "real"),
    [
        (ITP_LOCAL, "10.96.0.10:80", BOTH, {"10.244.1.5:8080"}),
        (ITP_LOCAL, "10.96.0.10:80", (THERE,), {"10.244.2.6:8080"}),
        (ETP_LOCAL, "10.96.0.10:80", BOTH, {"10.244.1.5:8080", "10.244.2.6:8080"}),
        (ETP_LOCAL, "192.168.50.11:30080", BOTH, {"10.244.1.5:8080"}),
        (ETP_LOCAL, "192.168.50.11:30080", (THERE,), {"10.244.2.6:8080"}),
        (NODE_PORT, "192.168.50.11:30080", (endpoint("10.244.1.5", **LEAVING), THERE), {"10.244.2.6:8080"}),
        (NODE_PORT, "192.168.50.11:30080", (), set()),
    ],
    ids=[
        "internal policy Local: this node's endpoints",
        "internal policy Local without one here: all",
        "external policy Local does not concern the ClusterIP",
        "external policy Local: this node's endpoints at the node port",
        "external policy Local without one here: all",
        "an endpoint that ends is no real server while another is ready",
        "no endpoint: no real server",
    ],
)
def test_real_servers_are_the_endpoints_of_the_policy(
    spec: dict[str, object], at: str, endpoints: tuple[dict[str, object], ...], real: set[str]
) -> None:
    found = servers(spelled(service(spec=spec), endpoint_slice(*endpoints)))
    assert {line.split()[4] for line in found if line.startswith(f"-a -t {at} ")} == real


def test_session_affinity_is_a_persistence() -> None:
    assert servers(spelled(service(spec=AFFINITY)))[0] == "-A -t 10.96.0.10:80 -s rr -p 100"


def test_the_scheduler_of_every_virtual_server_is_the_one_asked_for() -> None:
    found = servers(spelled(service(spec=NODE_PORT), config=replace(IPVS, ipvs_scheduler=Scheduler.MH)))
    assert {line.partition(" -s ")[2] for line in found} == {"mh -b mh-port"}


def test_external_addresses_are_bound_unless_the_node_has_them_anyway() -> None:
    two: dict[str, object] = {"externalIPs": ["203.0.113.20", "172.20.0.9"]}
    found = spelled(service(spec=two))
    assert found.bound == {ip_address("10.96.0.10"), ip_address("203.0.113.20")}
    assert members(found)["KUBE-EXTERNAL-IP"] == {"203.0.113.20,tcp:80", "172.20.0.9,tcp:80"}


def test_policy_local_puts_addresses_and_ports_into_the_sets_that_are_not_masqueraded() -> None:
    spec = {**BALANCED, **EXTERNAL, "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000}
    found = members(spelled(service(spec=spec, status=INGRESS), TWO))
    assert found["KUBE-EXTERNAL-IP-LOCAL"] == {"203.0.113.20,tcp:80"}
    assert "KUBE-EXTERNAL-IP" not in found
    assert found["KUBE-LOAD-BALANCER"] == found["KUBE-LOAD-BALANCER-LOCAL"] == {"203.0.113.10,tcp:80"}
    assert found["KUBE-NODE-PORT-TCP"] == found["KUBE-NODE-PORT-LOCAL-TCP"] == {"30080"}
    assert found["KUBE-HEALTH-CHECK-NODE-PORT"] == {"31000"}


def test_source_ranges_are_entries_and_a_node_outside_of_them_is_kept_from_the_address() -> None:
    found = spelled(service(spec=RANGES, status=INGRESS), TWO)
    assert members(found)["KUBE-LOAD-BALANCER-FW"] == {"203.0.113.10,tcp:80"}
    assert members(found)["KUBE-LOAD-BALANCER-SOURCE-CIDR"] == {"203.0.113.10,tcp:80,198.51.100.0/24"}
    assert "KUBE-LOAD-BALANCER-SOURCE-IP" not in members(found)
    assert rules(found, "KUBE-IPVS-OUT-FILTER") == [
        "-s 203.0.113.10/32 -m ipvs --vproto 6 --vaddr 203.0.113.10 --vport 80 -j DROP"
    ]


def test_a_node_inside_the_source_ranges_may_come_from_the_address_itself() -> None:
    spec = {**BALANCED, "loadBalancerSourceRanges": ["192.168.50.0/24"]}
    found = spelled(service(spec=spec, status=INGRESS), TWO)
    assert members(found)["KUBE-LOAD-BALANCER-SOURCE-IP"] == {"203.0.113.10,tcp:80,203.0.113.10"}
    assert rules(found, "KUBE-IPVS-OUT-FILTER") == []


@pytest.mark.parametrize(
    ("config", "rule"),
    [
        (IPVS, "! -s 10.244.0.0/16"),
        (replace(IPVS, masquerade_all=True), "dst,dst"),
        (replace(IPVS, cluster_cidrs=()), "src,dst"),
    ],
    ids=["who is no Pod", "everybody", "without a way to tell: the node itself"],
)
def test_who_is_masqueraded_at_the_cluster_ip(config: ProxyConfig, rule: str) -> None:
    (found,) = [
        line
        for line in rules(spelled(WEB, TWO, config=config), "KUBE-SERVICES")
        if "KUBE-CLUSTER-IP" in line and line.endswith("-j KUBE-MARK-MASQ")
    ]
    assert rule in found
    assert ("! -s" in found) == (config is IPVS)


def test_rules_do_not_grow_with_services() -> None:
    def count(spelling: Spelling) -> int:
        return sum(spelling.rule_counts().values())

    many = [service(f"s{n}", spec={"clusterIP": f"10.96.1.{n}"}) for n in range(1, 100)]
    assert count(spelled(WEB, *many)) == count(spelled(WEB))


def test_a_rule_about_an_empty_set_is_left_out_but_in_the_filter() -> None:
    text = save_text(spelled().tables())
    named = {line.split("--match-set ")[1].split()[0] for line in text.splitlines() if "--match-set" in line}
    assert named == {
        "KUBE-LOAD-BALANCER",
        "KUBE-CLUSTER-IP",
        "KUBE-EXTERNAL-IP",
        "KUBE-EXTERNAL-IP-LOCAL",
        "KUBE-HEALTH-CHECK-NODE-PORT",
        "KUBE-IPVS-IPS",
    }


@pytest.mark.parametrize("family", Family)
def test_every_rule_is_read_back_as_it_was_meant(family: Family) -> None:
    spec = {**RANGES, **EXTERNAL, "externalTrafficPolicy": "Local"}
    known = tracker(node(), service(spec=spec, status=INGRESS), TWO)
    found = Spelling(config=IPVS, node=known.node, family=family)
    found.start(decide_all(known, IPVS))
    tables = found.tables()

    def chains(of: tuple[Table, ...]) -> dict[tuple[str, str], object]:
        return {(table.name, chain.name): chain.rules for table in of for chain in table.chains}

    assert chains(read_save(save_text(tables), family=family)) == chains(tables)


def test_names_of_sets_differ_by_family_and_fit_the_kernel() -> None:
    assert set_name("KUBE-CLUSTER-IP", Family.IPV6) == "KUBE-6-CLUSTER-IP"
    assert set_name("KUBE-LOAD-BALANCER-SOURCE-CIDR", Family.IPV6) == "KUBE-6-LOAD-BALANCER-SOURCE-CID"
    every = [set_name(name, family) for name in USES for family in Family]
    assert len(set(every)) == len(every)
    assert max(map(len, every)) <= 31


def test_sets_are_spelled_as_ipset_restores_them() -> None:
    lines = sets_text(spelled(service(spec=NODE_PORT), TWO).sets).splitlines()
    assert "create KUBE-CLUSTER-IP hash:ip,port family inet hashsize 1024 maxelem 65536" in lines
    assert "create KUBE-NODE-PORT-TCP bitmap:port range 0-65535" in lines
    assert "add KUBE-NODE-PORT-TCP 30080" in lines


@pytest.mark.parametrize("strict", [True, False], ids=["strict ARP", "as it is"])
def test_arp_settings_are_touched_with_strict_arp_alone(strict: bool) -> None:
    found = {each.key: each.value for each in settings(replace(IPVS, ipvs_strict_arp=strict))}
    arp = {"net/ipv4/conf/all/arp_ignore": "1", "net/ipv4/conf/all/arp_announce": "2"}
    assert {key: value for key, value in found.items() if "arp" in key} == (arp if strict else {})
    assert found["net/ipv4/vs/conntrack"] == "1"


# --- changes


def test_a_virtual_server_that_goes_is_deleted_unless_its_range_is_excluded() -> None:
    spared = replace(IPVS, ipvs_exclude_cidrs=(ip_network("10.96.0.8/29"),))
    other = service("other", spec={"clusterIP": "10.96.0.99"})
    gone = dict.fromkeys(decide_all(tracker(WEB, other), IPVS))
    addresses = {
        config: sorted(str(key.address) for key in spelled(WEB, other, config=config).update(gone).servers_gone)
        for config in (IPVS, spared)
    }
    assert addresses == {IPVS: ["10.96.0.10", "10.96.0.99"], spared: ["10.96.0.99"]}


def test_a_change_that_changes_nothing_asks_for_nothing() -> None:
    found = spelled(WEB, TWO)
    assert found.update(decide_all(tracker(node(), WEB, TWO), IPVS)).nothing


def test_a_new_endpoint_asks_for_its_virtual_server_alone() -> None:
    other = service("other", spec={"clusterIP": "10.96.0.11"})
    found = spelled(WEB, endpoint_slice(THERE), other)
    difference = found.update(decide_all(tracker(node(), WEB, endpoint_slice(THERE, endpoint("10.244.3.7"))), IPVS))
    assert [str(server.key.address) for server in difference.servers] == ["10.96.0.10"]
    assert (difference.entries, difference.bound, difference.tables) == ((), (), None)


def test_the_first_of_its_kind_asks_for_new_rules_and_the_second_does_not() -> None:
    found = spelled(WEB, TWO)
    first = found.update(decide_all(tracker(node(), service("a", spec={"clusterIP": "10.96.0.11", **NODE_PORT})), IPVS))
    ports: dict[str, object] = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30081}]}
    second = found.update(decide_all(tracker(node(), service("b", spec={"clusterIP": "10.96.0.12", **ports})), IPVS))
    assert first.tables is not None
    assert second.tables is None
    assert ("KUBE-NODE-PORT-TCP", "30081") in [(name, str(entry)) for name, entry in second.entries]


def test_what_two_ports_share_goes_with_the_last_of_them() -> None:
    ports: dict[str, object] = {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]}
    both, one = service(spec=ports), service(spec={"ports": [{"name": "a", "port": 80}]})
    found = spelled(both)
    gone = {key: None for key in decide_all(tracker(both), IPVS) if key.port == "b"}
    kept = found.update(gone)
    assert kept.unbound == ()
    assert [str(key.port) for key in kept.servers_gone] == ["81"]
    last = found.update(dict.fromkeys(decide_all(tracker(one), IPVS)))
    assert last.unbound == (ip_address("10.96.0.10"),)
    assert servers(found) == []
    assert members(found) == {}


def test_two_services_at_one_address_and_port_take_turns() -> None:
    a, b = (
        service(name, spec={"clusterIP": ip, **EXTERNAL}) for name, ip in (("a", "10.96.0.11"), ("b", "10.96.0.12"))
    )
    found = spelled(a, endpoint_slice(HERE, service="a"), b, endpoint_slice(THERE, name="b-1", service="b"))
    at = "-a -t 203.0.113.20:80 "
    assert [line.split()[4] for line in servers(found) if line.startswith(at)] == ["10.244.1.5:8080"]
    found.update(dict.fromkeys(decide_all(tracker(a), IPVS)))
    assert [line.split()[4] for line in servers(found) if line.startswith(at)] == ["10.244.2.6:8080"]


def test_other_addresses_of_the_node_move_the_node_ports() -> None:
    found = spelled(service(spec=NODE_PORT), addresses=("192.168.50.11",))
    found.move_to((ip_address("192.168.50.12"),))
    assert {line.split()[2] for line in servers(found)} == {"10.96.0.10:80", "192.168.50.12:30080"}


# --- the table of differences


def test_every_difference_is_about_a_packet_that_there_is() -> None:
    scenes = (*SCENES_IN_IPVS, *(scene for telling in TELLINGS_IN_IPVS for scene in telling.scenes))
    there = {
        (scene.sentence.removesuffix(" (IPv4)"), probe.source, probe.to): probe.outcome
        for scene in scenes
        for probe in scene.probes
    }
    for table in TABLES:
        for sentence, packets in table.items():
            for source, to, outcome in packets:
                assert there[sentence, source, to] == outcome


# --- change by change


@settings_of_hypothesis(max_examples=60)
@given(STEPS)
def test_any_changes_lead_to_what_a_fresh_start_makes(steps: list[Step]) -> None:
    known, kept = tracker(node()), spelled()
    kernel = {"servers": set(kept.servers.values()), "entries": entries_of(kept), "bound": set(kept.bound)}
    tables = kept.tables()
    for step in steps:
        step.take(known)
        changed = known.collect().ports
        routes = decide_all(known, IPVS)
        difference = kept.update({key: routes.get(key) for key in changed})
        comes, goes = {each.key for each in difference.servers}, set(difference.servers_gone)
        kernel["servers"] = {each for each in kernel["servers"] if each.key not in comes | goes} | {*difference.servers}
        kernel["entries"] = kernel["entries"] - {*difference.entries_gone} | {*difference.entries}
        kernel["bound"] = kernel["bound"] - {*difference.unbound} | {*difference.bound}
        tables = difference.tables or tables
        fresh = started(known)
        assert kernel == {
            "servers": set(fresh.servers.values()),
            "entries": entries_of(fresh),
            "bound": set(fresh.bound),
        }
        assert tables == fresh.tables()


def entries_of(spelling: Spelling) -> set[tuple[str, object]]:
    return {(each.name, entry) for each in spelling.sets for entry in each.entries}
