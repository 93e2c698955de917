"""What is said of a failed test beside its traceback, and what is kept of its labs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from netlab.errors import NetlabError, TimedOut
from netlab.python import Lab, Probe
from netlab.python.explaining import last_doubted
from netlab.testing.artifacts import write_artifacts
from netlab.testing.recording import Recording

LONGEST_FOLDER = 120


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed test, with the labs that it used as they are at that moment."""

    item: pytest.Item
    report: pytest.TestReport
    error: BaseException
    labs: tuple[Lab, ...]
    recording: Recording | None


def explain(failure: Failure, *, artifacts: str | None, kept: bool) -> None:
    """Add to the report the journey of the probe that the failed assertion asked last, and write the artifacts."""
    story = _story(failure)
    if story:
        _add(failure.report, "netlab: the last probe", story)
    for lab in failure.labs:
        if artifacts:
            folder = Path(artifacts) / folder_name(failure.item.nodeid) / lab.name
            _add(failure.report, "netlab: artifacts", _written(failure, lab, folder, story))
        if kept:
            text = f"netlab status -l {lab.name}\nnetlab down {lab.name}"
            _add(failure.report, f"netlab: lab {lab.name} is kept", text)


def folder_name(nodeid: str) -> str:
    """The test's id as the name of a folder."""
    return re.sub(r"[^\w.=-]+", "_", nodeid.replace("/", ".").replace(".py::", ".").replace("::", "."))[
        -LONGEST_FOLDER:
    ].strip("_.")


def _story(failure: Failure) -> str:
    """Nothing where no probe was asked, or the message has its journey already."""
    probe = last_doubted()
    if not isinstance(failure.error, AssertionError | TimedOut) or not isinstance(probe, Probe) or not failure.labs:
        return ""
    return "" if repr(probe) in str(failure.error) and "hop by hop" in str(failure.error) else probe.explain()


def _written(failure: Failure, lab: Lab, folder: Path, story: str) -> str:
    capture = failure.recording.files.get(lab.name) if failure.recording else None
    try:
        write_artifacts(
            lab, folder, title=failure.item.nodeid, failure=failure.report.longreprtext, story=story, capture=capture
        )
    except (NetlabError, OSError) as error:
        return f"{folder}: not all could be written: {error}"
    return str(folder / "report.html")


def _add(report: pytest.TestReport, title: str, text: str) -> None:
    """Below the traceback, where it is shown whatever --show-capture says."""
    add = getattr(report.longrepr, "addsection", None)
    if add:
        add(title, text.rstrip("\n"), "-")
    else:
        report.sections.append((title, text))
