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


async def watch_readiness(probe: Probe, target: ProbeTarget, tell: Callable[[bool, str], None], *, ready: bool) -> None:
    """Probe for ever, and `tell` each change of readiness and its reason. `ready` is what is believed at first.

    Until a container has been ready once, a failed probe is repeated soon, as Kubernetes allows itself, and not after
    a whole period: a command that needs a moment to start does not cost ten seconds.
    """
    await asyncio.sleep(probe.initial_delay_seconds)
    loop = asyncio.get_running_loop()
    row, last, soon = 0, ready, float(probe.period_seconds) if ready else FIRST_GAP_SECONDS
    while True:
        began = loop.time()
        why = await outcome(probe, target)
        succeeded = why == ""
        row = row + 1 if succeeded == last else 1
        last = succeeded
        if succeeded != ready and row >= (probe.success_threshold if succeeded else probe.failure_threshold):
            ready, soon = succeeded, float(probe.period_seconds)
            tell(ready, why)
        gap = float(probe.period_seconds) if succeeded else min(soon, probe.period_seconds)
        soon *= 2
        await asyncio.sleep(max(0.0, began + gap - loop.time()))


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
