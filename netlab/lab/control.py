"""The command line's side of a lab's control socket."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from netlab.errors import NetlabError, NotFound
from netlab.lab import messages
from netlab.lab.messages import AgentKind, TaskName
from netlab.lab.terminal import Terminal, forwarding_signals, holding_signals
from netlab.model.journey import CheckResult, Journey, ProbeResult
from netlab.model.names import Place, network_namespace
from netlab.model.paths import LabPaths

FROM_CALLER = ("TERM", "COLORTERM", "LANG", "LC_ALL", "LC_CTYPE", "TZ")


class Refused(NetlabError):
    """The lab process did not do what was asked: its words, and the exit code that goes with them."""

    def __init__(self, failed: messages.Failed) -> None:
        self.exit_code = failed.exit_code
        super().__init__(failed.message)


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
        env=_environment(),
        terminal=terminal is not None,
    )
    with connected(paths) as connection, contextlib.ExitStack() as forwarding:
        with holding_signals():  # from the moment that there is a command, every signal is the command's
            messages.send(connection, request, () if terminal else (0, 1, 2))
            forwarding.enter_context(
                forwarding_signals(lambda number: messages.send(connection, messages.Signal(number=number)))
            )
        started, files = _reply(connection)
        if not isinstance(started, messages.Started):
            raise TypeError(f"the lab process answered {started.say} to exec")
        if terminal is not None:
            terminal.attend(files[0])
            terminal.copy_until_hangup(connection)
        return _exit_status(connection)


def _environment() -> dict[str, str]:
    """What a command gets: the caller's terminal and language, root's home; nothing else of the caller's."""
    told = {name: os.environ[name] for name in FROM_CALLER if name in os.environ}
    return {"TERM": "dumb", "HOME": "/root", "USER": "root", **told}


def run_task(paths: LabPaths, name: TaskName, **arguments: str | int | float | None) -> str:
    """Have the lab process run one of its functions; what it reports, as JSON. Its errors are raised here again."""
    read, write = os.pipe()
    with os.fdopen(read) as result, connected(paths) as connection:
        try:
            messages.send(connection, messages.Task(name=name, arguments=arguments), (write,))
        finally:
            os.close(write)
        text = result.read()
        status = _exit_status(connection)
    if not text:
        raise NetlabError(f"{name} failed inside lab {paths.lab} (exit {status}): see {paths.log('lab')}")
    answer = json.loads(text)
    if "error" in answer:
        raise Refused(messages.Failed(message=answer["error"], exit_code=answer["exitCode"]))
    return text


def probe(
    paths: LabPaths, from_: str, to: str, *, protocol: str = "tcp", count: int = 1, timeout: float = 1.0
) -> ProbeResult:
    """Send `count` packets from a place to a target and report how each fared. `timeout` is seconds until dropped."""
    text = run_task(paths, TaskName.PROBE, from_=from_, to=to, protocol=protocol, count=count, timeout=timeout)
    return ProbeResult.model_validate_json(text)


def trace(paths: LabPaths, from_: str, to: str, *, timeout: float = 1.0, method: str | None = None) -> Journey:
    """Send one packet from a place to a target and follow it and its answer; no prediction with it.

    `method` is how rules are observed (`legacy`, `nft`), None for what fits each node.
    """
    text = run_task(paths, TaskName.TRACE, from_=from_, to=to, timeout=timeout, method=method)
    return Journey.model_validate_json(text)


def check(paths: LabPaths) -> CheckResult:
    """Prove the lab's `expect` block with packets."""
    return CheckResult.model_validate_json(run_task(paths, TaskName.CHECK))


def set_agent(paths: LabPaths, agent: AgentKind, node: str, *, running: bool, forget: bool = False) -> None:
    """Start or stop an agent of one node; stopped, it stays so until it is started again."""
    with connected(paths) as connection:
        messages.send(connection, messages.SetAgent(agent=agent, node=node, running=running, forget=forget))
        _reply(connection)


def agents(paths: LabPaths) -> tuple[messages.AgentRow, ...]:
    """The lab's processes and whether they run."""
    with connected(paths) as connection:
        messages.send(connection, messages.ListAgents())
        reply, _ = _reply(connection)
    return reply.agents if isinstance(reply, messages.Agents) else ()


def _reply(connection: socket.socket) -> tuple[messages.Reply, tuple[int, ...]]:
    data, files = messages.receive(connection)
    if not data:
        raise NetlabError("the lab process ended before it answered")
    reply = messages.parse_reply(data)
    if isinstance(reply, messages.Failed):
        raise Refused(reply)
    return reply, files


def _exit_status(connection: socket.socket) -> int:
    reply, _ = _reply(connection)
    return reply.status if isinstance(reply, messages.Exited) else 1
