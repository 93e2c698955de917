"""The flags of kube-proxy that say how the process behaves, as they were written, and as values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from netlab.cli.mistakes import wrong

if TYPE_CHECKING:
    from netlab.agents.kube_proxy import AgentOptions
    from netlab.agents.kube_proxy.server import Binding

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_DURATION = re.compile(rf"({_PART.pattern})+|0")
METRICS_PORT, HEALTH_PORT = 10249, 10256


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFlags:
    """Periods as Go writes durations; addresses as IP or IP:PORT, empty for none."""

    sync_period: str
    min_sync_period: str
    metrics: str
    healthz: str

    def options(self) -> AgentOptions:
        """As values. InvalidInput."""
        from netlab.agents.kube_proxy import AgentOptions

        period = duration("--iptables-sync-period", self.sync_period)
        shortest = duration("--iptables-min-sync-period", self.min_sync_period)
        if period <= 0:
            raise wrong(f"--iptables-sync-period: {self.sync_period!r} is not longer than nothing")
        if shortest > period:
            raise wrong(f"--iptables-min-sync-period: {self.min_sync_period!r} is longer than {self.sync_period!r}")
        return AgentOptions(
            sync_seconds=period,
            min_sync_seconds=shortest,
            metrics=_binding("--metrics-bind-address", self.metrics, port=METRICS_PORT),
            health=_binding("--healthz-bind-address", self.healthz, port=HEALTH_PORT),
        )


def duration(flag: str, text: str) -> float:
    """Seconds, as Go's time.ParseDuration reads `1m30s`. InvalidInput."""
    if not _DURATION.fullmatch(text):
        raise wrong(f"{flag}: {text!r} is no duration", "for instance 30s, 500ms or 1m30s")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def _binding(flag: str, text: str, *, port: int) -> Binding | None:
    """`10.0.0.1`, `10.0.0.1:10256`, `[::]:10256`, `::`, or nothing."""
    from netlab.agents.kube_proxy.server import Binding

    if not text:
        return None
    host, given = text, ""
    if found := re.fullmatch(r"\[(.*)\]:([0-9]{1,5})|([^:]*):([0-9]{1,5})", text):
        host, given = found[1] or found[3] or "", found[2] or found[4]
    try:
        address = str(ip_address(host.strip("[]")))
    except ValueError as error:
        raise wrong(f"{flag}: {text!r} is no address", "for instance 0.0.0.0:10256 or [::]:10256") from error
    if given and not 0 < int(given) < 65536:
        raise wrong(f"{flag}: {given} is no port")
    return Binding(address, int(given) if given else port)
