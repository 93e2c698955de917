"""UDP of one Service port: a socket for each client, by which its datagrams go on and the answers come back."""

from __future__ import annotations

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress

from netlab.agents.kube_proxy.userspace.allowance import Allowance
from netlab.agents.kube_proxy.userspace.listening_sockets import new_socket
from netlab.model.rules import Protocol
from netlab.proxy.slices import Endpoint
from netlab.proxy.userspace import Balancer
from netlab.workload.datagrams import answer_from

BATCH = 64
"""Datagrams copied before other sockets get their turn."""
LARGEST = 1 << 16
CONTROL_SPACE = socket.CMSG_SPACE(20)
"""Room for struct in6_pktinfo, the larger one of the two."""
IDLE_SECONDS = 5.0
"""Without a datagram either way a client is forgotten. kube-proxy's default was 0.25 (--udp-timeout), which loses the
answer of any server that thinks longer."""
Control = list[tuple[int, int, bytes]]


class UdpPortal:
    """The listener of one Service port and its clients, from now until it is closed."""

    def __init__(self, listener: socket.socket, balancer: Balancer, allowance: Allowance) -> None:
        self._listener, self._balancer, self._allowance = listener, balancer, allowance
        self._loop = asyncio.get_running_loop()
        self._clients: OrderedDict[object, _Client] = OrderedDict()
        """By who sent and which address it was sent to; who was silent longest comes first."""
        self._loop.add_reader(listener, self._read)

    def endpoints_changed(self) -> None:
        """Clients of an endpoint that is gone move on, as the other modes have them do by way of conntrack."""
        for key, client in [*self._clients.items()]:
            if not self._balancer.has(client.endpoint):
                self._forget(key)

    def close(self) -> Awaitable[object]:
        """Stop listening and forget all clients; nothing is left to wait for."""
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for key in [*self._clients]:
            self._forget(key)
        return asyncio.sleep(0)

    def _read(self) -> None:
        for _ in range(BATCH):
            try:
                data, control, _flags, sender = self._listener.recvmsg(LARGEST, CONTROL_SPACE)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error that answers an earlier datagram
                continue
            self._send_on(data, sender, answer_from(control))

    def _send_on(self, data: bytes, sender: tuple[str, int], control: Control) -> None:
        key = (sender, *control)
        client = self._clients.get(key) or self._welcome(key, sender, control)
        if client is None:
            return
        self._clients.move_to_end(key)
        client.send(data)

    def _welcome(self, key: object, sender: tuple[str, int], control: Control) -> _Client | None:
        endpoint = self._balancer.pick(sender[0], now=self._loop.time())
        if endpoint is None or not self._room():
            return None

        def answer(data: bytes) -> None:
            with suppress(OSError):  # no way back, or no room: the datagram is lost, as datagrams are
                self._listener.sendmsg([data], control, 0, sender)

        def lost() -> None:
            self._forget(key)
            self._balancer.forget(sender[0])

        try:
            client = _Client(endpoint, answer=answer, lost=lost, idle=lambda: self._forget(key))
        except OSError:
            self._allowance.give(1)
            self._balancer.forget(sender[0])
            return None
        self._clients[key] = client
        return client

    def _room(self) -> bool:
        """Whether there may be one more socket; who was silent longest gives way."""
        if self._allowance.take(1):
            return True
        if self._clients:
            self._forget(next(iter(self._clients)))
        return self._allowance.take(1)

    def _forget(self, key: object) -> None:
        self._clients.pop(key).close()
        self._allowance.give(1)


class _Client:
    """One client's socket to its endpoint.

    `lost` is called when the endpoint turned a datagram down (the next one shall try another), `idle` when nothing came
    either way for a while. OSError where there is no way to the endpoint.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        answer: Callable[[bytes], None],
        lost: Callable[[], None],
        idle: Callable[[], None],
    ) -> None:
        self.endpoint = endpoint
        self._answer, self._lost, self._idle = answer, lost, idle
        self._loop = asyncio.get_running_loop()
        self._socket = new_socket(endpoint.address, Protocol.UDP)
        try:
            self._socket.connect((str(endpoint.address), endpoint.port))
        except OSError:
            self._socket.close()
            raise
        self._used = self._loop.time()
        self._timer = self._loop.call_later(IDLE_SECONDS, self._look_at_clock)
        self._loop.add_reader(self._socket, self._read)

    def send(self, data: bytes) -> None:
        self._used = self._loop.time()
        try:
            self._socket.send(data)
        except BlockingIOError:
            return
        except OSError:
            self._lost()

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._timer.cancel()
        self._socket.close()

    def _read(self) -> None:
        self._used = self._loop.time()
        for _ in range(BATCH):
            try:
                data = self._socket.recv(LARGEST)
            except BlockingIOError:
                return
            except OSError:  # port unreachable: nobody listens there
                self._lost()
                return
            self._answer(data)

    def _look_at_clock(self) -> None:
        due = self._used + IDLE_SECONDS
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._look_at_clock)
        else:
            self._idle()
