"""The channels between a client and a command in a Pod, whatever carries them.

Source: the protocols `v4.channel.k8s.io` and `v5.channel.k8s.io` of Kubernetes' remote commands.
"""

from __future__ import annotations

import json
from enum import IntEnum
from typing import Protocol

from netlab.api.statuses import Cause, Status, StatusDetails


class Channel(IntEnum):
    STDIN = 0
    STDOUT = 1
    STDERR = 2
    ERROR = 3
    """How it ended, as a Status."""
    RESIZE = 4
    """The size of the client's terminal, as `{"Width": 80, "Height": 24}`."""


class Session(Protocol):
    """One client's channels. ConnectionError where the client is gone."""

    async def read(self) -> tuple[Channel, bytes] | None:
        """What the client sends next (STDIN without bytes: its input has ended); None once it is gone."""

    async def write(self, channel: Channel, data: bytes) -> None:
        """Send it to the client."""

    async def close(self) -> None:
        """Say good-bye."""


def exit_status(status: int) -> bytes:
    """What goes over the channel ERROR when a command has ended with this exit status."""
    if status == 0:
        return _encoded(Status(status="Success", code=0))
    causes = (Cause(reason="ExitCode", message=str(status)),)
    message = f"command terminated with non-zero exit code: exit status {status}"
    return _encoded(Status(message=message, reason="NonZeroExitCode", details=StatusDetails(causes=causes), code=500))


def failure(message: str) -> bytes:
    """What goes over it when the command could not be run."""
    return _encoded(Status(message=message, reason="InternalError", code=500))


def _encoded(status: Status) -> bytes:
    told = {key: value for key, value in json.loads(status.encode()).items() if value not in ("", 0)}
    return json.dumps(told).encode()


def terminal_size(data: bytes) -> tuple[int, int] | None:
    """Columns and rows; None where the client says something else."""
    try:
        told = json.loads(data)
        size = int(told["Width"]), int(told["Height"])
    except (ValueError, TypeError, KeyError):
        return None
    return size if all(0 < each < 1 << 16 for each in size) else None
