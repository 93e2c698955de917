"""TCP as the measurements need it: who greets, who takes bytes, and how long a client waits for either."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address

GREETER_PORT, SINK_PORT = 8080, 8081
BACKLOG = 1024
PATIENCE_SECONDS = 10
"""What never answers is given up then."""
CHUNK = 256 * 1024
GREETING, RECEIPT = b"!", b"."
Target = tuple[IPv4Address, int]
RESET_AT_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER: no TIME-WAIT, or some ten thousand connections would use up the client's ports."""


def listen(port: int) -> socket.socket:
    """A socket on every address of the current network namespace."""
    return socket.create_server(("", port), backlog=BACKLOG)


def greet(listener: socket.socket) -> None:
    """Say a byte to each client and hang up, for ever."""
    while True:
        connection, _ = listener.accept()
        with connection, suppress(ConnectionError):
            connection.sendall(GREETING)


def take(listener: socket.socket) -> None:
    """Take what each client sends, to its end, and say a byte then, for ever."""
    room = bytearray(CHUNK)
    while True:
        connection, _ = listener.accept()
        with connection, suppress(ConnectionError):
            while connection.recv_into(room):
                pass
            connection.sendall(RECEIPT)


def connections(targets: Sequence[Target], count: int) -> list[float]:
    """Microseconds from connecting until the greeting is there and the connection closed, of so many, one by one.

    The greeting is waited for since a connection alone says nothing in mode userspace: there the node itself accepts.
    OSError: somebody did not answer in time.
    """
    return [_connection(targets[number % len(targets)]) for number in range(count)]


def transfer(target: Target, size: int) -> float:
    """Megabytes a second of a transfer of `size` bytes, from the connection to the receipt. OSError as above."""
    chunk, left = bytes(CHUNK), size
    with _client() as client:
        started = time.perf_counter()
        client.connect(_spelled(target))
        while left > 0:
            client.sendall(chunk[:left] if left < CHUNK else chunk)
            left -= CHUNK
        client.shutdown(socket.SHUT_WR)
        _expect(client, RECEIPT)
        return size / 1e6 / (time.perf_counter() - started)


def _connection(target: Target) -> float:
    address = _spelled(target)
    with _client() as client:
        started = time.perf_counter_ns()
        client.connect(address)
        _expect(client, GREETING)
        client.close()
        return (time.perf_counter_ns() - started) / 1000


def _expect(client: socket.socket, word: bytes) -> None:
    if client.recv(1) != word:
        raise ConnectionResetError("hung up on")


def _client() -> socket.socket:
    """Blocking, with the kernel's own time limits: Python's cost a system call more each time."""
    client = socket.socket()
    limit = struct.pack("ll", PATIENCE_SECONDS, 0)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
    return client


def _spelled(target: Target) -> tuple[str, int]:
    return str(target[0]), target[1]
