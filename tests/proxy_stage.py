"""A node in the kernel, its Pods, and the rest of the world: where the packet tables' packets are really sent.

    nlpkt.pods ── cni0 [nlpkt.node1] eth0 ── nlpkt.world

`pods` stands for all Pods of node1, `world` for everything else: other nodes, their Pods, clients, whoever has the
addresses that node1 does not have. Neither has an address, only a packet socket: what node1 lets out is seen as it is
on the wire, and answered byte by byte.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from itertools import count
from typing import NamedTuple

from proxy_objects import NODE1
from proxy_tracer import in_interface
from proxy_wire import NUMBERS, Flow, Heard, Word, read, read_body, spell

from netlab.kernel import sysctls
from netlab.kernel.namespaces import Namespaces, delete, inside
from netlab.model.rules import IPAddress, Protocol
from netlab.model.state import Sysctl

NODE, PODS, WORLD = "nlpkt.node1", "nlpkt.pods", "nlpkt.world"
WIRES = {PODS: "cni0", WORLD: "eth0"}
"""The interface of node1 that leads there; at the other end it is eth0."""
MACS = {PODS: ("02:00:00:00:01:01", "02:00:00:00:01:02"), WORLD: ("02:00:00:00:02:01", "02:00:00:00:02:02")}
"""Of node1's end and of the other."""
GATEWAYS = ("169.254.1.1", "fe80::1")
OWN = {
    "eth0": ("192.168.50.11/32", "172.20.0.9/32", "fd00:50::11/128", "fd00:172::9/128"),
    "cni0": ("10.244.1.1/32", "fd00:10:244:1::1/128"),
}
ROUTES = {"eth0": ("default", "::/0"), "cni0": ("10.244.1.0/24", "fd00:10:244:1::/64")}
SETTINGS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv6/conf/all/forwarding": "1",
    "net/ipv6/conf/default/accept_dad": "0",
    **{
        f"net/ipv4/conf/{each}/{key}": "0"
        for each in ("all", "default")
        for key in ("rp_filter", "send_redirects", "accept_redirects", "route_localnet")
    },
    # ICMP errors are limited to one a second and client; here every packet's fate is asked.
    "net/ipv4/icmp_ratemask": "0",
    "net/ipv6/icmp/ratelimit": "0",
    "net/ipv6/icmp/ratemask": "0",
}
ETHERTYPES = {4: 0x0800, 6: 0x86DD}
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
ICMP = {4: socket.IPPROTO_ICMP, 6: socket.IPPROTO_ICMPV6}
IPV6_PKTINFO, IPV6_RECVPKTINFO = 50, 49
OUTGOING = 4
BUFFER = 4 * 2**20
HOPS = 3
"""Namespaces that a packet or the error about it passes at most."""
PATIENCE = 20.0
SENTINEL = Flow(Protocol.UDP, ip_address("198.51.100.1"), 9, ip_address(NODE1), 9)


class Sighting(NamedTuple):
    """Where a packet was seen: coming out of node1 to `pods` or `world`, or delivered to node1 itself."""

    place: str
    heard: Heard


class Stage:
    """The three places, with an ear in each."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._tokens = count(1)
        self._wires = {place: self._opened(place, _wire) for place in WIRES}
        self._raw = {
            version: self._opened(NODE, lambda f=family: socket.socket(f, socket.SOCK_RAW, socket.IPPROTO_RAW))
            for version, family in FAMILIES.items()
        }
        self._ears = {wire: place for place, wire in self._wires.items()}
        for version, family in FAMILIES.items():
            for number in (*NUMBERS.values(), ICMP[version]):
                self._ears[self._opened(NODE, lambda f=family, n=number: _listener(f, n))] = NODE
        self._by_number = {ear.fileno(): ear for ear in self._ears}
        self._poll = select.poll()
        for ear in self._ears:
            self._poll.register(ear, select.POLLIN)

    def _opened(self, place: str, opener: Callable[[], socket.socket]) -> socket.socket:
        with inside(place):
            return self._stack.enter_context(opener())

    def new_token(self) -> int:
        return next(self._tokens)

    def place_of(self, source: IPAddress, own: tuple[str, ...]) -> str:
        """Whence a packet with that source comes."""
        if str(source) in own or source.is_loopback:
            return NODE
        return PODS if in_interface(str(source)) == WIRES[PODS] else WORLD

    def send(self, flow: Flow, word: Word, token: int, *, place: str) -> None:
        """Send a packet from a place. What a rule of OUTPUT stops is no error."""
        packet, version = spell(flow, word, token), flow.source.version
        if place == NODE:
            try:
                self._raw[version].sendto(packet, (str(flow.destination), 0))
            except PermissionError:
                return
        else:
            mac = bytes.fromhex(MACS[place][0].replace(":", ""))
            self._wires[place].sendto(packet, ("eth0", ETHERTYPES[version], 0, 0, mac))

    def forget(self) -> None:
        """Forget what was heard until now."""
        for ear in self._ears:
            for _ in _drain(ear):
                pass

    def settled(self) -> list[Sighting]:
        """All that was seen since, once everything that was sent has come to its end.

        This thread stays on one processor, whose queue of packets between namespaces keeps their order: when a later
        packet has come through, a packet before it is a namespace further at least.
        """
        seen: list[Sighting] = []
        for _ in range(HOPS):
            token = self.new_token()
            self.send(SENTINEL, Word.QUESTION, token, place=WORLD)
            deadline = time.monotonic() + PATIENCE
            while not any(each.heard.flow == SENTINEL and each.heard.token == token for each in seen):
                assert time.monotonic() < deadline, "a packet to node1 itself got lost"
                seen += self._listen()
        return [each for each in seen if each.heard.flow != SENTINEL]

    def _listen(self) -> Iterator[Sighting]:
        for number, _ in self._poll.poll(1000 * PATIENCE):
            ear = self._by_number[number]
            for heard in _drain(ear):
                yield Sighting(self._ears[ear], heard)


def _wire() -> socket.socket:
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, 0)
    _widen(wire)
    wire.bind(("eth0", 3))  # ETH_P_ALL
    return wire


def _listener(family: int, number: int) -> socket.socket:
    ear = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, number)
    if family == socket.AF_INET6:
        ear.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
    _widen(ear)
    return ear


def _widen(ear: socket.socket) -> None:
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)


def _drain(ear: socket.socket) -> Iterator[Heard]:
    while True:
        try:
            data, ancillary, _, sender = ear.recvmsg(2048, 64)
        except BlockingIOError:
            return
        if ear.family == socket.AF_PACKET:
            heard = read(data) if sender[2] != OUTGOING else None
        elif ear.family == socket.AF_INET:
            heard = read(data)
        else:
            destination = ip_address(ancillary[0][2][:16])
            heard = read_body(ip_address(sender[0].partition("%")[0]), destination, ear.proto, data)
        if heard:
            yield heard


# --- namespaces


@contextmanager
def stage() -> Iterator[Stage]:
    """The places, up until the end. Meanwhile the thread is on one processor."""
    processors = os.sched_getaffinity(0)
    with ExitStack() as stack:
        stack.callback(delete, (PODS, WORLD, NODE))
        with Namespaces() as namespaces:
            for name in (PODS, WORLD, NODE):
                namespaces.create(name)
            _set(SETTINGS)
            for place in WIRES:
                _connect(namespaces, place)
            _run("ip link set lo up")
            _run(f"iptables-legacy -A INPUT -s {SENTINEL.source} -j ACCEPT")
            _run("ip6tables-legacy -P INPUT ACCEPT")  # brings the table in: what came first is asked last
        os.sched_setaffinity(0, {min(processors)})
        stack.callback(os.sched_setaffinity, 0, processors)
        yield Stage(stack)


def _connect(namespaces: Namespaces, place: str) -> None:
    interface, (near, far) = WIRES[place], MACS[place]
    namespaces.enter(place)
    _set({"net/ipv4/ip_forward": "0", "net/ipv6/conf/default/disable_ipv6": "1"})
    namespaces.enter(NODE)
    _run(f"ip link add {interface} address {near} type veth peer name eth0 address {far} netns {place}")
    _run(f"ip link set {interface} up")
    for address in OWN[interface]:
        _run(f"ip address add {address} dev {interface}" + (" nodad" if ":" in address else ""))
    for gateway, network in zip(GATEWAYS, ROUTES[interface], strict=True):
        _run(f"ip neighbour add {gateway} lladdr {far} dev {interface} nud permanent")
        _run(f"ip route add {network} via {gateway} dev {interface} onlink")
    namespaces.enter(place)
    _run("ip link set eth0 up")
    namespaces.enter(NODE)


def _set(settings: dict[str, str]) -> None:
    for key, value in settings.items():
        sysctls.write(Sysctl(key, value), where=NODE)


def _run(command: str) -> None:
    subprocess.run(command.split(), check=True)
