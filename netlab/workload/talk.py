"""How processes of a lab talk about commands that run: SOCK_SEQPACKET, a JSON message a packet, open files with it.

API server                            kubelet
  Attach ──────────────────────────>
                              <───── Attached + files, or Failed
  EndInput ────────────────────────>
                              <───── Exited
"""

from __future__ import annotations

import array
import json
import os
import socket
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

MESSAGE_LIMIT = 128 * 1024
"""Bytes of one message: half of what a Unix socket's default buffer (net.core.wmem_default) holds."""
FILES_LIMIT = 3


class Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Attach(Message):
    """Show what a container of a Pod prints, from now on; with `stdin` let it have what the client sends."""

    say: Literal["attach"] = "attach"
    pod: str
    """The uid."""
    container: str
    stdin: bool


class Attached(Message):
    """With it come the container's input for writing, if `stdin`, then its output and (no `terminal`) its errors."""

    say: Literal["attached"] = "attached"
    stdin: bool
    terminal: bool


class EndInput(Message):
    """The client has no more to send."""

    say: Literal["end-input"] = "end-input"


class Exited(Message):
    """`status` as a shell gives it: the exit status, or 128 and the number of the signal that ended it."""

    say: Literal["exited"] = "exited"
    status: int


class Failed(Message):
    say: Literal["failed"] = "failed"
    message: str
    exit_code: int


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
