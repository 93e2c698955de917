"""What learners hand in, each graded in a fresh lab that ends with it.

DIRECTORY/LEARNER/LAB.sh is a script; DIRECTORY/LEARNER/LAB/ a folder with manifests (*.yaml, applied first), scripts
(*.sh, run in their order) and answers.yaml (the task's keys and the answers). LAB is a lab's name, or how it begins.

What was handed in may hang, or destroy what it can reach. So each is graded in namespaces of its own (network, mounts,
processes), where the machine's files are read-only, /tmp and /run are new, and within a time; all of it ends with the
grading. That keeps accidents away, not malice: who grades strangers' work does so as an ordinary user, or in a virtual
machine.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from netlab.api.sync_client import SyncClient
from netlab.errors import InvalidInput, NetlabError, NotFound, Problem
from netlab.kernel.read_only import make_files_read_only
from netlab.lab.throwaway import in_throwaway_namespaces
from netlab.load import load_manifests
from netlab.load.mappings import load_texts
from netlab.model.modes import ProxyMode
from netlab.model.paths import LabPaths
from netlab.model.training import SubmissionGrade
from netlab.training.desk import Desk
from netlab.training.loading import LabFolder, find_folder, load_folder
from netlab.training.progress import ProgressFile
from netlab.training.scripts import run_script

ANSWERS = "answers.yaml"
OWN = Path("/run")
"""What a submission's namespaces have for themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How submissions are graded: in which mode (None: each lab's own), with which seed, and how long one may take."""

    mode: ProxyMode | None
    seed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Submission:
    """A learner's work on a lab: a script, or a folder."""

    learner: str
    lab: str
    path: Path


def submissions(directory: Path) -> tuple[Submission, ...]:
    """What is in a class's folder, by learner and lab. InvalidInput: there is nothing in it."""
    folders = sorted(path for path in directory.iterdir() if path.is_dir()) if directory.is_dir() else []
    found = tuple(
        Submission(folder.name, path.stem if path.is_file() else path.name, path)
        for folder in folders
        for path in sorted(folder.iterdir())
        if path.suffix == ".sh" or path.is_dir()
    )
    if not found:
        said = "nobody has handed in anything there"
        raise InvalidInput([Problem(str(directory), 0, 0, "", said, "it holds LEARNER/LAB.sh or LEARNER/LAB/")])
    return found


def grade_all(found: tuple[Submission, ...], labs: Path, terms: Terms) -> Iterator[SubmissionGrade]:
    """Each submission's grade as it is known; what could not be graded has failed, and says why."""
    for submission in found:
        try:
            folder = load_folder(find_folder(labs, submission.lab))
            yield grade_one(submission, folder, terms)
        except (NotFound, InvalidInput) as error:
            yield _failed(submission, str(error))


def grade_one(submission: Submission, folder: LabFolder, terms: Terms) -> SubmissionGrade:
    """The submission's grade. MissingCapability: there are no namespaces to grade it in."""
    answer = in_throwaway_namespaces(lambda: _graded(submission, folder, terms).model_dump_json(by_alias=True).encode())
    return SubmissionGrade.model_validate_json(answer)


def _graded(submission: Submission, folder: LabFolder, terms: Terms) -> SubmissionGrade:
    """In namespaces of its own, as their first process."""
    try:
        own = _copied(submission, folder)
        make_files_read_only(but=OWN)
        return _tried(own[0], own[1], terms)
    except (NetlabError, OSError) as error:
        return _failed(submission, str(error))


def _copied(submission: Submission, folder: LabFolder) -> tuple[Submission, LabFolder]:
    """Both out of /tmp, where they may be and which will be another one; and what is handed in cannot change itself."""
    path, lab = OWN / "submission" / submission.path.name, OWN / "lab" / folder.name
    for source, target in ((submission.path, path), (folder.path, lab)):
        target.parent.mkdir()
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    return replace(submission, path=path), replace(folder, path=lab)


def _tried(submission: Submission, folder: LabFolder, terms: Terms) -> SubmissionGrade:
    state = OWN / "state"
    desk = Desk(ProgressFile(state / "netlab" / "training.json"), time.time)
    desk.start(folder, mode=terms.mode, seed=terms.seed, say=lambda _: None)
    reason = _hand_in(submission, folder, desk, environment={"XDG_STATE_HOME": str(state)}, seconds=terms.seconds)
    graded = desk.check(folder.name)
    passed = graded.passed and not reason
    return SubmissionGrade(learner=submission.learner, lab=folder.name, passed=passed, reason=reason, grade=graded)


def _hand_in(
    submission: Submission, folder: LabFolder, desk: Desk, *, environment: Mapping[str, str], seconds: float
) -> str:
    """Do with the lab what was handed in; why that could not be done, or ""."""
    whole = submission.path.is_dir()
    scripts = sorted(submission.path.glob("*.sh")) if whole else [submission.path]
    if whole:
        _apply(submission.path, LabPaths.of(folder.name))
        for key, value in _answers(submission.path / ANSWERS).items():
            desk.answer(folder.name, key, value)
    end = time.monotonic() + seconds
    told = {"HOME": "/tmp", "LANG": os.environ.get("LANG", "C"), **environment}
    for script in scripts:
        done = run_script(script, folder.name, seconds=max(0.0, end - time.monotonic()), environment=told)
        if done.status is None:
            return f"{script.name} did not end within {seconds:g} s"
    return ""


def _apply(path: Path, paths: LabPaths) -> None:
    with SyncClient(paths.api_socket) as client:
        for manifest in sorted(path.glob("*.yaml")):
            if manifest.name != ANSWERS:
                for value in load_manifests(manifest).objects:
                    client.apply(value)


def _answers(path: Path) -> dict[str, str]:
    return load_texts(path) if path.exists() else {}


def _failed(submission: Submission, reason: str) -> SubmissionGrade:
    return SubmissionGrade(learner=submission.learner, lab=submission.lab, passed=False, reason=reason)
