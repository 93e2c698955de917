"""Who speaks and listens in `pods` and `world` of the stage, with whole connections: there each address is somebody's.

A kube-proxy that accepts connections itself cannot be asked with single packets. Whatever node1 lets out is taken in by
the kernel of the place that it goes to, whose every port that tests use is listened on; who listens tells where it was
reached, and by whom.
"""

from __future__ import annotations

import socket
import subprocess
from asyncio import AbstractEventLoop
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from ipaddress import IPv6Address, ip_address
from itertools import product
from typing import NamedTuple

from proxy_stage import MACS, NODE, PODS, WORLD
from proxy_wire import Flow

from netlab.kernel import sysctls
from netlab.kernel.namespaces import inside
from netlab.model.rules import IPAddress, Protocol
from netlab.model.state import Sysctl
from netlab.proxy.addresses import with_port
from netlab.workload.datagrams import IP_PKTINFO

TRANSPARENT = {4: (socket.IPPROTO_IP, 19), 6: (socket.IPPROTO_IPV6, 75)}
"""IP_TRANSPARENT, IPV6_TRANSPARENT of <linux/in.h> and <linux/in6.h>: to speak from an address that is not ours."""
TELL_ADDRESS = {4: (socket.IPPROTO_IP, IP_PKTINFO), 6: (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO)}
ADDRESS_IN = {4: slice(8, 12), 6: slice(0, 16)}
"""Of struct in_pktinfo, in6_pktinfo: where the address is that a datagram was sent to."""
EVERY_ADDRESS = {4: "0.0.0.0", 6: "::"}
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
KINDS = {Protocol.TCP: socket.SOCK_STREAM, Protocol.UDP: socket.SOCK_DGRAM}
SETTINGS = {
    "net/ipv6/conf/all/accept_dad": "0",
    "net/ipv6/conf/eth0/accept_dad": "0",
    "net/ipv6/conf/eth0/accept_ra": "0",
    "net/ipv6/conf/eth0/accept_redirects": "0",
    "net/ipv6/conf/eth0/disable_ipv6": "0",
    **{
        f"net/ipv4/conf/{each}/{key}": value
        for each in ("all", "eth0")
        for key, value in {"rp_filter": "0", "accept_redirects": "0", "route_localnet": "1"}.items()
    },
}
"""With route_localnet an answer from node1's loopback address would be heard."""
WAYS = (
    "ip address add 169.254.1.3/32 dev eth0",
    "ip neighbour add 169.254.1.2 lladdr {node} dev eth0 nud permanent",
    "ip neighbour add fe80::2 lladdr {node} dev eth0 nud permanent",
    "ip route add default via 169.254.1.2 dev eth0 onlink",
    "ip route add ::/0 via fe80::2 dev eth0 onlink",
    "ip -4 rule add iif eth0 lookup 100",
    "ip -6 rule add iif eth0 lookup 100",
    "ip -4 route add local default dev eth0 table 100",
    "ip -6 route add local default dev eth0 table 100",
)
"""All that comes in by eth0 is for this machine, all that it sends goes to node1, even what is for loopback addresses:
lo is down."""
LONGEST = 200


class Answer(NamedTuple):
    """What who listens says: in which place it is, at which address and port it was asked, and by whom."""

    place: str
    at: str
    source: str
    source_port: int

    def spelled(self) -> bytes:
        return " ".join(map(str, self)).encode()


def read_answer(text: bytes) -> Answer:
    place, at, source, port = text.decode().split()
    return Answer(place, at, source, int(port))


def give_stacks() -> None:
    """Have `pods` and `world` take in what node1 sends there."""
    for place in (PODS, WORLD):
        with inside(place):
            for key, value in SETTINGS.items():
                sysctls.write(Sysctl(key, value), where=place)
            for command in WAYS:
                subprocess.run(command.format(node=MACS[place][0]).split(), check=True)
    with inside(NODE):
        for tool in ("iptables-legacy", "ip6tables-legacy"):
            # As on every machine whose policy of INPUT is DROP: kube-proxy lets new connections in, no more.
            rule = "-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"
            subprocess.run([tool, *rule.split()], check=True)


def opened(protocol: Protocol, version: int, *, place: str) -> socket.socket:
    """A socket in that place, which may take any address."""
    with inside(place):
        found = socket.socket(FAMILIES[version], KINDS[protocol] | socket.SOCK_NONBLOCK)
    found.setsockopt(*TRANSPARENT[version], 1)
    return found


def client_of(flow: Flow, *, place: str) -> socket.socket:
    """Who asks, bound to its address."""
    found = opened(flow.protocol, flow.source.version, place=place)
    found.bind((str(flow.source), flow.source_port))
    return found


@contextmanager
def listening(ports: Iterable[int], *, loop: AbstractEventLoop) -> Iterator[None]:
    """In every place somebody answers on each of these ports of every address, whenever the loop runs."""
    with ExitStack() as stack:
        for place, version, protocol, port in product((PODS, WORLD, NODE), FAMILIES, KINDS, sorted(set(ports))):
            listener = stack.enter_context(opened(protocol, version, place=place))
            _listen(listener, port)
            answer = _accept if protocol is Protocol.TCP else _answer_datagrams
            loop.add_reader(listener, partial(answer, listener, place))
            stack.callback(loop.remove_reader, listener)
        yield


def _listen(listener: socket.socket, port: int) -> None:
    version = _version(listener)
    if version == 6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if listener.type == socket.SOCK_DGRAM:
        listener.setsockopt(*TELL_ADDRESS[version], 1)
    listener.bind((EVERY_ADDRESS[version], port))
    if listener.type == socket.SOCK_STREAM:
        listener.listen()


def _version(of: socket.socket) -> int:
    return 6 if of.family == socket.AF_INET6 else 4


def _accept(listener: socket.socket, place: str) -> None:
    with suppress(BlockingIOError):
        while True:
            connection, peer = listener.accept()
            with connection, suppress(ConnectionError):
                address, port = connection.getsockname()[:2]
                answer = Answer(place, with_port(ip_address(address), port), *peer[:2])
                connection.sendall(answer.spelled())


def _answer_datagrams(listener: socket.socket, place: str) -> None:
    with suppress(BlockingIOError):
        while True:
            try:
                _, ancillary, _, peer = listener.recvmsg(LONGEST, LONGEST)
            except ConnectionError:
                continue  # an earlier answer was not wanted any more
            ((level, kind, data),) = ancillary
            version = _version(listener)
            address = ip_address(data[ADDRESS_IN[version]])
            answer = Answer(place, with_port(address, listener.getsockname()[1]), *peer[:2])
            listener.sendmsg([answer.spelled()], [(level, kind, _from(address))], 0, peer)


def _from(address: IPAddress) -> bytes:
    """The control message that has an answer leave from that address."""
    if isinstance(address, IPv6Address):
        return address.packed + bytes(4)
    return bytes(4) + address.packed + bytes(4)
