"""The import contracts hold, and each of them notices a violation planted in a copy of the package."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
LAYERS = [[name.strip() for name in layer.split("|")] for layer in CONTRACTS[0]["layers"]]
UPWARD = [
    (lower, upper) for one, other in zip(LAYERS[1:], LAYERS, strict=False) for lower in one for upper in other
]  # fmt: skip
SIDEWAYS = [(one, other) for layer in LAYERS for one in layer for other in layer if one != other]
STRAY = [
    (source.removeprefix("netlab.").replace("netlab", "lab"), forbidden)
    for contract in CONTRACTS[1:]
    for source in contract["source_modules"]
    for forbidden in contract["forbidden_modules"]
]


def copy_package(folder: Path) -> Path:
    """The package and its contracts, in a folder of their own."""
    shutil.copytree(ROOT / "netlab", folder / "netlab", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder / "netlab"


def plant(package: Path, importer: str, *imported: str) -> None:
    """Add a module (to a folder) or lines (to a module) that import what they must not."""
    lines = "".join(f"import {name}\n" for name in imported)
    if (package / importer).is_dir():
        (package / importer / "planted.py").write_text(lines)
    else:
        with (package / f"{importer}.py").open("a") as module:
            module.write(lines)


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What import-linter says about a package in which every forbidden import was planted, all at once."""
    folder = tmp_path_factory.mktemp("planted")
    package = copy_package(folder)
    planted: dict[str, list[str]] = {}
    for importer, imported in [*UPWARD, *SIDEWAYS]:
        planted.setdefault(importer, []).append(f"netlab.{imported}")
    for importer, imported in STRAY:
        planted.setdefault(importer, []).append(imported)
    for importer, names in planted.items():
        plant(package, importer, *names)
    return lint(folder).stdout


def test_the_package_keeps_its_contracts(tmp_path: Path) -> None:
    copy_package(tmp_path)
    done = lint(tmp_path)
    assert done.returncode == 0, done.stdout


def planted_in(importer: str) -> str:
    return f"netlab.{importer}.planted" if (ROOT / "netlab" / importer).is_dir() else f"netlab.{importer}"


@pytest.mark.parametrize(("importer", "imported"), UPWARD, ids=[f"{a} may not import {b}" for a, b in UPWARD])
def test_a_layer_does_not_import_the_one_above(report: str, importer: str, imported: str) -> None:
    assert f"{planted_in(importer)} -> netlab.{imported}" in report


@pytest.mark.parametrize(("importer", "imported"), SIDEWAYS, ids=[f"{a} may not import {b}" for a, b in SIDEWAYS])
def test_siblings_do_not_import_one_another(report: str, importer: str, imported: str) -> None:
    assert f"{planted_in(importer)} -> netlab.{imported}" in report


@pytest.mark.parametrize(("importer", "imported"), STRAY, ids=[f"{a} may not import {b}" for a, b in STRAY])
def test_a_library_is_used_behind_its_one_door(report: str, importer: str, imported: str) -> None:
    assert f"{planted_in(importer)} -> {imported}" in report


@pytest.mark.parametrize("contract", [contract["name"] for contract in CONTRACTS])
def test_every_contract_can_be_broken(report: str, contract: str) -> None:
    assert f"{contract} BROKEN" in report


def test_a_folder_that_is_in_no_layer_breaks_the_build(tmp_path: Path) -> None:
    (copy_package(tmp_path) / "utils").mkdir()
    (tmp_path / "netlab" / "utils" / "__init__.py").touch()
    done = lint(tmp_path)
    assert done.returncode == 1
    assert "utils" in done.stdout
