"""docs/trace.md shows what the command prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from netlab.cli.main import run

ROOT = Path(__file__).parents[2]
SHOWN = re.findall(
    r"^ {4}\$ netlab (trace .*--predict.*)\n((?: {4}.*\n|\n(?= {4}))+)",
    (ROOT / "docs/trace.md").read_text(),
    re.MULTILINE,
)


def test_some_output_is_shown() -> None:
    assert len(SHOWN) == 3


@pytest.mark.parametrize(("command", "printed"), SHOWN, ids=[command for command, _ in SHOWN])
def test_the_output_shown_is_real(
    command: str, printed: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    run(shlex.split(command))
    shown = [line.removeprefix("    ") for line in printed.rstrip("\n").splitlines()]
    assert capsys.readouterr().out.splitlines() == shown
