"""Which way the kernel would send a packet, in the words of `ip route get fibmatch`.

Sources: rtnetlink(7), <linux/rtnetlink.h>; net/ipv4/fib_frontend.c for what it refuses and why.
"""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address

from netlab.errors import KernelError
from netlab.kernel.netlink import RouteSocket, attribute, attributes
from netlab.model.rules import IPAddress

RTM_GETROUTE = 26
MESSAGE = struct.Struct("=BBBBBBBBI")
FIB_MATCH = 0x2000
DESTINATION, SOURCE, INCOMING, OUTGOING, GATEWAY, MARK = 1, 2, 3, 4, 5, 16
KINDS = {2: "local", 3: "broadcast", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
NO_WAY = {7: errno.EHOSTUNREACH, 8: errno.EACCES, 6: errno.EINVAL}
HEADER_BYTES = 16


@dataclass(frozen=True, slots=True)
class Choice:
    """A route as ip-route(8) spells it, or why there is none: `number` is the errno, 0 where there is a way."""

    text: str
    number: int = 0

    @property
    def is_local(self) -> bool:
        """Whether the packet is for this very machine."""
        return self.text.startswith("local ")


def choose(
    destination: IPAddress, *, source: IPAddress | None = None, incoming: int = 0, mark: int = 0, where: str
) -> Choice:
    """Ask in the current network namespace, for a packet that starts here, or came by the interface `incoming`."""
    family = socket.AF_INET if isinstance(destination, IPv4Address) else socket.AF_INET6
    bits = destination.max_prefixlen
    parts = [attribute(DESTINATION, destination.packed)]
    if source is not None:
        parts.append(attribute(SOURCE, source.packed))
    parts += [
        attribute(kind, struct.pack("=I", value)) for kind, value in ((INCOMING, incoming), (MARK, mark)) if value
    ]
    head = MESSAGE.pack(family, bits, bits if source is not None else 0, 0, 0, 0, 0, 0, FIB_MATCH)
    try:
        with RouteSocket(where) as route:
            answer = route.ask(RTM_GETROUTE, head + b"".join(parts))
    except KernelError as error:
        return Choice(_refused(destination, error.number), error.number)
    return _spelled(answer)


def _spelled(answer: bytes) -> Choice:
    _, bits, _, _, _, _, _, kind, _ = MESSAGE.unpack_from(answer, HEADER_BYTES)
    found = attributes(answer[HEADER_BYTES + MESSAGE.size :])
    network = f"{ip_address(found[DESTINATION])}" if DESTINATION in found and bits else ""
    whole = network and bits == ip_address(found[DESTINATION]).max_prefixlen
    words = [KINDS[kind]] if kind in KINDS else []
    words.append("default" if not network else network if whole else f"{network}/{bits}")
    if GATEWAY in found:
        words.append(f"via {ip_address(found[GATEWAY])}")
    if OUTGOING in found:
        words.append(f"dev {_interface(found[OUTGOING])}")
    return Choice(" ".join(words), NO_WAY.get(kind, 0))


def _interface(index: bytes) -> str:
    try:
        return socket.if_indextoname(int.from_bytes(index, "little"))
    except OSError:
        return str(int.from_bytes(index, "little"))


def _refused(destination: IPAddress, number: int) -> str:
    reasons = {
        errno.ENETUNREACH: "no route",
        errno.EHOSTUNREACH: "unreachable",
        errno.EACCES: "prohibited",
        errno.EXDEV: "the way back to the sender leads elsewhere (rp_filter)",
        errno.EINVAL: "not accepted from that source (martian)",
    }
    return f"{destination}: {reasons.get(number, errno.errorcode.get(number, str(number)))}"
