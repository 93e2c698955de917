"""A lab's objects at one moment, for commands that take a running lab or a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netlab.model.cluster import ClusterView


def view_of(file: Path | None, lab: str | None) -> ClusterView:
    """What the file describes, or the running lab has."""
    from netlab.cli.documents import read_topology
    from netlab.lab.find import find
    from netlab.lab.view import foreseen_view, running_view

    return foreseen_view(read_topology(file)) if file else running_view(find(lab))
