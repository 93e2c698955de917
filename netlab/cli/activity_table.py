"""What goes on in a lab, as tables."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.cli.output import columns
from netlab.model.activity import Activity, NodeActivity, ServiceActivity


def activity_tables(found: Activity) -> str:
    """Services with their endpoints, then nodes."""
    services = [row for service in found.services for row in _service(service)]
    parts = [f"lab {found.lab}, the last {found.seconds:.1f} s\n"]
    if services:
        parts.append(columns(("SERVICE", "ENDPOINT", "NEW/S", "TRACKED", "UNANSWERED"), services))
    header = ("NODE", "MODE", "NEW/S", "TRACKED", "PROXY", "RULES", "LAST SYNC")
    parts.append(columns(header, map(_node, found.nodes)))
    return "\n".join(parts)


def _service(service: ServiceActivity) -> Iterator[tuple[str, ...]]:
    rate, tracked = f"{service.new_per_second:g}", str(service.tracked)
    yield service.service.removeprefix("service/"), "all", rate, tracked, str(service.unanswered)
    for endpoint in service.endpoints:
        yield "  ", endpoint.pod.removeprefix("pod/"), f"{endpoint.new_per_second:g}", str(endpoint.tracked), "  "


def _node(node: NodeActivity) -> tuple[str, ...]:
    proxy = node.proxy
    state = "stopped" if not proxy.running else "synced" if proxy.synced else "behind"
    lasted = "" if proxy.last_sync_seconds is None else f"{proxy.last_sync_seconds * 1000:.0f} ms"
    rules = "" if proxy.rules is None else str(proxy.rules)
    return (node.node, node.mode.value, f"{node.new_per_second:g}", str(node.tracked), state, rules, lasted)
