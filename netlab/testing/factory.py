"""Labs that a test makes itself, and fixtures of labs that a conftest.py makes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from netlab.python import Lab

if TYPE_CHECKING:
    from netlab.testing.labs import Labs

Scope = Literal["function", "class", "module", "package", "session"]


class LabFactory:
    """Makes labs that end with the test."""

    def __init__(self, labs: Labs, folder: Path, mode: str | None) -> None:
        self._labs = labs
        self._folder = folder
        self._mode = mode
        self._made: list[Lab] = []

    def __call__(self, source: str, *, mode: str | None = None, name: str | None = None) -> Lab:
        """A lab of a topology file beside the test or below rootdir; `mode` in place of what --netlab-mode says."""
        path = self._labs.find(source, self._folder)
        lab = self._labs.up(path, mode=mode or self._mode, name=name)
        self._made.append(lab)
        return lab

    def __enter__(self) -> LabFactory:
        return self

    def __exit__(self, *_: object) -> None:
        for lab in self._made:
            self._labs.down(lab)


def lab_fixture(source: str, *, scope: Scope = "module", mode: str | None = None) -> Callable[..., Iterator[Lab]]:
    """A fixture that is a lab: `two_nodes = lab_fixture("two-nodes.yaml", scope="session")` in a conftest.py.

    The file is looked for beside the one that calls this, then below rootdir. Where it outlives a test, the lab is
    reset after each that used it.
    """
    caller = inspect.stack()[1]
    beside = Path(caller.filename).parent

    @pytest.fixture(scope=scope)
    def fixture(netlab_labs: Labs, netlab_mode: str | None) -> Iterator[Lab]:
        lab = netlab_labs.up(netlab_labs.find(source, beside), mode=mode or netlab_mode)
        netlab_labs.fixtures.add(lab.name)
        yield lab
        netlab_labs.fixtures.discard(lab.name)
        netlab_labs.down(lab)

    return fixture
