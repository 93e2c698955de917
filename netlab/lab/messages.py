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

import array
import json
import os
import socket
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

MESSAGE_LIMIT = 128 * 1024
"""Bytes of one message: half of what a Unix socket's default buffer (net.core.wmem_default) holds."""
FILES_LIMIT = 3


class Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Exec(Message):
    """Run `argv` in the network namespace `where`. With `terminal` a pseudo-terminal stands for all three streams."""

    say: Literal["exec"] = "exec"
    where: str
    argv: tuple[str, ...]
    env: dict[str, str] = {}
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
    arguments: dict[str, str | int | float | None] = {}


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


class Exited(Message):
    """`status` as a shell gives it: the exit status, or 128 and the number of the signal that ended it."""

    say: Literal["exited"] = "exited"
    status: int


class Done(Message):
    say: Literal["done"] = "done"


class Failed(Message):
    say: Literal["failed"] = "failed"
    message: str
    exit_code: int


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


def send(connection: socket.socket, message: Message, files: Sequence[int] = ()) -> None:
    """Send one message and, with it, open files. OSError where the other side is gone."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
    connection.sendmsg([json.dumps(message.model_dump(mode="json")).encode()], rights)


def receive(connection: socket.socket) -> tuple[bytes, tuple[int, ...]]:
    """One packet and the files that came along (close-on-exec); empty where the other side has closed."""
    data, files, _flags, _address = socket.recv_fds(connection, MESSAGE_LIMIT, FILES_LIMIT)
    for file in files:
        os.set_inheritable(file, False)
    return data, tuple(files)
