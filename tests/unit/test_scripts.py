"""What the scripts promise before they change anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHELL_TOOLS = ("sh", "readlink", "cat", "sha256sum", "id", "sed", "flock", "dirname")
NOBODY = 65534


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the installer reads, readable by anybody, without a .venv."""
    for part in ("scripts", "requirements"):
        shutil.copytree(ROOT / part, tmp_path / "checkout" / part)
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "checkout")
    for folder in (tmp_path, *tmp_path.parents):
        folder.chmod(0o755)
        if folder.name.startswith("pytest-of-"):
            break
    return tmp_path / "checkout"


def bare_machine(folder: Path, *extra: str) -> Path:
    """A PATH with a shell's tools, a Debian's apt-get that refuses, and nothing else but `extra`."""
    folder.mkdir()
    for tool in (*SHELL_TOOLS, *extra):
        (folder / tool).symlink_to(shutil.which(tool) or f"/usr/sbin/{tool}")
    (folder / "apt-get").write_text("#!/bin/sh\necho apt-get must not run >&2\nexit 99\n")
    (folder / "apt-get").chmod(0o755)
    return folder


def as_nobody(command: list[str | Path], path: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run as an ordinary user, which root stops being for it."""
    ids = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    return subprocess.run(
        command, env={"PATH": path, **env}, cwd="/", capture_output=True, text=True, check=False, **ids
    )


def test_an_ordinary_user_is_told_what_to_run_as_root(checkout: Path) -> None:
    checkout.chmod(0o555)
    done = as_nobody([checkout / "scripts" / "netlab", "version"], os.environ["PATH"])
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("netlab: ")
    assert "sudo" in done.stderr


def test_missing_packages_are_named_with_the_command_that_installs_them(checkout: Path, tmp_path: Path) -> None:
    no_python = {"NETLAB_PYTHON": "/nonexistent/python3"}
    done = as_nobody([checkout / "scripts" / "install"], str(bare_machine(tmp_path / "bin")), **no_python)
    assert done.returncode == 3
    assert "Install: sudo apt-get install" in done.stderr
    assert " python3 python3-venv python3-dev" in done.stderr
    assert " curl " in done.stderr, "Pods of training labs ask with it"


def test_an_unknown_option_shows_the_usage_and_changes_nothing(checkout: Path) -> None:
    done = as_nobody([checkout / "scripts" / "install", "--everything"], os.environ["PATH"])
    assert (done.returncode, "scripts/install [--test]" in done.stderr) == (2, True)
    assert not (checkout / ".venv").exists()


def test_a_venv_with_the_stamp_of_this_lock_is_used_as_it_is(checkout: Path) -> None:
    stamp_venv(checkout)
    done = as_nobody([checkout / "scripts" / "netlab", "two words", "-o", "json"], os.environ["PATH"])
    assert (done.returncode, done.stdout, done.stderr) == (7, "<two words> <-o> <json> ", "")


def test_netlab_is_found_through_a_link_and_from_any_folder(checkout: Path, tmp_path: Path) -> None:
    stamp_venv(checkout)
    (tmp_path / "link").symlink_to(checkout / "scripts" / "netlab")
    assert as_nobody([tmp_path / "link", "ls"], os.environ["PATH"]).stdout == "<ls> "


def test_a_changed_lock_makes_the_stamp_stale(checkout: Path) -> None:
    stamp_venv(checkout)
    with (checkout / "requirements" / "run.txt").open("a") as lock:
        lock.write("# a newer lock\n")
    (checkout / ".venv").chmod(0o555)
    assert as_nobody([checkout / "scripts" / "netlab", "ls"], os.environ["PATH"]).returncode == 3


def stamp_venv(checkout: Path) -> None:
    """A .venv as the installer leaves it, with a netlab that prints its arguments and exits 7."""
    netlab = checkout / ".venv" / "bin" / "netlab"
    netlab.parent.mkdir(parents=True)
    netlab.write_text("#!/bin/sh\nprintf '<%s> ' \"$@\"\nexit 7\n")
    netlab.chmod(0o755)
    inputs = [
        *sorted((checkout / "requirements").glob("*.txt")),
        checkout / "pyproject.toml",
        checkout / "scripts/install",
    ]
    text = f"{checkout} \n".encode() + b"".join(path.read_bytes() for path in inputs)
    digest = subprocess.run(["sha256sum"], input=text, capture_output=True, check=True).stdout
    (checkout / ".venv" / ".stamp-run").write_bytes(digest)


def test_the_lock_names_no_registry_and_no_folder() -> None:
    for lock in (ROOT / "requirements").iterdir():
        text = lock.read_text()
        assert "://" not in text, lock
        assert "-index" not in text, lock
        assert "--find-links" not in text, lock


def test_every_dependency_of_the_project_is_locked_with_a_hash() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {*project["dependencies"], *project["optional-dependencies"]["test"]}
    locked = (ROOT / "requirements" / "test.txt").read_text().lower()
    for requirement in wanted:
        name = requirement.partition(">")[0].lower()
        assert f"\n{name}==" in locked, requirement
    assert locked.count("==") <= locked.count("--hash=sha256:")


def test_what_netlab_runs_with_is_what_it_is_tested_with() -> None:
    def pinned(name: str) -> set[str]:
        lines = (ROOT / "requirements" / name).read_text().splitlines()
        return {line.split(" ")[0] for line in lines if "==" in line}

    assert pinned("run.txt") <= pinned("test.txt")


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("with-kernel", []),
        ("with-kernel", ["--kernel", "uml"]),
        ("with-kernel", ["--kernel", "minix", "true"]),
        ("with-kernel", ["--need", "ipvs", "true"]),
        ("with-kernel", ["--help"]),
        ("test-kernels", ["minix"]),
        ("test-fresh", ["slackware"]),
    ],
)
def test_wrong_usage_of_a_script_shows_its_usage_and_runs_nothing(script: str, arguments: list[str]) -> None:
    done = as_nobody([ROOT / "scripts" / script, *arguments], os.environ["PATH"])
    assert (done.returncode, done.stdout) == (2, "")
    assert f"scripts/{script} [" in done.stderr
