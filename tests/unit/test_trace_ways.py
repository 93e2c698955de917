"""Which way a packet takes, foretold from the lab's state: tables of source and target to hops and translations."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from trace_files import TOPOLOGIES, lab, predicted, small, told

from netlab.errors import NetlabError, NotFound
from netlab.model.cluster import pod_name
from netlab.model.journey import PacketVerdict, Way
from netlab.model.modes import ProxyMode
from netlab.model.names import Place
from netlab.model.rules import Family
from netlab.model.targets import Target, Workload
from netlab.trace import TracedLab, foretell, telling
from netlab.trace.causes import Reason

FILES = sorted(path.stem for path in TOPOLOGIES.glob("*.yaml"))
NOT_READY = "service/sleepy:80"
"""A file does not say that a Pod will never be ready: the model takes every Pod for ready until a lab runs."""


@pytest.mark.parametrize("file", FILES)
def test_every_topology_expects_what_the_model_foretells(file: str) -> None:
    traced = lab(file)
    for line in traced.view.topology.spec.expect:
        target = Target.parse(line.to)
        for family in traced.view.families(target) if line.to != NOT_READY else ():
            prediction = foretell(traced, Place.parse(line.from_), target, family=family)
            verdicts = {way.verdict.value for way in prediction.ways}
            assert verdicts == {line.verdict.value if line.verdict else "reached"}, line
            if line.reaches:
                workloads = (Workload.parse(each) for each in line.reaches)
                pods = {pod_name(pod) for each in workloads for pod in traced.view.pods_of(each)}
                assert {way.pod for way in prediction.ways} == pods, line


class Case(NamedTuple):
    """A flow, and what is said of its request and its reply."""

    traced: TracedLab
    from_: str
    to: str
    by: str | None
    request: list[str]
    reply: list[str]


def ways() -> dict[str, Case]:
    two, vxlan = lab("two-nodes"), lab("three-nodes-vxlan")
    return {
        "a Pod to a ClusterIP, answered on another node": Case(
            two,
            "pod/shell",
            "service/web:80",
            "web-2",
            [
                "pod/shell eth0",
                "node/node1 veth",
                "node/node1 nat/PREROUTING: 10.244.0.3 > 10.244.1.2:8080",
                "node/node1 cni0",
                "node/node1 eth0",
                "fabric node",
                "fabric node",
                "node/node2 eth0",
                "node/node2 cni0",
                "node/node2 veth",
                "pod/web-2 eth0",
                "pod/web-2 socket: 10.244.0.3 > 10.244.1.2:8080",
            ],
            [
                "pod/web-2 eth0",
                "node/node2 veth",
                "node/node2 cni0",
                "node/node2 eth0",
                "fabric node",
                "fabric node",
                "node/node1 eth0",
                "node/node1 nat/POSTROUTING: 10.96.0.80:80 > 10.244.0.3",
                "node/node1 cni0",
                "node/node1 veth",
                "pod/shell eth0",
                "pod/shell socket: 10.96.0.80:80 > 10.244.0.3",
            ],
        ),
        "a neighbour on the same bridge never comes up to the node": Case(
            two,
            "pod/shell",
            "service/web:80",
            "web-1",
            [
                "pod/shell eth0",
                "node/node1 veth",
                "node/node1 nat/PREROUTING: 10.244.0.3 > 10.244.0.2:8080",
                "node/node1 veth",
                "pod/web-1 eth0",
                "pod/web-1 socket: 10.244.0.3 > 10.244.0.2:8080",
            ],
            [
                "pod/web-1 eth0",
                "node/node1 veth",
                "node/node1 nat/POSTROUTING: 10.96.0.80:80 > 10.244.0.3",
                "node/node1 veth",
                "pod/shell eth0",
                "pod/shell socket: 10.96.0.80:80 > 10.244.0.3",
            ],
        ),
        "a Pod that reaches itself sees its node": Case(
            two,
            "pod/web-1",
            "service/web:80",
            "web-1",
            [
                "pod/web-1 eth0",
                "node/node1 veth",
                "node/node1 nat/PREROUTING: 10.244.0.2 > 10.244.0.2:8080",
                "node/node1 nat/POSTROUTING: 10.244.0.1 > 10.244.0.2:8080",
                "node/node1 veth",
                "pod/web-1 eth0",
                "pod/web-1 socket: 10.244.0.1 > 10.244.0.2:8080",
            ],
            [
                "pod/web-1 eth0",
                "node/node1 veth",
                "node/node1 nat/PREROUTING: 10.244.0.2:8080 > 10.244.0.2",
                "node/node1 nat/POSTROUTING: 10.96.0.80:80 > 10.244.0.2",
                "node/node1 veth",
                "pod/web-1 eth0",
                "pod/web-1 socket: 10.96.0.80:80 > 10.244.0.2",
            ],
        ),
        "a node port of one node, a Pod on the other": Case(
            two,
            "external/client",
            "node/node1:30080",
            "web-2",
            [
                "external/client eth0",
                "fabric clie",
                "fabric node",
                "node/node1 eth0",
                "node/node1 nat/PREROUTING: 172.18.0.4 > 10.244.1.2:8080",
                "node/node1 nat/POSTROUTING: 172.18.0.2 > 10.244.1.2:8080",
                "node/node1 eth0",
                "fabric node",
                "fabric node",
                "node/node2 eth0",
                "node/node2 cni0",
                "node/node2 veth",
                "pod/web-2 eth0",
                "pod/web-2 socket: 172.18.0.2 > 10.244.1.2:8080",
            ],
            [
                "pod/web-2 eth0",
                "node/node2 veth",
                "node/node2 cni0",
                "node/node2 eth0",
                "fabric node",
                "fabric node",
                "node/node1 eth0",
                "node/node1 nat/PREROUTING: 10.244.1.2:8080 > 172.18.0.4",
                "node/node1 nat/POSTROUTING: 172.18.0.2:30080 > 172.18.0.4",
                "node/node1 eth0",
                "fabric node",
                "fabric clie",
                "external/client eth0",
                "external/client socket: 172.18.0.2:30080 > 172.18.0.4",
            ],
        ),
        "the node itself, translated on its way out": Case(
            two,
            "node/node1",
            "service/web:80",
            "web-1",
            [
                "node/node1 nat/OUTPUT: 172.18.0.2 > 10.244.0.2:8080",
                "node/node1 nat/POSTROUTING: 10.244.0.1 > 10.244.0.2:8080",
                "node/node1 cni0",
                "node/node1 veth",
                "pod/web-1 eth0",
                "pod/web-1 socket: 10.244.0.1 > 10.244.0.2:8080",
            ],
            [
                "pod/web-1 eth0",
                "node/node1 veth",
                "node/node1 nat/PREROUTING: 10.244.0.2:8080 > 172.18.0.2",
                "node/node1 cni0",
                "node/node1 nat/INPUT: 10.96.0.80:80 > 172.18.0.2",
                "node/node1 socket: 10.96.0.80:80 > 172.18.0.2",
            ],
        ),
        "a tunnel wraps it": Case(
            vxlan,
            "pod/echo-3",
            "pod/echo-1:7/udp",
            None,
            [
                "pod/echo-3 eth0",
                "node/node3 veth",
                "node/node3 cni0",
                "node/node3 vxla",
                "node/node3 eth0",
                "fabric node",
                "fabric node",
                "node/node1 eth0",
                "node/node1 vxla",
                "node/node1 cni0",
                "node/node1 veth",
                "pod/echo-1 eth0",
                "pod/echo-1 socket: 10.244.2.2 > 10.244.0.2:7",
            ],
            [
                "pod/echo-1 eth0",
                "node/node1 veth",
                "node/node1 cni0",
                "node/node1 vxla",
                "node/node1 eth0",
                "fabric node",
                "fabric node",
                "node/node3 eth0",
                "node/node3 vxla",
                "node/node3 cni0",
                "node/node3 veth",
                "pod/echo-3 eth0",
                "pod/echo-3 socket: 10.244.0.2:7 > 10.244.2.2",
            ],
        ),
        "without a bridge even a neighbour is routed to": Case(
            lab("two-nodes", podLink="ptp"),
            "pod/shell",
            "service/web:80",
            "web-1",
            [
                "pod/shell eth0",
                "node/node1 veth",
                "node/node1 nat/PREROUTING: 10.244.0.3 > 10.244.0.2:8080",
                "node/node1 veth",
                "pod/web-1 eth0",
                "pod/web-1 socket: 10.244.0.3 > 10.244.0.2:8080",
            ],
            [
                "pod/web-1 eth0",
                "node/node1 veth",
                "node/node1 nat/POSTROUTING: 10.96.0.80:80 > 10.244.0.3",
                "node/node1 veth",
                "pod/shell eth0",
                "pod/shell socket: 10.96.0.80:80 > 10.244.0.3",
            ],
        ),
        "who has no way to a Service is turned down by the router": Case(
            two,
            "external/client",
            "service/web:80",
            None,
            [
                "external/client eth0",
                "fabric clie",
                "fabric br0",
                "fabric filter/FORWARD: 172.18.0.4 > 10.96.0.80:80",
            ],
            ["fabric br0", "fabric clie", "external/client eth0", "external/client socket: 172.18.0.1 > 172.18.0.4"],
        ),
        "what a Pod sends out of the cluster goes in its node's name": Case(
            two,
            "pod/shell",
            "external/client:80",
            None,
            [
                "pod/shell eth0",
                "node/node1 veth",
                "node/node1 cni0",
                "node/node1 nat/POSTROUTING: 172.18.0.2 > 172.18.0.4:80",
                "node/node1 eth0",
                "fabric node",
                "fabric clie",
                "external/client eth0",
                "external/client socket: 172.18.0.2 > 172.18.0.4:80",
            ],
            [
                "external/client eth0",
                "fabric clie",
                "fabric node",
                "node/node1 eth0",
                "node/node1 nat/PREROUTING: 172.18.0.4:80 > 10.244.0.3",
                "node/node1 cni0",
                "node/node1 veth",
                "pod/shell eth0",
                "pod/shell socket: 172.18.0.4:80 > 10.244.0.3",
            ],
        ),
    }


@pytest.mark.parametrize("case", ways().values(), ids=ways().keys())
def test_hop_by_hop(case: Case) -> None:
    prediction = predicted(case.traced, case.from_, case.to)
    way = prediction.by_pod(case.by) if case.by else prediction.first
    assert way is not None
    assert told(way.hops) == case.request
    assert told(way.hops, Way.REPLY) == case.reply


MODES = {
    ProxyMode.IPTABLES: "node/node1 nat/PREROUTING: 10.244.0.3 > 10.244.1.2:8080",
    ProxyMode.NFTABLES: "node/node1 kube-proxy/nat-prerouting: 10.244.0.3 > 10.244.1.2:8080",
    ProxyMode.IPVS: "node/node1 ipvs: 10.244.0.3 > 10.244.1.2:8080",
    ProxyMode.USERSPACE: "node/node1 proxy: 172.18.0.2 > 10.244.1.2:8080",
}


@pytest.mark.parametrize("mode", MODES)
def test_each_proxy_mode_translates_at_a_place_of_its_own(mode: ProxyMode) -> None:
    way = predicted(lab("two-nodes", mode), "pod/shell", "service/web:80").by_pod("web-2")
    assert way is not None
    assert MODES[mode] in told(way.hops)
    assert way.verdict is PacketVerdict.REACHED
    assert way.source_seen == ("172.18.0.2" if mode is ProxyMode.USERSPACE else "10.244.0.3")
    home = [hop for hop in way.hops if hop.way is Way.REPLY][-1]
    assert (home.packet.src, home.packet.sport) == ("10.96.0.80", 80)


def test_in_mode_ipvs_another_nodes_port_is_left_to_that_node() -> None:
    hops = told(predicted(lab("nodeport", ProxyMode.IPVS), "node/node1", "node/node2:30080").first.hops)
    assert hops[0] == "node/node1 eth0"
    assert any(hop.startswith("node/node2 ipvs: ") for hop in hops)


def test_in_mode_ipvs_a_node_that_source_ranges_bar_is_stopped_behind_the_balancer() -> None:
    way = predicted(lab("load-balancer", ProxyMode.IPVS), "node/node2", "172.18.255.3:80").first
    balanced, ended = [hop for hop in way.hops if hop.hook != "route"]
    assert (balanced.hook, ended.hook, ended.verdict) == ("ipvs", "filter/OUTPUT", PacketVerdict.DROPPED)
    assert balanced.packet.dport == ended.packet.dport == 8080


ENDS = [
    ("two-nodes", "pod/shell", "service/web:81", "iptables", PacketVerdict.UNREACHABLE, Reason.NO_ROUTE),
    ("two-nodes", "pod/shell", "10.96.0.80:81", "nftables", PacketVerdict.REFUSED, Reason.PORT_NOT_SERVED),
    ("two-nodes", "pod/shell", "10.96.0.80:81", "ipvs", PacketVerdict.REFUSED, Reason.PORT_NOT_SERVED),
    ("two-nodes", "pod/shell", "10.96.99.99:80", "iptables", PacketVerdict.UNREACHABLE, Reason.NO_ROUTE),
    ("two-nodes", "pod/shell", "10.96.99.99:80", "nftables", PacketVerdict.DROPPED, Reason.NO_SUCH_SERVICE),
    ("two-nodes", "pod/shell", "pod/web-1:9", "iptables", PacketVerdict.REFUSED, Reason.NO_LISTENER),
    ("two-nodes", "pod/shell", "10.244.0.99:80", "iptables", PacketVerdict.DROPPED, Reason.NOBODY_THERE),
    ("two-nodes", "pod/shell", "10.244.9.9:80", "iptables", PacketVerdict.UNREACHABLE, Reason.NO_ROUTE),
    ("two-nodes", "node/node1", "10.244.9.9:80", "iptables", PacketVerdict.UNREACHABLE, Reason.NO_ROUTE),
    ("two-nodes", "node/node1", "127.0.0.1:30080", "iptables", PacketVerdict.REACHED, None),
    ("two-nodes", "node/node1", "127.0.0.1:30080", "nftables", PacketVerdict.REFUSED, Reason.NO_LISTENER),
    ("two-nodes", "external/client", "node/node1:30099", "iptables", PacketVerdict.REFUSED, Reason.NO_LISTENER),
    ("no-endpoints", "pod/client", "service/empty:80", "iptables", PacketVerdict.REFUSED, Reason.NO_ENDPOINT),
    ("no-endpoints", "node/node2", "service/empty:80/udp", "nftables", PacketVerdict.REFUSED, Reason.NO_ENDPOINT),
    ("no-endpoints", "pod/client", "service/empty:80", "userspace", PacketVerdict.REACHED, Reason.NO_ENDPOINT),
    ("no-endpoints", "pod/client", "service/empty:80/udp", "userspace", PacketVerdict.DROPPED, Reason.NO_ENDPOINT),
    ("nodeport", "external/client", "node/node2:30081", "iptables", PacketVerdict.DROPPED, Reason.NO_LOCAL_ENDPOINT),
    ("nodeport", "external/client", "node/node2:30081", "nftables", PacketVerdict.DROPPED, Reason.NO_LOCAL_ENDPOINT),
    ("load-balancer", "external/stranger", "172.18.255.3:80", "iptables", PacketVerdict.DROPPED, Reason.SOURCE_RANGE),
    ("load-balancer", "external/stranger", "172.18.255.3:80", "nftables", PacketVerdict.DROPPED, Reason.SOURCE_RANGE),
    ("ipvs", "external/client", "node/node2:30082", "ipvs", PacketVerdict.DROPPED, Reason.OTHER_ADDRESS_ANSWERS),
]


@pytest.mark.parametrize("case", ENDS, ids=[" ".join(case[:4]) for case in ENDS])
def test_what_does_not_arrive_ends_for_a_reason(
    case: tuple[str, str, str, str, PacketVerdict, Reason | None],
) -> None:
    file, from_, to, mode, *end = case
    way = predicted(lab(file, ProxyMode(mode)), from_, to).first
    assert [way.verdict, way.cause.reason if way.cause else None] == end


def test_nodes_of_one_lab_may_have_other_modes() -> None:
    objects = (TOPOLOGIES / "two-nodes.yaml").read_text().split("---\n", 1)[1]
    mixed = small(objects, "{nodes: [{name: node1}, {name: node2, proxyMode: nftables}]}")
    hooks = {from_: predicted(mixed, from_, "service/web:80").first.hops for from_ in ("node/node1", "node/node2")}
    assert any(hop.hook == "nat/OUTPUT" for hop in hooks["node/node1"])
    assert any(hop.hook == "kube-proxy/nat-output" for hop in hooks["node/node2"])


@pytest.mark.parametrize("mode", [ProxyMode.IPTABLES, ProxyMode.NFTABLES])
def test_six_fares_like_four(mode: ProxyMode) -> None:
    traced = lab("dual-stack", mode)
    way = predicted(traced, "pod/web-1", "service/web:80", family=Family.IPV6).by_pod("web-1")
    assert way is not None
    assert way.source_seen == "fd00:10:244::1"
    assert way.translated == "[fd00:10:244::2]:8080"


def test_ways_are_found_by_endpoint_and_by_pod_and_no_others_are_there() -> None:
    prediction = predicted(lab("two-nodes"), "pod/shell", "service/web:80")
    assert prediction.endpoints == ("10.244.0.2:8080", "10.244.1.2:8080")
    assert prediction.through("10.244.1.2:8080") is prediction.by_pod("web-2")
    assert prediction.through("10.244.1.3:8080") is None
    assert prediction.by_pod("shell") is None
    assert [way.chance for way in prediction.ways] == [0.5, 0.5]


def test_local_policy_keeps_the_client_and_narrows_the_choice() -> None:
    prediction = predicted(lab("nodeport"), "external/client", "node/node1:30081")
    assert {way.source_seen for way in prediction.ways} == {"172.18.0.4"}
    assert {way.source_seen for way in predicted(lab("nodeport"), "external/client", "node/node1:30080").ways} == {
        "172.18.0.2"
    }


def test_the_rules_of_a_hop_are_those_that_netlab_writes() -> None:
    way = predicted(lab("two-nodes"), "pod/shell", "service/web:80").first
    hop = next(hop for hop in way.hops if hop.rules)
    assert [rule.chain.split("-")[1] for rule in hop.rules] == ["SERVICES", "SVC", "SEP"]
    assert [rule.probability for rule in hop.rules] == [None, 0.5, None]
    assert hop.rules[-1].rule.endswith("-j DNAT --to-destination 10.244.0.2:8080")
    assert hop.changed == ("dst", "dport")


@pytest.mark.parametrize(
    ("from_", "to", "chains", "last"),
    [
        (
            "pod/shell",
            "service/web:80",
            ["services", "service-PFISGYVC-default/web/tcp/", "endpoints"],
            "map @endpoints-2 { 10.96.0.80 . tcp . 80 . 0 : 10.244.0.2 . 8080 }",
        ),
        (
            "external/client",
            "node/node1:30080",
            ["services", "service-BAV7TECX-default/web-outside/tcp/", "endpoints"],
            "map @nodeport-endpoints-2 { tcp . 30080 . 0 : 10.244.0.2 . 8080 }",
        ),
    ],
)
def test_in_mode_nftables_too(from_: str, to: str, chains: list[str], last: str) -> None:
    way = predicted(lab("two-nodes", ProxyMode.NFTABLES), from_, to).first
    hop = next(hop for hop in way.hops if hop.changed)
    assert [rule.chain for rule in hop.rules] == chains
    assert [rule.probability for rule in hop.rules] == [None, None, 0.5]
    assert hop.rules[-1].rule.endswith(last)


def test_of_a_choice_that_is_in_a_map_its_name_is_shown_and_what_was_found() -> None:
    found = predicted(lab("two-nodes", ProxyMode.NFTABLES), "pod/shell", "service/web:80")
    lines = ["".join(text for text, _ in line).split() for line in telling.told([found.journey(found.first)])]
    assert ["endpoints", "dnat", "to", "10.244.0.2:8080", "by", "map", "@endpoints-2", "(chance", "0.50)"] in lines


def test_names_that_are_not_there_and_protocols_that_are_not_spoken_are_told() -> None:
    with pytest.raises(NotFound, match="did you mean pod/shell"):
        predicted(lab("two-nodes"), "pod/shel", "service/web:80")
    with pytest.raises(NetlabError, match="sctp"):
        predicted(lab("two-nodes"), "pod/shell", "service/web:80/sctp")
