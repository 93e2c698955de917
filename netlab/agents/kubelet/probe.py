"""Readiness probes, made from the node's network namespace as a kubelet makes them.

Source: "Configure Liveness, Readiness and Startup Probes" of the Kubernetes documentation.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address

from netlab.errors import NetlabError
from netlab.model.objects import Container, HttpGetAction, PortReference, Probe, TcpSocketAction

USER_AGENT = "kube-probe/1.36"
STATUS_LINE_LIMIT = 4096
FIRST_GAP_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """Where a container is reached. `run` runs a command beside the container and gives its exit status."""

    container: Container
    address: str
    run: Callable[[tuple[str, ...]], Awaitable[int]]


class ProbeFailure(NetlabError):
    """A probe that did not succeed, and why."""


class Readiness:
    """What a row of probes says: whether the container is ready, and when to probe next.

    Until a container has been ready once, a failed probe is repeated soon, as Kubernetes allows itself, and not after
    a whole period: a command that needs a moment to start does not cost ten seconds.
    """

    def __init__(self, probe: Probe, *, ready: bool) -> None:
        self.ready = ready
        self.gap = float(probe.period_seconds)
        """Seconds from the start of the last probe to that of the next."""
        self._probe = probe
        self._soon = self.gap if ready else FIRST_GAP_SECONDS
        self._last = ready
        self._row = 0

    def changed_by(self, *, success: bool) -> bool:
        """Take the outcome of a probe; whether `ready` is another now."""
        self._row = self._row + 1 if success == self._last else 1
        self._last = success
        period, threshold = float(self._probe.period_seconds), self._probe.failure_threshold
        self.gap = period if success else min(self._soon, period)
        self._soon *= 2
        if success == self.ready or self._row < (self._probe.success_threshold if success else threshold):
            return False
        self.ready, self._soon = success, period
        return True


async def watch_readiness(probe: Probe, target: ProbeTarget, tell: Callable[[bool, str], None], *, ready: bool) -> None:
    """Probe for ever, and `tell` each change of readiness and its reason. `ready` is what is believed at first."""
    loop, readiness = asyncio.get_running_loop(), Readiness(probe, ready=ready)
    await asyncio.sleep(probe.initial_delay_seconds)
    while True:
        began = loop.time()
        why = await outcome(probe, target)
        if readiness.changed_by(success=not why):
            tell(readiness.ready, why)
        await asyncio.sleep(max(0.0, began + readiness.gap - loop.time()))


async def outcome(probe: Probe, target: ProbeTarget) -> str:
    """Probe once: empty for success, else why it failed."""
    try:
        async with asyncio.timeout(probe.timeout_seconds):
            await _attempt(probe, target)
    except TimeoutError:
        return f"no answer within {probe.timeout_seconds} s"
    except (NetlabError, OSError, ValueError) as error:
        return str(error)
    return ""


async def _attempt(probe: Probe, target: ProbeTarget) -> None:
    if probe.http_get:
        await _http_get(probe.http_get, target)
    elif probe.tcp_socket:
        await _tcp_socket(probe.tcp_socket, target)
    elif probe.exec:
        status = await target.run(probe.exec.command)
        if status != 0:
            raise ProbeFailure(f"the command ended with {status}")


async def _tcp_socket(action: TcpSocketAction, target: ProbeTarget) -> None:
    port, host = port_number(action.port, target.container), numeric(action.host or target.address)
    _, writer = await asyncio.open_connection(host, port)
    writer.transport.abort()


async def _http_get(action: HttpGetAction, target: ProbeTarget) -> None:
    """200 to 399 is success. A certificate is not checked, as a kubelet does not."""
    port, host = port_number(action.port, target.container), numeric(action.host or target.address)
    security = ssl._create_unverified_context() if action.scheme == "HTTPS" else None
    reader, writer = await asyncio.open_connection(host, port, ssl=security, limit=STATUS_LINE_LIMIT)
    try:
        writer.write(request_text(action, host=host, port=port).encode())
        line = await reader.readline()
    finally:
        writer.transport.abort()
    status = status_of(line)
    if not 200 <= status < 400:
        raise ProbeFailure(f"HTTP status {status}")


def request_text(action: HttpGetAction, *, host: str, port: int) -> str:
    """The request; `httpHeaders` of the probe may replace its header fields."""
    name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    fields = {"Host": name, "User-Agent": USER_AGENT, "Accept": "*/*"}
    fields |= {header.name: header.value for header in action.http_headers}
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "Connection: close"]
    return "\r\n".join([*lines, "", ""])


def status_of(line: bytes) -> int:
    """The status of an HTTP status line. ProbeFailure where it is none."""
    parts = line.split(maxsplit=2)
    with contextlib.suppress(ValueError, IndexError):
        if parts[0].startswith(b"HTTP/"):
            return int(parts[1])
    raise ProbeFailure("the answer is not HTTP")


def numeric(host: str) -> str:
    """The host, if it is an address: nodes know no resolver. ProbeFailure where it is a name."""
    try:
        return str(ip_address(host))
    except ValueError as error:
        raise ProbeFailure(f"{host!r} is not an address, and a node resolves no names") from error


def port_number(port: PortReference, container: Container) -> int:
    """A port by number, or by the name that the container gives it. ProbeFailure where no port has it."""
    if isinstance(port, int):
        return port
    for declared in container.ports:
        if declared.name == port:
            return declared.container_port
    raise ProbeFailure(f"the container has no port named {port!r}")
