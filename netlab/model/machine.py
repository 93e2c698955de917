"""What `doctor` reports: the JSON shape `MachineReport` of netlab/v1."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Check(BaseModel):
    """One thing that a lab needs (`required`) or can use. `remedy` says what to do where it is not there."""

    model_config = ConfigDict(frozen=True)

    name: str
    ok: bool
    required: bool = True
    detail: str = ""
    remedy: str = ""


class MachineReport(BaseModel):
    """Whether a lab can run here, for the user who asks."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    api_version: Literal["netlab/v1"] = "netlab/v1"
    kind: Literal["MachineReport"] = "MachineReport"
    kernel: str
    rootless: bool
    checks: tuple[Check, ...]

    @property
    def ready(self) -> bool:
        """Whether everything that a lab needs is there."""
        return all(check.ok for check in self.checks if check.required)
