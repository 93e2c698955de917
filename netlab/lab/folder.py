"""The folders of labs: made so that their owner alone may enter, and never used where somebody else prepared them."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from netlab.errors import InvalidInput, Problem
from netlab.model.paths import LabPaths

LONGEST_SOCKET_PATH = 107
"""Bytes, less the closing zero (unix(7), sun_path)."""


def make(paths: LabPaths) -> None:
    """Make the lab's folder unless it is there. InvalidInput where it cannot serve as one."""
    length = max(len(os.fsencode(path)) for path in (paths.control_socket, paths.api_socket))
    if length > LONGEST_SOCKET_PATH:
        said = f"the path of the lab's socket would have {length} bytes, {LONGEST_SOCKET_PATH} are possible"
        raise _unfit(paths.directory, said, "set XDG_RUNTIME_DIR to a folder with a shorter path")
    while not paths.directory.is_dir():
        paths.directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileNotFoundError):  # the `down` of another lab has just removed the empty parent
            paths.directory.mkdir(exist_ok=True, mode=0o700)
    check_owner(paths.directory.parent)


def check_owner(directory: Path) -> None:
    """InvalidInput where somebody else made the folder, or may write into it: they could stand in for a lab.

    The folder in /tmp that serves without XDG_RUNTIME_DIR has a name that anybody can foresee.
    """
    try:
        found = os.lstat(directory)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _unfit(directory, "somebody else could have put a lab there", "set XDG_RUNTIME_DIR to a folder of yours")


def _unfit(folder: Path, message: str, suggestion: str) -> InvalidInput:
    return InvalidInput([Problem(str(folder), 0, 0, "", message, suggestion)])
