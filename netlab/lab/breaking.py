"""Putting faults into a lab that runs, and taking them out again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from netlab.api.sync_client import SyncClient
from netlab.errors import NetlabError, NotFound
from netlab.faults.catalogue import CATALOGUE
from netlab.faults.choosing import choose, require_victim
from netlab.faults.fault import Fault
from netlab.faults.names import FaultName
from netlab.faults.steps import Patch, Step, Stop
from netlab.lab import control, fault_records, readiness
from netlab.lab.fault_records import Record
from netlab.lab.fault_steps import StepRefused, Workshop
from netlab.lab.lock import commanding
from netlab.lab.messages import TaskName
from netlab.lab.view import running_view
from netlab.model.paths import LabPaths

FOLLOWED_WITHIN = 10.0
"""Seconds for the kube-proxies to follow a changed object; one that cannot is what some faults are about."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A fault that is in force. `already`: it was before."""

    record: Record
    already: bool


@dataclass(frozen=True, slots=True)
class Healed:
    """A fault that is out. `gone`: what went meanwhile and took its change along; `refused`: what is as it was left."""

    record: Record
    gone: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def break_(paths: LabPaths, fault: Fault, wanted: str | None) -> Broken:
    """Put the fault into the victim of that name, or the only one that fits; returns when kube-proxies have followed.

    InvalidInput: it cannot be put there, or several would fit; NotFound: there is no such victim. Where a step is
    refused those before it are taken back.
    """
    with commanding(paths), SyncClient(paths.api_socket) as client:
        there = {record.key: record for record in fault_records.read(paths)}
        if wanted is not None and (known := there.get((fault.name, wanted))):
            return Broken(known, already=True)
        chosen = choose(fault, running_view(paths), wanted)
        if known := there.get((fault.name, chosen.victim)):
            return Broken(known, already=True)
        record = _make(paths, client, Record(fault=fault.name, victim=chosen.victim, steps=chosen.steps))
        _let_follow(paths, client, record)
        return Broken(record, already=False)


def heal(paths: LabPaths, *, fault: FaultName | None, victim: str | None) -> Iterator[Healed]:
    """Take out the faults of that name and victim, or all of them, the last first: each one as it is out.

    A secret one must be named, and its victim too.

    An error of the lab itself (it does not answer) leaves the fault known, for another try. NotFound: there is neither
    such a fault in force nor such a victim.
    """
    with commanding(paths), SyncClient(paths.api_socket) as client:
        records = fault_records.read(paths)
        if fault and victim and (fault, victim) not in {record.key for record in records}:
            require_victim(CATALOGUE[fault], running_view(paths), victim)
        for record in reversed(records):
            if record.secret and record.key != (fault, victim):
                continue
            if fault in (None, record.fault) and victim in (None, record.victim):
                yield _healed(paths, client, record)


def take_out(paths: LabPaths) -> Iterator[Healed]:
    """Take out all faults, the last first: each one as it is out. The caller has the right to command the lab."""
    with SyncClient(paths.api_socket) as client:
        for record in reversed(fault_records.read(paths)):
            yield _healed(paths, client, record)


def _healed(paths: LabPaths, client: SyncClient, record: Record) -> Healed:
    healed = _take_back(Workshop(paths, client), record)
    fault_records.forget(paths, record)
    _let_follow(paths, client, record)
    return healed


def _make(paths: LabPaths, client: SyncClient, record: Record) -> Record:
    workshop = Workshop(paths, client)
    record = record.model_copy(update={"steps": tuple(map(workshop.completed, record.steps))})
    try:
        for number, step in enumerate(record.steps, start=1):
            record = record.model_copy(update={"begun": number})
            fault_records.put(paths, record)
            workshop.make(step)
    except NetlabError:
        _take_back(workshop, record)
        fault_records.forget(paths, record)
        raise
    record = record.model_copy(update={"whole": True})
    fault_records.put(paths, record)
    return record


def _take_back(workshop: Workshop, record: Record) -> Healed:
    """The last step that was begun may not have been made: that it cannot be taken back says nothing then."""
    gone: list[str] = []
    refused: list[str] = []
    for number in range(record.begun, 0, -1):
        uncertain = number == record.begun and not record.whole
        _undo(workshop.undo, record.steps[number - 1], gone=gone, refused=[] if uncertain else refused)
    return Healed(record, tuple(gone), tuple(refused))


def _undo(undo: Callable[[Step], None], step: Step, *, gone: list[str], refused: list[str]) -> None:
    try:
        undo(step)
    except (NotFound, FileNotFoundError) as error:
        gone.append(str(error))
    except StepRefused as error:
        refused.append(str(error))


def _let_follow(paths: LabPaths, client: SyncClient, record: Record) -> None:
    """Wait until what follows from changed objects, or from a kube-proxy that came back, is in the kernel.

    New flows are to meet what is true now: those that are over are forgotten.
    """
    if any(isinstance(step, Patch | Stop) for step in record.steps):
        client.settle()
        stopped = {agent.name for agent in control.agents(paths) if not agent.wanted}
        readiness.ask_proxies(paths, readiness.followed_versions(client), within=FOLLOWED_WITHIN, stopped=stopped)
    control.run_task(paths, TaskName.FORGET_FLOWS)
