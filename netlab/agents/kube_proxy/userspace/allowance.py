"""How many files the connections of clients may have open at one time."""

from __future__ import annotations

import logging
import resource
import time

OTHERS = 256
"""Files that are left to the rest of the process: netlink, HTTP, the log, commands' pipes."""
CONNECTIONS_SHARE = 0.75
"""Of the files that remain; the rest is for listening sockets, of which there must be one a Service port."""
AT_MOST = 20_000
"""Ten thousand connections: each takes memory as well."""
SAID_EVERY_SECONDS = 60.0
log = logging.getLogger(__name__)


class Allowance:
    """Counts the files of clients' connections."""

    def __init__(self, files: int) -> None:
        self._left = files
        self._said = 0.0

    def take(self, files: int) -> bool:
        """Whether so many more may be opened; then they are counted until they are given back."""
        if self._left < files:
            self._say()
            return False
        self._left -= files
        return True

    def give(self, files: int) -> None:
        """So many were closed."""
        self._left += files

    def _say(self) -> None:
        if time.monotonic() - self._said > SAID_EVERY_SECONDS:
            self._said = time.monotonic()
            log.warning("too many connections for this process's open files: new ones are turned away")


def allowed_here() -> Allowance:
    """What this process may have, once it has raised its limit of open files as far as it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return Allowance(min(AT_MOST, int(max(hard - OTHERS, 0) * CONNECTIONS_SHARE)))
