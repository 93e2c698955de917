"""What is asked of a running lab, each a task that its process runs inside it: packets, rules, connections."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import TypeAdapter

from netlab.lab.control import run_task
from netlab.lab.messages import TaskName
from netlab.model.connections import FlowTable
from netlab.model.drift import DriftReport
from netlab.model.faring import Fate, Way
from netlab.model.journey import CheckResult, ExpectationResult, Journey, ProbeResult
from netlab.model.paths import LabPaths
from netlab.model.rule_listing import RuleDifferences, RuleSet
from netlab.model.training import PacketCheck

_expectation_results: TypeAdapter[tuple[ExpectationResult, ...]] = TypeAdapter(tuple[ExpectationResult, ...])
_fates: TypeAdapter[list[Fate]] = TypeAdapter(list[Fate])


def probe(
    paths: LabPaths, from_: str, to: str, *, protocol: str = "tcp", count: int = 1, timeout: float = 1.0, size: int = 0
) -> ProbeResult:
    """Send `count` packets from a place to a target and report how each fared.

    `timeout` is seconds until dropped, `size` the bytes of a packet where they are to be larger than need be.
    """
    text = run_task(
        paths, TaskName.PROBE, from_=from_, to=to, protocol=protocol, count=count, timeout=timeout, size=size
    )
    return ProbeResult.model_validate_json(text)


def trace(paths: LabPaths, from_: str, to: str, *, timeout: float = 1.0, method: str | None = None) -> Journey:
    """Send one packet from a place to a target and follow it and its answer; no prediction with it.

    `method` is how rules are observed (`legacy`, `nft`), None for what fits each node.
    """
    text = run_task(paths, TaskName.TRACE, from_=from_, to=to, timeout=timeout, method=method)
    return Journey.model_validate_json(text)


def check(paths: LabPaths) -> CheckResult:
    """Prove the lab's `expect` block with packets."""
    return CheckResult.model_validate_json(run_task(paths, TaskName.CHECK))


def prove(paths: LabPaths, checks: Sequence[PacketCheck]) -> tuple[ExpectationResult, ...]:
    """Try what a training lab asks of packets, in the order of the checks."""
    asked = json.dumps([check.model_dump(mode="json", by_alias=True) for check in checks])
    return _expectation_results.validate_json(run_task(paths, TaskName.PROVE, checks=asked))


def fates(paths: LabPaths, ways: Sequence[Way]) -> list[Fate]:
    """How the packets of each way fare, in their order."""
    asked = json.dumps([way.model_dump(mode="json") for way in ways])
    return _fates.validate_json(run_task(paths, TaskName.FATES, ways=asked))


def holders(paths: LabPaths, of: str) -> tuple[str, ...]:
    """The places that have an address of a target on an interface; NotFound: there is no such target."""
    return tuple(json.loads(run_task(paths, TaskName.HOLDERS, of=of)))


def conntrack(paths: LabPaths, node: str) -> FlowTable:
    """What a node's connection tracking holds; NotFound: no such node."""
    return FlowTable.model_validate_json(run_task(paths, TaskName.CONNTRACK, node=node))


def flow_tables(paths: LabPaths) -> tuple[FlowTable, ...]:
    """The same of every node."""
    return tuple(FlowTable.model_validate(table) for table in json.loads(run_task(paths, TaskName.FLOWS)))


def rules(paths: LabPaths, node: str, *, service: str | None = None) -> RuleSet:
    """A node's rules as its kernel has them, or those of one Service; NotFound."""
    return RuleSet.model_validate_json(run_task(paths, TaskName.RULES, node=node, service=service))


def rule_differences(paths: LabPaths, node: str) -> RuleDifferences:
    """Where a node's rules are not what its kube-proxy would write; NotFound, InvalidInput."""
    return RuleDifferences.model_validate_json(run_task(paths, TaskName.RULE_DIFFERENCES, node=node))


def drift(paths: LabPaths) -> DriftReport:
    """What the lab's namespaces hold otherwise than planned."""
    return DriftReport.model_validate_json(run_task(paths, TaskName.DRIFT))
