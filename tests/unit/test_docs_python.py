"""The Python that documents show: the outside project's own, or run by tests/journey/test_python.py."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OUTSIDE = ROOT / "tests" / "outside_project"
FILES = "\n".join(path.read_text() for path in sorted(OUTSIDE.rglob("*.py")))


def blocks(document: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(blocks("docs/pytest.md"))))
def test_what_is_shown_of_tests_stands_in_the_outside_project(number: int) -> None:
    assert blocks("docs/pytest.md")[number].strip() in FILES


def test_python_is_shown_in_these_documents_alone() -> None:
    with_python = {path.name for path in ROOT.glob("docs/**/*.md") if blocks(str(path.relative_to(ROOT)))}
    assert with_python == {"python.md", "pytest.md"}


def test_every_name_of_the_api_is_told_of() -> None:
    from netlab import Lab  # noqa: PLC0415 - it brings all of a lab along

    told = (ROOT / "docs" / "python.md").read_text()
    methods = {name for name in dir(Lab) if not name.startswith("_")}
    quiet = {"explain", "settle", "nodes", "name", "pods"}
    """Of methods that only do again what others do by themselves."""
    assert {name for name in methods - quiet if not re.search(rf"\b{name}\b", told)} == set()


@pytest.mark.parametrize("name", ["github.yml", "gitlab.yml"])
def test_the_workflows_to_copy_are_yaml_and_run_the_same_commands(name: str) -> None:
    text = json.dumps(yaml.safe_load((ROOT / "docs" / "ci" / name).read_text()))
    for part in ("apt-get install", ".venv/bin/pip install", ".venv/bin/netlab doctor", "--netlab-artifacts"):
        assert part in text
