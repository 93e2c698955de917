"""What `doctor` finds: everything is tried as a lab does it, in namespaces that end with the process that tried."""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path

from pydantic import TypeAdapter

from netlab.errors import MissingCapability
from netlab.kernel.both_kinds import rules_in_both_kinds
from netlab.kernel.capabilities import try_everything
from netlab.lab.children import fork
from netlab.lab.isolation import isolate
from netlab.model.machine import Check, MachineReport

_checks: TypeAdapter[tuple[Check, ...]] = TypeAdapter(tuple[Check, ...])
NAMESPACES = "namespaces of its own"


def examine() -> MachineReport:
    """Try what a lab needs, for the calling user. The process must be single-threaded; nothing of the host changes."""
    with tempfile.TemporaryDirectory(prefix="netlab-doctor-") as keep:
        found = _checks.validate_json(_answer(Path(keep)))
    host = rules_in_both_kinds()
    found = (*found, host) if host else found
    rootless = os.geteuid() != 0
    return MachineReport(kernel=f"{platform.system()} {platform.release()}", rootless=rootless, checks=found)


def _answer(keep: Path) -> bytes:
    """The checks as JSON, from a grandchild: only a child of who unshared the PID namespace is in it."""
    read, write = os.pipe()
    pid = fork(lambda: _isolated(keep, write))
    os.close(write)
    os.waitpid(pid, 0)
    with os.fdopen(read, "rb") as pipe:
        return pipe.read() or _dumped(
            Check(name="the examination", ok=False, detail="ended early (its words are above)")
        )


def _isolated(keep: Path, pipe: int) -> None:
    try:
        isolate(keep)
    except MissingCapability as error:
        os.write(pipe, _dumped(Check(name=NAMESPACES, ok=False, detail=error.capability, remedy=error.remedy)))
        return
    os.waitpid(fork(lambda: _try(pipe)), 0)


def _try(pipe: int) -> None:
    os.write(pipe, _dumped(Check(name=NAMESPACES, ok=True), *try_everything()))


def _dumped(*checks: Check) -> bytes:
    return _checks.dump_json(checks)
