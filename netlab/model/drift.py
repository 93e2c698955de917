"""Where a lab's kernel holds something else than its objects want: the JSON shape `DriftReport` of netlab/v1."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from netlab.model.journey import Report


class DriftKind(StrEnum):
    """What is otherwise. duplicate: an address that is another's. extra: an interface that nobody planned."""

    NAMESPACE = "namespace"
    SETTING = "setting"
    LINK = "link"
    MTU = "mtu"
    HAIRPIN = "hairpin"
    ADDRESS = "address"
    DUPLICATE = "duplicate"
    ROUTE = "route"
    NEIGHBOUR = "neighbour"
    RULES = "rules"
    BOTH_KINDS = "both-kinds"
    EXTRA = "extra"


class Drift(BaseModel):
    """One thing that is otherwise at a place (`node/node1`, `fabric`).

    `subject` is the setting's key, the interface, the address, or the route's destination. `text` says what is there
    and what should be; `remedy` is the command that puts it right.
    """

    model_config = ConfigDict(frozen=True)

    place: str
    kind: DriftKind
    subject: str
    text: str
    remedy: str


class DriftReport(Report):
    """All of it."""

    kind: Literal["DriftReport"] = "DriftReport"
    drift: tuple[Drift, ...] = ()
