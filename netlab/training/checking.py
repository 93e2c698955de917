"""What a lab.yaml says, against its topology: can every check be made, every fault be put in?"""

from __future__ import annotations

import re
from dataclasses import replace

from netlab.errors import NetlabError
from netlab.faults.catalogue import CATALOGUE
from netlab.faults.choosing import choose
from netlab.faults.names import FaultName
from netlab.kernel.programs import find_program
from netlab.lab.holding import addresses
from netlab.lab.view import foreseen_view
from netlab.load.check import names_in
from netlab.load.documents import CLASSES
from netlab.load.expectations import check_expectation, check_place, check_target
from netlab.load.nearest import did_you_mean
from netlab.load.references import Known
from netlab.load.tree import Cursor
from netlab.model.cluster import ClusterView
from netlab.model.modes import ProxyMode
from netlab.model.targets import Workload, WorkloadKind
from netlab.model.topology import LabFile

CHECKS = ("packets", "run", "objects", "proxies", "holders", "answer")
FACTS = ("holders", "becomes", "seen", "prints")


def check_lab_spec(spec: Cursor, topology: LabFile, *, topology_text: str) -> None:
    """Report every check that could not be made in a lab of that topology, and every fault that it cannot have."""
    view = foreseen_view(topology)
    there = _with_made(names_in(topology_text), spec.get("makes"))
    for fault in (*spec.get("faults").items(), *spec.get("draw", "from").items()):
        _check_fault(fault, view)
    _check_draw(spec.get("draw"))
    names: set[str] = set()
    for requirement in spec.get("requirements").items():
        _check_name(requirement.get("name"), names)
        _check_requirement(requirement, there, view)
    if spec.get("requirements").present and not names:
        spec.get("requirements").error("is empty", "a lab asks for something")


def _with_made(there: Known, makes: Cursor) -> Known:
    """What there will be once the learner has made what the lab asks for."""
    pods, services, deployments = dict(there.pods or {}), dict(there.services or {}), dict(there.deployments or {})
    for made in makes.items():
        kind, _, rest = made.text.partition("/")
        namespace, _, name = rest.rpartition("/")
        known = {"pod": pods, "service": services, "deployment": deployments}.get(kind)
        if known is None or not name:
            made.error(f"{made.text!r} is nothing that a learner makes", "service/NAME, pod/NAME or deployment/NAME")
        else:
            known[namespace or "default", name] = None
    return replace(there, pods=pods, services=services, deployments=deployments)


def _check_name(name: Cursor, names: set[str]) -> None:
    if name.text in names:
        name.error(f"there is another requirement {name.text}")
    names.add(name.text)


# --- faults


def _check_fault(entry: Cursor, view: ClusterView) -> None:
    name = entry.get("fault")
    if not name.text or not entry.get("victim").text:
        return
    if name.text not in list(FaultName):
        name.error(f"there is no fault {name.text}", did_you_mean(name.text, FaultName) or "netlab faults lists them")
        return
    spelled = [mode.text for mode in entry.get("modes").items()]
    modes = [ProxyMode(mode) for mode in spelled if mode in list(ProxyMode)]
    try:
        choose(CATALOGUE[FaultName(name.text)], _in_mode(view, modes[0]) if modes else view, entry.get("victim").text)
    except NetlabError as error:
        entry.get("victim").error(str(error))


def _in_mode(view: ClusterView, mode: ProxyMode) -> ClusterView:
    spec = view.topology.spec
    changed = spec.model_copy(update={"proxy": spec.proxy.model_copy(update={"mode": mode})})
    return replace(view, topology=view.topology.model_copy(update={"spec": changed}))


def _check_draw(draw: Cursor) -> None:
    count, there = draw.get("count"), len(draw.get("from").items())
    if draw.present and (count.number or 1) > there:
        count.error(f"{count.number or 1} faults cannot be drawn from {there}")


# --- requirements


def _check_requirement(requirement: Cursor, there: Known, view: ClusterView) -> None:
    if not any(requirement.get(kind).present for kind in CHECKS):
        requirement.error("checks nothing", f"add one of {', '.join(CHECKS)}")
    for packets in requirement.get("packets").items():
        _check_packets(packets, there)
    for run in requirement.get("run").items():
        _check_run(run, there)
    for wanted in requirement.get("objects").items():
        _check_object(wanted)
    for proxy in requirement.get("proxies").items():
        _check_node(proxy.get("node"), there)
    for holder in requirement.get("holders").items():
        _check_holder(holder.get("of"), there, view)
        for place in holder.get("by").items():
            check_place(place, there)
    if requirement.get("answer").present:
        _check_answer(requirement.get("answer"), there, view)


def _check_packets(packets: Cursor, there: Known) -> None:
    check_expectation(packets, there)
    for place in packets.get("sees").items():
        check_place(place, there)
    reached = {each.text for each in packets.get("reaches").items()}
    shares = packets.get("shares")
    for name, share in shares.entries():
        if name not in reached:
            share.error(f"{name} is not among those that packets reach", f"there are {', '.join(sorted(reached))}")
    if shares.present and any(_kind(text) is not WorkloadKind.POD for text in reached):
        shares.error("shares are of single Pods", "name them under reaches: pod/NAME")


def _kind(text: str) -> WorkloadKind | None:
    try:
        return Workload.parse(text).kind
    except ValueError:
        return None


def _check_run(run: Cursor, there: Known) -> None:
    check_place(run.get("in"), there)
    _check_program(run.get("command"))
    try:
        re.compile(run.get("prints").text)
    except re.error as error:
        run.get("prints").error(f"is no regular expression: {error}")


def _check_program(command: Cursor) -> None:
    words = command.items()
    if command.present and not words:
        command.error("is empty", "name a program")
    elif words and words[0].text and find_program(words[0].text) is None:
        words[0].error(f"there is no program {words[0].text} on this machine", "the check could not be made")


def _check_object(wanted: Cursor) -> None:
    kind = wanted.get("kind")
    if kind.text and kind.text not in CLASSES:
        kind.error(f"netlab has no {kind.text}", did_you_mean(kind.text, CLASSES) or f"it has {', '.join(CLASSES)}")
    if wanted.get("absent").present and wanted.get("where").present:
        wanted.get("where").error("what is absent has no fields")


def _check_node(node: Cursor, there: Known) -> None:
    if node.text and there.nodes is not None and node.text not in there.nodes:
        node.error(f"there is no node {node.text}", f"there are {', '.join(sorted(there.nodes))}")


def _check_holder(of: Cursor, there: Known, view: ClusterView) -> None:
    kind, _, name = of.text.partition("/")
    if not of.text or (kind == "service" and ("default", name) in (there.services or {})):
        return
    try:
        addresses(view, of.text)
    except NetlabError as error:
        of.error(str(error))


def _check_answer(answer: Cursor, there: Known, view: ClusterView) -> None:
    given = [fact for fact in FACTS if answer.get(fact).present]
    if len(given) != 1:
        answer.error(f"must say one of {', '.join(FACTS)}", f"it says {' and '.join(given)}" if given else "")
    if answer.get("holders").present:
        _check_holder(answer.get("holders"), there, view)
    for way in (answer.get("becomes"), answer.get("seen")):
        if way.present:
            check_place(way.get("from"), there)
            check_target(way.get("to"), there)
    if answer.get("prints").present:
        check_place(answer.get("prints", "in"), there)
        _check_program(answer.get("prints", "command"))
