"""Starting labs out of programs that must not be forked: those with threads, captured streams, a gigabyte in memory.

    a program ── starts once ──> the nursery, which has imported what a lab runs and nothing else
        └── "start this lab" ───────> forks it, as `netlab up` does; says that it serves, or why it cannot

The nursery ends with the program. The labs do not.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from netlab.errors import InvalidInput, MissingCapability, NetlabError, Problem
from netlab.model.paths import LabPaths

BODY = "import sys; sys.path[:] = {path!r}; from netlab.lab.nursery import serve; serve({number})"
MESSAGE_BYTES = 65536


class Nursery:
    """A nursery of this program's. Making one does not wait; `ensure_running` does. For one thread at a time."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", BODY.format(path=sys.path, number=theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def ensure_running(self, paths: LabPaths, progress: Callable[[str], None]) -> None:
        """As `netlab.lab.up.ensure_running`, with its errors. NetlabError: the nursery has ended."""
        progress("starting the lab process")
        answer = b""
        with suppress(ConnectionError):
            self._ours.send(json.dumps([paths.lab, str(paths.directory)]).encode())
            answer = self._ours.recv(MESSAGE_BYTES)
        if not answer:
            raise NetlabError("the process that starts labs has ended")
        if error := _read(json.loads(answer)):
            raise error

    def close(self) -> None:
        """End it; labs go on."""
        self._ours.close()
        self._process.wait()


_of_programs: dict[int, Nursery] = {}
"""By process id: a child of a program has to have one of its own."""


def nursery() -> Nursery:
    """This program's, started by the first call, which does not wait for it."""
    found = _of_programs.get(os.getpid())
    if found is None or not found.is_alive:
        _of_programs[os.getpid()] = found = Nursery()
    return found


@atexit.register
def close_nursery() -> None:
    """End this program's, as happens at its end anyway."""
    if found := _of_programs.pop(os.getpid(), None):
        found.close()


def start_by_nursery(paths: LabPaths, progress: Callable[[str], None]) -> None:
    """Have a lab's processes run."""
    nursery().ensure_running(paths, progress)


def serve(number: int) -> None:
    """Be a nursery for who is at the other end of that socket, until it closes."""
    from netlab.lab import main  # noqa: F401, PLC0415 - what labs run is in memory before the first is asked for
    from netlab.lab.up import ensure_running  # noqa: PLC0415

    with socket.socket(fileno=number) as asked:
        asked.set_inheritable(False)
        while request := asked.recv(MESSAGE_BYTES):
            lab, directory = json.loads(request)
            asked.send(json.dumps(_outcome(ensure_running, LabPaths(lab, Path(directory)))).encode())


def _outcome(ensure: Callable[[LabPaths, Callable[[str], None]], None], paths: LabPaths) -> dict[str, object]:
    try:
        ensure(paths, lambda _: None)
    except MissingCapability as error:
        return {"capability": error.capability, "remedy": error.remedy}
    except InvalidInput as error:
        return {"problems": [problem.as_json() for problem in error.problems]}
    except NetlabError as error:
        return {"message": str(error)}
    except OSError as error:
        return {"message": f"{error.filename or paths.directory}: {os.strerror(error.errno or 0)}"}
    return {}


def _read(outcome: dict[str, str]) -> NetlabError | None:
    match outcome:
        case {"capability": capability, "remedy": remedy}:
            return MissingCapability(capability, remedy)
        case {"problems": list(problems)}:
            return InvalidInput([Problem(**each) for each in problems])
        case {"message": message}:
            return NetlabError(message)
    return None
