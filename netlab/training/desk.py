"""A learner's desk: labs are started on it, made new after any mishap, and cleared away."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from netlab.errors import InvalidInput, NetlabError, NotFound, Problem
from netlab.faults.catalogue import CATALOGUE
from netlab.faults.names import FaultName
from netlab.lab import fault_records
from netlab.lab.breaking import break_
from netlab.lab.down import down
from netlab.lab.lock import is_running
from netlab.lab.up import up
from netlab.model.language import Language
from netlab.model.modes import ProxyMode
from netlab.model.paths import LabPaths
from netlab.model.topology import LabFile
from netlab.model.training import FaultEntry, LabGrade, LabSpec
from netlab.training.grading import grade
from netlab.training.loading import LabFolder, load_folder
from netlab.training.progress import Attempt, LabProgress, ProgressFile, Session

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Desk:
    """`progress` remembers what was done, `now` is the time in seconds since 1970."""

    progress: ProgressFile
    now: Callable[[], float]

    def start(self, folder: LabFolder, *, mode: ProxyMode | None, seed: int, say: Say) -> Session:
        """Start the lab and put its faults in. InvalidInput: it is started already, or is not for that mode."""
        if is_running(LabPaths.of(folder.name)):
            raise _wrong(
                f"lab {folder.name} is started already", "netlab lab reset makes it new, netlab lab stop ends it"
            )
        session = _session(folder, mode=mode, seed=seed, started=self.now())
        _bring_up(folder, session, say)
        self.progress.change(folder.name, lambda known: known.model_copy(update={"session": session}))
        return session

    def reset(self, name: str | None, *, say: Say) -> Session:
        """Make the lab what it was when it was started, whatever was done to it; an exam's time goes on."""
        name, old = self.started(name, alive=False)
        folder = load_folder(Path(old.folder))
        _clear_away(name)
        started = old.started if folder.spec.exam else self.now()
        session = _session(folder, mode=old.mode, seed=old.seed, started=started)
        _bring_up(folder, session, say)
        self.progress.change(name, lambda known: known.model_copy(update={"session": session}))
        return session

    def stop(self, name: str | None) -> str:
        """End the lab; its name. What is known of the learner's progress stays."""
        name, _ = self.started(name, alive=False)
        _clear_away(name)
        self.progress.change(name, lambda known: known.model_copy(update={"session": None}))
        return name

    def started(self, name: str | None, *, alive: bool = True) -> tuple[str, Session]:
        """The started lab of that name, or whose name begins so; with None the only one. NotFound.

        Unless `alive` is False it must run.
        """
        known = {lab: each.session for lab, each in self.progress.read().labs.items() if each.session}
        running = {lab: session for lab, session in known.items() if is_running(LabPaths.of(lab))}
        candidates = running if alive or (name is None and running) else known
        found = {lab: session for lab, session in candidates.items() if name is None or lab.startswith(name)}
        if name in found:
            return name, found[name]
        if len(found) == 1:
            return next(iter(found.items()))
        dead = [lab for lab in known if lab not in running and (name is None or lab.startswith(name))]
        raise NotFound(_none_started(name, found=list(found), dead=dead))

    def folder(self, name: str | None) -> tuple[LabFolder, Session]:
        """The folder of a started lab."""
        _, session = self.started(name)
        return load_folder(Path(session.folder)), session

    def check(self, name: str | None, language: Language = Language.EN) -> LabGrade:
        """Grade a started lab, and remember how it went."""
        folder, session = self.folder(name)
        graded = grade(folder, session, now=self.now, language=language)
        self.progress.change(folder.name, lambda known: tried(known, graded, at=self.now()))
        return graded

    def answer(self, name: str | None, key: str, value: str) -> None:
        """Remember an answer of the learner's. NotFound: the lab asks nothing of that name."""
        folder, _ = self.folder(name)
        keys = [each.answer.key for each in folder.spec.requirements if each.answer]
        if key not in keys:
            raise NotFound(
                f"lab {folder.name} asks nothing called {key}: it asks for {', '.join(keys) or 'no answers'}"
            )
        self.progress.change(folder.name, lambda known: answered(known, key, value))


def answered(known: LabProgress, key: str, value: str) -> LabProgress:
    """What is known of a lab after one more answer; the last one to a question counts."""
    if known.session is None:
        return known
    session = known.session.model_copy(update={"answers": {**known.session.answers, key: value}})
    return known.model_copy(update={"session": session})


def tried(known: LabProgress, graded: LabGrade, *, at: float) -> LabProgress:
    """What is known of a lab after one more grading; of several solutions the quickest counts."""
    unmet = tuple(each.name for each in graded.requirements if not each.met)
    attempts = (*known.attempts, Attempt(at=at, passed=graded.passed, unmet=unmet))
    best = [each for each in (known.solved_in_seconds, graded.seconds if graded.passed else None) if each is not None]
    return known.model_copy(update={"attempts": attempts, "solved_in_seconds": min(best, default=None)})


def _none_started(name: str | None, *, found: list[str], dead: list[str]) -> str:
    if found:
        return f"several labs are started, say which: {', '.join(found)}"
    if dead:
        return f"lab {dead[0]} does not run any more: netlab lab reset {dead[0]} makes it new"
    return (
        f"lab {name} is not started"
        if name
        else "no lab is started: netlab lab list shows them, netlab lab start starts one"
    )


def _session(folder: LabFolder, *, mode: ProxyMode | None, seed: int, started: float) -> Session:
    chosen = mode or folder.spec.modes[0]
    if chosen not in folder.spec.modes:
        raise _wrong(f"lab {folder.name} is not for mode {chosen}", f"it is for {', '.join(folder.spec.modes)}")
    faults = drawn_faults(folder.spec, mode=chosen, seed=seed)
    return Session(folder=str(folder.path.resolve()), mode=chosen, seed=seed, started=started, faults=faults)


def drawn_faults(spec: LabSpec, *, mode: ProxyMode, seed: int) -> tuple[FaultEntry, ...]:
    """The faults that a lab has from its start: the same for the same seed and mode."""
    fixed = tuple(fault for fault in spec.faults if not fault.modes or mode in fault.modes)
    if spec.draw is None:
        return fixed
    possible = [fault for fault in spec.draw.from_ if not fault.modes or mode in fault.modes]
    chance = random.Random(seed)
    return (*fixed, *chance.sample(possible, min(spec.draw.count, len(possible))))


def _bring_up(folder: LabFolder, session: Session, say: Say) -> None:
    up(_in_mode(folder.topology, name=folder.name, mode=session.mode), progress=say)
    try:
        for fault in session.faults:
            say("preparing the lab")
            _break(LabPaths.of(folder.name), fault)
    except NetlabError:
        _clear_away(folder.name)
        raise


def _break(paths: LabPaths, entry: FaultEntry) -> None:
    """Without leaving it in the list that `netlab faults` shows: finding it is the learner's task."""
    record = break_(paths, CATALOGUE[FaultName(entry.fault)], entry.victim).record
    fault_records.put(paths, record.model_copy(update={"secret": True}))


def _in_mode(file: LabFile, *, name: str, mode: ProxyMode) -> LabFile:
    topology = file.topology
    spec = topology.spec.model_copy(update={"proxy": topology.spec.proxy.model_copy(update={"mode": mode})})
    metadata = topology.metadata.model_copy(update={"name": name})
    return file.model_copy(update={"topology": topology.model_copy(update={"metadata": metadata, "spec": spec})})


def _clear_away(name: str) -> None:
    with contextlib.suppress(NotFound):
        down(name)


def _wrong(message: str, suggestion: str) -> InvalidInput:
    return InvalidInput([Problem("", 0, 0, "", message, suggestion)])
