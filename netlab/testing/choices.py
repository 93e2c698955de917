"""What a test asks for: its marker, the proxy modes that it runs in, the capabilities that it needs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NoReturn

import pytest

from netlab.errors import MissingCapability
from netlab.model.machine import MachineReport
from netlab.model.modes import ProxyMode

SCOPES = ("function", "module", "session")
DOCTOR = "import sys; sys.path[:] = {path!r}; from netlab.cli.main import main; main()"
COMMAND = "command:"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A test's marker `netlab`."""

    source: str
    modes: tuple[str, ...] = ()
    scope: str = "module"
    requires: tuple[str, ...] = ()


def wanted_by(node: pytest.Item | pytest.Function) -> Wanted | None:
    """What the marker nearest to the test says; None without one. UsageError: it cannot be understood."""
    marker = node.get_closest_marker("netlab")
    return _read(node.nodeid, *marker.args, **marker.kwargs) if marker else None


def _read(
    test: str,
    /,
    source: str | os.PathLike[str],
    *,
    mode: str | Sequence[str] | None = None,
    scope: str = "module",
    requires: str | Sequence[str] = (),
) -> Wanted:
    if scope not in SCOPES:
        raise pytest.UsageError(f"{test}: scope={scope!r} of marker netlab: there are {', '.join(SCOPES)}")
    modes = _words(mode or ())
    _check_modes(modes, said=f"{test}: marker netlab")
    return Wanted(str(source), modes, scope, _words(requires))


def _words(said: str | Sequence[str]) -> tuple[str, ...]:
    return (said,) if isinstance(said, str) else tuple(said)


def _check_modes(modes: Sequence[str], *, said: str) -> None:
    for mode in modes:
        if mode not in list(ProxyMode):
            raise pytest.UsageError(f"{said}: {mode!r} is no proxy mode: there are {', '.join(ProxyMode)}")


def parametrize_modes(metafunc: pytest.Metafunc) -> None:
    """A test for each mode of the marker, of which --netlab-mode chooses; without either, for what the file says."""
    marker = next(iter(metafunc.definition.iter_markers("netlab")), None)
    wanted = _read(metafunc.definition.nodeid, *marker.args, **marker.kwargs) if marker else None
    option = metafunc.config.getoption("--netlab-mode")
    chosen = tuple(option.split(",")) if option else ()
    _check_modes(chosen, said="--netlab-mode")
    own = wanted.modes if wanted else ()
    modes = tuple(mode for mode in own if mode in chosen) if own and chosen else own or chosen
    if own and not modes:
        reason = f"the test is for {', '.join(own)}, --netlab-mode asks for {option}"
        skipped = pytest.param(None, marks=pytest.mark.skip(reason=reason))
        metafunc.parametrize("netlab_mode", [skipped], ids=["-"], indirect=True)
    elif modes:
        metafunc.parametrize("netlab_mode", modes, indirect=True)


def require(config: pytest.Config, names: Sequence[str]) -> None:
    """Skip the test, or fail it with --netlab-strict, where this machine lacks one of the capabilities."""
    for name in names:
        if lacking := _lacking(name):
            give_up(config, MissingCapability(name, lacking))


def give_up(config: pytest.Config, missing: MissingCapability) -> NoReturn:
    """This machine cannot do what the test needs."""
    text = f"this machine lacks {missing.capability}: {missing.remedy}"
    if config.getoption("--netlab-strict"):
        pytest.fail(text, pytrace=False)
    raise pytest.skip.Exception(text, _use_item_location=True)  # else all skips would be told at this line


def _lacking(name: str) -> str:
    """What to do about a capability that is not there; empty where it is."""
    if name == "root":
        return "" if os.geteuid() == 0 else "run the tests as root"
    if name.startswith(COMMAND):
        command = name.removeprefix(COMMAND)
        return "" if shutil.which(command) else f"install {command}"
    report = _machine()
    found = [check for check in report.checks if name.lower() in check.name.lower()]
    if not found:
        there = "; ".join(check.name for check in report.checks)
        pytest.fail(
            f"requires={name!r} of marker netlab: netlab doctor knows no such thing, but: {there}", pytrace=False
        )
    return next((check.remedy or check.detail or "see netlab doctor" for check in found if not check.ok), "")


@cache
def _machine() -> MachineReport:
    """What `netlab doctor` says: it tries things in a process of its own, which has one thread."""
    program = [sys.executable, "-c", DOCTOR.format(path=sys.path), "doctor", "-o", "json"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    return MachineReport.model_validate({key: part for key, part in json.loads(done.stdout).items() if key != "ready"})
