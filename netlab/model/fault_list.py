"""What `faults` reports: the JSON shapes `FaultList` and `FaultShown` of netlab/v1."""

from __future__ import annotations

from typing import Literal

from netlab.model.status import Row


class FaultRow(Row):
    """A fault of the catalogue; `in_force` are the victims that have it in the lab, `node/n1` say."""

    name: str
    scope: str
    summary: str
    evidence: str
    in_force: tuple[str, ...] = ()


class FaultStep(Row):
    """What a step does, and what takes it back: empty where that is another step's undoing."""

    does: str
    undo: str


class FaultList(Row):
    """The whole catalogue."""

    api_version: Literal["netlab/v1"] = "netlab/v1"
    kind: Literal["FaultList"] = "FaultList"
    faults: tuple[FaultRow, ...]


class FaultShown(Row):
    """One fault and its steps for `victim`; without a victim `reason` says why there is none."""

    api_version: Literal["netlab/v1"] = "netlab/v1"
    kind: Literal["FaultShown"] = "FaultShown"
    fault: FaultRow
    victim: str = ""
    reason: str = ""
    steps: tuple[FaultStep, ...] = ()
