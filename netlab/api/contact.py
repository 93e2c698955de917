"""Whether a client reaches its server, said once when it no longer does and once when it does again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

log = logging.getLogger(__name__)


class Contact:
    """One client's, over all its connections to the server of that name."""

    def __init__(self, server: str) -> None:
        self._server = server
        self.lost = ""
        """Why the server cannot be reached; empty while it can, as far as is known."""

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note what becomes of a request in the block, whose errors go on."""
        try:
            yield
        except (aiohttp.ClientError, OSError) as error:
            self._lose(_why(error))
            raise

    def _lose(self, why: str) -> None:
        if not self.lost:
            log.warning("lost the API server %s: %s; going on with what is known, and trying again", self._server, why)
        self.lost = why

    def reached(self) -> None:
        """The server has answered."""
        if self.lost:
            log.warning("reached the API server %s again", self._server)
        self.lost = ""


def _why(error: aiohttp.ClientError | OSError) -> str:
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
        return "the connection ended in the middle"
    return str(error) or type(error).__name__
