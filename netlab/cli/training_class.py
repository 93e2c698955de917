"""lab validate, try, grade: for who writes labs, and for who teaches a class."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netlab.cli.mistakes import wrong
from netlab.cli.options import Format, Output
from netlab.cli.output import Json, emit, say
from netlab.cli.training_options import Labs, Mode, Seed, library

DEFAULT_SECONDS = 120
Seconds = Annotated[float, typer.Option("--timeout", min=1, max=3600, help="Seconds for what a learner handed in.")]
Class = Annotated[Path, typer.Argument(metavar="DIR", help="LEARNER/LAB.sh or LEARNER/LAB/ are in it.")]
Work = Annotated[Path, typer.Argument(metavar="FILE", help="A script, or a folder with scripts and manifests.")]
Which = Annotated[str, typer.Argument(metavar="LAB", help="Its name, or how it begins: 03.")]


def validate(
    lab: Annotated[str | None, typer.Argument(metavar="[LAB|DIR]", help="A lab's name, or its folder.")] = None,
    labs: Labs = None,
    output: Output = Format.TABLE,
) -> None:
    """Say every mistake in labs' folders, each with its file and line."""
    from netlab.errors import InvalidInput, Problem
    from netlab.training.loading import find_folder, lab_folders, load_folder

    if lab is None:
        folders = lab_folders(library(labs))
    else:
        folders = (Path(lab) if Path(lab).is_dir() else find_folder(library(labs), lab),)
    problems: list[Problem] = []
    for folder in folders:
        try:
            load_folder(folder)
        except InvalidInput as error:
            problems += error.problems
    if problems:
        raise InvalidInput(problems)
    names: list[Json] = [folder.name for folder in folders]
    document: dict[str, Json] = {"apiVersion": "netlab/v1", "kind": "LabValidation", "labs": names}
    emit(document, output, lambda: "".join(f"{name} is valid\n" for name in names))


def try_(
    lab: Which,
    work: Work,
    *,
    seconds: Seconds = DEFAULT_SECONDS,
    mode: Mode = None,
    seed: Seed = 0,
    labs: Labs = None,
    output: Output = Format.TABLE,
) -> None:
    """Grade one piece of work in a fresh lab that ends with it."""
    from netlab.cli.training_reports import grade_text
    from netlab.model.language import Language
    from netlab.training.loading import find_folder, load_folder
    from netlab.training.submissions import Submission, Terms, grade_one

    if not work.exists():
        raise wrong(f"there is no {work}")
    folder = load_folder(find_folder(library(labs), lab))
    terms = Terms(mode=mode, seed=seed or 0, seconds=seconds)
    found = grade_one(Submission("", folder.name, work.resolve()), folder, terms)
    document = found.model_dump(mode="json", by_alias=True)
    emit(document, output, lambda: grade_text(found.grade, Language.EN) if found.grade else "")
    if found.reason:
        say(found.reason)
    if not found.passed:
        raise typer.Exit(1)


def grade(
    directory: Class,
    *,
    seconds: Seconds = DEFAULT_SECONDS,
    mode: Mode = None,
    seed: Seed = 0,
    labs: Labs = None,
    output: Output = Format.TABLE,
) -> None:
    """Grade what a class handed in, each piece in a fresh lab.

    What hangs is ended, what destroys its lab has failed. The exit status is 0 when all have passed.
    """
    from netlab.cli.training_reports import class_table
    from netlab.model.training import ClassGrade
    from netlab.training.submissions import Terms, grade_all, submissions

    graded = []
    for each in grade_all(submissions(directory), library(labs), Terms(mode=mode, seed=seed or 0, seconds=seconds)):
        say(f"{each.learner}: {each.lab}: {'passed' if each.passed else 'failed'}")
        graded.append(each)
    found = ClassGrade(submissions=tuple(graded))
    emit(found.model_dump(mode="json", by_alias=True), output, lambda: class_table(found))
    if not all(each.passed for each in graded):
        raise typer.Exit(1)
