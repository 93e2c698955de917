"""What `modes` reports: the JSON shape `ModeComparison` of netlab/v1."""

from __future__ import annotations

from typing import Literal

from netlab.model.modes import ProxyMode
from netlab.model.status import Row


class Behaviour(Row):
    """How a packet fares in one mode, where modes differ: a few words each, for a table."""

    rules_in: str
    endpoint_by: str
    client_address: str
    no_endpoints: str
    node_port_on: str
    node_port_on_loopback: str
    other_port: str
    """A port that a ClusterIP does not have."""
    sctp: str
    without_process: str
    """What established rules are worth once the kube-proxy process has died."""


class Cost(Row):
    """What one Service of two endpoints adds: rules that packets are compared with, and entries of sets and maps.

    A set or map is asked once however many entries it has.
    """

    rules: float
    entries: float = 0.0


class Paired(Row):
    """A figure through a ClusterIP, the same directly from Pod to Pod in turns with it, and the first by the second.

    They are medians of rounds, the ratio too: that of each round's two figures.
    Connections are in microseconds, transfers in megabytes (10^6 bytes) a second.
    """

    service: float
    direct: float
    ratio: float


class Measurement(Row):
    """One mode with so many Services; `problem` says why something could not be measured."""

    services: int
    first_sync_milliseconds: float | None = None
    rules: int | None = None
    connection: Paired | None = None
    transfer: Paired | None = None
    problem: str = ""


class ModeRow(Row):
    """One mode: whether this machine can do it, and if not, what it lacks and what to do about that."""

    mode: ProxyMode
    usable: bool
    missing: str = ""
    remedy: str = ""
    cost: Cost
    behaviour: Behaviour
    measurements: tuple[Measurement, ...] = ()


class ModeComparison(Row):
    api_version: Literal["netlab/v1"] = "netlab/v1"
    kind: Literal["ModeComparison"] = "ModeComparison"
    kernel: str
    rootless: bool
    modes: tuple[ModeRow, ...]
