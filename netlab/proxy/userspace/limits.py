"""What mode userspace cannot do of a Route: it is said, not served in silence."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.model.rules import Protocol
from netlab.proxy.complaints import Complaint
from netlab.proxy.decide import Route


def is_served(route: Route) -> bool:
    """Whether the mode has a socket for the port: it copies TCP and UDP."""
    return route.key.protocol is not Protocol.SCTP


def serves_load_balancer(route: Route) -> bool:
    """Whether the load balancer's addresses lead to the port.

    A rule of the table nat can only send on or let pass, and the socket behind it does not learn which address a
    client asked: nobody can be kept out, so nobody is let in.
    """
    return route.allowed_sources is None


def complaints(route: Route) -> Iterator[Complaint]:
    """What of the Route is not served."""
    service, port = str(route.key.service), route.port.port
    if not is_served(route):
        message = f"mode userspace does not do SCTP: port {port} is not served"
        yield Complaint("Service", service, "spec.ports", message)
    elif not serves_load_balancer(route):
        message = f"mode userspace cannot keep others out: the load balancer's port {port} is not served"
        yield Complaint("Service", service, "spec.loadBalancerSourceRanges", message)
