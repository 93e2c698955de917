"""`netlab why`: gather what a diagnosis needs, each part by the task that finds it out; judging is not done here."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from netlab.api.sync_client import SyncClient
from netlab.dns.addon import dns_addresses
from netlab.errors import InvalidInput, NetlabError
from netlab.lab import control, questions
from netlab.lab.status import proxy_statuses
from netlab.lab.view import running_view
from netlab.model.diagnosis import Diagnosis
from netlab.model.journey import Flow, Journey, PacketVerdict
from netlab.model.names import Place, PlaceKind
from netlab.model.paths import LabPaths
from netlab.model.rule_listing import ChainDifference
from netlab.model.status import ProxyStatus
from netlab.model.targets import Target, TargetKind, TargetProtocol
from netlab.proxy.packet_order import OTHER_ORDER
from netlab.trace import Prediction, TracedLab, compare, foretell
from netlab.trace.diagnosis import Evidence, Large, Resolver, diagnose
from netlab.trace.diagnosis.evidence import REACHED

FLOWS_EACH = 6
"""Flows for each endpoint: that one of two gets none of them happens once in 4000 times."""
MOST_FLOWS = 60
TRACES_EACH = 4
"""Traces for each endpoint until one shows what flows showed: chance decides which endpoint one gets."""
MOST_TRACES = 12
TRACED_WITHIN = 0.5
"""Seconds that a packet is traced for where flows were seen to be dropped: it passes its hops within milliseconds."""
FOLLOWED_WITHIN = 2.0
"""Seconds that kube-proxies have for what has changed just now."""


def why(paths: LabPaths, from_: Place, to: Target, *, timeout: float) -> Diagnosis:
    """Why flows fare as they do. `timeout` is seconds until a flow counts as dropped; NotFound."""
    traced = TracedLab(running_view(paths))
    proxies = _proxies(paths, traced)  # first, for they are given time to follow what has just changed
    evidence = _gathered(paths, foretell(traced, from_, to), proxies, timeout=timeout)
    if evidence.strange:
        return diagnose(replace(evidence, journey=_journey(paths, evidence, timeout=timeout)))
    if evidence.lost:
        return diagnose(evidence)
    size = _full_size(traced, evidence.prediction, from_)
    large = _probed(paths, evidence.prediction, timeout=timeout, size=size)
    return diagnose(replace(evidence, large=Large(size, large), resolver=_resolver(paths, traced, from_, to)))


def _gathered(paths: LabPaths, prediction: Prediction, proxies: dict[str, ProxyStatus], *, timeout: float) -> Evidence:
    """What flows do, and what is otherwise than planned: at one time, each being a task of the lab process's."""
    nodes = Evidence(prediction=prediction, flows=()).nodes
    tracked = nodes if prediction.destination.protocol is TargetProtocol.UDP else ()
    with ThreadPoolExecutor() as at_once:
        flows = at_once.submit(_probed, paths, prediction, timeout=timeout)
        drift = at_once.submit(questions.drift, paths)
        rules = [(node, at_once.submit(_rules, paths, node)) for node in nodes]
        tables = [at_once.submit(questions.conntrack, paths, node) for node in tracked]
        return Evidence(
            prediction=prediction,
            flows=flows.result(),
            proxies=proxies,
            rules={node: found for node, task in rules if (found := task.result()) is not None},
            drift=drift.result().drift,
            tracked=tuple(task.result() for task in tables),
        )


# --- flows


def _probed(paths: LabPaths, prediction: Prediction, *, timeout: float, size: int = 0) -> tuple[Flow, ...]:
    """What became of some flows; where ICMP errors were rationed, of the first."""
    count = min(MOST_FLOWS, FLOWS_EACH * len(prediction.ways))
    seen = questions.probe(paths, prediction.from_, prediction.to, count=count, timeout=timeout, size=size)
    return seen.flows[:1] if seen.notes else seen.flows


def _full_size(traced: TracedLab, prediction: Prediction, from_: Place) -> int:
    """The largest packet that is to fit on every link of the way, in bytes."""
    machines = {machine.at: machine for machine in traced.machines.values()}
    links = (
        machines[hop.at].links.get(hop.hook.removeprefix("link/"))
        for way in prediction.ways
        for hop in way.hops
        if hop.at in machines and hop.hook.startswith("link/")
    )
    return min((link.mtu for link in links if link), default=1280)


def _journey(paths: LabPaths, evidence: Evidence, *, timeout: float) -> Journey | None:
    """That of a flow that fares otherwise than foretold; None where none was met, or this kernel cannot trace."""
    prediction = evidence.prediction
    patience = min(timeout, TRACED_WITHIN) if evidence.verdict is PacketVerdict.DROPPED else timeout
    for _ in range(min(MOST_TRACES, TRACES_EACH * len(prediction.ways))):
        try:
            journey = questions.trace(paths, prediction.from_, prediction.to, timeout=patience)
        except NetlabError:  # what this kernel cannot trace is judged by the rest
            return None
        journey = compare(journey, prediction)
        if not journey.agrees and (journey.verdict is not REACHED or not evidence.lost):
            return journey
    return None


# --- nodes


def _proxies(paths: LabPaths, traced: TracedLab) -> dict[str, ProxyStatus]:
    """Without the programs that run in the place of one: nobody knows how far they are."""
    spec = traced.view.topology.spec
    with SyncClient(paths.api_socket) as client:
        found = proxy_statuses(paths, client, control.agents(paths), within=FOLLOWED_WITHIN)
    return {node: status for node, status in found.items() if not spec.proxy_command(node)}


def _rules(paths: LabPaths, node: str) -> tuple[ChainDifference, ...] | None:
    """None where they cannot be compared."""
    try:
        found = questions.rule_differences(paths, node).differences
    except InvalidInput:
        return None
    return tuple(each for each in found if each.missing != (OTHER_ORDER,))  # two rules of one port would show as such


# --- names


def _resolver(paths: LabPaths, traced: TracedLab, from_: Place, to: Target) -> Resolver | None:
    """Whom a Pod asks that goes to a Service, as a program there sees it."""
    if from_.kind is not PlaceKind.POD or to.kind is not TargetKind.SERVICE:
        return None
    try:
        text = (paths.etc / traced.view.network_namespace(from_) / "resolv.conf").read_text()
    except OSError:
        return None
    lines = (line.split() for line in text.splitlines())
    found = tuple(words[1] for words in lines if len(words) > 1 and words[0] == "nameserver")
    return Resolver(found, tuple(map(str, dns_addresses(traced.view.topology.spec.network.service_cidrs))))
