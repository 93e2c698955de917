"""Whether a client reaches its server, said once when it no longer does and once when it does again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import aiohttp

log = logging.getLogger(__name__)


class Contact:
    """One client's, over all its connections to the server of that name."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._answers = 0
        self.lost = ""
        """Why the server cannot be reached; empty while it can, as far as is known."""

    @contextmanager
    def asking(self) -> Iterator[Callable[[], None]]:
        """Note what becomes of a request in the block, whose errors go on; call what comes once there is an answer.

        A request that is never answered says nothing where others, later ones perhaps, were answered meanwhile.
        """
        before, answered = self._answers, False

        def answer() -> None:
            nonlocal answered
            answered = True
            self._reach()

        try:
            yield answer
        except (aiohttp.ClientError, OSError) as error:
            if answered or self._answers == before:
                self._lose(reason(error))
            raise

    def _lose(self, why: str) -> None:
        if not self.lost:
            log.warning("lost the API server %s: %s; going on with what is known, and trying again", self._server, why)
        self.lost = why

    def _reach(self) -> None:
        if self.lost:
            log.warning("reached the API server %s again", self._server)
        self.lost = ""
        self._answers += 1


def reason(error: aiohttp.ClientError | OSError) -> str:
    """Why a request failed, in a log's words.

    A connection's end has the kernel's reason for its cause, if there is any: nobody confirmed what was sent.
    """
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
        cause = error.__cause__
        return cause.strerror if isinstance(cause, OSError) and cause.strerror else "the connection ended"
    if isinstance(error, TimeoutError):
        return error.strerror or "no answer"
    return str(error) or type(error).__name__
