"""Showing a log."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn


def show(file: Path, *, tail: int | None, follow: bool) -> NoReturn:
    """Become tail(1), which waits for more by inotify and ends quietly with its reader."""
    lines = "+1" if tail is None else str(tail)
    arguments = ["tail", "-n", lines, *(["--follow=name"] if follow else []), "--", str(file)]
    os.execvp(arguments[0], arguments)
