"""The packets of a lab, from Python: sent, followed, recorded, judged."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from netlab.errors import InvalidInput, NetlabError, Problem
from netlab.kernel.packet_filter import compile_filter
from netlab.lab import control, questions
from netlab.lab.traced import traced
from netlab.lab.why import why
from netlab.model.diagnosis import Diagnosis
from netlab.model.journey import CheckResult, Journey
from netlab.model.names import Place
from netlab.model.targets import Target, TargetProtocol
from netlab.python.answers import Probe
from netlab.python.handle import Handle, parsed_place
from netlab.trace.telling import plain, told


@dataclass(slots=True)
class Capture:
    """A recording: `file` is pcapng, each interface by name in it. The counts are known when it has ended."""

    file: Path
    packets: int = 0
    dropped: int = 0


class LabTraffic(Handle):
    """Packets: probe, trace, why, check, capture."""

    def probe(
        self, from_: str | Place, to: str, *, proto: str | None = None, count: int = 1, timeout: float = 1.0
    ) -> Probe:
        """Send `count` packets from a place (`pod/shell`) to a target (`service/web:80`, `/udp`) and see how they fare.

        `timeout` is seconds until a packet counts as dropped. InvalidInput, NotFound.
        """
        source, aim = _ends(from_, to, proto)
        result = questions.probe(
            self._paths, str(source), str(aim), protocol=aim.protocol.value, count=count, timeout=timeout
        )
        return Probe(result, lambda: self.explain(source, str(aim)))

    def trace(self, from_: str | Place, to: str, *, proto: str | None = None, timeout: float = 1.0) -> Journey:
        """Send one packet and follow it and its answer through every hook, beside what the lab's state foretells."""
        source, aim = _ends(from_, to, proto)
        return traced(self._paths, source, aim, timeout=timeout)[0]

    def why(self, from_: str | Place, to: str, *, proto: str | None = None, timeout: float = 1.0) -> Diagnosis:
        """Why flows do not fare as they should: one cause and one remedy, `cause` None where nothing is wrong."""
        source, aim = _ends(from_, to, proto)
        return why(self._paths, source, aim, timeout=timeout)

    def check(self) -> CheckResult:
        """Prove the `expect` block of the lab's file with packets."""
        return questions.check(self._paths)

    def explain(self, from_: str | Place, to: str) -> str:
        """One flow's journey in lines, and what is wrong with it in a sentence."""
        try:
            journey = self.trace(from_, to)
            diagnosis = self.why(from_, to)
        except (NetlabError, OSError) as error:
            return f"its journey could not be told: {error}\n"
        cause = f"\ncause:  {diagnosis.cause}: {diagnosis.explanation}\n" if diagnosis.cause else ""
        remedy = f"remedy: {diagnosis.remedy}\n" if diagnosis.cause and diagnosis.remedy else ""
        return f"\none more flow, hop by hop:\n{plain(told([journey]))}{cause}{remedy}"

    @contextmanager
    def capture(
        self, file: str | os.PathLike[str], *, where: str | Sequence[str] = "all", filter: str = ""
    ) -> Iterator[Capture]:
        """Record what passes interfaces while the block runs, into a pcapng file.

        `where` are places (`pod/web-1`, `node/node1:eth0`, `fabric`) or `all`; `filter` is one of tcpdump's.
        InvalidInput, NotFound.
        """
        capture = Capture(Path(file))
        with ExitStack() as stack:
            running = stack.enter_context(self._recording(capture.file, _words(where), filter))
            try:
                yield capture
            finally:
                running.interrupt()
                counts = json.loads(running.result())
                capture.packets, capture.dropped = counts["packets"], counts["dropped"]

    @contextmanager
    def _recording(self, file: Path, where: Sequence[str], expression: str) -> Iterator[control.RunningTask]:
        """Everything that passes from now on is recorded."""
        program = compile_filter(expression)
        read, write = os.pipe()
        with os.fdopen(read, "rb") as ready:
            output = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            with control.capturing(
                self._paths,
                where=where,
                program=program,
                expression=expression,
                comment=f"lab {self.name}",
                count=None,
                seconds=None,
                files=(output, write),
            ) as running:
                if not ready.read():
                    running.result()  # raises what the lab refuses
                yield running


def _words(where: str | Sequence[str]) -> list[str]:
    return where.split() if isinstance(where, str) else list(where)


def _without_protocol(to: str) -> str:
    return next((to.removesuffix(f"/{each}") for each in TargetProtocol if to.endswith(f"/{each}")), to)


def _ends(from_: str | Place, to: str, proto: str | None) -> tuple[Place, Target]:
    try:
        place = from_ if isinstance(from_, Place) else parsed_place(from_)
        return place, Target.parse(to if proto is None else f"{_without_protocol(to)}/{proto}")
    except ValueError as error:
        raise InvalidInput([Problem("argument", 0, 0, "", str(error))]) from error
