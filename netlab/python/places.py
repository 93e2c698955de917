"""A Pod, a node or a machine outside, as somewhere to act from."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from netlab.errors import CommandFailed
from netlab.lab.commands import captured
from netlab.model.diagnosis import Diagnosis
from netlab.model.journey import Journey
from netlab.model.names import Place
from netlab.python.answers import Executed, HttpAnswer, Probe
from netlab.python.insight import LabInsight
from netlab.python.traffic import LabTraffic

FETCH = Path(__file__).with_name("fetch.py")
STARTING_SECONDS = 10.0
"""What an interpreter may take to start on a busy machine, beside the request's own time."""


class Spot:
    """A place of a lab: `lab.pod("shell")`, `lab.node("node1")`, `lab.external("client")`."""

    def __init__(self, traffic: LabTraffic, insight: LabInsight, place: Place) -> None:
        self._traffic = traffic
        self._insight = insight
        self.place = place

    @property
    def name(self) -> str:
        """Without its kind: `shell`."""
        return self.place.name

    def __str__(self) -> str:
        return str(self.place)

    def __repr__(self) -> str:
        return f"<{self.place} of lab {self._traffic.name}>"

    def probe(self, to: str, *, proto: str | None = None, count: int = 1, timeout: float = 1.0) -> Probe:
        """Send packets from here: see `Lab.probe`."""
        return self._traffic.probe(self.place, to, proto=proto, count=count, timeout=timeout)

    def trace(self, to: str, *, proto: str | None = None, timeout: float = 1.0) -> Journey:
        """Follow one packet from here: see `Lab.trace`."""
        return self._traffic.trace(self.place, to, proto=proto, timeout=timeout)

    def why(self, to: str, *, proto: str | None = None, timeout: float = 1.0) -> Diagnosis:
        """Why flows from here do not fare as they should: see `Lab.why`."""
        return self._traffic.why(self.place, to, proto=proto, timeout=timeout)

    def http(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout: float = 3.0,
    ) -> HttpAnswer:
        """Send an HTTP request from here, by names of the cluster's DNS too (`http://web/hostname`).

        `timeout` is seconds for each step of it. What goes wrong on the way is in the answer, not raised.
        """
        program = [sys.executable, "-I", "-S", str(FETCH), method, url, str(timeout), json.dumps(dict(headers or {}))]
        done = self._captured(program, stdin=body, timeout=3 * timeout + STARTING_SECONDS)
        if not done:
            raise CommandFailed(done.argv, done.where, done.status, done.err)
        return HttpAnswer.read(done.out)

    def exec(
        self, command: str | Sequence[str], *, stdin: bytes = b"", timeout: float | None = 60.0, check: bool = False
    ) -> Executed:
        """Run a command here, with this place's network, host name and resolv.conf; a text is a shell's.

        TimedOut after `timeout` seconds. With `check`, CommandFailed where its exit status is not 0.
        """
        argv = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
        done = self._captured(argv, stdin=stdin, timeout=timeout)
        if check and not done:
            raise CommandFailed(done.argv, done.where, done.status, done.err or done.out)
        return done

    def logs(self, container: str | None = None) -> str:
        """What ran here has printed; of a node, its kube-proxy's log."""
        return self._insight.logs(str(self.place), container=container)

    def _captured(self, argv: Sequence[str], *, stdin: bytes, timeout: float | None) -> Executed:
        done = captured(self._traffic._paths, self.place, argv, stdin=stdin, timeout=timeout)
        out, err = (printed.decode(errors="replace") for printed in (done.out, done.err))
        return Executed(tuple(argv), str(self.place), done.status, out, err)
