"""One cause and one remedy: from objects and what flows were seen to do, in a table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from trace_files import predicted, small

from netlab.model.diagnosis import CauseName, Diagnosis
from netlab.model.drift import Drift, DriftKind
from netlab.model.journey import Flow, Hop, Journey, PacketSeen, PacketVerdict, RuleHit, Translation
from netlab.model.rule_listing import ChainDifference
from netlab.model.rules import Family
from netlab.model.status import ProxyStatus
from netlab.trace import Foretold, Prediction, TracedLab
from netlab.trace.diagnosis import Evidence, Large, Resolver, diagnose

EXTERNALS = "{externals: [{name: outside}]}"


def pod(
    name: str, *, labels: str = "{app: web}", node: str = "node1", port: str = "containerPort: 8080, name: http"
) -> str:
    return f"""\
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {labels}}}
spec: {{nodeName: {node}, containers: [{{name: c, image: any, ports: [{{{port}}}]}}]}}
---
"""


def service(spec: str, *, name: str = "web") -> str:
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n---\n"


CLIENT = pod("client", labels="{role: client}")
WEB = "clusterIP: 10.96.0.80, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]"


def flow(way: Foretold) -> Flow:
    """A flow that fares as foretold."""
    return Flow(verdict=way.verdict, pod=way.pod, source_seen=way.source_seen)


def as_foretold(prediction: Prediction) -> Evidence:
    return Evidence(prediction=prediction, flows=tuple(map(flow, prediction.ways)))


def diagnosed(lab: TracedLab, from_: str, to: str) -> Diagnosis:
    return diagnose(as_foretold(predicted(lab, from_, to)))


@dataclass(frozen=True)
class Case:
    objects: str
    cause: CauseName | None
    remedy: str = ""
    from_: str = "pod/client"
    to: str = "service/web:80"


IN_OBJECTS = {
    "nothing is wrong": Case(pod("web-1") + service(WEB), None),
    "a selector that is a slip": Case(
        pod("web-1") + service(WEB.replace("app: web", "app: wbe")),
        CauseName.SELECTOR_MATCHES_NOTHING,
        "set spec.selector of Service default/web to {app: web}",
    ),
    "a selector like nobody's labels": Case(
        pod("web-1") + service(WEB.replace("app: web", "colour: green")),
        CauseName.SELECTOR_MATCHES_NOTHING,
        "give the Pods the labels colour=green, or spec.selector of Service default/web theirs",
    ),
    "no selector": Case(
        service("clusterIP: 10.96.0.80, ports: [{port: 80}]"),
        CauseName.SELECTOR_MISSING,
        "give Service default/web a spec.selector, or write an EndpointSlice for it",
    ),
    "a selector that also matches a Pod without the port": Case(
        pod("web-1") + pod("cache", port="containerPort: 6379") + service(WEB),
        CauseName.SELECTOR_TOO_BROAD,
        "add to spec.selector of Service default/web a label that only the Pods have that are meant",
    ),
    "a named port that no Pod has": Case(
        pod("web-1") + service(WEB.replace("8080", "htpp")),
        CauseName.NAMED_PORT_MISSING,
        "name a port of the containers so, or set targetPort of Service default/web to http",
    ),
    "a targetPort where nobody listens": Case(
        pod("web-1") + service(WEB.replace("8080", "8081")),
        CauseName.WRONG_TARGET_PORT,
        "set targetPort of port 80 of Service default/web to 8080",
    ),
    "a Service of UDP before a Pod of TCP": Case(
        pod("web-1") + service(WEB.replace("8080", "8080, protocol: UDP")),
        CauseName.PROTOCOL_MISMATCH,
        "set protocol: TCP in Service default/web",
        to="service/web:80/udp",
    ),
    "asked in another protocol": Case(
        pod("web-1") + service(WEB),
        CauseName.PROTOCOL_MISMATCH,
        "ask for port 80/tcp, or set protocol: UDP in Service default/web",
        to="service/web:80/udp",
    ),
    "a port that the Service has not": Case(
        pod("web-1") + service(WEB),
        CauseName.PORT_NOT_SERVED,
        "ask for one that Service default/web has: 80/tcp",
        to="10.96.0.80:81",
    ),
    "a port that the Pod has not": Case(
        pod("web-1"),
        CauseName.NOTHING_LISTENS,
        "ask for a port that the Pod has, or start what should listen",
        to="pod/web-1:9",
    ),
    "policy Local, inside": Case(
        pod("web-1", node="node2") + service(f"{WEB}, internalTrafficPolicy: Local"),
        CauseName.INTERNAL_POLICY_LOCAL,
        "set spec.internalTrafficPolicy of Service default/web to Cluster, or run one of its Pods on node1",
    ),
    "policy Local, outside": Case(
        pod("web-1", node="node2")
        + service(
            f"{WEB[:-1]}".replace("8080}", "8080, nodePort: 30080}]") + ", type: NodePort, externalTrafficPolicy: Local"
        ),
        CauseName.EXTERNAL_POLICY_LOCAL,
        "set spec.externalTrafficPolicy of Service default/web to Cluster, or run one of its Pods on node1",
        from_="external/outside",
        to="node/node1:30080",
    ),
    "a ClusterIP from outside": Case(
        pod("web-1") + service(WEB),
        CauseName.CLUSTER_ADDRESS_OUTSIDE,
        "ask for a node port (node/NAME:PORT) or the address of a load balancer, or from inside the cluster",
        from_="external/outside",
    ),
    "an address of the Service range that nobody has": Case(
        pod("web-1"),
        CauseName.NOBODY_HAS_ADDRESS,
        "ask for an address that somebody has: netlab get services,pods,nodes shows them",
        to="10.96.3.3:80",
    ),
}


@pytest.mark.parametrize("case", IN_OBJECTS.values(), ids=IN_OBJECTS)
def test_what_stands_in_the_objects_is_named_with_its_remedy(case: Case) -> None:
    found = diagnosed(small(CLIENT + case.objects, EXTERNALS), case.from_, case.to)
    assert (found.cause, found.remedy or "") == (case.cause, case.remedy)
    assert bool(found.explanation) == bool(case.cause)


def test_pods_that_are_not_ready_are_named() -> None:
    traced = small(CLIENT + pod("web-1") + service(WEB), EXTERNALS)
    view = traced.view
    sleeping = [
        each.model_copy(update={"status": each.status.model_copy(update={"conditions": ()})})
        if each.metadata.name == "web-1"
        else each
        for each in view.pods
    ]
    pieces = tuple(
        piece.model_copy(
            update={
                "endpoints": tuple(
                    e.model_copy(update={"conditions": e.conditions.model_copy(update={"ready": False})})
                    for e in piece.endpoints
                )
            }
        )
        for piece in view.endpoint_slices
    )
    lab = TracedLab(replace(view, pods=tuple(sleeping), endpoint_slices=pieces))
    found = diagnosed(lab, "pod/client", "service/web:80")
    assert found.cause is CauseName.READINESS_FAILING
    assert "its Pod web-1 is not ready" in (found.explanation or "")


# --- what the kernel holds otherwise


def dropped(lab: TracedLab, from_: str, to: str, **found: Any) -> Diagnosis:
    """The diagnosis of flows that are all lost although they should arrive."""
    prediction = predicted(lab, from_, to)
    return diagnose(Evidence(prediction=prediction, flows=(Flow(verdict=PacketVerdict.DROPPED),) * 3, **found))


@cache
def web() -> TracedLab:
    """A client on node1, two Pods of `web`, one on each node."""
    return small(CLIENT + pod("web-1") + pod("web-2", node="node2") + service(WEB), EXTERNALS)


def drift(kind: DriftKind, place: str, subject: str) -> Drift:
    return Drift(place=place, kind=kind, subject=subject, text=f"{place}: otherwise", remedy="put it right")


DRIFT = {
    "forwarding": (drift(DriftKind.SETTING, "node/node2", "net/ipv4/conf/all/forwarding"), CauseName.IP_FORWARD_OFF),
    "forwarding of an interface that is passed": (
        drift(DriftKind.SETTING, "node/node1", "net/ipv4/conf/eth0/forwarding"),
        CauseName.IP_FORWARD_OFF,
    ),
    "forwarding of another": (
        drift(DriftKind.SETTING, "node/node1", "net/ipv4/conf/eth9/forwarding"),
        CauseName.UNKNOWN,
    ),
    "what new interfaces get": (
        drift(DriftKind.SETTING, "node/node1", "net/ipv4/conf/default/rp_filter"),
        CauseName.UNKNOWN,
    ),
    "rp_filter": (drift(DriftKind.SETTING, "node/node2", "net/ipv4/conf/all/rp_filter"), CauseName.RP_FILTER_STRICT),
    "bridges": (
        drift(DriftKind.SETTING, "node/node1", "net/bridge/bridge-nf-call-iptables"),
        CauseName.BRIDGE_NF_OFF,
    ),
    "another setting": (
        drift(DriftKind.SETTING, "node/node1", "net/ipv4/icmp_ratemask"),
        CauseName.SETTING_CHANGED,
    ),
    "loopback, of no concern": (
        drift(DriftKind.SETTING, "node/node1", "net/ipv4/conf/all/route_localnet"),
        CauseName.UNKNOWN,
    ),
    "the route to the other node's Pods": (
        drift(DriftKind.ROUTE, "node/node1", "10.244.1.0/24"),
        CauseName.WRONG_ROUTE,
    ),
    "the route back": (drift(DriftKind.ROUTE, "node/node2", "10.244.0.0/24"), CauseName.WRONG_ROUTE),
    "a route to elsewhere": (drift(DriftKind.ROUTE, "node/node1", "10.244.9.0/24"), CauseName.UNKNOWN),
    "an interface that is passed": (drift(DriftKind.LINK, "node/node1", "cni0"), CauseName.LINK_DOWN),
    "an interface of a Pod elsewhere": (drift(DriftKind.LINK, "pod/db", "eth0"), CauseName.UNKNOWN),
    "an MTU, which small packets fit": (drift(DriftKind.MTU, "node/node1", "eth0"), CauseName.UNKNOWN),
    "an address that is also another's": (
        drift(DriftKind.DUPLICATE, "pod/db", "10.244.1.2"),
        CauseName.DUPLICATE_ADDRESS,
    ),
    "the address of somebody else": (drift(DriftKind.DUPLICATE, "pod/db", "10.244.1.77"), CauseName.UNKNOWN),
    "a neighbour": (drift(DriftKind.NEIGHBOUR, "node/node1", "172.18.0.3"), CauseName.WRONG_NEIGHBOUR),
}


@pytest.mark.parametrize(("found", "cause"), DRIFT.values(), ids=DRIFT)
def test_what_is_not_as_planned_is_the_cause_where_the_flow_meets_it(found: Drift, cause: CauseName) -> None:
    said = dropped(web(), "pod/client", "service/web:80", drift=(found,))
    assert said.cause is cause
    assert (said.remedy == "put it right") == (cause is not CauseName.UNKNOWN)


JUMP = "-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS"
ONE = "-A KUBE-SERVICES -d 10.96.0.80/32 -j KUBE-SVC-LOLE4ISW44XBNF3G"
RULES = {
    "stopped": (ONE, ProxyStatus(running=False), CauseName.KUBE_PROXY_STOPPED),
    "behind": (ONE, ProxyStatus(running=True, synced=False), CauseName.API_UNREACHABLE),
    "changed by hand": (ONE, ProxyStatus(running=True, synced=True), CauseName.RULES_FLUSHED),
    "flushed and stopped": (JUMP, ProxyStatus(running=False), CauseName.RULES_FLUSHED),
    "masquerading alone": ("-A KUBE-SVC-X -j KUBE-MARK-MASQ", ProxyStatus(running=False), CauseName.MASQUERADE_MISSING),
}


@pytest.mark.parametrize(("missing", "proxy", "cause"), RULES.values(), ids=RULES)
def test_rules_that_are_missing_have_a_reason(missing: str, proxy: ProxyStatus, cause: CauseName) -> None:
    chain = missing.split()[1]
    lacking = ChainDifference(family=Family.IPV4, table="nat", chain=chain, missing=(missing,))
    said = dropped(web(), "pod/client", "service/web:80", rules={"node1": (lacking,)}, proxies={"node1": proxy})
    assert said.cause is cause
    assert missing in (said.explanation or "")


def test_a_stopped_kube_proxy_is_no_cause_as_long_as_its_rules_are_right() -> None:
    stopped = {"node1": ProxyStatus(running=False)}
    said = dropped(web(), "pod/client", "service/web:80", rules={"node1": ()}, proxies=stopped)
    assert said.cause is CauseName.UNKNOWN
    assert [row.found for row in said.evidence if row.check == "kube-proxy"] == ["node1 stopped"]


HITS = {
    "forward": ("filter/FORWARD", "-A FORWARD -p tcp -j DROP", "service/web:80", CauseName.FORWARD_DROP),
    "policy": ("filter/FORWARD", "-P FORWARD DROP", "service/web:80", CauseName.FORWARD_DROP),
    "output": ("filter/OUTPUT", "-A OUTPUT -j REJECT", "service/web:80", CauseName.FOREIGN_RULE),
    "before a node": ("raw/PREROUTING", "-A PREROUTING -j DROP", "node/node2:30080", CauseName.NODEPORT_SHADOWED),
    "kube-proxy's own": ("filter/FORWARD", "-A KUBE-FORWARD -j DROP", "service/web:80", CauseName.UNKNOWN),
    "no end": ("filter/FORWARD", "-A FORWARD -j ACCEPT", "service/web:80", CauseName.UNKNOWN),
}


@pytest.mark.parametrize(("hook", "rule", "to", "cause"), HITS.values(), ids=HITS)
def test_a_rule_that_was_seen_to_end_a_packet_is_the_cause(hook: str, rule: str, to: str, cause: CauseName) -> None:
    outside = WEB.replace("8080}", "8080, nodePort: 30080}") + ", type: NodePort"
    lab = small(CLIENT + pod("web-1") + service(outside), EXTERNALS)
    packet = PacketSeen(src="10.244.0.2", dst="10.244.0.3", proto="tcp", sport=40000, dport=8080)
    hit = RuleHit(chain=rule.split()[1], rule=rule)
    hop = Hop(at="node/node1", hook=hook, packet=packet, rules=(hit,))
    journey = Journey(from_="pod/client", to=to, verdict=PacketVerdict.DROPPED, hops=(hop,))
    assert dropped(lab, "pod/client", to, journey=journey).cause is cause


def test_large_packets_that_are_lost_where_small_ones_arrive_are_an_mtu() -> None:
    arrive = as_foretold(predicted(web(), "pod/client", "service/web:80"))
    narrow = drift(DriftKind.MTU, "node/node2", "eth0")
    large = Large(1500, (Flow(verdict=PacketVerdict.DROPPED),))
    said = diagnose(replace(arrive, large=large, drift=(narrow,)))
    assert (said.cause, said.verdict, said.remedy) == (CauseName.MTU_MISMATCH, PacketVerdict.REACHED, "put it right")
    assert diagnose(replace(arrive, drift=(narrow,))).cause is None


def test_a_resolver_counts_where_flows_arrive() -> None:
    arrive = as_foretold(predicted(web(), "pod/client", "service/web:80"))
    wrong = Resolver(found=("10.96.9.9",), wanted=("10.96.0.10",))
    assert diagnose(replace(arrive, resolver=wrong)).cause is CauseName.WRONG_DNS
    assert diagnose(replace(arrive, resolver=Resolver(("10.96.0.10",), ("10.96.0.10",)))).cause is None


def test_pods_of_two_applications_behind_one_service_are_too_many() -> None:
    objects = CLIENT + pod("web-1", labels="{app: web, of: shop}") + pod("db", labels="{app: db, of: shop}")
    lab = small(objects + service(WEB.replace("app: web", "of: shop")), EXTERNALS)
    said = diagnosed(lab, "pod/client", "service/web:80")
    assert said.cause is CauseName.SELECTOR_TOO_BROAD
    assert "(app: db, web)" in (said.explanation or "")


def test_a_pod_range_inside_the_service_range_is_named_before_all_else() -> None:
    view = web().view
    network = view.topology.spec.network.model_copy(update={"service_cidrs": (ip_network("10.0.0.0/8"),)})
    spec = view.topology.spec.model_copy(update={"network": network})
    lab = TracedLab(replace(view, topology=view.topology.model_copy(update={"spec": spec})))
    said = dropped(lab, "pod/client", "service/web:80", drift=(DRIFT["rp_filter"][0],))
    assert said.cause is CauseName.POD_RANGE_IN_SERVICE_RANGE


def test_a_service_with_the_address_of_a_pod_is_named_even_where_somebody_answers() -> None:
    view = web().view
    pods_own = {"cluster_ip": "10.244.1.2", "cluster_ips": ("10.244.1.2",)}
    twin = next(each for each in view.services if each.metadata.name == "web")
    other = twin.model_copy(update={"spec": twin.spec.model_copy(update=pods_own)})
    lab = TracedLab(replace(view, services=(*(each for each in view.services if each is not twin), other)))
    said = diagnosed(lab, "pod/client", "pod/web-2:8080")
    assert said.cause is CauseName.POD_RANGE_IN_SERVICE_RANGE
    assert "Service default/web has the ClusterIP 10.244.1.2 of the Pod range" in (said.explanation or "")


# --- what goes wrong beside flows that arrive


def sent_to(prediction: Prediction, *ways: int) -> tuple[Flow, ...]:
    """Flows by these of the foretold ways, with what conntrack says of each."""
    pairs = [(flow(prediction.ways[each]), prediction.ways[each].endpoint or "") for each in ways]
    to = str(prediction.destination)
    return tuple(one.model_copy(update={"translated": Translation(from_=to, to=end)}) for one, end in pairs)


STOPPED, CUT_OFF = ProxyStatus(running=False), ProxyStatus(running=True, synced=False, listed=False)
SLOW = ProxyStatus(running=True, synced=False, listed=True)
OLD_RULES = ChainDifference(
    family=Family.IPV4, table="nat", chain="KUBE-SVC-X", missing=("-A KUBE-SVC-X -j KUBE-SEP-Y",)
)
BESIDE = {
    "stopped, and a Pod gets nothing": (STOPPED, OLD_RULES, (0, 0), CauseName.KUBE_PROXY_STOPPED),
    "cut off, and a Pod gets nothing": (CUT_OFF, OLD_RULES, (0, 0), CauseName.API_UNREACHABLE),
    "stopped, and its rules are right": (STOPPED, None, (0, 1), CauseName.KUBE_PROXY_STOPPED),
    "cut off, and its rules are right": (CUT_OFF, None, (0, 1), CauseName.API_UNREACHABLE),
    "only slow": (SLOW, None, (0, 1), None),
    "well, and chance left a Pod out": (ProxyStatus(running=True, synced=True, listed=True), None, (0, 0), None),
}


@pytest.mark.parametrize(("proxy", "rules", "ways", "cause"), BESIDE.values(), ids=BESIDE)
def test_flows_that_arrive_by_rules_that_nobody_keeps(
    proxy: ProxyStatus, rules: ChainDifference | None, ways: tuple[int, ...], cause: CauseName | None
) -> None:
    prediction = predicted(web(), "pod/client", "service/web:80")
    differences = {"node1": (rules,) if rules else ()}
    evidence = Evidence(
        prediction=prediction, flows=sent_to(prediction, *ways), proxies={"node1": proxy}, rules=differences
    )
    said = diagnose(evidence)
    assert (said.cause, said.verdict) == (cause, PacketVerdict.REACHED)
    left_out = "No flow is sent to 10.244.1.2:8080" in (said.explanation or "")
    assert left_out == (rules is not None)


def test_a_kube_proxy_that_does_not_serve_the_flow_is_not_its_cause() -> None:
    for from_, to in (("pod/client", "pod/web-2:8080"), ("node/node2", "service/web:80")):
        arrive = as_foretold(predicted(web(), from_, to))
        assert diagnose(replace(arrive, proxies={"node1": STOPPED})).cause is None


def test_large_packets_that_are_refused_are_not_too_large() -> None:
    arrive = as_foretold(predicted(web(), "pod/client", "service/web:80"))
    assert diagnose(replace(arrive, large=Large(1500, (Flow(verdict=PacketVerdict.REFUSED),)))).cause is None


def test_a_pod_whose_probes_reach_another_is_not_ready_for_its_address() -> None:
    view = small(CLIENT + pod("web-1") + service(WEB), EXTERNALS).view
    unready = [p.model_copy(update={"status": p.status.model_copy(update={"conditions": ()})}) for p in view.pods]
    lab = TracedLab(replace(view, pods=tuple(unready), endpoint_slices=()))
    twin = drift(DriftKind.DUPLICATE, "pod/db", "10.244.0.3")
    evidence = as_foretold(predicted(lab, "pod/client", "service/web:80"))
    assert diagnose(evidence).cause is CauseName.READINESS_FAILING
    said = diagnose(replace(evidence, drift=(twin,)))
    assert (said.cause, said.remedy) == (CauseName.DUPLICATE_ADDRESS, "put it right")
    assert "readiness probes of pod/web-1 reach that one" in (said.explanation or "")


# --- modes in which it shows otherwise


def in_mode(mode: str, objects: str) -> TracedLab:
    return small(objects, f"{{externals: [{{name: outside}}], proxy: {{mode: {mode}}}}}")


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        (WEB, None),
        (WEB.replace("app: web", "app: wbe"), CauseName.SELECTOR_MATCHES_NOTHING),
        (WEB.replace("8080", "htpp"), CauseName.NAMED_PORT_MISSING),
        (WEB.replace("8080", "9"), CauseName.WRONG_TARGET_PORT),
    ],
)
def test_what_kube_proxy_accepts_and_can_bring_to_nobody_does_not_fare_well(spec: str, cause: CauseName | None) -> None:
    lab = in_mode("userspace", CLIENT + pod("web-1") + service(spec))
    said = diagnosed(lab, "pod/client", "service/web:80")
    assert (said.cause, said.verdict) == (cause, PacketVerdict.REACHED)
    assert ("kube-proxy accepts the connection itself" in (said.explanation or "")) == (cause is not None)


@pytest.mark.parametrize(
    ("proxy", "cause"),
    [
        (STOPPED, CauseName.KUBE_PROXY_STOPPED),
        (CUT_OFF, CauseName.API_UNREACHABLE),
        (ProxyStatus(running=True, synced=True, listed=True), CauseName.UNKNOWN),
    ],
)
def test_in_mode_userspace_nothing_is_served_without_the_process(proxy: ProxyStatus, cause: CauseName) -> None:
    lab = in_mode("userspace", CLIENT + pod("web-1") + service(WEB))
    assert dropped(lab, "pod/client", "service/web:80", proxies={"node1": proxy}).cause is cause


def test_in_mode_ipvs_policy_local_shows_by_an_answer_from_elsewhere() -> None:
    outside = WEB.replace("8080}", "8080, nodePort: 30080}") + ", type: NodePort, externalTrafficPolicy: Local"
    lab = in_mode("ipvs", pod("web-1", node="node2") + service(outside))
    said = diagnosed(lab, "external/outside", "node/node1:30080")
    assert (said.cause, said.verdict) == (CauseName.EXTERNAL_POLICY_LOCAL, PacketVerdict.DROPPED)
    assert "node1 has no ready endpoint of it" in (said.explanation or "")


@pytest.mark.parametrize(
    ("server", "cause"),
    [("10.96.0.10:53", CauseName.RULES_FLUSHED), ("10.96.0.80:80", CauseName.KUBE_PROXY_STOPPED)],
)
def test_in_mode_ipvs_a_virtual_server_as_old_as_the_lab_tells_a_flush(server: str, cause: CauseName) -> None:
    lab = in_mode("ipvs", CLIENT + pod("web-1") + service(WEB))
    lacking = ChainDifference(family=Family.IPV4, table="ipvs", chain=f"udp {server} rr", missing=("-> 10.244.0.3",))
    rules, proxies = {"node1": (lacking,)}, {"node1": STOPPED}
    assert dropped(lab, "pod/client", "service/web:80", rules=rules, proxies=proxies).cause is cause


def test_every_cause_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "why.md").read_text()
    assert [name.value for name in CauseName if f"`{name}`" not in page] == []
