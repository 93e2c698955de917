"""Causes at kube-proxy: it does not run or does not follow, its rules are gone, it left a connection behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network

from netlab.dns.addon import dns_addresses
from netlab.model.cluster import ClusterView, Destination
from netlab.model.connections import TrackedFlow
from netlab.model.diagnosis import CauseName
from netlab.model.modes import BY_PROCESS
from netlab.model.rule_listing import ChainDifference
from netlab.model.status import ProxyStatus
from netlab.model.targets import TargetProtocol
from netlab.trace.diagnosis.asked import service_asked
from netlab.trace.diagnosis.evidence import Evidence, Finding
from netlab.trace.meaning import slices_of

OF_MASQUERADING = ("KUBE-POSTROUTING", "KUBE-MARK-MASQ", "masquerading", "mark-for-masquerade", "nat-postrouting")
MASQUERADES = ("MASQ", "masq")
FOR_ALL = ("PREROUTING", "OUTPUT", "INPUT", "FORWARD", "nat-prerouting", "nat-output", "services")
TO_NODE_PORTS = "-j KUBE-NODEPORTS"
VIRTUAL_SERVERS = "ipvs"
SHOWN = 2


def at_proxy(evidence: Evidence) -> Finding | None:
    """The first node on the way whose rules are not what they should be, and why."""
    found = (_of_node(evidence, node, evidence.rules[node]) for node in evidence.nodes if evidence.rules.get(node))
    return next(found, None)


def not_followed(evidence: Evidence) -> Finding | None:
    """Flows arrive, but some endpoints get none of them, since a node's rules are not those of the objects."""
    found = at_proxy(evidence) if evidence.unused else None
    return replace(found, text=f"No flow is sent to {', '.join(evidence.unused)}: {found.text}") if found else None


def cut_off(evidence: Evidence) -> Finding | None:
    """Flows arrive by rules that nobody keeps: the kube-proxy that wrote them has ended, or hears of no change."""
    return next((found for node in evidence.serving if (found := _unkept(evidence.proxies.get(node), node))), None)


def _unkept(proxy: ProxyStatus | None, node: str) -> Finding | None:
    if proxy is None:
        return None
    arrive = f"These flows arrive, by rules that kube-proxy of node {node} wrote before"
    if not proxy.running:
        text = f"{arrive} it stopped; no change of Services and endpoints reaches them."
        return Finding(CauseName.KUBE_PROXY_STOPPED, text, _started(node))
    if proxy.listed is False and not proxy.synced:
        text = f"{arrive}. It runs, but has had nothing from the API server since it began, nor will hear of a change."
        return Finding(CauseName.API_UNREACHABLE, text, _connected(node))
    return None


def carried_by_nobody(evidence: Evidence) -> Finding | None:
    """In mode userspace kube-proxy itself takes in what is for a Service: where it does not, nobody does."""
    for node in evidence.serving:
        proxy = evidence.proxies.get(node)
        if proxy is None or proxy.synced or evidence.view.topology.spec.proxy_mode(node) not in BY_PROCESS:
            continue
        if not proxy.running:
            text = f"kube-proxy of node {node}, through which all of a Service's traffic goes, does not run."
            return Finding(CauseName.KUBE_PROXY_STOPPED, text, _started(node))
        text = f"kube-proxy of node {node} runs, but does not follow the API server: it does not serve what is new."
        return Finding(CauseName.API_UNREACHABLE, text, _connected(node))
    return None


def _of_node(evidence: Evidence, node: str, differences: tuple[ChainDifference, ...]) -> Finding:
    lacking = _spelled(differences)
    proxy = evidence.proxies.get(node)
    if all(map(_is_of_masquerading, differences)):
        text = f"node {node} does not masquerade as it should, so that answers take another way: {lacking}."
        return Finding(CauseName.MASQUERADE_MISSING, text, _again(node))
    if any(_is_for_all(each) or _is_of_cluster(each, evidence.view) for each in differences):
        text = f"the rules of kube-proxy that lead to all Services are gone from node {node}: {lacking}."
        stopped = proxy is not None and not proxy.running
        return Finding(CauseName.RULES_FLUSHED, text, _started(node) if stopped else _again(node))
    if proxy is not None and not proxy.running:
        text = f"kube-proxy of node {node} does not run, and its rules are not those of the objects: {lacking}."
        return Finding(CauseName.KUBE_PROXY_STOPPED, text, _started(node))
    if proxy is not None and not proxy.synced:
        text = f"kube-proxy of node {node} runs, but has not followed the API server's newest objects: {lacking}."
        return Finding(CauseName.API_UNREACHABLE, text, _connected(node))
    text = f"rules of kube-proxy are gone or changed on node {node}: {lacking}."
    return Finding(CauseName.RULES_FLUSHED, text, _again(node))


def _is_for_all(difference: ChainDifference) -> bool:
    """Whether rules are missing that are there whatever Services there are: no change of objects explains that."""
    if difference.chain in FOR_ALL:
        return bool(difference.missing) or not difference.unwanted
    return any(TO_NODE_PORTS in rule for rule in difference.missing)


def _is_of_cluster(difference: ChainDifference, view: ClusterView) -> bool:
    """Mode ipvs has no rules for all: the virtual server of the cluster's DNS is as old as the lab."""
    own = dns_addresses(view.topology.spec.network.service_cidrs)
    return difference.table == VIRTUAL_SERVERS and any(f" {address}:" in difference.chain for address in own)


def _started(node: str) -> str:
    return f"netlab heal kube-proxy-stopped --on {node}"


def _connected(node: str) -> str:
    return (
        f"netlab logs node/{node} says why it cannot connect; once it can, it follows by itself "
        f"(netlab heal api-unreachable --on {node} takes that fault out)"
    )


def _again(node: str) -> str:
    """How its rules come back."""
    one, other = (f"netlab {verb} kube-proxy-stopped --on {node}" for verb in ("break", "heal"))
    return f"wait for kube-proxy's next full look (30 s), or start it anew: {one} && {other}"


def _is_of_masquerading(difference: ChainDifference) -> bool:
    rules = (*difference.missing, *difference.unwanted)
    return difference.chain in OF_MASQUERADING or (
        bool(rules) and all(any(word in rule for word in MASQUERADES) for rule in rules)
    )


def _spelled(differences: tuple[ChainDifference, ...]) -> str:
    told = list(_differences(differences))
    more = f", and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    return "; ".join(told[:SHOWN]) + more


def _differences(differences: tuple[ChainDifference, ...]) -> Iterator[str]:
    for each in differences:
        for rule in each.missing:
            yield f"{each.table} {each.chain} lacks {rule}"
        for rule in each.unwanted:
            yield f"{each.table} {each.chain} has {rule}"
        if not each.missing and not each.unwanted:
            yield f"{each.table} has no chain {each.chain}"


# --- connections


def left_behind(evidence: Evidence) -> Finding | None:
    """A UDP connection that goes on to lead to an address that is no endpoint (any more)."""
    to = evidence.prediction.destination
    if to.protocol is not TargetProtocol.UDP or not evidence.prediction.endpoints:
        return None
    endpoints = _addresses(evidence)
    for table in evidence.tracked:
        by_process = evidence.view.topology.spec.proxy_mode(table.node) in BY_PROCESS
        for flow in table.flows:
            answers = flow.reply.source.address
            if not _is_to(flow, to) or answers in endpoints:
                continue
            if not by_process or _may_be_of_pod(answers, evidence.view):
                return _stale(table.node, flow)
    return None


def _addresses(evidence: Evidence) -> set[str]:
    """Of all the Service's endpoints: who may be sent to which of them differs from node to node."""
    service = service_asked(evidence.prediction)
    pieces = slices_of(evidence.view, service) if service else ()
    return {address for piece in pieces for endpoint in piece.endpoints for address in endpoint.addresses}


def _may_be_of_pod(address: str, view: ClusterView) -> bool:
    """Where kube-proxy itself answers, at an address of its node, conntrack takes that for the endpoint."""
    cidrs = [ip_network(cidr) for each in view.nodes for cidr in each.spec.pod_cidrs]
    where = next((cidr for cidr in cidrs if ip_address(address) in cidr), None)
    return where is not None and ip_address(address) != where.network_address + 1


def _is_to(flow: TrackedFlow, to: Destination) -> bool:
    end = flow.original.destination
    return (flow.protocol, end.address, end.port) == ("udp", str(to.address), to.port)


def _stale(node: str, flow: TrackedFlow) -> Finding:
    one, end, answers = flow.original.source, flow.original.destination, flow.reply.source
    text = (
        f"conntrack of node {node} still sends what comes from {one.address}:{one.port} to {answers.address}:"
        f"{answers.port}, which is no endpoint; every packet of that client keeps the entry alive."
    )
    remedy = (
        f"netlab exec node/{node} -- conntrack -D -p udp --orig-src {one.address} --sport {one.port} "
        f"--orig-dst {end.address} --dport {end.port}"
    )
    return Finding(CauseName.STALE_UDP_FLOW, text, remedy)
