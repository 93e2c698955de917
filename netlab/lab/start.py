"""Start a lab's processes: from the command line's process to PID 1 of the lab.

    netlab up ── fork ──> leaves session, files and namespaces ── fork ──> the lab process, PID 1
        └── reads a pipe until the lab process says that it serves, or somebody on the way why it cannot

The sockets exist before the first fork: whoever connects early waits in their queue, and nobody has to ask again.
"""

from __future__ import annotations

import json
import os
import socket
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from netlab.errors import MissingCapability, NetlabError
from netlab.kernel.syscalls import set_process_name
from netlab.lab.children import log_to
from netlab.lab.isolation import isolate
from netlab.model.paths import LabPaths

SERVING = "serving"
ANSWER_LIMIT = 4096
"""Bytes: what a pipe takes in one piece (PIPE_BUF)."""


@dataclass(frozen=True, slots=True)
class Doors:
    """What a lab process gets from its starter: its two listening sockets, and a pipe to say on how it went."""

    control: socket.socket
    api: socket.socket
    pipe: int

    def serving(self) -> None:
        """Tell the starter that the lab serves. The descriptor stays taken, so that its number means nothing else."""
        os.write(self.pipe, SERVING.encode())
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self.pipe, inheritable=False)
        os.close(null)


LabMain = Callable[[LabPaths, Doors], None]


def start(paths: LabPaths, *, lock: int, main: LabMain) -> None:
    """Start the lab process, which inherits `lock`, and wait until it serves. MissingCapability where it cannot."""
    for folder in (paths.logs / "pods", paths.etc):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    read, write = os.pipe()
    doors = Doors(
        control=_listen(paths.control_socket, socket.SOCK_SEQPACKET),
        api=_listen(paths.api_socket, socket.SOCK_STREAM),
        pipe=write,
    )
    pid = os.fork()
    if pid == 0:
        _run_to_exit(doors.pipe, lambda: _leave_the_host(paths, doors, lock=lock, main=main))
    doors.control.close()
    doors.api.close()
    os.close(write)
    os.waitpid(pid, 0)
    answer = os.read(read, ANSWER_LIMIT).decode()  # one short write, or nothing where everybody died
    os.close(read)
    if answer != SERVING:
        raise _as_error(answer, paths)


def _listen(path: Path, kind: socket.SocketKind) -> socket.socket:
    """A listening Unix socket that only its owner may connect to."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, kind)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(socket.SOMAXCONN)
    return listener


def _leave_the_host(paths: LabPaths, doors: Doors, *, lock: int, main: LabMain) -> None:
    os.setsid()
    os.chdir("/")
    _close_all_but({0, 1, 2, lock, doors.control.fileno(), doors.api.fileno(), doors.pipe})
    isolate(paths.directory)
    if os.fork() == 0:
        _run_to_exit(doors.pipe, lambda: _be_the_lab(paths, doors, main))


def _be_the_lab(paths: LabPaths, doors: Doors, main: LabMain) -> None:
    set_process_name("netlab")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    log_to(paths.log("lab"))
    main(paths, doors)


def _close_all_but(keep: set[int]) -> None:
    """Above all the caller's command lock, which must be free when the caller has ended."""
    for entry in os.listdir("/proc/self/fd"):
        descriptor = int(entry)
        if descriptor not in keep:
            try:
                os.close(descriptor)
            except OSError:
                continue  # the one that listdir itself used


def _run_to_exit(pipe: int, body: Callable[[], None]) -> NoReturn:
    """Run `body` as the whole life of a forked process; why it failed goes into the pipe, if that is still open."""
    status = 1
    try:
        body()
        status = 0
    except MissingCapability as error:
        _complain(pipe, {"capability": error.capability, "remedy": error.remedy})
    except BaseException as error:  # noqa: BLE001 - the last frame of a process: it must not return into the caller's code
        traceback.print_exc()
        _complain(pipe, {"message": f"{type(error).__name__}: {error}"})
    os._exit(status)


def _complain(pipe: int, complaint: dict[str, str]) -> None:
    os.write(pipe, json.dumps(complaint).encode()[:ANSWER_LIMIT])


def _as_error(answer: str, paths: LabPaths) -> NetlabError:
    if not answer:
        return NetlabError(f"the lab process ended before it served: see {paths.log('lab')}")
    complaint = json.loads(answer)
    if "capability" in complaint:
        return MissingCapability(complaint["capability"], complaint["remedy"])
    return NetlabError(f"the lab process could not start: {complaint['message']} (see {paths.log('lab')})")
