"""scripts/with-kernel: what holds of a command on any kernel, tried on the one that is here."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.root
WITH_KERNEL = Path(__file__).parents[2] / "scripts" / "with-kernel"


def here(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [WITH_KERNEL, "--kernel", "native", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_words_and_the_status_of_the_command_come_back_apart() -> None:
    done = here("sh", "-c", 'echo "<$1>"; echo err >&2; exit 7', "sh", "two words's $HOME")
    assert (done.returncode, done.stdout, done.stderr) == (7, "<two words's $HOME>\n", "err\n")


def test_it_runs_in_the_current_folder(tmp_path: Path) -> None:
    assert here("pwd", cwd=tmp_path).stdout == f"{tmp_path}\n"


def test_results_come_back_even_of_a_command_that_fails(tmp_path: Path) -> None:
    done = here("--results", tmp_path / "new", "sh", "-c", 'echo it >"$NETLAB_RESULTS/seen"; exit 3')
    assert (done.returncode, (tmp_path / "new" / "seen").read_text()) == (3, "it\n")


def test_a_hang_ends_with_124_and_so_does_what_the_command_left_running() -> None:
    done = here("--timeout", "1", "sh", "-c", "sleep 1000 & sleep 1000")
    assert done.returncode == 124
    assert "ended after 1 seconds: sh -c" in done.stderr


def test_there_is_no_network_but_the_loopback() -> None:
    assert [line.split()[1] for line in here("ip", "-o", "link").stdout.splitlines()] == ["lo:"]
