"""The public surface, as a list: whatever is not on it may change without notice."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import netlab
import netlab.python
from netlab import errors

ROOT = Path(__file__).parents[2]
PUBLIC = {"Capture", "Executed", "HttpAnswer", "Lab", "Probe", "Reset", "Spot"}
EXIT_CODES = {
    "NetlabError": 1,
    "InvalidInput": 2,
    "TimedOut": 1,
    "CommandFailed": 1,
    "LabBusy": 2,
    "MissingCapability": 3,
    "NotFound": 4,
    "KernelError": 1,
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_package_itself_offers_labs_its_version_and_nothing_else() -> None:
    assert set(netlab.__all__) == {*PUBLIC, "__version__"}
    assert set(netlab.python.__all__) == PUBLIC
    assert {getattr(netlab, name).__name__ for name in PUBLIC} == PUBLIC
    assert re.fullmatch(r"\d+\.\d+\.\d+", netlab.__version__)


def test_a_name_that_the_package_has_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Labs'"):
        netlab.Labs  # noqa: B018


def test_nothing_of_a_lab_is_imported_until_it_is_asked_for() -> None:
    asked = "import sys, netlab; print([n for n in sys.modules if n.startswith('netlab')])"
    done = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True)
    assert done.stdout == "['netlab']\n"


def test_the_distribution_brings_one_command() -> None:
    commands = {
        entry.name: entry.value for entry in entry_points(group="console_scripts") if entry.dist.name == "kube-netlab"
    }
    assert commands == {"netlab": "netlab.cli.main:main"}


@pytest.mark.parametrize(("name", "code"), EXIT_CODES.items(), ids=[f"{n} exits {c}" for n, c in EXIT_CODES.items()])
def test_errors_keep_their_exit_codes(name: str, code: int) -> None:
    assert getattr(errors, name).exit_code == code


@pytest.mark.parametrize(("status", "code"), [(404, 4), (409, 2), (422, 2), (500, 1)])
def test_an_api_error_exits_by_its_status(status: int, code: int) -> None:
    assert errors.ApiError(status, "Reason", "message").exit_code == code


def test_the_wheel_holds_every_topology_and_lab_of_the_checkout(wheel: zipfile.ZipFile) -> None:
    there = {f"netlab/{path.relative_to(ROOT)}" for path in (ROOT / "topologies").rglob("*") if path.is_file()}
    assert there
    assert there <= set(wheel.namelist())


def test_the_wheel_holds_the_data_files_beside_the_code(wheel: zipfile.ZipFile) -> None:
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "netlab").rglob("*.json")}
    assert there <= set(wheel.namelist())


def test_the_wheel_says_under_which_terms_it_comes(wheel: zipfile.ZipFile) -> None:
    metadata = wheel.read(next(name for name in wheel.namelist() if name.endswith("/METADATA"))).decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert any(name.endswith("/licenses/LICENSE") for name in wheel.namelist())
