"""The lab process: PID 1 of the lab, parent of all others. Its end, however it comes, ends them.

One thread, one selector, no asyncio: it forks, and a fork must not share an event loop.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from netlab.errors import NetlabError, NotFound
from netlab.lab import messages
from netlab.lab.children import Children, Program, fork, shell_status
from netlab.lab.entrances import Entrances
from netlab.lab.messages import AgentKind, TaskName
from netlab.lab.strays import end_strays
from netlab.workload import talk

log = logging.getLogger(__name__)
NETNS_DIRECTORY = Path("/run/netns")

RunCommand = Callable[[messages.Exec, tuple[int, ...]], tuple[int, int | None]]
"""Starts a command: from the request and its open files, its pid and, if one was asked for, the terminal's master."""
RunTask = Callable[[messages.Task, tuple[int, ...]], str]
"""Runs one of the lab's functions to its end, with the files that came for it: its result as JSON."""


class LabProcess:
    """Serves the control socket, keeps the lab's programs running, reaps what ends."""

    def __init__(
        self,
        listener: socket.socket,
        *,
        agents: Callable[[AgentKind, str], Program],
        run_command: RunCommand,
        run_task: RunTask,
        before_task: Callable[[TaskName], None],
    ) -> None:
        self._listener = listener
        self._agents = agents
        self._run_command = run_command
        self._run_task, self._before_task = run_task, before_task
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = socket.socketpair()
        self._connections: dict[socket.socket, int | None] = {}
        """Every open connection, and the process that was started for it."""
        self._entrances = Entrances()
        self.children = Children(self.close_in_child)

    def close_in_child(self) -> None:
        """Give up, in a forked child, what only the lab process needs."""
        self._selector.close()
        for connection in (self._listener, self._wake_read, self._wake_write, *self._connections):
            connection.close()
        self._entrances.close()

    def serve(self) -> None:
        """Serve until SIGTERM, which ends the lab."""
        self._prepare()
        while True:
            for key, _events in self._selector.select(self.children.restart_due()):
                handle: Callable[[], None] = key.data
                handle()

    def _prepare(self) -> None:
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.signal(signal.SIGTERM, lambda _number, _frame: os._exit(0))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._reap)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        self._connections[connection] = None
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._read(connection))

    def _read(self, connection: socket.socket) -> None:
        try:
            data, files = talk.receive(connection)
        except OSError:
            data, files = b"", ()
        try:
            if data:
                self._answer(connection, data, files)
            else:
                self._hang_up(connection)
        finally:
            for file in files:
                os.close(file)

    def _answer(self, connection: socket.socket, data: bytes, files: tuple[int, ...]) -> None:
        try:
            self._dispatch(connection, messages.parse_request(data), files)
        except ValueError as error:
            self._say(connection, talk.Failed(message=f"not a request: {error}", exit_code=2))
        except NetlabError as error:
            self._say(connection, talk.Failed(message=str(error), exit_code=error.exit_code))

    def _dispatch(self, connection: socket.socket, request: messages.Request, files: tuple[int, ...]) -> None:
        match request:
            case messages.Exec():
                self._exec(connection, request, files)
            case messages.Task():
                self._task(connection, request, files)
            case messages.Signal():
                self._signal(connection, request.number)
            case messages.SetAgent():
                self._set_agent(request)
                self._say(connection, messages.Done())
            case messages.EndStrays():
                end_strays(spared=self._own_processes())
                self._say(connection, messages.Done())
            case messages.ListAgents():
                self._say(connection, messages.Agents(agents=self.children.rows()))
            case messages.OpenEntrance():
                self._open_entrance(connection, request, files)
            case messages.Attend():
                self._entrances.attend(connection)

    def _exec(self, connection: socket.socket, request: messages.Exec, files: tuple[int, ...]) -> None:
        if not (NETNS_DIRECTORY / request.where).exists():
            raise NotFound(f"there is no network namespace {request.where}")
        pid, master = self._run_command(request, files)
        self._connections[connection] = pid
        self._say(connection, messages.Started(), () if master is None else (master,))
        if master is not None:
            os.close(master)

    def _task(self, connection: socket.socket, request: messages.Task, files: tuple[int, ...]) -> None:
        if not files:
            raise ValueError("a task needs an open file for its result")

        def body() -> None:
            self.close_in_child()
            with os.fdopen(files[0], "w") as result:
                result.write(self._run_task(request, files[1:]))

        self._before_task(request.name)
        self._connections[connection] = fork(body)

    def _signal(self, connection: socket.socket, number: int) -> None:
        pid = self._connections[connection]
        if pid is not None:
            for kill in (os.killpg, os.kill):  # the command has a process group a moment after its start only
                with contextlib.suppress(ProcessLookupError):
                    kill(pid, number)
                    return

    def _set_agent(self, request: messages.SetAgent) -> None:
        program = self._agents(request.agent, request.node)
        if request.running:
            self.children.want(program)
        else:
            self.children.unwant(program.name, forget=request.forget)

    def _open_entrance(self, connection: socket.socket, request: messages.OpenEntrance, files: tuple[int, ...]) -> None:
        if not files:
            raise ValueError("an entrance needs its socket")
        self._say(connection, messages.Opened(address=self._entrances.open(request, files[0])))

    def _own_processes(self) -> frozenset[int]:
        """The programs, and what open connections have started."""
        return self.children.pids() | {pid for pid in self._connections.values() if pid is not None}

    def _hang_up(self, connection: socket.socket) -> None:
        """Whoever asked is gone: so goes what was started for them."""
        pid = self._connections.pop(connection)
        self._entrances.leave(connection)
        if pid is not None:
            for kill in (os.killpg, os.kill):
                with contextlib.suppress(ProcessLookupError):
                    kill(pid, signal.SIGKILL)
        self._selector.unregister(connection)
        connection.close()

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_read.recv(4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if not self.children.died(pid, status):
                self._tell_end(pid, shell_status(status))

    def _tell_end(self, pid: int, status: int) -> None:
        for connection, started in self._connections.items():
            if started == pid:
                self._connections[connection] = None
                self._say(connection, talk.Exited(status=status))

    def _say(self, connection: socket.socket, message: talk.Message, files: tuple[int, ...] = ()) -> None:
        with contextlib.suppress(OSError):
            talk.send(connection, message, files)
