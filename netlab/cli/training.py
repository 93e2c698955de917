"""lab: training labs with a task, a grader that sends packets, hints and a solution."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netlab.cli import training_class
from netlab.cli.options import Format, Output
from netlab.cli.output import Progress, emit, say, write
from netlab.cli.training_options import Labs, Lang, Mode, Seed, language, library
from netlab.model.language import Language

if TYPE_CHECKING:
    from netlab.training.desk import Desk
    from netlab.training.loading import LabFolder
    from netlab.training.progress import Session

Name = Annotated[str, typer.Argument(metavar="LAB", help="Its name, or how it begins: 03.")]
Started = Annotated[str | None, typer.Argument(metavar="[LAB]", help="Of several started ones, this.")]


def list_(labs: Labs = None, lang: Lang = None, output: Output = Format.TABLE) -> None:
    """List the labs, and how far you have come."""
    from netlab.cli.training_reports import catalogue, catalogue_table

    found = catalogue(library(labs), _desk().progress.read(), language(lang))
    emit(found.model_dump(mode="json", by_alias=True), output, lambda: catalogue_table(found, language(lang)))


def start(lab: Name, mode: Mode = None, seed: Seed = None, labs: Labs = None, lang: Lang = None) -> None:
    """Start a lab and read its task.

    An exam's faults are drawn by --seed: the same seed, the same faults.
    """
    import secrets

    from netlab.training.loading import find_folder, load_folder

    folder = load_folder(find_folder(library(labs), lab))
    progress = Progress()
    try:
        drawn = secrets.randbelow(1_000_000) if seed is None else seed
        session = _desk().start(folder, mode=mode, seed=drawn, say=progress)
    finally:
        progress.done()
    _show_task(folder, session, language(lang))


def task(lab: Started = None, labs: Labs = None, lang: Lang = None) -> None:
    """Read the task of a lab."""
    folder, session = _meant(lab, labs)
    _show_task(folder, session, language(lang))


def check(lab: Started = None, lang: Lang = None, output: Output = Format.TABLE) -> None:
    """Have your work graded, by packets and the kernel's state.

    The exit status is 0 when all is met, 1 when something is not yet.
    """
    from netlab.cli.training_reports import grade_text

    graded = _desk().check(lab, language(lang))
    emit(graded.model_dump(mode="json", by_alias=True), output, lambda: grade_text(graded, language(lang)))
    if not graded.passed:
        raise typer.Exit(1)


def answer(
    key: Annotated[str, typer.Argument(metavar="KEY", help="What the task calls the question.")],
    value: Annotated[str, typer.Argument(metavar="VALUE")],
    lab: Annotated[str | None, typer.Option("--lab", "-l", metavar="LAB", envvar="NETLAB_LAB")] = None,
) -> None:
    """Answer a question of the task; `check` says whether it is right."""
    _desk().answer(lab, key, value)


def hint(lab: Started = None, lang: Lang = None) -> None:
    """Get the next hint; each says more than the one before."""
    from netlab.cli.training_words import words

    folder, _ = _desk().folder(lab)
    hints = folder.hints(language(lang))
    known = _desk().progress.change(
        folder.name, lambda each: each.model_copy(update={"hints": min(each.hints + 1, len(hints))})
    )
    write(hints[known.hints - 1])
    say(words(language(lang)).hint_of.format(number=known.hints, all=len(hints)))


def solution(lab: Started = None, labs: Labs = None, lang: Lang = None) -> None:
    """Show a solution, and why it is one."""
    from netlab.cli.training_reports import solution_text

    folder, session = _meant(lab, labs)
    _desk().progress.change(folder.name, lambda known: known.model_copy(update={"solution_shown": True}))
    write(solution_text(folder, session, language(lang)))


def reset(lab: Started = None, lang: Lang = None) -> None:
    """Make a lab as it was at its start, whatever was done to it.

    Its answers are forgotten; the time of an exam goes on.
    """
    from netlab.cli.training_words import words

    progress, desk = Progress(), _desk()
    name, _ = desk.started(lab, alive=False)
    try:
        desk.reset(name, say=progress)
    finally:
        progress.done()
    say(words(language(lang)).is_new.format(lab=name))


def stop(lab: Started = None, lang: Lang = None) -> None:
    """End a lab; what you achieved is remembered."""
    from netlab.cli.training_words import words

    say(words(language(lang)).is_gone.format(lab=_desk().stop(lab)))


def _desk() -> Desk:
    import time

    from netlab.training.desk import Desk
    from netlab.training.progress import ProgressFile, state_file

    return Desk(ProgressFile(state_file()), time.time)


def _meant(lab: str | None, labs: Path | None) -> tuple[LabFolder, Session | None]:
    """The lab that is started; if another one is named, that one."""
    from netlab.errors import NotFound
    from netlab.training.loading import find_folder, load_folder

    try:
        return _desk().folder(lab)
    except NotFound:
        if lab is None:
            raise
        return load_folder(find_folder(library(labs), lab)), None


def _show_task(folder: LabFolder, session: Session | None, chosen: Language) -> None:
    from netlab.cli.training_reports import standing

    write(folder.text("task", chosen))
    if session is not None:
        say(standing(folder, session, now=_desk().now(), language=chosen))


lab = typer.Typer(
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@lab.callback(invoke_without_command=True)
def labs(context: typer.Context) -> None:
    """Training labs: a task, and a grader that sends packets."""
    if context.invoked_subcommand is None:
        write(f"{context.get_help()}\n")


COMMANDS: dict[str, Callable[..., None]] = {
    "list": list_,
    "start": start,
    "task": task,
    "answer": answer,
    "check": check,
    "hint": hint,
    "solution": solution,
    "reset": reset,
    "stop": stop,
    "validate": training_class.validate,
    "try": training_class.try_,
    "grade": training_class.grade,
}
for name, command in COMMANDS.items():
    lab.command(name)(command)
