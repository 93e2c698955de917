"""What is said over a lab's control socket (SOCK_SEQPACKET: a JSON message a packet; open files go by SCM_RIGHTS).

command line                          lab process
  Exec + stdin, stdout, stderr ─────>
                              <───── Started (with the terminal's master end where one was asked for)
  Signal ──────────────────────────>
                              <───── Exited
  Task + where to write its result ─>     (and more open files, where the task has use for them)
                              <───── Exited
  SetAgent ────────────────────────>
                              <───── Done, or Failed
  EndStrays ───────────────────────>
                              <───── Done
  ListAgents ──────────────────────>
                              <───── Agents
  OpenEntrance + socket ───────────>
                              <───── Opened
API server
  Attend ──────────────────────────>
                              <───── Entrance + socket, for each that there is or comes
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from netlab.workload.talk import Exited, Failed, Message


class Exec(Message):
    """Run `argv` in the network namespace `where`. With `terminal` a pseudo-terminal stands for all three streams."""

    say: Literal["exec"] = "exec"
    where: str
    argv: tuple[str, ...]
    env: dict[str, str] = Field(default_factory=dict)
    terminal: bool = False


class Signal(Message):
    """Deliver a signal to the process group of the command that this connection started."""

    say: Literal["signal"] = "signal"
    number: int


class TaskName(StrEnum):
    """What the lab process can do on its own: each is a function of lab/tasks.py."""

    PROBE = "probe"
    CHECK = "check"
    PROVE = "prove"
    FATES = "fates"
    HOLDERS = "holders"
    TRACE = "trace"
    PROXIES = "proxies"
    MODES = "modes"
    FORGET_FLOWS = "forget-flows"
    REMEMBER_FLOW = "remember-flow"
    FORGET_FLOW = "forget-flow"
    DRIFT = "drift"
    CAPTURE = "capture"
    CONNTRACK = "conntrack"
    FLOWS = "flows"
    CREDENTIALS = "credentials"
    RULES = "rules"
    RULE_DIFFERENCES = "rule-differences"
    FINGERPRINTS = "fingerprints"
    TIDY = "tidy"
    MACHINES = "machines"


class Task(Message):
    """Run one of the lab's own functions in a process of its own; its result goes to the first file with it."""

    say: Literal["task"] = "task"
    name: TaskName
    arguments: dict[str, str | int | float | None] = Field(default_factory=dict)


class AgentKind(StrEnum):
    KUBELET = "kubelet"
    KUBE_PROXY = "kube-proxy"


class SetAgent(Message):
    """A node's agent shall run, or not. `forget` an agent whose node is gone: it is no longer listed as stopped."""

    say: Literal["set-agent"] = "set-agent"
    agent: AgentKind
    node: str
    running: bool
    forget: bool = False


class EndStrays(Message):
    """End what commands of this lab have left running in the background."""

    say: Literal["end-strays"] = "end-strays"


class ListAgents(Message):
    say: Literal["list-agents"] = "list-agents"


class OpenEntrance(Message):
    """The API server shall serve by TLS at the socket that comes along, in place of an earlier one of that name.

    If that is in the same place (`where`, a network namespace) it stays, and the new one is left alone.
    """

    say: Literal["open-entrance"] = "open-entrance"
    name: str
    where: str


class Attend(Message):
    """Tell of every entrance."""

    say: Literal["attend"] = "attend"


class Started(Message):
    say: Literal["started"] = "started"


class Done(Message):
    say: Literal["done"] = "done"


class AgentRow(Message):
    """A process of the lab: `restarts` counts how often it died and was started again."""

    name: str
    running: bool
    wanted: bool
    restarts: int


class Agents(Message):
    say: Literal["agents"] = "agents"
    agents: tuple[AgentRow, ...]


class Opened(Message):
    """Where the entrance of that name listens, `127.0.0.1:40123`."""

    say: Literal["opened"] = "opened"
    address: str


class Entrance(Message):
    """An entrance, its socket with it; it takes the place of an earlier one of that name."""

    say: Literal["entrance"] = "entrance"
    name: str


Request = Exec | Signal | Task | SetAgent | EndStrays | ListAgents | OpenEntrance | Attend
Reply = Started | Exited | Done | Failed | Agents | Opened | Entrance
_request: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="say")])
_reply: TypeAdapter[Reply] = TypeAdapter(Annotated[Reply, Field(discriminator="say")])


def parse_request(data: bytes) -> Request:
    """The request in one packet; pydantic's ValidationError, a ValueError, where it is none."""
    return _request.validate_json(data)


def parse_reply(data: bytes) -> Reply:
    return _reply.validate_json(data)
