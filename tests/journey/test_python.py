"""Labs from Python: what docs/python.md shows is so, and what it says of errors."""

from __future__ import annotations

import multiprocessing
import re
import threading
from pathlib import Path

import pytest

from netlab import Lab
from netlab.errors import ApiError, CommandFailed, InvalidInput, NotFound, TimedOut
from netlab.lab.nursery import close_nursery
from netlab.lab.remains import remains
from netlab.model.objects import Service
from netlab.model.paths import LabPaths

pytestmark = pytest.mark.root
ROOT = Path(__file__).parents[2]
SHOWN = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "python.md").read_text(), re.MULTILINE | re.DOTALL)


def test_what_the_documentation_shows_is_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    try:
        for number, block in enumerate(SHOWN, start=1):
            exec(compile(block, f"block {number} of docs/python.md", "exec"), names)
    finally:
        lab = names.get("lab")
        if isinstance(lab, Lab) and remains(LabPaths.of(lab.name)):
            lab.down()
        close_nursery()


def test_errors_say_what_was_asked_and_what_is_there() -> None:
    with Lab.up(str(ROOT / "topologies" / "two-nodes.yaml")) as lab:
        with pytest.raises(NotFound, match="no network namespace"):
            lab.pod("nobody").exec("true")
        with pytest.raises(InvalidInput, match="is not a target"):
            lab.pod("shell").probe("web:80")
        with pytest.raises(InvalidInput, match="there is no fault 'rain'"):
            lab.break_("rain")
        with pytest.raises(InvalidInput, match=r"there is no kind 'servise' \(did you mean service\?\)"):
            lab.get("servise", "web")
        with pytest.raises(ApiError, match='services "nobody" not found'):
            lab.get(Service, "nobody")
        with pytest.raises(CommandFailed, match="pod/shell: /bin/sh -c echo no >&2; exit 7: exit status 7: no"):
            lab.pod("shell").exec("echo no >&2; exit 7", check=True)
        with pytest.raises(TimedOut, match=r"still running after 0.2 s"):
            lab.pod("shell").exec("sleep 60", timeout=0.2)
        with pytest.raises(TimedOut, match=r"waited 0.1 s for an answer; .* <pod/shell -> pod/web-1:9: 1 refused"):
            lab.wait_for(lambda: lab.pod("shell").probe("pod/web-1:9").reached, timeout=0.1, what="an answer")
        with pytest.raises(InvalidInput, match="nothing that could be"):
            lab.capture("/dev/null", filter="nothing that could be").__enter__()
    with pytest.raises(NotFound, match="there is no running lab"):
        Lab.attach(lab.name)
    close_nursery()


def _bring_up(name: str) -> None:
    with Lab.up(str(ROOT / "topologies" / "minimal.yaml"), name=name):
        pass
    close_nursery()


def test_a_program_with_threads_and_its_children_start_labs() -> None:
    resting = threading.Event()
    thread = threading.Thread(target=resting.wait)
    thread.start()
    try:
        _bring_up("threaded")
        child = multiprocessing.get_context("fork").Process(target=_bring_up, args=("of-a-child",))
        child.start()
        child.join()
        assert child.exitcode == 0
    finally:
        resting.set()
        thread.join()
    assert [remains(LabPaths.of(name)) for name in ("threaded", "of-a-child")] == [(), ()]
