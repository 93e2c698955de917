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

from netlab.agents.kube_proxy.listening import EVERYWHERE, Listener
from netlab.agents.kube_proxy.metrics import Metrics
from netlab.model.modes import ProxyMode
from netlab.model.rules import Backend, Family
from netlab.model.status import ProxyReport
from netlab.proxy.complaints import Complaint

LONGEST_WAIT_SECONDS = 60.0
COMPLAINTS_AT_MOST = 100
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Binding:
    """Where to listen: an address and a port of the node. An address of zeros means every one, of both families."""

    host: str
    port: int

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses to listen on, as Go's net.Listen understands the host."""
        return EVERYWHERE if self.host in ("", *EVERYWHERE) else (self.host,)


HEALTH = Binding("0.0.0.0", 10256)
METRICS = Binding("127.0.0.1", 10249)


class Observed(Protocol):
    """What the server tells of."""

    metrics: Metrics
    mode: ProxyMode

    def rule_counts(self) -> Mapping[tuple[Family, str], int]: ...

    def complaints(self) -> tuple[Complaint, ...]: ...

    def backend(self) -> Backend | None:
        """Where the kernel has the rules; None before the first sync."""
        ...

    def lost(self) -> str:
        """Why the API server cannot be reached; empty while it can."""
        ...

    def healthy(self) -> bool:
        """Whether syncs come to pass when they are asked for."""
        ...

    def node_eligible(self) -> bool:
        """Whether load balancers may send the node new connections: it is not about to go."""
        ...

    def followed(self) -> Mapping[str, int]:
        """By kind, the newest resourceVersion that the rules follow from."""
        ...

    async def progress(self) -> None:
        """Return when a sync has succeeded again."""
        ...

    def compare(self) -> None:
        """Have the next sync, which comes at once, compare all rules with the kernel's."""
        ...


class StatusServer:
    """The two listeners; a binding that is None has none."""

    def __init__(self, observed: Observed, *, health: Binding | None, metrics: Binding | None) -> None:
        self._observed = observed
        self._bindings = (("health", health, self._health_routes()), ("metrics", metrics, self._metrics_routes()))
        self._listeners: list[Listener] = []

    async def start(self) -> None:
        """Listen."""
        for name, binding, routes in self._bindings:
            if binding is not None:
                listener = Listener(routes, describe=name)
                await listener.open(binding.hosts, binding.port)
                self._listeners.append(listener)

    async def close(self) -> None:
        for listener in self._listeners:
            await listener.close()

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
        eligible = self._observed.node_eligible()
        answers = self._observed.metrics.health_answers
        return self._health(answers.update, ok=eligible, more={"nodeEligible": eligible})

    async def _livez(self, _: web.Request) -> web.Response:
        return self._health(self._observed.metrics.live_answers.update, ok=True, more={})

    def _health(self, count: Callable[[list[str]], None], *, ok: bool, more: Mapping[str, bool]) -> web.Response:
        """503 while a sync that was asked for has not come to pass for longer than two periods."""
        metrics, now, healthy = self._observed.metrics, time.time(), self._observed.healthy()
        status = 200 if healthy and ok else 503
        count([str(status)])
        body = {
            "lastUpdated": _timestamp(now if healthy else metrics.last_sync),
            "currentTime": _timestamp(now),
            **more,
        }
        return web.json_response(body, status=status)

    async def _ok(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _proxy_mode(self, _: web.Request) -> web.Response:
        return web.Response(text=self._observed.mode.value)

    async def _metrics(self, _: web.Request) -> web.Response:
        text = self._observed.metrics.text(self._observed.rule_counts())
        return web.Response(body=text.encode(), headers={"Content-Type": METRICS_TYPE})

    async def _status(self, request: web.Request) -> web.Response:
        """A ProxyReport, once the rules follow from the resourceVersions asked for, or `within` seconds have passed.

        With `compare` all rules were compared with the kernel's too by then.
        """
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
                if "compare" in request.query:
                    observed.compare()
                    await observed.progress()
        except TimeoutError:
            log.info("asked for %s, followed only %s", wanted, dict(observed.followed()))
        report = ProxyReport(
            mode=observed.mode.value,
            followed=dict(observed.followed()),
            rules=sum(observed.rule_counts().values()) if observed.metrics.last_sync else None,
            last_sync_seconds=observed.metrics.last_sync_seconds,
            complaints=tuple(map(str, observed.complaints()[:COMPLAINTS_AT_MOST])),
            backend=observed.backend(),
            lost=observed.lost(),
        )
        return web.json_response(json.loads(report.model_dump_json(by_alias=True)))


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat()
