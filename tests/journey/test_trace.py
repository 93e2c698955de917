"""`netlab trace`: what it tells of a packet is what the kernel did with it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from netlab_command import PREFIX, Caller, Lab, comes_true, topology

from netlab.model.journey import Hop, Journey, PacketVerdict, Way

EMPTY = """
---
apiVersion: v1
kind: Service
metadata: {name: empty}
spec:
  clusterIP: 10.96.0.81
  selector: {app: nobody}
  ports: [{port: 80}]
"""
DATAGRAMS = """
---
apiVersion: v1
kind: Pod
metadata: {name: echo, labels: {app: echo}}
spec:
  nodeName: node2
  containers:
    - name: echo
      image: netlab/server
      ports: [{containerPort: 7, protocol: UDP}]
---
apiVersion: v1
kind: Service
metadata: {name: echo}
spec:
  clusterIP: 10.96.0.82
  selector: {app: echo}
  ports: [{port: 7, protocol: UDP}]
"""
DROP = ("FORWARD", "-p", "tcp", "--dport", "8080", "-j", "DROP")
TWO = f"{PREFIX}-traced"
NFT = f"{PREFIX}-traced-nft"
OURS = "netlab trace"


def text(name: str, *, mode: str = "iptables") -> str:
    whole = topology("two-nodes", name=name) + EMPTY + DATAGRAMS
    return whole.replace("\nspec:\n", f"\nspec:\n  proxy: {{mode: {mode}}}\n", 1)


@pytest.fixture(scope="module")
def two(root: Caller) -> Iterator[Lab]:
    """Two nodes in mode iptables."""
    with root.lab(TWO, text(TWO)) as lab:
        yield lab


@pytest.fixture(scope="module")
def modern(root: Caller) -> Iterator[Lab]:
    """Two nodes in mode nftables."""
    with root.lab(NFT, text(NFT, mode="nftables")) as lab:
        yield lab


@pytest.fixture(scope="module")
def dual(root: Caller) -> Iterator[Lab]:
    """Two nodes with both families."""
    name = f"{PREFIX}-traced-dual"
    with root.lab(name, topology("dual-stack", name=name)) as lab:
        yield lab


def trace(lab: Lab, from_: str, to: str, *options: str) -> Journey:
    done = lab.run("trace", from_, to, *options, "-o", "json")
    assert done.out, done.err
    journey = Journey.model_validate_json(done.out)
    assert done.status == (0 if journey.verdict is PacketVerdict.REACHED else 1), done.err
    return journey


def until(lab: Lab, pod: str, from_: str, to: str, *options: str) -> Journey:
    """The journey of the first packet that comes to that Pod: chance decides which one gets it."""
    for _ in range(60):
        journey = trace(lab, from_, to, *options)
        if journey.pod == pod:
            return journey
    raise AssertionError(f"no packet came to {pod}")


def places(journey: Journey, way: Way) -> list[str]:
    """Where the packet was, each place once a visit."""
    found: list[str] = []
    for hop in journey.hops:
        if hop.way is way and found[-1:] != [hop.at]:
            found.append(hop.at)
    return found


def changes(journey: Journey) -> list[tuple[str, str, str, tuple[str, ...]]]:
    return [(hop.way.value, hop.at, hop.hook, hop.changed) for hop in journey.hops if hop.changed]


def ends(journey: Journey) -> list[Hop]:
    return [hop for hop in journey.hops if hop.verdict is not None]


def left_on(lab: Lab, node: str) -> str:
    """What traces have left in a node's tables."""
    raw = lab.ok("exec", f"node/{node}", "--", "iptables-legacy", "-t", "raw", "-S")
    tables = lab.ok("exec", f"node/{node}", "--", "nft", "list", "tables")
    return "\n".join(line for line in (raw + tables).splitlines() if OURS in line or "netlab-trace" in line)


# --- to a ClusterIP


@pytest.mark.root
@pytest.mark.parametrize("method", [(), ("--mode", "nft")])
def test_a_packet_to_a_cluster_ip_is_followed_across_nodes_and_back(two: Lab, method: tuple[str, ...]) -> None:
    journey = until(two, "web-2", "pod/shell", "service/web:80", *method)
    way = ["pod/shell", "node/node1", "fabric", "node/node2", "pod/web-2"]
    assert (places(journey, Way.REQUEST), places(journey, Way.REPLY)) == (way, way[::-1])
    assert changes(journey) == [
        ("request", "node/node1", "nat/PREROUTING", ("dst", "dport")),
        ("reply", "node/node1", "nat/POSTROUTING", ("src", "sport")),
    ]
    translated = next(hop for hop in journey.hops if hop.changed)
    assert [hit.chain for hit in translated.rules][:2] == ["PREROUTING", "KUBE-SERVICES"]
    assert re.search(r"-j DNAT --to-destination 10\.244\.1\.2:8080$", translated.rules[-1].rule)
    assert translated.rules[1].comment == "default/web cluster IP"
    assert "src=10.244.0.3 dst=10.96.0.80" in (translated.detail or "")
    assert [(hop.at, hop.hook, hop.verdict) for hop in ends(journey)] == [
        ("pod/web-2", "socket", PacketVerdict.REACHED)
    ]
    assert left_on(two, "node1") == ""


@pytest.mark.root
def test_the_chance_of_an_endpoint_is_told(two: Lab) -> None:
    journey = until(two, "web-1", "pod/shell", "service/web:80")
    assert [hit.probability for hop in journey.hops for hit in hop.rules if hit.probability] == [0.5]
    assert places(journey, Way.REQUEST) == ["pod/shell", "node/node1", "pod/web-1"]


@pytest.mark.root
def test_a_pod_that_reaches_itself_is_masqueraded_by_the_marked_packet(two: Lab) -> None:
    journey = until(two, "web-1", "pod/web-1", "service/web:80")
    marked = [hop for hop in journey.hops if hop.packet.mark == 0x4000]
    assert "nat/PREROUTING" in {hop.hook for hop in marked}
    masqueraded = next(hop for hop in journey.hops if "src" in hop.changed)
    assert (masqueraded.hook, masqueraded.packet.src) == ("nat/POSTROUTING", "10.244.0.1")
    assert "MASQUERADE" in masqueraded.rules[-1].rule


@pytest.mark.root
def test_a_node_port_is_followed_from_outside(two: Lab) -> None:
    journey = until(two, "web-2", "external/client", "node/node1:30080")
    way = ["external/client", "fabric", "node/node1", "fabric", "node/node2", "pod/web-2"]
    assert (places(journey, Way.REQUEST), places(journey, Way.REPLY)) == (way, way[::-1])
    assert "KUBE-NODEPORTS" in {hit.chain for hop in journey.hops for hit in hop.rules}


@pytest.mark.root
def test_a_node_starts_in_output(two: Lab) -> None:
    journey = trace(two, "node/node1", "service/web:80")
    translated = next(hop for hop in journey.hops if "dst" in hop.changed)
    assert (journey.hops[0].hook, translated.hook, translated.at) == ("route", "nat/OUTPUT", "node/node1")


@pytest.mark.root
def test_a_datagram_is_followed_too(two: Lab) -> None:
    journey = trace(two, "pod/shell", "service/echo:7/udp")
    assert journey.pod == "echo"
    assert [change[2] for change in changes(journey)] == ["nat/PREROUTING", "nat/POSTROUTING"]
    assert places(journey, Way.REPLY)[-1] == "pod/shell"


@pytest.mark.root
def test_a_ping_is_followed_too(two: Lab) -> None:
    journey = trace(two, "pod/shell", "pod/web-2/icmp")
    assert (journey.pod, changes(journey)) == ("web-2", [])
    assert {hop.packet.flags for hop in journey.hops} == {"echo request", "echo reply"}


# --- where it ends


@pytest.mark.root
def test_without_endpoints_the_rule_that_refuses_is_named(two: Lab) -> None:
    journey = trace(two, "pod/shell", "service/empty:80")
    (end,) = ends(journey)
    assert (journey.verdict, end.at, end.hook) == (PacketVerdict.REFUSED, "node/node1", "filter/FORWARD")
    assert end.rules[-1].comment == "default/empty has no endpoints"
    assert "-j REJECT" in end.rules[-1].rule
    assert journey.meaning == "Service default/empty has no ready endpoint; selector app=nobody matches no Pod."
    assert {hop.packet.flags for hop in journey.hops if hop.way is Way.REPLY} == {"port unreachable"}


@pytest.mark.root
def test_a_rule_put_in_by_hand_that_drops_is_named(two: Lab) -> None:
    two.ok("exec", "node/node2", "--", "iptables-legacy", "-I", *DROP)
    try:
        journey = trace(two, "pod/shell", "pod/web-2:8080")
    finally:
        two.ok("exec", "node/node2", "--", "iptables-legacy", "-D", *DROP)
    (end,) = ends(journey)
    assert (journey.verdict, end.at, end.hook) == (PacketVerdict.DROPPED, "node/node2", "filter/FORWARD")
    assert end.rules[-1].rule == "-A FORWARD -p tcp -m tcp --dport 8080 -j DROP"
    assert trace(two, "pod/shell", "pod/web-2:8080").verdict is PacketVerdict.REACHED


@pytest.mark.root
def test_a_rule_without_a_condition_that_drops_is_not_taken_for_the_policy(two: Lab) -> None:
    two.ok("exec", "node/node2", "--", "iptables-legacy", "-I", "FORWARD", "-j", "DROP")
    try:
        journey = trace(two, "pod/shell", "pod/web-2:8080")
    finally:
        two.ok("exec", "node/node2", "--", "iptables-legacy", "-D", "FORWARD", "-j", "DROP")
    assert ends(journey)[-1].rules[-1].rule == "-A FORWARD -j DROP"


@pytest.mark.root
def test_where_nobody_listens_the_pod_itself_refuses(two: Lab) -> None:
    journey = trace(two, "pod/shell", "pod/web-2:9999")
    (end,) = ends(journey)
    assert (end.at, end.hook, end.verdict) == ("pod/web-2", "socket", PacketVerdict.REFUSED)
    assert "nobody listens" in (end.detail or "")
    assert {hop.packet.flags for hop in journey.hops if hop.way is Way.REPLY} == {"R."}


@pytest.mark.root
def test_from_outside_the_router_has_no_way_to_a_pod(two: Lab) -> None:
    journey = trace(two, "external/client", "pod/web-1:8080")
    (end,) = ends(journey)
    assert (journey.verdict, end.at) == (PacketVerdict.UNREACHABLE, "fabric")


@pytest.mark.root
def test_a_place_without_a_route_sends_nothing(two: Lab) -> None:
    two.ok("exec", "pod/shell", "--", "ip", "route", "del", "default")
    try:
        journey = trace(two, "pod/shell", "service/web:80")
    finally:
        two.ok("exec", "pod/shell", "--", "ip", "route", "add", "default", "via", "10.244.0.1", "dev", "eth0")
    assert [(hop.at, hop.hook, hop.verdict) for hop in journey.hops] == [
        ("pod/shell", "route", PacketVerdict.UNREACHABLE)
    ]


@pytest.mark.root
def test_a_route_by_the_wires_router_ends_there(two: Lab) -> None:
    two.ok("exec", "node/node1", "--", "ip", "route", "replace", "10.244.1.0/24", "via", "172.18.0.1")
    try:
        journey = trace(two, "pod/shell", "pod/web-2:8080")
    finally:
        two.ok("exec", "node/node1", "--", "ip", "route", "replace", "10.244.1.0/24", "via", "172.18.0.3")
    assert (ends(journey)[0].at, ends(journey)[0].hook) == ("fabric", "filter/FORWARD")
    assert journey.first_difference == "the model goes on to fabric link/node2, the kernel does not"


@pytest.mark.root
def test_a_node_that_does_not_forward_is_told_by_its_setting(two: Lab) -> None:
    setting = "net.ipv4.conf.eth0.forwarding"
    two.ok("exec", "node/node2", "--", "sysctl", "-qw", f"{setting}=0")
    try:
        journey = trace(two, "pod/shell", "pod/web-2:8080")
    finally:
        two.ok("exec", "node/node2", "--", "sysctl", "-qw", f"{setting}=1")
    assert (ends(journey)[0].at, ends(journey)[0].hook) == ("node/node2", "route")
    assert setting in (journey.meaning or "")


# --- counted, where it cannot be traced


COUNTED = ("--mode", "counters")
LOG_READER = """
import os, socket, struct, sys
log = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
log.send(struct.pack("=IHHIIBBHHHB3x", 28, 4 << 8 | 1, 5, 1, 0, 0, 0, 0, 5, 1, 1))
sys.exit(struct.unpack_from("=i", log.recv(4096), 16)[0] or print("reads", flush=True) or os.read(0, 1) and 0)
"""
"""Binds NFLOG group 0 of its namespace (NFULNL_CFG_CMD_BIND), which one reader alone may have, until its input ends."""


@contextmanager
def log_taken(lab: Lab, node: str) -> Iterator[None]:
    """The node's log of packets under trace has another reader in the block."""
    reader = ("exec", "-l", lab.name, f"node/{node}", "--", sys.executable, "-c", LOG_READER)
    with lab.caller.start(*reader, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"reads\n"
        yield
        process.communicate()


def counted_hops(journey: Journey) -> list[tuple[str, str, str]]:
    return [(hop.way.value, hop.at, hop.hook) for hop in journey.hops if hop.rules]


def chains(journey: Journey, hook: str) -> list[str]:
    """The chains of the rules in the first such hop, in their order."""
    return [hit.chain for hit in next(hop for hop in journey.hops if hop.hook == hook).rules]


@pytest.mark.root
def test_the_rules_that_counted_are_told_in_packet_order_across_nodes(two: Lab) -> None:
    journey = until(two, "web-2", "pod/shell", "service/web:80", *COUNTED)
    way = ["pod/shell", "node/node1", "fabric", "node/node2", "pod/web-2"]
    assert (places(journey, Way.REQUEST), places(journey, Way.REPLY)) == (way, way[::-1])
    assert changes(journey) == [
        ("request", "node/node1", "nat/PREROUTING", ("dst", "dport")),
        ("reply", "node/node1", "nat/POSTROUTING", ("src", "sport")),
    ]
    translated = next(hop for hop in journey.hops if hop.changed)
    kinds = [re.sub(r"^(KUBE-SVC|KUBE-SEP)-.*", r"\1", hit.chain) for hit in translated.rules]
    assert [kind for kind, before in zip(kinds, ["", *kinds], strict=False) if kind != before] == [
        "PREROUTING",
        "KUBE-SERVICES",
        "KUBE-SVC",
        "KUBE-SEP",
    ]
    assert re.search(r"-j DNAT --to-destination 10\.244\.1\.2:8080$", translated.rules[-1].rule)
    assert (translated.detail or "").endswith("counted, not traced: other packets may be among them")
    assert ("reply", "node/node2", "filter/FORWARD") in counted_hops(journey)
    assert (journey.agrees, left_on(two, "node1")) == (True, "")
    note = f"{translated.detail}".rpartition("; ")[2]
    assert f"rules of node/node1: {note}\n" in two.ok("trace", "pod/shell", "pod/web-1:8080", *COUNTED)


@pytest.mark.root
@pytest.mark.parametrize(("from_", "hook"), [("pod/shell", "filter/FORWARD"), ("node/node1", "filter/OUTPUT")])
def test_the_rule_that_refuses_is_named_by_its_counter(two: Lab, from_: str, hook: str) -> None:
    journey = trace(two, from_, "service/empty:80", *COUNTED)
    (end,) = ends(journey)
    assert (journey.verdict, end.at, end.hook) == (PacketVerdict.REFUSED, "node/node1", hook)
    assert end.rules[-1].comment == "default/empty has no endpoints"
    assert "-j REJECT" in end.rules[-1].rule


@pytest.mark.root
def test_a_rule_that_drops_is_named_by_its_counter(two: Lab) -> None:
    two.ok("exec", "node/node1", "--", "iptables-legacy", "-I", *DROP)
    try:
        journey = trace(two, "pod/shell", "service/web:80", *COUNTED)
    finally:
        two.ok("exec", "node/node1", "--", "iptables-legacy", "-D", *DROP)
    (end,) = ends(journey)
    assert (journey.verdict, end.at, end.hook) == (PacketVerdict.DROPPED, "node/node1", "filter/FORWARD")
    assert end.rules[-1].rule == "-A FORWARD -p tcp -m tcp --dport 8080 -j DROP"
    assert ("dst", "dport") in [hop.changed for hop in journey.hops]


@pytest.mark.root
def test_what_a_node_sends_and_gets_back_is_told_with_the_addresses_that_it_had(two: Lab) -> None:
    journey = until(two, "web-2", "node/node1", "service/web:80", *COUNTED)
    traced = until(two, "web-2", "node/node1", "service/web:80")
    unmarked = [(*at, tuple(name for name in changed if name != "mark")) for *at, changed in changes(traced)]
    assert [(*at, changed) for *at, changed in changes(journey)] == unmarked
    assert journey.hops[-1].packet.src == "10.96.0.80"


@pytest.mark.root
def test_rules_of_nftables_that_count_are_told(modern: Lab) -> None:
    table = (
        "table inet mine { chain forward { type filter hook forward priority 5; jump closed; }; chain closed { %s; }; }"
    )
    rule = "tcp dport 8080 counter drop"
    modern.ok("exec", "node/node2", "--", "nft", table % rule)
    try:
        journey = trace(modern, "pod/shell", "pod/web-2:8080", *COUNTED)
    finally:
        modern.ok("exec", "node/node2", "--", "nft", "delete table inet mine")
    (end,) = ends(journey)
    assert (end.at, end.hook, [hit.chain for hit in end.rules]) == ("node/node2", "mine/forward", ["closed"])
    assert end.rules[-1].rule == rule


@pytest.mark.root
def test_rules_that_iptables_nft_made_are_counted_too(modern: Lab) -> None:
    modern.ok("exec", "node/node2", "--", "iptables-nft", "-I", *DROP)
    try:
        journey = trace(modern, "pod/shell", "pod/web-2:8080", *COUNTED)
    finally:
        modern.ok("exec", "node/node2", "--", "nft", "delete table ip filter")
    (end,) = ends(journey)
    assert (journey.verdict, end.at, end.hook) == (PacketVerdict.DROPPED, "node/node2", "filter/FORWARD")
    assert end.rules[-1].rule == "-A FORWARD -p tcp -m tcp --dport 8080 -j DROP"


@pytest.mark.root
@pytest.mark.parametrize("from_", ["pod/shell", "node/node1"])
def test_a_rule_without_a_counter_is_taken_for_no_program(modern: Lab, from_: str) -> None:
    journey = trace(modern, from_, "service/empty:80", *COUNTED)
    (end,) = ends(journey)
    assert (journey.verdict, end.at, journey.agrees) == (PacketVerdict.REFUSED, "node/node1", True)
    assert end.hook != "socket"


@pytest.mark.root
def test_a_node_that_cannot_be_traced_is_counted_and_the_others_are_traced(two: Lab) -> None:
    with log_taken(two, "node1"):
        journey = trace(two, "pod/shell", "pod/web-2:8080")
    told = {hop.at: hop.detail for hop in journey.hops if hop.hook == "filter/FORWARD" and hop.way is Way.REQUEST}
    assert told == {"node/node1": "counted, not traced: other packets may be among them", "node/node2": None}
    assert left_on(two, "node1") == ""


@pytest.mark.root
def test_a_traced_node_may_send_to_a_counted_one(two: Lab) -> None:
    with log_taken(two, "node2"):
        journey = until(two, "web-2", "node/node1", "service/web:80")
    details = [hop.detail or "" for hop in journey.hops if hop.hook.startswith("nat/") and hop.rules]
    assert ["counted, not traced" in detail for detail in details] == [False, False, True, True]
    assert journey.hops[0].packet.dst == "10.96.0.80"


@pytest.mark.root
def test_a_method_that_was_asked_for_is_not_replaced(two: Lab) -> None:
    with log_taken(two, "node1"):
        done = two.run("trace", "pod/shell", "pod/web-2:8080", "--mode", "legacy")
    assert done.status != 0
    assert "NFLOG group 0" in done.err


# --- IPv6


@pytest.mark.root
@pytest.mark.parametrize("method", ["legacy", "nft", "counters"])
def test_ipv6_is_followed_across_nodes_and_back(dual: Lab, method: str) -> None:
    service, pod = "fd00:10:96::80", "fd00:10:244:1::2"
    journey = until(dual, "web-2", "pod/client", f"[{service}]:80", "--mode", method)
    way = ["pod/client", "node/node1", "fabric", "node/node2", "pod/web-2"]
    assert (places(journey, Way.REQUEST), places(journey, Way.REPLY)) == (way, way[::-1])
    translated = next(hop for hop in journey.hops if hop.changed)
    assert (translated.at, translated.hook, translated.packet.dst) == ("node/node1", "nat/PREROUTING", pod)
    assert f"--to-destination [{pod}]:8080" in translated.rules[-1].rule
    assert (journey.hops[0].packet.dst, journey.hops[-1].packet.src, journey.agrees) == (service, service, True)


# --- what it leaves


@pytest.mark.root
@pytest.mark.parametrize("method", ["legacy", "nft"])
def test_a_trace_that_is_killed_leaves_nothing(two: Lab, method: str) -> None:
    for _ in range(2):
        two.ok("exec", "node/node1", "--", "iptables-legacy", "-I", *DROP)
    waits = ["trace", "-l", two.name, "pod/shell", "pod/web-2:8080", "--timeout", "60", "--mode", method]
    try:
        with two.caller.start(*waits) as process:
            assert comes_true(lambda: left_on(two, "node1") != "")
            process.kill()
        assert comes_true(lambda: left_on(two, "node1") + left_on(two, "node2") == "")
    finally:
        for _ in range(2):
            two.ok("exec", "node/node1", "--", "iptables-legacy", "-D", *DROP)
    assert trace(two, "pod/shell", "pod/web-2:8080").verdict is PacketVerdict.REACHED


@pytest.mark.root
@pytest.mark.parametrize("method", ["legacy", "nft"])
def test_kube_proxy_takes_a_trace_for_no_damage(two: Lab, method: str) -> None:
    before = counters(two, "node1")
    trace(two, "pod/shell", "service/web:80", "--mode", method)
    after = counters(two, "node1")
    assert before.keys() == after.keys()
    assert all(after[rule] >= count for rule, count in before.items())
    assert sum(after.values()) > sum(before.values())


def counters(lab: Lab, node: str) -> dict[str, int]:
    """Packets by rule of the table nat."""
    saved = lab.ok("exec", f"node/{node}", "--", "iptables-legacy-save", "-c", "-t", "nat")
    return {rule: int(count) for count, rule in re.findall(r"^\[(\d+):\d+\] (-A .*)$", saved, flags=re.MULTILINE)}


# --- other modes, and without root


@pytest.mark.root
def test_in_mode_nftables_the_chains_of_kube_proxy_are_told(modern: Lab) -> None:
    journey = until(modern, "web-2", "pod/shell", "service/web:80")
    assert changes(journey)[0] == ("request", "node/node1", "kube-proxy/nat-prerouting", ("dst", "dport"))
    translated = next(hop for hop in journey.hops if hop.changed)
    chains = [rule.chain for rule in translated.rules]
    assert chains[-3:] == ["services", "service-PFISGYVC-default/web/tcp/", "endpoints"], chains
    assert (translated.rules[-1].rule[:8], translated.rules[-1].probability) == ("dnat ip ", 0.5)
    assert str(translated.packet.dst) == "10.244.1.2"
    assert not any(hop.hook.startswith("netlab-trace") for hop in journey.hops)
    assert left_on(modern, "node1") == ""


@pytest.mark.root
@pytest.mark.parametrize(("to", "pod"), [("service/web:80", "web-2"), ("service/echo:7/udp", "echo")])
def test_in_mode_nftables_a_node_starts_in_output_and_each_rule_is_told_by_its_text(
    modern: Lab, to: str, pod: str
) -> None:
    journey = until(modern, pod, "node/node1", to)
    assert [change[2] for change in changes(journey)] == [
        "kube-proxy/nat-output",
        "kube-proxy/nat-postrouting",
        "nat/PREROUTING",
        "nat/INPUT",
    ]
    assert [hit for hop in journey.hops for hit in hop.rules if not hit.rule] == []


@pytest.mark.root
def test_in_mode_nftables_the_rule_that_refuses_is_named(modern: Lab) -> None:
    journey = trace(modern, "pod/shell", "service/empty:80")
    (end,) = ends(journey)
    assert (journey.verdict, end.at) == (PacketVerdict.REFUSED, "node/node1")
    assert "reject" in end.rules[-1].rule


def test_an_ordinary_user_traces_in_a_lab_of_their_own(user: Caller) -> None:
    name = f"{PREFIX}-traced-user"
    with user.lab(name, topology("two-nodes", name=name)) as lab:
        journey = trace(lab, "pod/shell", "service/web:80")
        assert journey.verdict is PacketVerdict.REACHED
        assert changes(journey)[0][2] == "nat/PREROUTING"


@pytest.mark.root
def test_people_get_a_table_and_unknown_places_an_error(two: Lab) -> None:
    assert "nat/PREROUTING" in two.ok("trace", "pod/shell", "service/web:80")
    done = two.run("trace", "pod/nobody", "service/web:80", "-o", "json")
    told: dict[str, Any] = json.loads(done.err)
    assert (done.status, done.out, "pod/nobody" in told["problems"][0]["message"]) == (4, "", True)


# --- mode userspace


USERSPACE = f"{PREFIX}-traced-us"


@pytest.fixture(scope="module")
def proxied(root: Caller) -> Iterator[Lab]:
    """Two nodes in mode userspace."""
    with root.lab(USERSPACE, text(USERSPACE, mode="userspace")) as lab:
        yield lab


@pytest.mark.root
@pytest.mark.parametrize("method", [(), COUNTED])
@pytest.mark.parametrize(("service", "pods"), [("web:80", {"web-1", "web-2"}), ("echo:7/udp", {"echo"})])
def test_in_mode_userspace_the_proxy_takes_the_packet_in_and_speaks_to_a_pod_itself(
    proxied: Lab, service: str, pods: set[str], method: tuple[str, ...]
) -> None:
    journey = trace(proxied, "pod/shell", f"service/{service}", *method)
    assert journey.pod in pods
    proxies = [
        (hop.way.value, hop.at, {"src", "dst"} <= set(hop.changed)) for hop in journey.hops if hop.hook == "proxy"
    ]
    assert proxies == [("request", "node/node1", True), ("reply", "node/node1", True)]
    assert "REDIRECT" in next(hop for hop in journey.hops if hop.changed).rules[-1].rule
    assert journey.hops[-1].at == "pod/shell"


# --- mode ipvs


@pytest.mark.root
@pytest.mark.ipvs
def test_in_mode_ipvs_the_balancer_and_the_server_that_it_chose_are_told(root: Caller) -> None:
    name = f"{PREFIX}-traced-ipvs"
    with root.lab(name, topology("ipvs", name=name)) as lab:
        journey = trace(lab, "pod/shell", "service/web:80")
    balanced = [(hop.way.value, hop.at, hop.changed) for hop in journey.hops if hop.hook == "ipvs"]
    assert balanced == [
        ("request", "node/node1", ("dst", "dport")),
        ("reply", "node/node1", ("src", "sport")),
    ]
    assert journey.pod in {"web-1", "web-2"}
    assert journey.hops[-1].at == "pod/shell"
