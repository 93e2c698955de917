"""Tracked connections as a person reads them."""

from __future__ import annotations

import re

from netlab.cli.flow_table import flow_rows
from netlab.model.connections import Direction, End, FlowTable, TrackedFlow

CLIENT = End(address="fd00::3", port=4000, name="pod/shell")
SERVICE = End(address="fd00:96::80", port=80, name="service/web")
POD = End(address="fd00::2", port=8080, name="pod/web-1")
NODE = End(address="fd00::1", port=5000)


def flow(*, answer_to: End, source: End = POD) -> TrackedFlow:
    return TrackedFlow(
        family="IPv6",
        protocol="tcp",
        state="ESTABLISHED",
        timeout_seconds=86400,
        mark=0,
        original=Direction(source=CLIENT, destination=SERVICE),
        reply=Direction(source=source, destination=answer_to),
        translated=source != SERVICE,
        masqueraded=answer_to != CLIENT,
    )


def test_a_row_tells_both_translations() -> None:
    shown = flow_rows(FlowTable(node="node1", flows=(flow(answer_to=NODE),)))
    assert re.split(r" {2,}", shown.splitlines()[1]) == [
        *("tcp", "ESTABLISHED", "86400", "[fd00::3]:4000 (pod/shell)"),
        *("[fd00:96::80]:80 (service/web)", "[fd00::2]:8080 (pod/web-1)", "[fd00::1]:5000"),
    ]


def test_what_is_not_translated_is_the_same() -> None:
    shown = flow_rows(FlowTable(node="node1", flows=(flow(answer_to=CLIENT, source=SERVICE),)))
    assert shown.splitlines()[1].endswith("the same      the same")


def test_no_flow_is_said() -> None:
    assert flow_rows(FlowTable(node="node1")) == "node1 tracks no such flow\n"
