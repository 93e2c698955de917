"""The log of packets (NFLOG group 0), where legacy tables report those under trace.

A namespace's /proc/sys/net/netfilter/nf_log/2 and /10 say where the reports of IPv4 and IPv6 go; the rest of the
namespace's logging (the target LOG) does not depend on it. Sources: <linux/netfilter/nfnetlink_log.h>,
net/netfilter/nf_log.c (nf_log_trace), net/netfilter/nfnetlink_log.c.
"""

from __future__ import annotations

import errno
import re
import socket
import struct
from collections.abc import Iterator

from netlab.errors import KernelError, MissingCapability
from netlab.kernel import sysctls
from netlab.kernel.netfilter_group import received
from netlab.kernel.netlink import Request, RouteSocket, attribute, attributes
from netlab.kernel.tracing.events import HOOKS, Kind, TraceEvent, legacy_priority
from netlab.model.rules import Family
from netlab.model.state import Sysctl

NETLINK_NETFILTER = 12
LOG_SUBSYSTEM = 4 << 8
PACKET, CONFIGURE = LOG_SUBSYSTEM | 0, LOG_SUBSYSTEM | 1
COMMAND, COPY_MODE, THRESHOLD = 1, 2, 5
BIND, COPY_PACKETS = 1, 2
BYTES_OF_EACH = 128
HEADER_INFO, MARK, INCOMING, OUTGOING, BRIDGE_PORT, PAYLOAD, PREFIX = 1, 2, 4, 5, 6, 9, 10
NETFILTER_HEADER = struct.Struct(">BBH")
LOGGER = "nfnetlink_log"
SETTINGS = {Family.IPV4: "net/netfilter/nf_log/2", Family.IPV6: "net/netfilter/nf_log/10"}
_TRACED = re.compile(r"TRACE: ([^:]+):([^:]+):(rule|policy|return):(\d+) ?")


class PacketLog(RouteSocket):
    """Group 0 of the current network namespace, for one reader alone. KernelError: somebody else reads it (EBUSY)."""

    protocol = NETLINK_NETFILTER

    def __init__(self, where: str) -> None:
        super().__init__(where)
        header = NETFILTER_HEADER.pack(socket.AF_UNSPEC, 0, 0)
        requests = [
            Request(CONFIGURE, 0, header + attribute(COMMAND, bytes((BIND,)))),
            Request(CONFIGURE, 0, header + attribute(COPY_MODE, struct.pack(">IBB", BYTES_OF_EACH, COPY_PACKETS, 0))),
            Request(CONFIGURE, 0, header + attribute(THRESHOLD, struct.pack(">I", 1))),
        ]
        for refusal in self.send(requests):
            self.close()
            raise KernelError("read the packets under trace (NFLOG group 0)", where, refusal.number, refusal.message)

    def events(self) -> Iterator[TraceEvent]:
        """What was reported since this was last asked, in its order."""
        self._socket.setblocking(False)
        for kind, body in received(self._socket):
            event = _event(body) if kind == PACKET else None
            if event is not None:
                yield event


def logger_here(family: Family) -> str | None:
    """Where packets under trace are reported in this namespace; None where this kernel reports none."""
    return sysctls.read(SETTINGS[family])


def require_logger(family: Family) -> None:
    """MissingCapability where this kernel reports no packets under trace."""
    if logger_here(family) is None:
        raise MissingCapability("logging of packets by netfilter", "use a kernel with CONFIG_NETFILTER_NETLINK_LOG")


def set_logger(family: Family, logger: str, *, where: str) -> None:
    """Have them reported there. MissingCapability."""
    try:
        sysctls.write(Sysctl(SETTINGS[family], logger), where=where)
    except KernelError as error:
        remedy = "sudo modprobe nfnetlink_log" if error.number == errno.ENOENT else "run as the namespace's owner"
        raise MissingCapability(f"nf_log of {where} cannot be {logger}", remedy) from error


def _event(body: bytes) -> TraceEvent | None:
    found = attributes(body[NETFILTER_HEADER.size :])
    traced = _TRACED.match(found.get(PREFIX, b"").rstrip(b"\0").decode(errors="replace"))
    if traced is None:
        return None
    hook = HOOKS[found[HEADER_INFO][2]]
    return TraceEvent(
        table=traced[1],
        chain=traced[2],
        kind=Kind(traced[3]),
        number=int(traced[4]),
        packet=found.get(PAYLOAD, b""),
        mark=_number(found.get(MARK)),
        place=f"{traced[1]}/{hook}",
        hook=hook,
        priority=legacy_priority(traced[1], hook),
        incoming=_number(found.get(INCOMING)),
        outgoing=_number(found.get(OUTGOING)),
        bridge_port=_number(found.get(BRIDGE_PORT)),
    )


def _number(data: bytes | None) -> int:
    return int.from_bytes(data, "big") if data else 0
