"""rules: what a node's kernel does with packets to Services, in the order in which it does it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated

import typer

from netlab.cli.mistakes import wrong
from netlab.cli.options import Format, Lab, Output
from netlab.cli.output import emit, say, write

if TYPE_CHECKING:
    from netlab.model.paths import LabPaths

EVERY_SECONDS = 1.0


def rules(
    node: Annotated[str, typer.Argument(metavar="NODE", help="A node, as NAME or node/NAME.")],
    *,
    service: Annotated[
        str | None,
        typer.Option("--service", "-s", metavar="NAME", help="Only what packets of that Service meet."),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say in words what each rule does.")] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Say where they are not as they should be; exit status 1 then.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on and say what was counted; Ctrl-C ends it.")] = False,
    count: Annotated[
        int | None, typer.Option("--count", "-c", min=1, help="With --watch, end after so many seconds.")
    ] = None,
    lab: Lab = None,
    output: Output = Format.TABLE,
) -> None:
    """Show the rules of a node as its kernel has them now.

    In the order in which a packet meets them, with their counters, in any proxy mode.
    """
    from netlab.lab.find import find

    name = node.removeprefix("node/")
    if diff and (watch or service or explain):
        raise wrong("--diff compares all rules of a node", "leave --watch, --service and --explain out")
    if count is not None and not watch:
        raise wrong("--count is how long to watch", "add --watch")
    paths = find(lab)
    if diff:
        _diff(paths, name, output)
    elif watch:
        _watch(paths, name, service, count)
    else:
        _show(paths, name, service, output, words=explain)


def _show(paths: LabPaths, node: str, service: str | None, output: Format, *, words: bool) -> None:
    from netlab.cli.rule_reports import listing
    from netlab.lab import questions

    found = questions.rules(paths, node, service=service)
    emit(found.model_dump(mode="json", by_alias=True), output, lambda: listing(found, explained=words))


def _diff(paths: LabPaths, node: str, output: Format) -> None:
    from netlab.cli.rule_reports import differing
    from netlab.lab import questions

    found = questions.rule_differences(paths, node)
    emit(found.model_dump(mode="json", by_alias=True), output, lambda: differing(found))
    if found.differences:
        raise typer.Exit(1)


def _watch(paths: LabPaths, node: str, service: str | None, rounds: int | None) -> None:
    """A line for each rule that packets have met since the last look."""
    from netlab.cli.rule_reports import counted, progress
    from netlab.lab import questions

    before = counted(questions.rules(paths, node, service=service))
    if not before:
        say(f"the rules of {node} have no counters: in this mode kube-proxy writes them without")
        return
    pause, done = threading.Event(), 0
    try:
        say(f"watching {len(before)} rules of {node}; Ctrl-C ends it")
        while rounds is None or done < rounds:
            pause.wait(EVERY_SECONDS)
            now = counted(questions.rules(paths, node, service=service))
            write(progress(before, now))
            before, done = now, done + 1
    except KeyboardInterrupt:
        return
