"""A journey on a terminal, in colours."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from netlab.model.journey import Journey
from netlab.trace.telling import Line, plain, told


def journey_report(journeys: Sequence[Journey], *, verbose: bool) -> str:
    """The first journey in full; of all others a line each."""
    return _rendered(told(journeys, verbose=verbose))


def _rendered(lines: Sequence[Line]) -> str:
    if not _in_colour():
        return plain(lines)
    from rich.console import Console
    from rich.text import Text

    console = Console(force_terminal=True, highlight=False, soft_wrap=True)
    with console.capture() as caught:
        for line in lines:
            console.print(Text.assemble(*line))
    return caught.get()


def _in_colour() -> bool:
    """On a terminal, unless the person said otherwise (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
