"""Answers on the healthCheckNodePorts of Services: may a load balancer send this node what must stay on its node?

Source: k8s.io/kubernetes/pkg/proxy/healthcheck/service_health.go, version 1.36.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from aiohttp import web

from netlab.agents.kube_proxy.listening import Listener
from netlab.model.rules import Family
from netlab.proxy.health import HealthCheck

log = logging.getLogger(__name__)


Hosts = Mapping[Family, tuple[str, ...]]
EVERYWHERE: Hosts = {Family.IPV4: ("0.0.0.0",), Family.IPV6: ("::",)}


class _Place(NamedTuple):
    """What one listener listens on: a port of some addresses of one family."""

    family: Family
    hosts: tuple[str, ...]
    port: int


class HealthCheckServers:
    """One listener a port and family: each family counts its own endpoints, as in kube-proxy each has its own proxier.

    `healthy` says whether the proxy itself keeps up; where it does not, the answer is 503.
    """

    def __init__(self, healthy: Callable[[], bool]) -> None:
        self._healthy = healthy
        self._checks: dict[tuple[Family, int], HealthCheck] = {}
        self._listeners: dict[_Place, Listener] = {}

    async def follow(self, checks: Iterable[HealthCheck], *, hosts: Hosts = EVERYWHERE) -> None:
        """Answer to these from now on and to no others, on those addresses.

        A port that somebody else has is said and tried again later.
        """
        found = {(check.family, check.port): check for check in checks}
        wanted = {_Place(check.family, hosts[check.family], check.port): check.service for check in found.values()}
        for place in self._listeners.keys() - wanted.keys():
            await self._listeners.pop(place).close()  # who has asked by then gets the answer of before
            log.info("%s health checks on port %d ended", place.family, place.port)
        self._checks = found
        for place in sorted(wanted.keys() - self._listeners.keys()):
            describe = f"{place.family} health checks of {wanted[place]}"
            listener = Listener([web.get("/{path:.*}", self._answer)], describe=describe)
            if await listener.open(place.hosts, place.port):
                self._listeners[place] = listener

    async def close(self) -> None:
        """Stop listening."""
        await self.follow(())

    def _asked(self, request: web.Request) -> HealthCheck | None:
        """The check that is answered where the request came to: of an IPv6 socket, four values tell."""
        address = request.transport.get_extra_info("sockname") if request.transport else None
        return self._checks.get((Family.IPV6 if len(address) == 4 else Family.IPV4, address[1])) if address else None

    async def _answer(self, request: web.Request) -> web.Response:
        check = self._asked(request)
        if check is None:
            return web.Response(status=404)
        healthy = self._healthy()
        body = {
            "service": {"namespace": check.service.namespace, "name": check.service.name},
            "localEndpoints": check.local_endpoints,
            "serviceProxyHealthy": healthy,
        }
        return web.Response(
            text=json.dumps(body, indent="\t"),
            status=200 if check.local_endpoints and healthy else 503,
            content_type="application/json",
            headers={
                "X-Content-Type-Options": "nosniff",
                "X-Load-Balancing-Endpoint-Weight": str(check.local_endpoints),
            },
        )
