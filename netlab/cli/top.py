"""top: what goes on in a lab, live."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from netlab.cli.options import Format, Lab, Output
from netlab.cli.output import emit

if TYPE_CHECKING:
    from netlab.model.activity import Activity
    from netlab.model.paths import LabPaths


def top(
    *,
    interval: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds between two looks.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="One look, over one interval.")] = False,
    count: Annotated[int | None, typer.Option("--count", "-c", min=1, help="End after so many looks.")] = None,
    lab: Lab = None,
    output: Output = Format.TABLE,
) -> None:
    """Show what goes on in a lab: flows a second of each Service and Pod, and how the proxies are.

    On a terminal it is drawn anew all the time; Ctrl-C ends it.
    """
    from netlab.cli.activity_table import activity_tables
    from netlab.lab.find import find

    looks = 1 if once else count
    seen = _seen(find(lab), interval=interval, looks=looks)
    try:
        if looks is None and output is Format.TABLE and sys.stdout.isatty():
            with _screen() as show:
                for found in seen:
                    show(activity_tables(found))
        else:
            for found in seen:
                _print(found, output, activity_tables)
    except KeyboardInterrupt:
        return


def _seen(paths: LabPaths, *, interval: float, looks: int | None) -> Iterator[Activity]:
    from netlab.lab import activity

    before, done, pause = activity.look(paths), 0, threading.Event()
    while looks is None or done < looks:
        pause.wait(interval)
        after = activity.look(paths)
        yield activity.between(paths, before, after)
        before, done = after, done + 1


def _print(found: Activity, output: Format, table: Callable[[Activity], str]) -> None:
    emit(found.model_dump(mode="json", by_alias=True), output, lambda: table(found) + "\n")


@contextmanager
def _screen() -> Iterator[Callable[[str], None]]:
    """The terminal's other screen, as editors use it; what was there before comes back."""
    from rich.live import Live
    from rich.text import Text

    with Live(Text(""), screen=True, auto_refresh=False) as live:
        yield lambda text: live.update(Text(text), refresh=True)
