"""What a load balancer asks a node: does it have ready endpoints of a Service whose traffic stays on its node?"""

from __future__ import annotations

from dataclasses import dataclass

from netlab.model.rules import Family
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.ports import ServiceName


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A Service's healthCheckNodePort in one of its families, and how many ready endpoints of it are on this node.

    On its addresses of that family the node answers 200 where there is one, else 503.
    """

    service: ServiceName
    family: Family
    port: int
    local_endpoints: int


def health_checks(known: ChangeTracker) -> tuple[HealthCheck, ...]:
    """The health checks that the node must answer, as last collected, by Service and family."""
    ports: dict[tuple[ServiceName, Family], int] = {}
    addresses: dict[tuple[ServiceName, Family], set[str]] = {}
    for key, port in known.ports.items():
        if port.health_check_port:
            place = (key.service, key.family)
            ports[place] = port.health_check_port
            found = (str(e.address) for e in known.endpoints(key) if e.local and e.ready)
            addresses.setdefault(place, set()).update(found)
    return tuple(HealthCheck(*place, ports[place], len(addresses[place])) for place in sorted(ports))
