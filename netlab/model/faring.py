"""How packets fare through one proxy and through another: the JSON shape `Comparison` of netlab/v1."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from netlab.model.journey import PacketVerdict, Report
from netlab.model.rules import Family


class Way(BaseModel):
    """Packets that are compared: from where, to what, in which family, by so many flows.

    `node` is the node whose proxy they try; `loyal` says that flows of one client stay with one Pod, `local` that a
    node may keep to its own Pods.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    target: str
    family: Family
    flows: int
    node: str = ""
    loyal: bool = False
    local: bool = False


class Fate(BaseModel):
    """What became of the packets of one way: their verdicts, who got them, and as whose they came."""

    model_config = ConfigDict(frozen=True)

    verdicts: tuple[PacketVerdict, ...] = ()
    pods: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def __str__(self) -> str:
        got = f" by {', '.join(self.pods)}" if self.pods else ""
        seen = f", coming from {', '.join(self.sources)}" if self.sources else ""
        return f"{' and '.join(self.verdicts)}{got}{seen}"


class Difference(BaseModel):
    """Packets that fare otherwise on the two sides."""

    model_config = ConfigDict(frozen=True)

    packets: str
    a: str
    b: str


class Comparison(Report):
    """What `netlab compare` found. `notes` say what could not be compared, and why."""

    kind: Literal["Comparison"] = "Comparison"
    a: str
    b: str
    compared: int
    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()
