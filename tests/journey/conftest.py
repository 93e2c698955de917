"""Who runs whole labs: root, and an ordinary user."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from netlab_command import NOBODY, Caller, caller, can_become_another_user

SOMEBODY_ELSE = 65533


@pytest.fixture(scope="session")
def root() -> Iterator[Caller]:
    """Root; for tests marked so."""
    with caller() as somebody:
        yield somebody


@pytest.fixture(scope="session")
def user() -> Iterator[Caller]:
    """An ordinary user: who runs the tests, or a throw-away one where that is root (the one behind sudo, if any)."""
    if os.geteuid() != 0:
        with caller() as somebody:
            yield somebody
        return
    if not can_become_another_user():
        pytest.skip("needs a second user id: run the tests as root of the machine")
    with caller(int(os.environ.get("SUDO_UID") or NOBODY) or NOBODY) as somebody:
        if somebody.run("version").status != 0:
            pytest.skip(f"needs a checkout and an interpreter that user {somebody.uid} may read")
        yield somebody


@pytest.fixture(scope="session")
def stranger() -> Iterator[Caller]:
    """Another ordinary user than `user`."""
    if not can_become_another_user():
        pytest.skip("needs a second user id: run the tests as root of the machine")
    with caller(SOMEBODY_ELSE) as somebody:
        yield somebody
