"""The rules that hold for every test, tried on small suites of their own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
SKIPPED = 'import pytest\n\n\n@pytest.mark.skip(reason="no ipvs here")\ndef test_ipvs():\n    pass\n'
SKIPPED_WHOLE = 'import pytest\n\npytest.skip("no ipvs here", allow_module_level=True)\n'
EXPECTED_FAILURE = "import pytest\n\n\n@pytest.mark.xfail\ndef test_later():\n    raise NotImplementedError\n"


def run_suite(folder: Path, source: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run one test module under this project's conftest."""
    for name in ("conftest.py", "leaks.py"):
        shutil.copy(TESTS / name, folder)
    (folder / "test_it.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_skip_is_only_told(tmp_path: Path) -> None:
    done = run_suite(tmp_path, SKIPPED)
    assert (done.returncode, "1 skipped" in done.stdout) == (0, True), done.stdout


def test_a_skip_fails_where_none_is_allowed_and_says_why_it_was_one(tmp_path: Path) -> None:
    done = run_suite(tmp_path, SKIPPED, "--no-skips")
    assert done.returncode == 1
    assert "no skip is allowed in this run, but: Skipped: no ipvs here" in done.stdout


def test_a_skip_of_a_whole_module_fails_too(tmp_path: Path) -> None:
    done = run_suite(tmp_path, SKIPPED_WHOLE, "--no-skips")
    assert done.returncode != 0
    assert "no ipvs here" in done.stdout


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    done = run_suite(tmp_path, EXPECTED_FAILURE, "--no-skips")
    assert (done.returncode, "1 xfailed" in done.stdout) == (0, True), done.stdout
