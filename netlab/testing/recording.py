"""The packets of a test: every interface of its labs, from when its fixtures are there until it has run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from netlab.errors import NetlabError
from netlab.python import Lab


@dataclass(slots=True)
class Recording:
    """By lab, the file that its packets are in."""

    files: dict[str, Path] = field(default_factory=dict)
    folder: ExitStack = field(default_factory=ExitStack)
    running: list[ExitStack] = field(default_factory=list)

    @classmethod
    def begin(cls, labs: Iterable[Lab]) -> Recording:
        """Record from now on."""
        recording = cls()
        folder = Path(recording.folder.enter_context(tempfile.TemporaryDirectory(prefix="netlab-")))
        for lab in labs:
            file = recording.files[lab.name] = folder / f"{lab.name}.pcapng"
            stack = ExitStack()
            stack.enter_context(lab.capture(file))
            recording.running.append(stack)
        return recording

    def end(self) -> None:
        """All that was sent until now is in the files. A lab that has ended meanwhile took its recorder along."""
        while self.running:
            with suppress(NetlabError, OSError):
                self.running.pop().close()

    def discard(self) -> None:
        """Nobody needs the files any more."""
        self.end()
        self.folder.close()
