"""The grader: which requirements a running lab meets, told by its packets, its objects and its kernels."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator

from pydantic import JsonValue

from netlab.api.encoding import as_json
from netlab.api.sync_client import SyncClient
from netlab.errors import NetlabError, NotFound
from netlab.lab import control, questions, readiness, status
from netlab.lab.messages import TaskName
from netlab.load.documents import CLASSES
from netlab.model.journey import ExpectationResult
from netlab.model.language import Language
from netlab.model.names import Place
from netlab.model.paths import LabPaths
from netlab.model.training import (
    HolderCheck,
    LabGrade,
    ObjectCheck,
    ProxyCheck,
    Requirement,
    RequirementResult,
    RunCheck,
)
from netlab.training.commands import TIMED_OUT, output
from netlab.training.facts import is_right
from netlab.training.loading import LabFolder
from netlab.training.progress import Session

FOLLOWED_WITHIN = 3.0
PODS_WITHIN = 5
PROBED_WITHIN = 2
"""Seconds for what the learner just did to take effect: kube-proxies, new Pods, their readiness probes."""

Failures = Iterator[str]
"""What a check saw that is not as it should be; nothing where all is."""


def grade(
    folder: LabFolder, session: Session, *, now: Callable[[], float], language: Language = Language.EN
) -> LabGrade:
    """How the lab stands now. Where something of it is gone, what needs it is not met."""
    seconds = now() - session.started
    paths = LabPaths.of(folder.name)
    with contextlib.suppress(NetlabError, OSError):
        settle(paths)
    asked = [each for each in folder.spec.requirements if each.is_for(session.mode)]
    results = Grader(paths, session.answers).results(asked, language)
    in_time = not folder.spec.exam or seconds <= folder.spec.minutes * 60
    return LabGrade(
        lab=folder.name,
        title=folder.spec.title.in_(language),
        mode=session.mode,
        seed=session.seed,
        passed=all(result.met for result in results) and in_time,
        in_time=in_time,
        seconds=round(seconds, 1),
        requirements=tuple(results),
    )


def settle(paths: LabPaths) -> None:
    """Wait until what was changed is in the kernel, as far as it will be; what is over is forgotten."""
    with SyncClient(paths.api_socket) as client:
        client.settle()
        readiness.wait_for_pods(client, lambda _: None, within=PODS_WITHIN, probed_within=PROBED_WITHIN)
        client.settle()
        stopped = {agent.name for agent in control.agents(paths) if not agent.wanted}
        readiness.ask_proxies(paths, readiness.followed_versions(client), within=FOLLOWED_WITHIN, stopped=stopped)
    control.run_task(paths, TaskName.FORGET_FLOWS)


class Grader:
    """Makes the checks of requirements in one lab; all packets are sent in one go, since that is quicker."""

    def __init__(self, paths: LabPaths, answers: dict[str, str]) -> None:
        self._paths = paths
        self._answers = answers

    def results(self, requirements: list[Requirement], language: Language) -> list[RequirementResult]:
        """Each requirement's result, in their order."""
        checks = [check for requirement in requirements for check in requirement.packets]
        sent = iter(self._sent(requirements) if checks else ())
        found = []
        for requirement in requirements:
            proofs = [next(sent) for _ in requirement.packets]
            failures = [*map(_said, filter(lambda proof: not proof.passed, proofs)), *self._failures(requirement)]
            says = requirement.says.in_(language)
            observed = "; ".join(failures)
            found.append(RequirementResult(name=requirement.name, says=says, met=not failures, observed=observed))
        return found

    def _sent(self, requirements: list[Requirement]) -> tuple[ExpectationResult, ...]:
        checks = [check for requirement in requirements for check in requirement.packets]
        try:
            return questions.prove(self._paths, checks)
        except (NetlabError, OSError) as error:
            unsent = ExpectationResult(expectation="packets", passed=False, observed=f"could not be sent: {error}")
            return (unsent,) * len(checks)

    def _failures(self, requirement: Requirement) -> Failures:
        try:
            for run in requirement.run:
                yield from self._run(run)
            for wanted in requirement.objects:
                yield from self._object(wanted)
            for proxy in requirement.proxies:
                yield from self._proxy(proxy)
            for holder in requirement.holders:
                yield from self._holders(holder)
            yield from self._answer(requirement)
        except (NetlabError, OSError) as error:
            yield f"could not be looked at: {error}"

    def _run(self, check: RunCheck) -> Failures:
        done = output(self._paths, Place.parse(check.in_), check.command)
        if done.status == TIMED_OUT:
            yield f"{check.command[0]} in {check.in_} does not end"
        elif done.status != check.status:
            yield f"{check.command[0]} in {check.in_} ends with status {done.status}"
        elif check.prints and not re.search(check.prints, done.text, re.MULTILINE):
            yield f"{check.command[0]} in {check.in_} prints something else"

    def _object(self, check: ObjectCheck) -> Failures:
        named = f"{check.kind} {check.name}"
        with SyncClient(self._paths.api_socket) as client:
            try:
                found = as_json(client.get(CLASSES[check.kind], check.name, namespace=check.namespace))
            except NotFound:
                if not check.absent:
                    yield f"there is no {named}"
                return
        if check.absent:
            yield f"there is a {named}"
        for path, value in check.where.items():
            if field(found, path) != value:
                yield f"{path} of {named} is not what it should be"

    def _proxy(self, check: ProxyCheck) -> Failures:
        node = next((each for each in status.status(self._paths).nodes if each.name == check.node), None)
        if node is None:
            yield f"there is no node {check.node}"
        elif node.proxy.running != check.running:
            yield f"kube-proxy of {check.node} {'runs' if node.proxy.running else 'does not run'}"
        elif check.running and not node.proxy.synced:
            yield f"kube-proxy of {check.node} runs and is behind"
        elif check.mode and node.proxy_mode != check.mode:
            yield f"kube-proxy of {check.node} works in mode {node.proxy_mode}"

    def _holders(self, check: HolderCheck) -> Failures:
        found = questions.holders(self._paths, check.of)
        if set(found) != set(check.by):
            yield f"the address of {check.of} is held by {', '.join(found) or 'nobody'}"

    def _answer(self, requirement: Requirement) -> Failures:
        """The observation must not tell: a learner could try until it does."""
        check = requirement.answer
        if check is None:
            return
        given = self._answers.get(check.key)
        if given is None:
            yield f"not answered yet: netlab lab answer {check.key} ..."
        elif not is_right(self._paths, check, given):
            yield f"the answer {given!r} is not what the lab shows"


def field(value: JsonValue, path: str) -> JsonValue:
    """What stands at a path (`spec.ports.0.port`) of a JSON value; None where nothing does."""
    for part in path.split("."):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _said(proof: ExpectationResult) -> str:
    """The way and what was seen; not which Pods were expected, which may be the answer."""
    way = re.split(r" (?:reaches|is) ", proof.expectation, maxsplit=1)[0]
    return f"{way}: {proof.observed}"
