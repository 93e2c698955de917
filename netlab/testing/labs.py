"""The labs of a test run: who has which, when they are reset and when they end, and that none is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from netlab.errors import MissingCapability, NetlabError, NotFound
from netlab.lab.remains import remains
from netlab.model.paths import LabPaths
from netlab.python import Lab
from netlab.python.explaining import forget_doubts
from netlab.python.handle import note_end, started
from netlab.testing.choices import give_up, require, wanted_by
from netlab.testing.failures import Failure, explain
from netlab.testing.recording import Recording

SESSION = ""
"""The owner of what lasts until the run ends; otherwise a module's node id."""


@dataclass(slots=True)
class Shared:
    """A lab that several tests use, one after the other."""

    lab: Lab
    owner: str


@dataclass(slots=True)
class Labs:
    """All labs that fixtures of this process have made."""

    config: pytest.Config
    shared: dict[tuple[str, str | None, str], Shared] = field(default_factory=dict)
    fixtures: set[str] = field(default_factory=set)
    """Names of labs that end with a fixture of the tests' own."""
    kept: set[str] = field(default_factory=set)
    used: list[Lab] = field(default_factory=list)
    """By the test that runs now."""
    recording: Recording | None = None

    # --- making labs

    def of_marker(self, item: pytest.Function, mode: str | None) -> Lab:
        """The lab of the test's marker, in that proxy mode. Failed: it has no marker."""
        wanted = wanted_by(item)
        if wanted is None:
            pytest.fail("the fixture lab needs a marker: @pytest.mark.netlab('topology.yaml')", pytrace=False)
        require(self.config, wanted.requires)
        source = self.find(wanted.source, item.path.parent)
        owner = {"session": SESSION, "module": _module(item) or "", "function": item.nodeid}[wanted.scope]
        key = (str(source), mode, owner)
        if key not in self.shared:
            self.shared[key] = Shared(self.up(source, mode=mode), owner)
        return self.shared[key].lab

    def up(self, source: Path, *, mode: str | None, name: str | None = None) -> Lab:
        """Start a lab; where this machine cannot, the test is skipped, or fails with --netlab-strict."""
        try:
            lab = Lab.up(source, mode=mode, name=name)
        except MissingCapability as missing:
            give_up(self.config, missing)
        self.used.append(lab)
        return lab

    def find(self, source: str, beside: Path) -> Path:
        """A topology file: beside the test, below the root of the tests, or in the current folder."""
        tried = [folder / source for folder in (beside, self.config.rootpath, Path.cwd())]
        for path in tried:
            if path.exists():
                return path
        looked = ", ".join(dict.fromkeys(map(str, tried)))
        pytest.fail(f"there is no topology file {source}: looked for {looked}", pytrace=False)

    # --- around a test

    def forget_test(self) -> None:
        """Another test begins: what the last one used is no longer of interest."""
        self.used.clear()
        forget_doubts()

    def begin(self, item: pytest.Item) -> None:
        """The test's fixtures are there."""
        values = getattr(item, "funcargs", {}).values()
        self.used += [value for value in values if isinstance(value, Lab) and value not in self.used]
        for lab in self.used:
            if lab.name in self.kept:
                pytest.fail(f"{lab!r} is as a failed test has left it (--netlab-keep)", pytrace=False)
        if self.used and self.config.getoption("--netlab-artifacts"):
            self.recording = Recording.begin(self.used)

    def note_report(
        self, item: pytest.Item, report: pytest.TestReport, failure: pytest.ExceptionInfo[BaseException] | None
    ) -> None:
        """Say why where the test has failed, while its labs are as it has left them."""
        if report.when == "call":
            self.end_capture()
        if not report.failed or report.when == "teardown" or failure is None:
            return
        keep = self.config.getoption("--netlab-keep")
        labs = tuple(lab for lab in self.used if lab.name in started())
        explain(
            Failure(item=item, report=report, error=failure.value, labs=labs, recording=self.recording),
            artifacts=self.config.getoption("--netlab-artifacts"),
            kept=keep,
        )
        if keep:
            self.kept |= {lab.name for lab in labs}

    def end_capture(self) -> None:
        """What is sent from now on is none of the test's."""
        if self.recording:
            self.recording.end()

    def end(self, item: pytest.Item, next_item: pytest.Item | None) -> None:
        """The test's own fixtures are gone: reset or end the labs that it shares, and see that nothing is left."""
        if self.recording:
            self.recording.discard()
            self.recording = None
        self._drop_kept()
        for key, shared in tuple(self.shared.items()):
            if shared.owner not in (SESSION, _module(next_item)) or next_item is None:
                del self.shared[key]
                self.down(shared.lab)
        lasting = {shared.lab.name for shared in self.shared.values()} | self.fixtures
        for lab in self.used:
            if lab.name in lasting and lab.name in started() and next_item is not None:
                lab.reset()
        self._require_nothing_left(item, lasting)

    def down(self, lab: Lab) -> None:
        """End a lab, unless it is kept. Failed: something of it is left."""
        if lab.name in self.kept:
            note_end(lab.name)
            return
        with suppress(NotFound):  # the test has ended it
            lab.down()
        if left := remains(LabPaths.of(lab.name)):
            pytest.fail(f"{lab!r} is down, and this is left of it: {', '.join(left)}", pytrace=False)

    def close(self) -> None:
        """The run ends."""
        for shared in tuple(self.shared.values()):
            self.down(shared.lab)
        self.shared.clear()

    def _drop_kept(self) -> None:
        """The next test that wants such a lab gets another one."""
        for key, shared in tuple(self.shared.items()):
            if shared.lab.name in self.kept:
                note_end(shared.lab.name)
                del self.shared[key]

    def _require_nothing_left(self, item: pytest.Item, lasting: set[str]) -> None:
        leaks = started() - lasting - self.kept
        found = [text for name in sorted(leaks) for text in self._end_leak(name)]
        if found:
            pytest.fail(f"{item.nodeid} has left behind: {'; '.join(found)}", pytrace=False)

    def _end_leak(self, name: str) -> Iterator[str]:
        paths = LabPaths.of(name)
        left = remains(paths)
        with ExitStack() as stack:
            stack.callback(note_end, name)
            if left:
                yield f"lab {name} ({', '.join(left)}), which is ended now"
                with suppress(NetlabError):
                    Lab(paths).down()


def _module(item: pytest.Item | None) -> str | None:
    module = item.getparent(pytest.Module) if item else None
    return module.nodeid if module else None
