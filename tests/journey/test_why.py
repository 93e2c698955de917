"""`netlab why`: each cause made in a lab that runs, named, and undone; what the remedy says is done where it can be."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from netlab_command import PREFIX, Caller, Done, Lab

from netlab.model.diagnosis import CauseName, Diagnosis
from netlab.model.journey import PacketVerdict
from netlab.model.names import hashed_interface_name

NAME = f"{PREFIX}-why"
PYTHON = str(Path(sys.executable).resolve())


def text(name: str, *, mode: str = "iptables") -> str:
    """Two nodes, a Pod of `web` on each, one that is never ready, one that is deaf, others, and their Services."""
    return f"""\
apiVersion: netlab/v1
kind: Topology
metadata: {{name: {name}}}
spec:
  proxy: {{mode: {mode}}}
  nodes: [{{name: node1}}, {{name: node2}}]
  externals: [{{name: client}}]
---
{pod("web-1", "node1", "app: web, tier: front", "{containerPort: 8080, name: http}")}
{pod("web-2", "node2", "app: web, tier: front", "{containerPort: 8080, name: http}")}
{pod("cache", "node2", "app: cache, tier: front", "{containerPort: 6379}")}
{pod("echo", "node2", "app: echo", "{containerPort: 7, protocol: UDP}")}
{
        pod(
            "sleepy",
            "node2",
            "app: sleepy",
            "{containerPort: 8080}",
            ", readinessProbe: {tcpSocket: {port: 9}, periodSeconds: 1}",
        )
    }
{pod("other", "node1", "app: other", "{containerPort: 9999}")}
{pod("deaf", "node2", "app: deaf", "{containerPort: 8080}", ", command: [sleep, infinity]")}
{pod("shell", "node1", "app: shell", "", ", command: [sleep, infinity]")}
{service("web", 80, "app: web")}
{service("typo", 81, "app: wbe")}
{service("broad", 82, "tier: front")}
{service("named", 83, "app: web", port="port: 80, targetPort: htpp")}
{service("elsewhere", 84, "app: web", port="port: 80, targetPort: 9")}
{service("datagrams", 85, "app: web", port="port: 80, targetPort: 8080, protocol: UDP")}
{service("sleepy", 86, "app: sleepy")}
{service("echo", 87, "app: echo", port="port: 7, protocol: UDP")}
{service("homely", 88, "app: echo", port="port: 7, protocol: UDP", rest=", internalTrafficPolicy: Local")}
{service("outside", 89, "app: web", port="port: 80, targetPort: 8080, nodePort: 30080", rest=", type: NodePort")}
{service("deaf", 90, "app: deaf")}
{
        service(
            "stay",
            91,
            "app: other",
            port="port: 80, targetPort: 9999, nodePort: 30081",
            rest=", type: NodePort, externalTrafficPolicy: Local",
        )
    }
"""


def pod(name: str, node: str, labels: str, port: str, rest: str = "") -> str:
    return f"""\
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{{labels}}}}}
spec: {{nodeName: {node}, containers: [{{name: c, ports: [{port}]{rest}}}]}}
---"""


def service(name: str, last: int, selector: str, *, port: str = "port: 80, targetPort: 8080", rest: str = "") -> str:
    return f"""\
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{clusterIP: 10.96.0.{last}, selector: {{{selector}}}, ports: [{{{port}}}]{rest}}}
---"""


@pytest.fixture(scope="module")
def lab(root: Caller) -> Iterator[Lab]:
    with root.lab(NAME, text(NAME)) as running:
        yield running


def why(lab: Lab, from_: str, to: str) -> Diagnosis:
    done = lab.run("why", from_, to, "--timeout", "0.5", "-o", "json", seconds=180)
    assert done.out, done.err
    found = Diagnosis.model_validate(json.loads(done.out))
    assert done.status == (0 if found.cause is None else 1)
    return found


# --- what stands in the objects


@pytest.mark.root
@pytest.mark.parametrize(
    ("from_", "to", "cause"),
    [
        ("pod/shell", "service/web:80", None),
        ("external/client", "node/node1:30080", None),
        ("pod/shell", "service/echo:7/udp", None),
        ("pod/web-1", "service/web:80", None),
        ("node/node1", "service/web:80", None),
        ("pod/shell", "service/typo:80", CauseName.SELECTOR_MATCHES_NOTHING),
        ("pod/shell", "service/broad:80", CauseName.SELECTOR_TOO_BROAD),
        ("pod/shell", "service/named:80", CauseName.NAMED_PORT_MISSING),
        ("pod/shell", "service/elsewhere:80", CauseName.WRONG_TARGET_PORT),
        ("pod/shell", "service/datagrams:80", CauseName.PROTOCOL_MISMATCH),
        ("pod/shell", "service/datagrams:80/udp", CauseName.PROTOCOL_MISMATCH),
        ("pod/shell", "service/sleepy:80", CauseName.READINESS_FAILING),
        ("pod/shell", "service/homely:7/udp", CauseName.INTERNAL_POLICY_LOCAL),
        ("external/client", "node/node2:30081", CauseName.EXTERNAL_POLICY_LOCAL),
        ("external/client", "service/web:80", CauseName.CLUSTER_ADDRESS_OUTSIDE),
        ("pod/shell", "service/deaf:80", CauseName.NOTHING_LISTENS),
    ],
)
def test_what_stands_in_the_objects_is_named(lab: Lab, from_: str, to: str, cause: CauseName | None) -> None:
    found = why(lab, from_, to)
    assert found.cause == cause, found.explanation
    assert bool(found.remedy) == (cause is not None)


# --- what somebody did to the kernel


@dataclass(frozen=True)
class Made:
    """A cause as commands, each in a place, and those that take it back."""

    cause: CauseName
    make: tuple[str, ...]
    undo: tuple[str, ...]
    from_: str = "pod/shell"
    to: str = "service/web:80"
    remedy_is_enough: bool = True
    """Whether what `why` says is a command that puts everything right."""


PORT = hashed_interface_name("veth", "default/web-1")
N1, N2 = "node/node1: ", "node/node2: "
OUTSIDE = {"from_": "external/client", "to": "node/node1:30080"}
TO_POD = {"to": "pod/web-2:8080"}


def rule(
    name: CauseName, at: str, spelled: str, *, table: str = "filter", program: str = "iptables", **flow: str
) -> Made:
    """A rule that somebody inserts."""
    command = f"{at}{program} -t {table}"
    return Made(name, (f"{command} -I {spelled}",), (f"{command} -D {spelled}",), **flow)


def setting(name: CauseName, at: str, key: str, values: tuple[int, int], **flow: str) -> Made:
    """A sysctl with another value."""
    one, other = (f"{at}sysctl -qw {key}={value}" for value in values)
    return Made(name, (one,), (other,), **flow)


def hairpin(value: str) -> tuple[str]:
    loop = "for port in $(ls /sys/class/net/cni0/brif); do bridge link set dev $port hairpin"
    return (f"{N1}sh -c '{loop} {value}; done'",)


IN_THE_KERNEL = {
    "a node that does not forward": setting(CauseName.IP_FORWARD_OFF, N1, "net.ipv4.ip_forward", (0, 1)),
    "the node of the endpoint does not forward": setting(
        CauseName.IP_FORWARD_OFF, N2, "net.ipv4.ip_forward", (0, 1), **TO_POD
    ),
    "node ports on 127.0.0.1 without route_localnet": setting(
        CauseName.ROUTE_LOCALNET_OFF,
        N1,
        "net.ipv4.conf.all.route_localnet",
        (0, 1),
        from_="node/node1",
        to="127.0.0.1:30080",
    ),
    "bridged frames pass by netfilter": setting(
        CauseName.BRIDGE_NF_OFF, N1, "net.bridge.bridge-nf-call-iptables", (0, 1)
    ),
    "a policy DROP in FORWARD": Made(
        CauseName.FORWARD_DROP, (N1 + "iptables -P FORWARD DROP",), (N1 + "iptables -P FORWARD ACCEPT",)
    ),
    "a rule in FORWARD that drops": rule(CauseName.FORWARD_DROP, N2, "FORWARD -p tcp --dport 8080 -j DROP"),
    "a rule in FORWARD that rejects": rule(CauseName.FORWARD_DROP, N1, "FORWARD -p tcp --dport 8080 -j REJECT"),
    "a firewall before node ports": rule(
        CauseName.NODEPORT_SHADOWED,
        N1,
        "PREROUTING -i eth0 -p tcp --dport 30000:32767 -m comment --comment firewall -j DROP",
        table="mangle",
        **OUTSIDE,
    ),
    "a redirection before a node port": rule(
        CauseName.NODEPORT_SHADOWED,
        N1,
        "PREROUTING -p tcp --dport 30080 -j REDIRECT --to-ports 9",
        table="nat",
        **OUTSIDE,
    ),
    "a rule in OUTPUT of the node that asks": rule(
        CauseName.FOREIGN_RULE, N1, "OUTPUT -p tcp --dport 8080 -j DROP", from_="node/node1"
    ),
    "the mark for masquerading taken away": rule(
        CauseName.MASQUERADE_MISSING, N1, "POSTROUTING -j MARK --and-mark 0xffffbfff", table="mangle", **OUTSIDE
    ),
    "rules of both kinds": rule(
        CauseName.RULES_IN_BOTH_KINDS,
        N1,
        "FORWARD -d 10.244.0.0/16 -m comment --comment left-over -j DROP",
        program="iptables-nft",
    ),
    "a route that leads to the router": Made(
        CauseName.WRONG_ROUTE,
        (N1 + "ip route replace 10.244.1.0/24 via 172.18.0.1 dev eth0",),
        (N1 + "ip route replace 10.244.1.0/24 via 172.18.0.3 dev eth0",),
        **TO_POD,
    ),
    "a route that is gone": Made(
        CauseName.WRONG_ROUTE,
        (N2 + "ip route del 10.244.0.0/24",),
        (N2 + "ip route replace 10.244.0.0/24 via 172.18.0.2 dev eth0",),
        **TO_POD,
    ),
    "a bridge port that is down": Made(
        CauseName.LINK_DOWN,
        (f"{N1}ip link set {PORT} down",),
        (f"{N1}ip link set {PORT} up",),
        to="pod/web-1:8080",
    ),
    "ports without hairpin mode": Made(
        CauseName.HAIRPIN_OFF, hairpin("off"), hairpin("on"), from_="pod/web-1", remedy_is_enough=False
    ),
    "an address that two Pods have": Made(
        CauseName.DUPLICATE_ADDRESS,
        (
            "pod/cache: ip addr add {web-2}/32 dev eth0",
            N2 + "ip neigh replace {web-2} lladdr {cache mac} dev cni0 nud permanent",
        ),
        (
            "pod/cache: ip addr del {web-2}/32 dev eth0",
            N2 + "ip neigh replace {web-2} lladdr {web-2 mac} dev cni0 nud permanent",
        ),
        remedy_is_enough=False,
        **TO_POD,
    ),
    "a small MTU at a Pod": Made(
        CauseName.MTU_MISMATCH,
        ("pod/web-2: ip link set eth0 mtu 1400",),
        ("pod/web-2: ip link set eth0 mtu 1500",),
        **TO_POD,
    ),
    "strict reverse path filtering": Made(
        CauseName.RP_FILTER_STRICT,
        (N1 + "sysctl -qw net.ipv4.conf.all.rp_filter=1", N1 + "ip route replace {client}/32 dev cni0"),
        (N1 + "ip route del {client}/32 dev cni0", N1 + "sysctl -qw net.ipv4.conf.all.rp_filter=0"),
        remedy_is_enough=False,
        **OUTSIDE,
    ),
    "a neighbour at a wrong MAC": Made(
        CauseName.WRONG_NEIGHBOUR,
        (N1 + "ip neigh replace 172.18.0.3 lladdr 02:00:00:00:00:01 dev eth0 nud permanent",),
        (N1 + "ip neigh replace 172.18.0.3 lladdr {node2 mac} dev eth0 nud permanent",),
        **TO_POD,
    ),
}


def typed(lab: Lab, line: str, known: dict[str, str]) -> Done:
    where, _, command = line.partition(": ")
    for name, value in known.items():
        command = command.replace(f"{{{name}}}", value)
    return lab.run("exec", where, "--", *shlex.split(command))


@pytest.fixture(scope="module")
def known(lab: Lab) -> dict[str, str]:
    """Addresses and MACs of places, by their names."""
    found = {}
    for where in ("pod/web-2", "pod/cache", "node/node2", "external/client"):
        link, address = (json.loads(lab.ok("exec", where, "--", "ip", "-j", "addr", "show", "eth0"))[0], "addr_info")
        name = where.partition("/")[2]
        found |= {name: link[address][0]["local"], f"{name} mac": link["address"]}
    return found


@pytest.mark.root
@pytest.mark.parametrize("made", IN_THE_KERNEL.values(), ids=IN_THE_KERNEL)
def test_what_somebody_did_to_the_kernel_is_named_and_the_remedy_helps(
    lab: Lab, known: dict[str, str], made: Made
) -> None:
    try:
        assert [done.err for line in made.make if (done := typed(lab, line, known)).status] == []
        found = why(lab, made.from_, made.to)
        assert found.cause == made.cause, f"{found.explanation}\n{found.evidence}"
        for line in () if made.remedy_is_enough else made.undo:
            typed(lab, line, known)
        if made.remedy_is_enough:
            lab.ok("exec", *shlex.split((found.remedy or "").removeprefix("netlab exec ")))
        assert why(lab, made.from_, made.to).cause is None
    finally:
        for line in made.undo:
            typed(lab, line, known)


# --- what is wrong at kube-proxy, and beside flows that arrive

LATE = """\
apiVersion: v1
kind: Service
metadata: {name: late}
spec: {clusterIP: 10.96.0.99, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""


@contextmanager
def without_kube_proxy(lab: Lab) -> Iterator[None]:
    lab.ok("break", "kube-proxy-stopped", "--on", "node1")
    try:
        yield
    finally:
        lab.ok("heal", "kube-proxy-stopped", "--on", "node1")


@pytest.mark.root
def test_a_udp_flow_that_goes_on_to_an_address_of_nobody_is_found(lab: Lab) -> None:
    elsewhere = "PREROUTING -d 10.96.0.87 -p udp --dport 7 -j DNAT --to-destination 10.244.1.99:7"
    send = "s = socket.socket(2, 2); s.bind(('', 40000)); s.sendto(b'x', ('10.96.0.87', 7))"
    typed(lab, f"{N1}iptables -t nat -I {elsewhere}", {})
    lab.ok("exec", "pod/shell", "--", PYTHON, "-c", f"import socket; {send}")
    typed(lab, f"{N1}iptables -t nat -D {elsewhere}", {})
    found = why(lab, "pod/shell", "service/echo:7/udp")
    assert found.cause is CauseName.STALE_UDP_FLOW, found.evidence
    assert "10.244.1.99:7, which is no endpoint" in (found.explanation or "")


@pytest.mark.root
def test_a_resolver_that_is_not_the_clusters_is_found_although_packets_arrive(lab: Lab) -> None:
    typed(lab, "pod/shell: sh -c 'echo nameserver 10.96.255.253 > /etc/resolv.conf'", {})
    found = why(lab, "pod/shell", "service/web:80")
    assert found.cause is CauseName.WRONG_DNS
    assert "10.96.255.253" in (found.explanation or "")
    lab.ok("exec", *shlex.split((found.remedy or "").removeprefix("netlab exec ")))
    assert why(lab, "pod/shell", "service/web:80").cause is None


FLUSHED = {"iptables": "iptables -t nat -F KUBE-SERVICES", "nftables": "nft delete table ip kube-proxy"}


@pytest.mark.root
@pytest.mark.parametrize("mode", FLUSHED)
def test_a_kube_proxy_that_stopped_is_told_from_rules_that_were_flushed(root: Caller, mode: str) -> None:
    name = f"{NAME}-{mode[:3]}"
    with root.lab(name, text(name, mode=mode)) as lab:
        with without_kube_proxy(lab):
            lab.ok("apply", "-f", "-", text=LATE)
            found = why(lab, "pod/shell", "service/late:80")
            assert found.cause is CauseName.KUBE_PROXY_STOPPED, found.explanation
            assert found.remedy == "netlab heal kube-proxy-stopped --on node1"
            unkept = why(lab, "pod/shell", "service/web:80")
            assert (unkept.cause, unkept.verdict) == (CauseName.KUBE_PROXY_STOPPED, PacketVerdict.REACHED)
            assert "no change of Services and endpoints reaches them" in (unkept.explanation or "")
            assert why(lab, "pod/web-2", "service/late:80").cause is None
            typed(lab, N1 + FLUSHED[mode], {})
            assert why(lab, "pod/shell", "service/web:80").cause is CauseName.RULES_FLUSHED
        assert why(lab, "pod/shell", "service/late:80").cause is None


@pytest.mark.root
def test_a_kube_proxy_that_runs_and_does_not_follow_is_named(root: Caller) -> None:
    name = f"{NAME}-hangs"
    with root.lab(name, text(name)) as lab:
        proxy = lab.processes()["kube-proxy-node"]  # of one of the nodes: ps(1) shows 15 letters
        os.kill(proxy, signal.SIGSTOP)
        try:
            lab.ok("apply", "-f", "-", text=LATE)
            causes = {why(lab, place, "service/late:80").cause for place in ("pod/web-1", "pod/web-2")}
        finally:
            os.kill(proxy, signal.SIGCONT)
        assert causes == {None, CauseName.API_UNREACHABLE}


@pytest.mark.root
def test_in_mode_nftables_a_rule_of_somebody_elses_table_is_named(root: Caller) -> None:
    name = f"{NAME}-table"
    with root.lab(name, text(name, mode="nftables")) as lab:
        assert why(lab, "pod/shell", "service/typo:80").cause is CauseName.SELECTOR_MATCHES_NOTHING
        chain = "nft add chain ip firewall forward '{ type filter hook forward priority 0; }'"
        script = f"nft add table ip firewall; {chain}; nft add rule ip firewall forward drop"
        lab.ok("exec", "node/node1", "--", "sh", "-c", script)
        found = why(lab, "pod/shell", "service/web:80")
        assert found.cause is CauseName.FORWARD_DROP, found.explanation


@pytest.mark.root
def test_a_wire_that_is_too_narrow_for_its_tunnel_loses_large_packets_alone(root: Caller) -> None:
    name = f"{NAME}-vxlan"
    with root.lab(name, text(name).replace("  nodes:", "  network: {fabric: vxlan}\n  nodes:", 1)) as lab:
        assert why(lab, "pod/shell", "pod/web-2:8080").cause is None
        typed(lab, N2 + "ip link set eth0 mtu 1400", {})
        found = why(lab, "pod/shell", "pod/web-2:8080")
        assert (found.cause, found.verdict) == (CauseName.MTU_MISMATCH, PacketVerdict.REACHED)
        assert found.remedy == "netlab exec node/node2 -- ip link set eth0 mtu 1500"
