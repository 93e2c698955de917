"""What a container's command reads and writes: pipes, or a terminal where it asks for one (`tty`)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from netlab.model.container_log import Stream
from netlab.workload.command import CommandSpec


@dataclass(frozen=True, slots=True)
class Streams:
    """Open files: the command's ends, and the kubelet's."""

    given: tuple[int, ...]
    """The command's input, output and errors; or its terminal alone."""
    input: int
    """Where the command's input is written; -1 where it has none."""
    outputs: Mapping[int, Stream]
    """Where its output is read."""

    def given_to(self, spec: CommandSpec, *, terminal: bool) -> CommandSpec:
        """The command with these streams."""
        stdin, *outputs = self.given
        return replace(spec, stdin=stdin, stdout=(outputs or [stdin])[0], stderr=(outputs or [stdin])[-1],
                       terminal=terminal)  # fmt: skip


def piped_streams(*, stdin: bool) -> Streams:
    """A pipe a stream; without input the command reads /dev/null."""
    opened: list[int] = []
    try:
        for _ in range(2):
            opened += os.pipe2(os.O_CLOEXEC)
        opened += os.pipe2(os.O_CLOEXEC) if stdin else (os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), -1)
    except BaseException:
        close_all(*opened)
        raise
    out, given_out, err, given_err, given_in, write = opened
    return Streams((given_in, given_out, given_err), write, {out: Stream.STDOUT, err: Stream.STDERR})


def terminal_streams(*, stdin: bool) -> Streams:
    """A pseudo-terminal for all three; without input nobody types at it."""
    master, slave = os.openpty()
    return Streams((slave,), master if stdin else -1, {master: Stream.STDOUT})


def close_all(*files: int) -> None:
    """Close what is open of them: -1 is nothing, and one that is there twice is one."""
    for file in {*files} - {-1}:
        os.close(file)
