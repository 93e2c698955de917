"""kubectl against a lab: the real program, with the kubeconfig that `netlab kubeconfig` writes."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import leaks
import pytest
from netlab_command import Done


def kubectl_program() -> str:
    """The kubectl of this machine, or the one that NETLAB_KUBECTL names."""
    program = os.environ.get("NETLAB_KUBECTL") or shutil.which("kubectl")
    if program is None:
        pytest.skip("needs kubectl: scripts/install --test")
    return program


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl with a kubeconfig and a home of its own."""

    program: str
    config: Path
    home: Path

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command and return at once."""
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            leaks.TAG: os.environ[leaks.TAG],
            **options.pop("environment", {}),
        }
        command = [self.program, f"--kubeconfig={self.config}", *arguments]
        return subprocess.Popen(command, text=True, env=environment, **options)

    def run(self, *arguments: str, text: str = "", seconds: float = 40, **environment: str) -> Done:
        """Run a command to its end."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with self.start(*arguments, environment=environment, **pipes) as process:
            try:
                out, err = process.communicate(text or None, timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Done(process.returncode, out, err)

    def __call__(self, line: str, text: str = "", **environment: str) -> str:
        """What `kubectl LINE` prints, which must succeed; words are parted by spaces."""
        return self.do(*line.split(), text=text, **environment)

    def do(self, *arguments: str, text: str = "", **environment: str) -> str:
        """The same with the words as they are."""
        done = self.run(*arguments, text=text, **environment)
        assert done.status == 0, f"kubectl {' '.join(arguments)}: exit {done.status}\n{done.out}{done.err}"
        return done.out
