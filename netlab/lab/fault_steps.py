"""The steps of a fault, made in a running lab and taken back."""

from __future__ import annotations

from functools import singledispatchmethod
from typing import TYPE_CHECKING

from pydantic import JsonValue

from netlab.errors import MissingCapability, NetlabError
from netlab.faults.steps import Command, Create, Cut, Patch, Remember, Step, Stop, Write
from netlab.lab import control
from netlab.lab.messages import AgentKind, TaskName
from netlab.model.names import Place, network_namespace
from netlab.model.objects import KINDS
from netlab.workload.command import NOT_FOUND

if TYPE_CHECKING:
    from pathlib import Path

    from netlab.api.sync_client import SyncClient
    from netlab.model.paths import LabPaths

KIND_BY_NAME = {kind.__name__: kind for kind in KINDS}


class StepRefused(NetlabError):
    """A command did not do what it was told: its words."""


class Workshop:
    """Makes and takes back steps in one lab. NetlabError: a step was refused; NotFound: its place or object is gone."""

    def __init__(self, paths: LabPaths, client: SyncClient) -> None:
        self._paths = paths
        self._client = client

    def completed(self, step: Step) -> Step:
        """The step with all that its undoing needs: of a file, what it says now."""
        if isinstance(step, Write):
            return step.model_copy(update={"was": self._file(step).read_text()})
        return step

    @singledispatchmethod
    def make(self, step: Step) -> None:
        """Make the step."""
        raise TypeError(step)

    @singledispatchmethod
    def undo(self, step: Step) -> None:
        """Take the step back."""
        raise TypeError(step)

    @make.register
    def _(self, step: Patch) -> None:
        self._patch(step, step.patch)

    @undo.register
    def _(self, step: Patch) -> None:
        self._patch(step, step.undo)

    @make.register
    def _(self, step: Stop) -> None:
        control.set_agent(self._paths, AgentKind(step.agent), step.node, running=False)

    @undo.register
    def _(self, step: Stop) -> None:
        control.set_agent(self._paths, AgentKind(step.agent), step.node, running=True)

    @make.register
    def _(self, step: Command) -> None:
        self._run(step.place, step.argv)

    @undo.register
    def _(self, step: Command) -> None:
        if step.undo:
            self._run(step.place, step.undo)

    @make.register
    def _(self, step: Write) -> None:
        self._write(step, step.text)

    @undo.register
    def _(self, step: Write) -> None:
        self._write(step, step.was)

    @make.register
    def _(self, step: Create) -> None:
        kind = KIND_BY_NAME[step.kind]
        self._client.create(kind.model_validate(step.manifest))

    @undo.register
    def _(self, step: Create) -> None:
        self._client.delete(KIND_BY_NAME[step.kind], step.name, namespace=step.namespace)

    @make.register
    def _(self, step: Cut) -> None:
        cut = self._paths.cut_off(step.node)
        cut.parent.mkdir(exist_ok=True, mode=0o700)
        cut.touch()
        self._restart_kube_proxy(step.node)

    @undo.register
    def _(self, step: Cut) -> None:
        self._paths.cut_off(step.node).unlink(missing_ok=True)
        self._restart_kube_proxy(step.node)

    @make.register
    def _(self, step: Remember) -> None:
        self._tell_conntrack(step, TaskName.REMEMBER_FLOW)

    @undo.register
    def _(self, step: Remember) -> None:
        self._tell_conntrack(step, TaskName.FORGET_FLOW)

    def _restart_kube_proxy(self, node: str) -> None:
        for running in (False, True):
            control.set_agent(self._paths, AgentKind.KUBE_PROXY, node, running=running)

    def _tell_conntrack(self, step: Remember, task: TaskName) -> None:
        control.run_task(self._paths, task, step=step.model_dump_json())

    def _patch(self, step: Patch, patch: dict[str, JsonValue]) -> None:
        self._client.patch(KIND_BY_NAME[step.kind], step.name, patch, namespace=step.namespace)

    def _run(self, place: str, argv: tuple[str, ...]) -> None:
        done = control.output(self._paths, Place.parse(place), argv)
        if done.status == NOT_FOUND:
            raise MissingCapability(f"there is no command {argv[0]}", "install the package that has it")
        if done.status != 0:
            raise StepRefused(f"{place}: {' '.join(argv)}: {done.text.strip() or f'exit status {done.status}'}")

    def _write(self, step: Write, text: str) -> None:
        """In place: commands that run have the file mounted."""
        with self._file(step).open("r+") as file:
            file.truncate()
            file.write(text)

    def _file(self, step: Write) -> Path:
        return self._paths.etc / network_namespace(self._paths.lab, Place.parse(step.place)) / step.file
