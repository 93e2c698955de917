"""What a load balancer asks a node: does it have ready endpoints of a Service whose traffic stays on its node?"""

from __future__ import annotations

from dataclasses import dataclass

from netlab.proxy.changes import ChangeTracker
from netlab.proxy.ports import ServiceName


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A Service's healthCheckNodePort, and how many ready endpoints it has on this node, whatever their family.

    The node answers 200 where there is one, else 503.
    """

    service: ServiceName
    port: int
    local_endpoints: int


def health_checks(known: ChangeTracker) -> tuple[HealthCheck, ...]:
    """The health checks that the node must answer, as last collected, by Service."""
    ports: dict[ServiceName, int] = {}
    addresses: dict[ServiceName, set[str]] = {}
    for key, port in known.ports.items():
        if port.health_check_port:
            ports[key.service] = port.health_check_port
            found = (str(e.address) for e in known.endpoints(key) if e.local and e.ready)
            addresses.setdefault(key.service, set()).update(found)
    return tuple(HealthCheck(service, ports[service], len(addresses[service])) for service in sorted(ports))
