"""The command line's side of a lab's control socket."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from netlab.errors import InvalidInput, NetlabError, NotFound, Problem
from netlab.lab import messages
from netlab.lab.messages import AgentKind, TaskName
from netlab.lab.terminal import Terminal, forwarding_signals, holding_signals
from netlab.model.names import Place, network_namespace
from netlab.model.paths import LabPaths
from netlab.workload import talk

FROM_CALLER = ("TERM", "COLORTERM", "LANG", "LC_ALL", "LC_CTYPE", "TZ")


class Refused(NetlabError):
    """The lab process did not do what was asked: its words, and the exit code that goes with them."""

    def __init__(self, failed: talk.Failed) -> None:
        self.exit_code = failed.exit_code
        super().__init__(failed.message)


def refusal(failed: talk.Failed) -> NetlabError:
    """The error that those words were inside the lab."""
    if failed.exit_code == NotFound.exit_code:
        return NotFound(failed.message)
    if failed.exit_code == InvalidInput.exit_code:
        return InvalidInput([Problem("", 0, 0, "", failed.message)])
    return Refused(failed)


@contextmanager
def connected(paths: LabPaths) -> Iterator[socket.socket]:
    """A connection to the lab process; NotFound where the lab does not run."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        try:
            connection.connect(str(paths.control_socket))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NotFound(f"lab {paths.lab} is not running: start it with netlab up FILE") from error
        yield connection


def run(paths: LabPaths, where: Place, argv: list[str]) -> int:
    """Run a command in a place of the lab with the caller's own streams; its exit status, as a shell gives it.

    Where standard input and output are a terminal the command gets one too, of the same size.
    """
    terminal = Terminal.of_caller()
    request = messages.Exec(
        where=network_namespace(paths.lab, where),
        argv=tuple(argv),
        env=environment(),
        terminal=terminal is not None,
    )
    with connected(paths) as connection, contextlib.ExitStack() as forwarding:
        with holding_signals():  # from the moment that there is a command, every signal is the command's
            talk.send(connection, request, () if terminal else (0, 1, 2))
            forwarding.enter_context(
                forwarding_signals(lambda number: talk.send(connection, messages.Signal(number=number)))
            )
        started, files = reply(connection)
        if not isinstance(started, messages.Started):
            raise TypeError(f"the lab process answered {started.say} to exec")
        if terminal is not None:
            terminal.attend(files[0])
            terminal.copy_until_hangup(connection)
        return exit_status(connection)


@dataclass(frozen=True, slots=True)
class Output:
    """How a command ended, as a shell says it, and what it printed."""

    status: int
    text: str


def output(paths: LabPaths, where: Place, argv: Sequence[str]) -> Output:
    """Run a command in a place of the lab to its end, without input; what it prints, both streams."""
    request = messages.Exec(where=network_namespace(paths.lab, where), argv=tuple(argv), env=environment())
    with tempfile.TemporaryFile() as printed, open(os.devnull) as nothing, connected(paths) as connection:
        talk.send(connection, request, (nothing.fileno(), printed.fileno(), printed.fileno()))
        reply(connection)
        status = exit_status(connection)
        printed.seek(0)
        return Output(status, printed.read().decode(errors="replace"))


def environment() -> dict[str, str]:
    """What a command gets: the caller's terminal and language, root's home; nothing else of the caller's."""
    told = {name: os.environ[name] for name in FROM_CALLER if name in os.environ}
    return {"TERM": "dumb", "HOME": "/root", "USER": "root", **told}


def run_task(paths: LabPaths, name: TaskName, **arguments: str | int | float | None) -> str:
    """Have the lab process run one of its functions; what it reports, as JSON. Its errors are raised here again."""
    with _started(paths, messages.Task(name=name, arguments=arguments), ()) as running:
        return running.result()


@dataclass(frozen=True, slots=True)
class RunningTask:
    """A function of the lab process's that is at work; it ends with the `with` block that started it."""

    paths: LabPaths
    name: TaskName
    connection: socket.socket
    report: TextIO

    def result(self) -> str:
        """Wait for its end; what it reports, as JSON. Its errors are raised here again."""
        text = self.report.read()
        status = exit_status(self.connection)
        if not text:
            raise NetlabError(
                f"{self.name} failed inside lab {self.paths.lab} (exit {status}): see {self.paths.log('lab')}"
            )
        answer = json.loads(text)
        if isinstance(answer, dict) and "error" in answer:
            raise refusal(talk.Failed(message=answer["error"], exit_code=answer["exitCode"]))
        return text

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """While inside, any signal that would end this process is an interrupt of the task's instead."""
        with forwarding_signals(lambda _number: self.interrupt()):
            yield

    def interrupt(self) -> None:
        """Ask it to come to its end."""
        talk.send(self.connection, messages.Signal(number=signal.SIGINT))


@contextmanager
def _started(paths: LabPaths, task: messages.Task, files: Sequence[int]) -> Iterator[RunningTask]:
    """The task at work, with those files; they are closed here."""
    read, write = os.pipe()
    with os.fdopen(read) as report, contextlib.ExitStack() as handed:
        for file in (write, *files):
            handed.callback(os.close, file)
        with connected(paths) as connection:
            talk.send(connection, task, (write, *files))
            handed.close()
            yield RunningTask(paths, task.name, connection, report)


@contextmanager
def capturing(
    paths: LabPaths,
    *,
    where: Sequence[str],
    program: bytes,
    expression: str,
    comment: str,
    count: int | None,
    seconds: float | None,
    files: tuple[int, int],
) -> Iterator[RunningTask]:
    """Packets of those places into the first of `files`, which are closed here; the second tells when it begins.

    An interrupt ends it; then its result has the counts.
    """
    arguments: dict[str, str | int | float | None] = {
        "where": " ".join(where),
        "program": program.hex(),
        "expression": expression,
        "comment": comment,
        "count": count,
        "seconds": seconds,
    }
    with _started(paths, messages.Task(name=TaskName.CAPTURE, arguments=arguments), files) as running:
        yield running


@contextmanager
def providing_credentials(paths: LabPaths) -> Iterator[RunningTask]:
    """Certificates for all that the topology has, being made; `result` waits until they are."""
    with _started(paths, messages.Task(name=TaskName.CREDENTIALS), ()) as running:
        yield running


def open_entrance(paths: LabPaths, name: str, entrance: socket.socket, *, where: str) -> str:
    """Have the API server serve by TLS at that socket, bound in the namespace `where`: the address, as HOST:PORT.

    An entrance of that name in that place stays, and its address is the answer; one in another place goes.
    """
    with connected(paths) as connection:
        talk.send(connection, messages.OpenEntrance(name=name, where=where), (entrance.fileno(),))
        answer, _ = reply(connection)
    if not isinstance(answer, messages.Opened):
        raise TypeError(f"the lab process answered {answer.say} to an entrance")
    return answer.address


def set_agent(paths: LabPaths, agent: AgentKind, node: str, *, running: bool, forget: bool = False) -> None:
    """Start or stop an agent of one node; stopped, it stays so until it is started again."""
    with connected(paths) as connection:
        talk.send(connection, messages.SetAgent(agent=agent, node=node, running=running, forget=forget))
        reply(connection)


def end_strays(paths: LabPaths) -> None:
    """End what commands have left running in the background."""
    with connected(paths) as connection:
        talk.send(connection, messages.EndStrays())
        reply(connection)


def agents(paths: LabPaths) -> tuple[messages.AgentRow, ...]:
    """The lab's processes and whether they run."""
    with connected(paths) as connection:
        talk.send(connection, messages.ListAgents())
        answer, _ = reply(connection)
    return answer.agents if isinstance(answer, messages.Agents) else ()


def reply(connection: socket.socket) -> tuple[messages.Reply, tuple[int, ...]]:
    """The next answer, and the files that came with it. Raises what was refused."""
    data, files = talk.receive(connection)
    if not data:
        raise NetlabError("the lab process ended before it answered")
    reply = messages.parse_reply(data)
    if isinstance(reply, talk.Failed):
        raise refusal(reply)
    return reply, files


def exit_status(connection: socket.socket) -> int:
    """Wait until what runs for this connection has ended; how, as a shell says it."""
    answer, _ = reply(connection)
    return answer.status if isinstance(answer, talk.Exited) else 1
