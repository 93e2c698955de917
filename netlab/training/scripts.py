"""Running a script that works on a lab: a solution of the lab's own, or what a learner handed in."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LAST_WORDS = 2000
"""Characters of a script's output that are kept."""


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """How a script ended (None: it was ended, since its time was over), and the last of what it printed."""

    status: int | None
    text: str


def run_script(script: Path, lab: str, *, seconds: float, environment: Mapping[str, str]) -> ScriptRun:
    """Run a script with `netlab` as a command that goes to that lab; no longer than `seconds`.

    It runs in a process group of its own, which ends with it.
    """
    own = f"{Path(sys.executable).parent}:{SYSTEM_PATH}"
    told = {**environment, "PATH": own, "NETLAB_LAB": lab}
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(
            ["/bin/bash", "-eu", str(script)],
            cwd=script.parent,
            env=told,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = _status(process, seconds)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        printed.seek(0)
        return ScriptRun(status, printed.read().decode(errors="replace")[-LAST_WORDS:])


def _status(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return None
