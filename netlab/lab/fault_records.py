"""What a lab remembers of its faults: the steps of each, written down before they are made.

So a `break` that was killed half-way can be healed as well: `begun` counts the steps that may have been made.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from netlab.faults.names import FaultName
from netlab.faults.steps import Step
from netlab.model.paths import LabPaths


class Record(BaseModel):
    """A fault that is in force in `victim` (`node/n1`), or was about to be. `whole`: all of its steps were made.

    `secret`: it is for a learner to find, so that it is listed nowhere, and healed only by its name and its victim's.
    """

    model_config = ConfigDict(frozen=True)

    fault: FaultName
    victim: str
    steps: tuple[Annotated[Step, Field(discriminator="do")], ...]
    begun: int = 0
    whole: bool = False
    secret: bool = False

    @property
    def key(self) -> tuple[FaultName, str]:
        """What tells records apart: a fault can be in a victim once."""
        return self.fault, self.victim


_records: TypeAdapter[tuple[Record, ...]] = TypeAdapter(tuple[Record, ...])


def read(paths: LabPaths) -> tuple[Record, ...]:
    """What is in force, the oldest first."""
    try:
        return _records.validate_json(paths.faults.read_bytes())
    except FileNotFoundError:
        return ()


def told(paths: LabPaths) -> tuple[Record, ...]:
    """Those that are no secret."""
    return tuple(record for record in read(paths) if not record.secret)


def put(paths: LabPaths, record: Record) -> None:
    """Remember a fault, or more of it: in the place of its older record, or as the newest."""
    records = {each.key: each for each in read(paths)} | {record.key: record}
    _write(paths, records.values())


def forget(paths: LabPaths, record: Record) -> None:
    """The fault is healed."""
    _write(paths, (each for each in read(paths) if each.key != record.key))


def _write(paths: LabPaths, records: Iterable[Record]) -> None:
    """A reader, and a lab that was killed, find the old text or the new one."""
    fresh = paths.faults.with_suffix(".new")
    fresh.write_bytes(_records.dump_json(tuple(records), indent=2))
    os.replace(fresh, paths.faults)
