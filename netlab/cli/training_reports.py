"""What `netlab lab` prints: the labs, a grade, a solution, a class."""

from __future__ import annotations

from pathlib import Path

from netlab.cli.output import columns
from netlab.cli.training_words import minutes, words
from netlab.faults.catalogue import CATALOGUE
from netlab.faults.names import FaultName
from netlab.model.language import Language
from netlab.model.training import ClassGrade, LabCatalogue, LabGrade, LabRow, RequirementResult
from netlab.training.loading import LabFolder, lab_folders, load_folder
from netlab.training.progress import LabProgress, Progress, Session


def catalogue(directory: Path, progress: Progress, language: Language) -> LabCatalogue:
    """The labs of a directory and a learner's progress. InvalidInput, NotFound."""
    folders = map(load_folder, lab_folders(directory))
    return LabCatalogue(labs=tuple(_row(each, progress, language) for each in folders))


def _row(folder: LabFolder, progress: Progress, language: Language) -> LabRow:
    known, spec = progress.labs.get(folder.name, LabProgress()), folder.spec
    return LabRow(
        name=folder.name,
        title=spec.title.in_(language),
        minutes=spec.minutes,
        exam=spec.exam,
        modes=spec.modes,
        state=known.state,
        checks=len(known.attempts),
        hints=known.hints,
        solved_in_seconds=known.solved_in_seconds,
    )


def catalogue_table(found: LabCatalogue, language: Language) -> str:
    """One line a lab; the title comes last, since letters of some languages are two columns wide."""
    rows = [
        (row.name, str(row.minutes), ",".join(row.modes), words(language).states[row.state], row.title)
        for row in found.labs
    ]
    return columns(("LAB", "MIN", "MODES", "STATE", "TITLE"), rows)


def grade_text(graded: LabGrade, language: Language) -> str:
    """One line a requirement, what was seen where it is not met, and the verdict."""
    return "".join(f"{line}\n" for line in (*_lines(graded.requirements, language), _verdict(graded, language)))


def _lines(results: tuple[RequirementResult, ...], language: Language) -> list[str]:
    said = words(language)
    lines = []
    for each in results:
        lines.append(f"{said.met if each.met else said.unmet}{each.says}")
        if each.observed:
            lines.append(f"        {said.saw.format(observed=each.observed)}")
    return lines


def _verdict(graded: LabGrade, language: Language) -> str:
    said, lasted = words(language), minutes(graded.seconds, language)
    unmet = sum(not each.met for each in graded.requirements)
    if unmet:
        return said.missing.format(lab=graded.lab, count=unmet, all=len(graded.requirements))
    return (said.passed if graded.passed else said.late).format(lab=graded.lab, minutes=lasted)


def standing(folder: LabFolder, session: Session, *, now: float, language: Language) -> str:
    """That the lab is up, and how much of an exam's time is left."""
    said = words(language)
    line = said.standing.format(lab=folder.name, mode=session.mode, seed=session.seed)
    if not folder.spec.exam:
        return line
    whole = folder.spec.minutes * 60
    left = session.started + whole - now
    spelled = {"all": minutes(whole, language), "minutes": minutes(left, language)}
    return f"{line}\n{(said.time_left if left > 0 else said.time_over).format(**spelled)}"


def solution_text(folder: LabFolder, session: Session | None, language: Language) -> str:
    """The explanation; of an exam also what was drawn, of other labs a script that solves it."""
    said, parts = words(language), [folder.text("solution", language).rstrip()]
    if folder.spec.exam:
        if session is not None:
            drawn = [
                f"- {each.fault} ({each.victim}): {CATALOGUE[FaultName(each.fault)].summary}" for each in session.faults
            ]
            parts.append("\n".join([said.drawn.format(seed=session.seed), "", *drawn]))
    else:
        script = folder.solutions[0]
        parts.append(f"{said.script.format(name=script.name)}\n\n{script.read_text().rstrip()}")
    return "\n\n".join(parts) + "\n"


def class_table(found: ClassGrade) -> str:
    """One line a submission, then each learner's sum."""
    rows = [
        (each.learner, each.lab, "passed" if each.passed else "failed", _why(each.reason, each.grade))
        for each in found.submissions
    ]
    learners = dict.fromkeys(each.learner for each in found.submissions)
    sums = []
    for learner in learners:
        own = [each.passed for each in found.submissions if each.learner == learner]
        sums.append((learner, f"{sum(own)} of {len(own)}"))
    detail = columns(("LEARNER", "LAB", "RESULT", "NOT MET"), [(*row[:3], row[3] or "-") for row in rows])
    return f"{detail}\n{columns(('LEARNER', 'PASSED'), sums)}"


def _why(reason: str, graded: LabGrade | None) -> str:
    unmet = ", ".join(each.name for each in graded.requirements if not each.met) if graded else ""
    return "; ".join(filter(None, (unmet, reason)))
