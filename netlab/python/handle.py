"""What all parts of a Lab stand on: its name and its paths; and which labs this process has to end."""

from __future__ import annotations

from netlab.api.sync_client import SyncClient
from netlab.model.names import Place
from netlab.model.paths import LabPaths

_started: set[str] = set()
"""The labs that this process has started and not ended."""


def note_start(lab: str) -> None:
    """The lab is this process's to end."""
    _started.add(lab)


def note_end(lab: str) -> None:
    """The lab is gone, or somebody else's to end."""
    _started.discard(lab)


def started() -> frozenset[str]:
    """The names of the labs that this process has started and not ended."""
    return frozenset(_started)


class Handle:
    """A lab that is up."""

    def __init__(self, paths: LabPaths) -> None:
        self._paths = paths

    @property
    def name(self) -> str:
        """The lab's name, as `netlab ls` shows it: `netlab probe --lab NAME ...` works meanwhile."""
        return self._paths.lab

    def _client(self) -> SyncClient:
        return SyncClient(self._paths.api_socket)


def parsed_place(text: str) -> Place:
    """A place as text; a bare name is a Pod's. ValueError."""
    return Place.parse(text if "/" in text else f"pod/{text}")
