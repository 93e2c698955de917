"""Answers on the healthCheckNodePorts of Services: may a load balancer send this node what must stay on its node?

Source: k8s.io/kubernetes/pkg/proxy/healthcheck/service_health.go, version 1.36.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable

from aiohttp import web

from netlab.agents.kube_proxy.listening import EVERYWHERE, Listener
from netlab.proxy.health import HealthCheck

log = logging.getLogger(__name__)


class HealthCheckServers:
    """One listener a port. `healthy` says whether the proxy itself keeps up; where it does not, the answer is 503.

    `hosts` are the addresses to listen on, those where node ports answer.
    """

    def __init__(self, healthy: Callable[[], bool], *, hosts: tuple[str, ...] = EVERYWHERE) -> None:
        self._healthy = healthy
        self._hosts = hosts
        self._checks: dict[int, HealthCheck] = {}
        self._listeners: dict[int, Listener] = {}

    async def follow(self, checks: Iterable[HealthCheck]) -> None:
        """Answer to these from now on and to no others. A port that somebody else has is said and tried again later."""
        self._checks = {check.port: check for check in checks}
        for port in self._listeners.keys() - self._checks.keys():
            await self._listeners.pop(port).close()
            log.info("health checks on port %d ended", port)
        for port in self._checks.keys() - self._listeners.keys():
            listener = Listener([web.get("/{path:.*}", self._answer)], describe=f"health checks of {self._name(port)}")
            if await listener.open(self._hosts, port):
                self._listeners[port] = listener

    async def close(self) -> None:
        """Stop listening."""
        await self.follow(())

    def _name(self, port: int) -> str:
        return str(self._checks[port].service)

    async def _answer(self, request: web.Request) -> web.Response:
        address = request.transport.get_extra_info("sockname") if request.transport else None
        check = self._checks.get(address[1]) if address else None
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
