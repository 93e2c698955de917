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

from pydantic import TypeAdapter

from netlab.errors import InvalidInput, NetlabError, NotFound, Problem
from netlab.lab import messages
from netlab.lab.messages import AgentKind, TaskName
from netlab.lab.terminal import Terminal, forwarding_signals, holding_signals
from netlab.model.connections import FlowTable
from netlab.model.drift import DriftReport
from netlab.model.faring import Fate, Way
from netlab.model.journey import CheckResult, ExpectationResult, Journey, ProbeResult
from netlab.model.names import Place, network_namespace
from netlab.model.paths import LabPaths
from netlab.model.rule_listing import RuleDifferences, RuleSet
from netlab.model.training import PacketCheck

_expectation_results: TypeAdapter[tuple[ExpectationResult, ...]] = TypeAdapter(tuple[ExpectationResult, ...])
_fates: TypeAdapter[list[Fate]] = TypeAdapter(list[Fate])
FROM_CALLER = ("TERM", "COLORTERM", "LANG", "LC_ALL", "LC_CTYPE", "TZ")


class Refused(NetlabError):
    """The lab process did not do what was asked: its words, and the exit code that goes with them."""

    def __init__(self, failed: messages.Failed) -> None:
        self.exit_code = failed.exit_code
        super().__init__(failed.message)


def refusal(failed: messages.Failed) -> NetlabError:
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
            messages.send(connection, request, () if terminal else (0, 1, 2))
            forwarding.enter_context(
                forwarding_signals(lambda number: messages.send(connection, messages.Signal(number=number)))
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
        messages.send(connection, request, (nothing.fileno(), printed.fileno(), printed.fileno()))
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
            raise refusal(messages.Failed(message=answer["error"], exit_code=answer["exitCode"]))
        return text

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """While inside, any signal that would end this process is an interrupt of the task's instead."""
        with forwarding_signals(lambda _number: self.interrupt()):
            yield

    def interrupt(self) -> None:
        """Ask it to come to its end."""
        messages.send(self.connection, messages.Signal(number=signal.SIGINT))


@contextmanager
def _started(paths: LabPaths, task: messages.Task, files: Sequence[int]) -> Iterator[RunningTask]:
    """The task at work, with those files; they are closed here."""
    read, write = os.pipe()
    with os.fdopen(read) as report, contextlib.ExitStack() as handed:
        for file in (write, *files):
            handed.callback(os.close, file)
        with connected(paths) as connection:
            messages.send(connection, task, (write, *files))
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
        messages.send(connection, messages.OpenEntrance(name=name, where=where), (entrance.fileno(),))
        answer, _ = reply(connection)
    if not isinstance(answer, messages.Opened):
        raise TypeError(f"the lab process answered {answer.say} to an entrance")
    return answer.address


def probe(
    paths: LabPaths, from_: str, to: str, *, protocol: str = "tcp", count: int = 1, timeout: float = 1.0, size: int = 0
) -> ProbeResult:
    """Send `count` packets from a place to a target and report how each fared.

    `timeout` is seconds until dropped, `size` the bytes of a packet where they are to be larger than need be.
    """
    text = run_task(
        paths, TaskName.PROBE, from_=from_, to=to, protocol=protocol, count=count, timeout=timeout, size=size
    )
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


def prove(paths: LabPaths, checks: Sequence[PacketCheck]) -> tuple[ExpectationResult, ...]:
    """Try what a training lab asks of packets, in the order of the checks."""
    asked = json.dumps([check.model_dump(mode="json", by_alias=True) for check in checks])
    return _expectation_results.validate_json(run_task(paths, TaskName.PROVE, checks=asked))


def fates(paths: LabPaths, ways: Sequence[Way]) -> list[Fate]:
    """How the packets of each way fare, in their order."""
    asked = json.dumps([way.model_dump(mode="json") for way in ways])
    return _fates.validate_json(run_task(paths, TaskName.FATES, ways=asked))


def holders(paths: LabPaths, of: str) -> tuple[str, ...]:
    """The places that have an address of a target on an interface; NotFound: there is no such target."""
    return tuple(json.loads(run_task(paths, TaskName.HOLDERS, of=of)))


def conntrack(paths: LabPaths, node: str) -> FlowTable:
    """What a node's connection tracking holds; NotFound: no such node."""
    return FlowTable.model_validate_json(run_task(paths, TaskName.CONNTRACK, node=node))


def flow_tables(paths: LabPaths) -> tuple[FlowTable, ...]:
    """The same of every node."""
    return tuple(FlowTable.model_validate(table) for table in json.loads(run_task(paths, TaskName.FLOWS)))


def rules(paths: LabPaths, node: str, *, service: str | None = None) -> RuleSet:
    """A node's rules as its kernel has them, or those of one Service; NotFound."""
    return RuleSet.model_validate_json(run_task(paths, TaskName.RULES, node=node, service=service))


def rule_differences(paths: LabPaths, node: str) -> RuleDifferences:
    """Where a node's rules are not what its kube-proxy would write; NotFound, InvalidInput."""
    return RuleDifferences.model_validate_json(run_task(paths, TaskName.RULE_DIFFERENCES, node=node))


def drift(paths: LabPaths) -> DriftReport:
    """What the lab's namespaces hold otherwise than planned."""
    return DriftReport.model_validate_json(run_task(paths, TaskName.DRIFT))


def set_agent(paths: LabPaths, agent: AgentKind, node: str, *, running: bool, forget: bool = False) -> None:
    """Start or stop an agent of one node; stopped, it stays so until it is started again."""
    with connected(paths) as connection:
        messages.send(connection, messages.SetAgent(agent=agent, node=node, running=running, forget=forget))
        reply(connection)


def end_strays(paths: LabPaths) -> None:
    """End what commands have left running in the background."""
    with connected(paths) as connection:
        messages.send(connection, messages.EndStrays())
        reply(connection)


def agents(paths: LabPaths) -> tuple[messages.AgentRow, ...]:
    """The lab's processes and whether they run."""
    with connected(paths) as connection:
        messages.send(connection, messages.ListAgents())
        answer, _ = reply(connection)
    return answer.agents if isinstance(answer, messages.Agents) else ()


def reply(connection: socket.socket) -> tuple[messages.Reply, tuple[int, ...]]:
    """The next answer, and the files that came with it. Raises what was refused."""
    data, files = messages.receive(connection)
    if not data:
        raise NetlabError("the lab process ended before it answered")
    reply = messages.parse_reply(data)
    if isinstance(reply, messages.Failed):
        raise refusal(reply)
    return reply, files


def exit_status(connection: socket.socket) -> int:
    """Wait until what runs for this connection has ended; how, as a shell says it."""
    answer, _ = reply(connection)
    return answer.status if isinstance(answer, messages.Exited) else 1
