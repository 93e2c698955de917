"""What a kube-proxy answers about itself over HTTP, on the ports that kube-proxy uses.

0.0.0.0:10256 /healthz and /livez; 127.0.0.1:10249 /metrics, /proxyMode, /healthz, and /proxy-status, which is netlab's.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from aiohttp import web

from netlab.agents.kube_proxy.metrics import Metrics
from netlab.model.rules import Family
from netlab.model.status import ProxyReport

LONGEST_WAIT_SECONDS = 60.0
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Binding:
    """Where to listen: an address and a port of the node."""

    host: str
    port: int


HEALTH = Binding("0.0.0.0", 10256)
METRICS = Binding("127.0.0.1", 10249)


class Observed(Protocol):
    """What the server tells of."""

    metrics: Metrics
    max_seconds: float

    def rule_counts(self) -> Mapping[tuple[Family, str], int]: ...

    def followed(self) -> Mapping[str, int]:
        """By kind, the newest resourceVersion that the rules follow from."""
        ...

    async def progress(self) -> None:
        """Return when a sync has succeeded again."""
        ...


class StatusServer:
    """The two listeners."""

    def __init__(self, observed: Observed, *, health: Binding, metrics: Binding) -> None:
        self._observed = observed
        self._bindings = {health: self._health_routes(), metrics: self._metrics_routes()}
        self._runners: list[web.AppRunner] = []

    async def start(self) -> None:
        """Listen. A port that somebody else has is said and done without, as kube-proxy does."""
        for binding, routes in self._bindings.items():
            app = web.Application()
            app.add_routes(routes)
            runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
            await runner.setup()
            self._runners.append(runner)
            try:
                await web.TCPSite(runner, binding.host, binding.port, reuse_address=True).start()
            except OSError as error:
                log.error("cannot listen on %s:%d: %s", binding.host, binding.port, error)

    async def close(self) -> None:
        for runner in self._runners:
            await runner.cleanup()

    def _health_routes(self) -> list[web.RouteDef]:
        return [web.get("/healthz", self._healthz), web.get("/livez", self._livez)]

    def _metrics_routes(self) -> list[web.RouteDef]:
        return [
            web.get("/metrics", self._metrics),
            web.get("/proxyMode", self._proxy_mode),
            web.get("/healthz", self._ok),
            web.get("/proxy-status", self._status),
        ]

    async def _healthz(self, _: web.Request) -> web.Response:
        return self._health(self._observed.metrics.health_answers.update)

    async def _livez(self, _: web.Request) -> web.Response:
        return self._health(self._observed.metrics.live_answers.update)

    def _health(self, count: Callable[[list[str]], None]) -> web.Response:
        """503 while a sync that was asked for has not come to pass for longer than two periods."""
        metrics, now = self._observed.metrics, time.time()
        late = metrics.queued > metrics.last_sync and now - metrics.queued > 2 * self._observed.max_seconds
        status = 503 if late or not metrics.last_sync else 200
        count([str(status)])
        body = {
            "lastUpdated": _timestamp(metrics.last_sync if late else now),
            "currentTime": _timestamp(now),
            "nodeEligible": True,
        }
        return web.json_response(body, status=status)

    async def _ok(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _proxy_mode(self, _: web.Request) -> web.Response:
        return web.Response(text="iptables")

    async def _metrics(self, _: web.Request) -> web.Response:
        text = self._observed.metrics.text(self._observed.rule_counts())
        return web.Response(body=text.encode(), headers={"Content-Type": METRICS_TYPE})

    async def _status(self, request: web.Request) -> web.Response:
        """A ProxyReport, once the rules follow from the resourceVersions asked for, or `within` seconds have passed."""
        try:
            wanted = {kind: int(request.query.get(kind, "0")) for kind in ("services", "endpointslices")}
            within = min(float(request.query.get("within", "0")), LONGEST_WAIT_SECONDS)
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"resourceVersions and seconds are numbers: {error}") from error
        observed = self._observed
        try:
            async with asyncio.timeout(within):
                while any(observed.followed().get(kind, 0) < version for kind, version in wanted.items()):
                    await observed.progress()
        except TimeoutError:
            log.info("asked for %s, followed only %s", wanted, dict(observed.followed()))
        report = ProxyReport(
            followed=dict(observed.followed()),
            rules=sum(observed.rule_counts().values()) if observed.metrics.last_sync else None,
            last_sync_seconds=observed.metrics.last_sync_seconds,
        )
        return web.json_response(json.loads(report.model_dump_json(by_alias=True)))


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat()
