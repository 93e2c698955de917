"""A lab's kube-proxy whose mode this machine cannot do: it says so wherever one looks, and waits for another mode."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from netlab.agents.kube_proxy.agent import AgentOptions
from netlab.agents.kube_proxy.metrics import Metrics
from netlab.agents.kube_proxy.server import StatusServer
from netlab.errors import MissingCapability
from netlab.model.modes import ProxyMode
from netlab.model.rules import Backend, Family
from netlab.proxy.complaints import Complaint
from netlab.proxy.config import ProxyConfig

log = logging.getLogger(__name__)


class Incapable:
    """What the status server tells of a proxy that has no rules: why."""

    def __init__(self, config: ProxyConfig, error: MissingCapability) -> None:
        self.metrics = Metrics()
        self.mode: ProxyMode = config.mode
        self.complaint = Complaint("Node", config.node_name, "proxyMode", f"{config.mode}: {error}")

    def rule_counts(self) -> Mapping[tuple[Family, str], int]:
        return {}

    def complaints(self) -> tuple[Complaint, ...]:
        return (self.complaint,)

    def backend(self) -> Backend | None:
        return None

    def lost(self) -> str:
        return ""

    def healthy(self) -> bool:
        return False

    def node_eligible(self) -> bool:
        return False

    def followed(self) -> Mapping[str, int]:
        return {}

    async def progress(self) -> None:
        """Never."""
        await asyncio.Event().wait()

    def compare(self) -> None:
        """There are no rules."""


async def say_incapable(
    config: ProxyConfig, error: MissingCapability, options: AgentOptions, *, tell: Callable[[Complaint], None]
) -> None:
    """Say it in the log, as an Event of the Node and on the status ports, until cancelled. The kernel is left alone."""
    incapable = Incapable(config, error)
    log.error("%s", incapable.complaint)
    tell(incapable.complaint)
    server = StatusServer(incapable, health=options.health, metrics=options.metrics)
    await server.start()
    try:
        await asyncio.Event().wait()
    finally:
        await server.close()
