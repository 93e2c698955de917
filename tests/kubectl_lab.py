"""kubectl against a lab: the real program, by way of a TCP port on the loopback that leads to the lab's socket."""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import leaks
import pytest
from netlab_command import Done

CHUNK = 65536


class Relay:
    """Copies bytes between connections to a port of 127.0.0.1 and a unix socket, in threads."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stop_read, self._stop_write = socket.socketpair()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        while self._stop_read not in select.select([self._listener, self._stop_read], [], [])[0]:
            near, _ = self._listener.accept()
            self._threads.append(threading.Thread(target=self._serve, args=(near,)))
            self._threads[-1].start()

    def _serve(self, near: socket.socket) -> None:
        with closing(near), socket.socket(socket.AF_UNIX) as far, suppress(OSError):
            far.connect(str(self._target))
            other = {near: far, far: near}
            open_ends = {near, far}
            while open_ends:
                ready, _, _ = select.select([*open_ends, self._stop_read], [], [])
                if self._stop_read in ready:
                    return
                for end in ready:
                    if data := end.recv(CHUNK):
                        other[end].sendall(data)
                    else:
                        open_ends.discard(end)
                        other[end].shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._stop_write.close()
        for thread in self._threads:
            thread.join(20)
        for each in (self._listener, self._stop_read):
            each.close()


@contextmanager
def relayed(target: Path) -> Iterator[str]:
    """The URL at which the API server behind a unix socket is inside the block."""
    relay = Relay(target)
    try:
        yield relay.url
    finally:
        relay.close()


def kubectl_program() -> str:
    """The kubectl of this machine, or the one that NETLAB_KUBECTL names."""
    program = os.environ.get("NETLAB_KUBECTL") or shutil.which("kubectl")
    if program is None:
        pytest.skip("needs kubectl: scripts/install --test")
    return program


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl, pointed at a server, with a home of its own."""

    program: str
    url: str
    home: Path

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command and return at once."""
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "KUBECONFIG": "/dev/null",
            leaks.TAG: os.environ[leaks.TAG],
            **options.pop("environment", {}),
        }
        command = [self.program, f"--server={self.url}", *arguments]
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
