"""Namespaces to try things in: they, and every process and rule in them, end with what is tried."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

from netlab.errors import MissingCapability, NetlabError
from netlab.kernel.syscalls import die_with_parent
from netlab.lab.children import fork
from netlab.lab.isolation import isolate_with_own_run

DONE, MISSING = b"+", b"-"
"""What an answer begins with."""


def in_throwaway_namespaces(work: Callable[[], bytes]) -> bytes:
    """What `work` returns, called in namespaces of its own with a /run of their own; nothing of the host changes.

    The process must be single-threaded. MissingCapability: this user gets no such namespaces here. NetlabError: `work`
    ended early, and has said why on standard error.
    """
    with tempfile.TemporaryDirectory(prefix="netlab-") as keep:
        said = _answer(work, Path(keep))
    if said[:1] == MISSING:
        raise MissingCapability(*json.loads(said[1:]))
    if said[:1] != DONE:
        raise NetlabError("what was tried in namespaces of its own ended early")
    return said[1:]


def _answer(work: Callable[[], bytes], keep: Path) -> bytes:
    """From a grandchild: only a child of who unshared the PID namespace is in it."""
    read, write = os.pipe()
    pid = fork(lambda: _isolated(work, keep, write))
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return said


def _isolated(work: Callable[[], bytes], keep: Path, pipe: int) -> None:
    die_with_parent(signal.SIGKILL)
    try:
        isolate_with_own_run(keep)
    except MissingCapability as error:
        _say(pipe, MISSING + json.dumps([error.capability, error.remedy]).encode())
        return
    os.waitpid(fork(lambda: _work(work, pipe)), 0)


def _work(work: Callable[[], bytes], pipe: int) -> None:
    """As PID 1, which no signal of a terminal ends: it ends with its parent, and all others with it."""
    die_with_parent(signal.SIGKILL)
    _say(pipe, DONE + work())


def _say(pipe: int, answer: bytes) -> None:
    with os.fdopen(pipe, "wb") as stream:
        stream.write(answer)
