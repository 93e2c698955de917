"""One client at one container: its pipes, and whether it has the container's input."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from netlab.agents.kubelet.output import Client, ContainerOutput
from netlab.agents.kubelet.process import ContainerCommand
from netlab.agents.kubelet.streams import close_all
from netlab.model.container_log import Stream
from netlab.workload import talk


@dataclass(frozen=True, slots=True)
class Attached:
    """With `command` the client has that one's input; with `once` (stdinOnce) the input ends with the client's."""

    client: Client
    output: ContainerOutput
    command: ContainerCommand | None
    once: bool

    def end_input(self) -> None:
        """The client has no more to send. At a terminal that ends nothing, as in Kubernetes."""
        if self.command and self.once and not self.command.terminal:
            self.command.end_input()

    def leave(self) -> None:
        """The client is gone."""
        self.end_input()
        self.output.leave(self.client)


def admit(
    connection: socket.socket, output: ContainerOutput, command: ContainerCommand | None, *, stdin: bool, once: bool,
    replay: bool,
) -> Attached:  # fmt: skip
    """Hand a client its pipes, and the command's input where it wants that and there is one."""
    terminal = command is not None and command.terminal
    typing = command if command and stdin and command.input >= 0 else None
    pipes = {stream: os.pipe2(os.O_CLOEXEC) for stream in ((Stream.STDOUT,) if terminal else Stream)}
    reading = tuple(read for read, _ in pipes.values())
    writing = {stream: write for stream, (_, write) in pipes.items()}
    try:
        answer = talk.Attached(stdin=typing is not None, terminal=terminal)
        talk.send(connection, answer, (typing.input, *reading) if typing else reading)
    except OSError:
        close_all(*writing.values())
        raise
    finally:
        close_all(*reading)
    return Attached(output.join(connection, writing, replay=replay), output, typing, once)
