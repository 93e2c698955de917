"""What the lab process does on request, each in a process of its own, inside the lab: send packets, ask the proxies."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from pydantic import TypeAdapter

import netlab.probe.ports  # noqa: F401 - here, so that tasks, which are forked, take turns with one another
from netlab.agents.kube_proxy.modes import Mode, mode_of
from netlab.errors import InvalidInput, MissingCapability, Problem
from netlab.kernel.namespaces import inside
from netlab.lab import holding, proxies
from netlab.lab.flows import forget_finished_flows, forget_flow, remember_flow
from netlab.lab.lock import one_at_a_time
from netlab.lab.messages import TaskName
from netlab.lab.proving import try_all
from netlab.lab.view import running_view as _view
from netlab.model.faring import Way
from netlab.model.modes import ProxyMode
from netlab.model.names import Place
from netlab.model.paths import LabPaths
from netlab.model.rules import Family
from netlab.model.targets import Target
from netlab.model.training import PacketCheck

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.model.cluster import ClusterView
    from netlab.model.rules import IPAddress
    from netlab.probe.prober import Prober, Sent

Arguments = Mapping[str, str | int | float | None]
T = TypeVar("T")
_ways: TypeAdapter[tuple[Way, ...]] = TypeAdapter(tuple[Way, ...])
_packet_checks: TypeAdapter[tuple[PacketCheck, ...]] = TypeAdapter(tuple[PacketCheck, ...])


def probe(paths: LabPaths, arguments: Arguments) -> str:
    """Send packets from a place to a target: a ProbeResult."""
    from_ = _parsed(Place.parse, arguments["from_"])
    to = _parsed(Target.parse, arguments["to"])
    with _prober(_view(paths)) as prober:
        result = prober.probe(
            from_,
            to,
            count=int(arguments["count"] or 1),
            timeout=float(arguments["timeout"] or 1.0),
            size=int(arguments.get("size") or 0),
        )
    return result.model_dump_json(by_alias=True)


def check(paths: LabPaths, _arguments: Arguments) -> str:
    """Prove the topology's expectations: a CheckResult."""
    from netlab.probe.check import prove, summed_up  # noqa: PLC0415

    view = _view(paths)
    found = try_all(
        view.topology.spec.expect,
        lambda expectation, prober: prove(expectation, view=view, send=prober.probe),
        sender=partial(_prober, view),
    )
    return summed_up(view, found).model_dump_json(by_alias=True)


def prove(paths: LabPaths, arguments: Arguments) -> str:
    """Try what a training lab asks of packets (`checks`: a list of PacketChecks): a list of ExpectationResults."""
    from netlab.probe import proofs  # noqa: PLC0415 - as above

    view = _view(paths)
    found = try_all(
        _packet_checks.validate_json(str(arguments["checks"])),
        lambda check, prober: proofs.prove(check, view=view, send=partial(prober.probe, size=check.size)),
        sender=partial(_prober, view),
    )
    return json.dumps([result.model_dump(mode="json") for result in found])


def fates(paths: LabPaths, arguments: Arguments) -> str:
    """How the packets of those `ways` (a list of Ways) fare: a list of Fates."""
    from netlab.probe import faring  # noqa: PLC0415 - as above

    view = _view(paths)
    found = try_all(
        _ways.validate_json(str(arguments["ways"])),
        lambda way, prober: faring.fate(way, view=view, send=prober.probe),
        sender=partial(_prober, view),
    )
    return json.dumps([fate.model_dump(mode="json") for fate in found])


def holders(paths: LabPaths, arguments: Arguments) -> str:
    """The places that have an address of a target (`of`: `service/web`, an address): a list of their names."""
    return json.dumps(holding.holders(_view(paths), str(arguments["of"])))


def trace(paths: LabPaths, arguments: Arguments) -> str:
    """Send one packet from a place to a target and follow it: a Journey. One trace at a time in a lab."""
    from netlab.kernel.tracing.tracing import Method  # noqa: PLC0415
    from netlab.probe.tracing.tracer import Tracer  # noqa: PLC0415

    from_ = _parsed(Place.parse, arguments["from_"])
    to = _parsed(Target.parse, arguments["to"])
    method = Method(str(arguments["method"])) if arguments.get("method") else None
    with one_at_a_time(paths.directory / "trace.lock"):
        journey = Tracer(_view(paths)).trace(from_, to, timeout=float(arguments["timeout"] or 1.0), method=method)
    return journey.model_dump_json(by_alias=True)


def capture(paths: LabPaths, arguments: Arguments, files: Sequence[int]) -> str:
    """Record packets into the first of `files`; the counts."""
    from netlab.lab import capturing  # noqa: PLC0415

    return capturing.capture(_view(paths), arguments, files)


def conntrack(paths: LabPaths, arguments: Arguments) -> str:
    """The connections that a node's conntrack knows: a FlowTable."""
    from netlab.lab import connections  # noqa: PLC0415

    return connections.flow_table(_view(paths), str(arguments["node"])).model_dump_json(by_alias=True)


def flows(paths: LabPaths, _arguments: Arguments) -> str:
    """The connections that all nodes' conntracks know: a list of FlowTables."""
    from netlab.lab import connections  # noqa: PLC0415

    view = _view(paths)
    tables = [connections.flow_table(view, node.metadata.name) for node in view.nodes]
    return json.dumps([table.model_dump(mode="json", by_alias=True) for table in tables])


def rules(paths: LabPaths, arguments: Arguments) -> str:
    """A node's rules as its kernel has them, all or one Service's: a RuleSet."""
    from netlab.lab import rules as listed  # noqa: PLC0415

    service = arguments.get("service")
    found = listed.rule_set(_view(paths), str(arguments["node"]), service=str(service) if service else None)
    return found.model_dump_json(by_alias=True)


def rule_differences(paths: LabPaths, arguments: Arguments) -> str:
    """Where a node's rules are not as they should be: RuleDifferences."""
    from netlab.lab import rules as listed  # noqa: PLC0415

    return listed.rule_differences(_view(paths), str(arguments["node"])).model_dump_json(by_alias=True)


def drift(paths: LabPaths, _arguments: Arguments) -> str:
    """What the namespaces hold otherwise than planned: a DriftReport."""
    from netlab.lab import drift as drifted  # noqa: PLC0415

    return drifted.drift(_view(paths)).model_dump_json(by_alias=True)


def credentials(paths: LabPaths, arguments: Arguments) -> str:
    """Make the certificates that the lab's topology asks for."""
    from netlab.lab import credentials as made  # noqa: PLC0415 - it brings cryptography, which nobody else needs

    return made.provide(paths, arguments)


def fingerprints(paths: LabPaths, _arguments: Arguments) -> str:
    """What all namespaces hold, in short, by name and part."""
    from netlab.lab import tidying  # noqa: PLC0415

    return json.dumps(tidying.fingerprints(paths, _view(paths).topology))


def machines(paths: LabPaths, _arguments: Arguments) -> str:
    """Nothing, where the wire, the nodes and the machines outside have their namespaces; else NotFound."""
    from netlab.lab import tidying  # noqa: PLC0415

    tidying.require_machines(paths, _view(paths).topology)
    return json.dumps({})


def tidy(paths: LabPaths, arguments: Arguments) -> str:
    """Take away what tests have left in the kernel: what is otherwise than it was remembered even so."""
    from netlab.lab import tidying  # noqa: PLC0415

    return tidying.tidy(paths, arguments)


def modes(_paths: LabPaths, arguments: Arguments) -> str:
    """Of those proxy modes and families (names with commas), what this machine lacks: mode, capability, remedy."""
    wanted = [mode_of(ProxyMode(name)) for name in str(arguments["modes"]).split(",")]
    families = [Family(name) for name in str(arguments["families"]).split(",")]
    found = [each for mode in wanted for family in families if (each := lacking(mode, family))]
    return json.dumps([(mode.value, error.capability, error.remedy) for mode, error in found])


def lacking(mode: Mode, family: Family) -> tuple[ProxyMode, MissingCapability] | None:
    """What a mode needs for a family and this machine has not."""
    try:
        mode.require(family)
    except MissingCapability as error:
        return mode.name, error
    return None


def _parsed(parse: Callable[[str], T], argument: str | int | float | None) -> T:
    try:
        return parse(str(argument))
    except ValueError as error:
        raise InvalidInput([Problem("argument", 0, 0, "", str(error))]) from error


@contextmanager
def _prober(view: ClusterView) -> Iterator[Prober]:
    from netlab.kernel import conntrack as tracked  # noqa: PLC0415
    from netlab.probe.prober import Prober  # noqa: PLC0415

    def became(namespace: str, sent: Sent) -> tuple[IPAddress, int] | None:
        with inside(namespace):
            return tracked.translated(
                sent.protocol.value, (sent.source, sent.source_port), (sent.destination, sent.destination_port)
            )

    with Prober(view, inside=inside, conntrack=became) as prober:
        yield prober


TASKS: Mapping[TaskName, Callable[[LabPaths, Arguments], str]] = {
    TaskName.PROBE: probe,
    TaskName.CHECK: check,
    TaskName.PROVE: prove,
    TaskName.FATES: fates,
    TaskName.HOLDERS: holders,
    TaskName.TRACE: trace,
    TaskName.PROXIES: proxies.report,
    TaskName.MODES: modes,
    TaskName.FORGET_FLOWS: forget_finished_flows,
    TaskName.REMEMBER_FLOW: remember_flow,
    TaskName.FORGET_FLOW: forget_flow,
    TaskName.DRIFT: drift,
    TaskName.CONNTRACK: conntrack,
    TaskName.FLOWS: flows,
    TaskName.CREDENTIALS: credentials,
    TaskName.RULES: rules,
    TaskName.RULE_DIFFERENCES: rule_differences,
    TaskName.FINGERPRINTS: fingerprints,
    TaskName.TIDY: tidy,
    TaskName.MACHINES: machines,
}
"""A task by name: given the lab and the request's arguments, its report as JSON."""
TASKS_WITH_FILES: Mapping[TaskName, Callable[[LabPaths, Arguments, Sequence[int]], str]] = {TaskName.CAPTURE: capture}
"""Those that write to files of the caller's too, which come third."""
