"""What goes on in a lab, counted from two looks at what its nodes track."""

from __future__ import annotations

from netlab.cli.activity_table import activity_tables
from netlab.lab.activity import Look, activity, by_key
from netlab.model.activity import Activity
from netlab.model.connections import Direction, End, FlowTable, TrackedFlow
from netlab.model.modes import ProxyMode
from netlab.model.status import LabStatus, NodeStatus, Phase, ProxyStatus, ServiceRow

PROXY = ProxyStatus(running=True, synced=True, rules=74, last_sync_seconds=0.024)
LAB = LabStatus(
    lab="two-nodes",
    phase=Phase.RUNNING,
    rootless=False,
    nodes=(
        NodeStatus(
            name="node1", address="172.18.0.2", pod_cidr="10.244.0.0/24", proxy_mode=ProxyMode.IPTABLES, proxy=PROXY
        ),
    ),
    pods=(),
    services=(
        ServiceRow(
            name="web", namespace="default", type="ClusterIP", cluster_ip="10.96.0.80", ports=("80/TCP",), endpoints=2
        ),
    ),
)


def flow(
    port: int, *, pod: str | None = "pod/web-1", service: str | None = "service/web", state: str = ""
) -> TrackedFlow:
    client, target = End(address="10.244.0.3", port=port), End(address="10.96.0.80", port=80)
    return TrackedFlow(
        family="IPv4",
        protocol="tcp",
        state=state or "TIME_WAIT",
        timeout_seconds=119,
        mark=0,
        original=Direction(source=client, destination=target),
        reply=Direction(source=target, destination=client),
        service=service,
        pod=pod,
    )


def look(moment: float, *flows: TrackedFlow) -> Look:
    return Look(moment, {"node1": by_key(FlowTable(node="node1", flows=flows))})


def between(before: Look, after: Look) -> Activity:
    return activity(LAB, before, after)


def test_only_flows_that_were_not_there_before_are_new() -> None:
    found = between(look(10.0, flow(1), flow(2)), look(12.0, flow(2), flow(3), flow(4), flow(5, pod="pod/web-2")))
    (web,) = found.services
    assert (found.seconds, web.new_per_second, web.tracked, web.unanswered) == (2.0, 1.5, 4, 0)
    assert [(each.pod, each.new_per_second, each.tracked) for each in web.endpoints] == [
        ("pod/web-1", 1.0, 3),
        ("pod/web-2", 0.5, 1),
    ]


def test_what_goes_to_no_service_counts_for_the_node_alone() -> None:
    found = between(look(0.0), look(1.0, flow(1, service=None)))
    assert (found.services[0].tracked, found.nodes[0].tracked, found.nodes[0].new_per_second) == (0, 1, 1.0)
    assert found.services[0].endpoints == ()


def test_flows_that_nobody_answered_are_told() -> None:
    found = between(look(0.0), look(1.0, flow(1, pod=None, state="SYN_SENT"), flow(2)))
    assert found.services[0].unanswered == 1
    assert {each.pod for each in found.services[0].endpoints} == {"nobody", "pod/web-1"}


def test_the_tables_have_services_endpoints_and_proxies() -> None:
    shown = activity_tables(between(look(0.0), look(1.0, flow(1), flow(2, pod="pod/web-2"))))
    lines = [line.split() for line in shown.splitlines()]
    assert ["web", "all", "2", "2", "0"] in lines
    assert ["web-1", "1", "1"] in lines
    assert ["node1", "iptables", "2", "2", "synced", "74", "24", "ms"] in lines
