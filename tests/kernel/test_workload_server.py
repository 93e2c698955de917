"""A Pod's built-in server, asked with real packets from another network namespace."""

from __future__ import annotations

import asyncio
import gc
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

import pytest

from netlab.errors import KernelError, NotFound
from netlab.kernel.namespaces import inside
from netlab.workload.server import Listen, PodServer

pytestmark = pytest.mark.root
POD, CLIENT = "nlkub-pod", "nlkub-client"
ADDRESSES = {
    POD: ("10.77.0.2/24", "10.77.0.3/24", "fd77::2/64", "fd77::3/64"),
    CLIENT: ("10.77.0.9/24", "fd77::9/64"),
}


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@pytest.fixture(scope="module", autouse=True)
def namespaces() -> Iterator[None]:
    for name in ADDRESSES:
        ip("netns", "add", name)
    ip("-n", POD, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", CLIENT)
    for name, addresses in ADDRESSES.items():
        ip("-n", name, "link", "set", "eth0", "up")
        ip("-n", name, "link", "set", "lo", "up")
        for address in addresses:
            ip("-n", name, "addr", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else []))
    yield
    for name in ADDRESSES:
        ip("netns", "del", name)


def serving(ports: tuple[Listen, ...], exchange: Callable[[PodServer], Awaitable[None]]) -> list[str]:
    """Serve these ports in the Pod's namespace while `exchange` runs; what the server logged."""
    logged: list[str] = []

    async def main() -> None:
        server = PodServer("web-1", say=logged.append)
        await server.open(POD, ports)
        try:
            async with asyncio.timeout(20):
                await exchange(server)
        finally:
            server.close()
            while server.connections:
                await asyncio.sleep(0)

    asyncio.run(main())
    return logged


def client_socket(address: str, kind: socket.SocketKind) -> socket.socket:
    with inside(CLIENT):
        client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    client.setblocking(False)
    return client


async def ask_tcp(address: str, path: str, port: int = 8080) -> str:
    client = client_socket(address, socket.SOCK_STREAM)
    await asyncio.get_running_loop().sock_connect(client, (address, port))
    reader, writer = await asyncio.open_connection(sock=client)
    writer.write(f"GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
    text = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return text.partition("\r\n\r\n")[2]


@pytest.mark.parametrize(("address", "source"), [("10.77.0.2", "10.77.0.9"), ("fd77::2", "fd77::9")])
def test_tcp_answers_with_the_pods_name_and_the_clients_address(address: str, source: str) -> None:
    async def exchange(server: PodServer) -> None:
        assert await ask_tcp(address, "/hostname") == "web-1\n"
        assert await ask_tcp(address, "/clientip") == f"{source}\n"
        name, client, local = (await ask_tcp(address, "/")).splitlines()
        assert (name, client.rpartition(":")[0]) == (
            "web-1",
            f"client [{source}]" if ":" in source else f"client {source}",
        )
        assert local == (f"server [{address}]:8080" if ":" in address else f"server {address}:8080")

    logged = serving((Listen(8080),), exchange)
    assert logged[0] == "answering on TCP port 8080"
    assert [line.split()[1:] for line in logged[1:]] == [
        ["GET", path, "200"] for path in ("/hostname", "/clientip", "/")
    ]


@pytest.mark.parametrize("address", ["10.77.0.2", "10.77.0.3", "fd77::2", "fd77::3"])
def test_udp_answers_from_the_address_that_was_asked(address: str) -> None:
    source = "fd77::9" if ":" in address else "10.77.0.9"

    async def exchange(server: PodServer) -> None:
        loop, client = asyncio.get_running_loop(), client_socket(address, socket.SOCK_DGRAM)
        with client:
            await loop.sock_sendto(client, b"hello", (address, 5353))
            data, (host, port, *_) = await loop.sock_recvfrom(client, 100)
        assert (data, host, port) == (f"web-1 {source}\n".encode(), address, 5353)

    assert serving((Listen(5353, "UDP"),), exchange)[-1] == f"{source} UDP"


def test_udp_leaves_an_answer_unanswered() -> None:
    async def exchange(server: PodServer) -> None:
        loop, client = asyncio.get_running_loop(), client_socket("10.77.0.2", socket.SOCK_DGRAM)
        with client:
            client.connect(("10.77.0.2", 5353))
            await loop.sock_sendall(client, b"web-2 10.77.0.2\n")
            await loop.sock_sendall(client, b"a question")
            assert await loop.sock_recv(client, 100) == b"web-1 10.77.0.9\n"
            with pytest.raises(BlockingIOError):
                client.recv(100)

    assert serving((Listen(5353, "UDP"),), exchange).count("10.77.0.9 UDP") == 1


def test_a_port_that_is_not_declared_is_refused() -> None:
    async def exchange(server: PodServer) -> None:
        with client_socket("10.77.0.2", socket.SOCK_STREAM) as client, pytest.raises(ConnectionRefusedError):
            await asyncio.get_running_loop().sock_connect(client, ("10.77.0.2", 8081))

    serving((Listen(8080),), exchange)


def test_the_same_port_answers_tcp_and_udp() -> None:
    async def exchange(server: PodServer) -> None:
        assert await ask_tcp("10.77.0.2", "/hostname", 53) == "web-1\n"

    logged = serving((Listen(53, "TCP"), Listen(53, "UDP")), exchange)
    assert logged[:2] == ["answering on TCP port 53", "answering on UDP port 53"]


def test_sctp_is_answered_or_said_not_to_be() -> None:
    async def exchange(server: PodServer) -> None:
        pass

    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
    except OSError:
        expected = "not answering on SCTP port 7000: this kernel has no SCTP"
    else:
        expected = "answering on SCTP port 7000"
    assert serving((Listen(7000, "SCTP"),), exchange) == [expected]


def test_a_port_that_is_taken_is_named_and_no_other_stays_open() -> None:
    async def exchange(server: PodServer) -> None:
        second = PodServer("web-2", say=lambda line: None)
        with pytest.raises(KernelError, match=r"listen on TCP port 8080 in nlkub-pod: Address already in use"):
            await second.open(POD, (Listen(8081), Listen(8080)))
        with client_socket("10.77.0.2", socket.SOCK_STREAM) as client, pytest.raises(ConnectionRefusedError):
            await asyncio.get_running_loop().sock_connect(client, ("10.77.0.2", 8081))

    serving((Listen(8080),), exchange)


def test_a_namespace_that_is_not_there_is_an_error() -> None:
    async def main() -> None:
        with pytest.raises(NotFound, match="no network namespace nlkub-none"):
            await PodServer("web-1", say=lambda line: None).open("nlkub-none", (Listen(80),))

    asyncio.run(main())


def test_a_closed_server_lets_its_namespace_go_with_a_client_connected() -> None:
    ip("netns", "add", "nlkub-mortal")
    ip("-n", "nlkub-mortal", "link", "add", "mortal0", "type", "veth", "peer", "name", "mortal1", "netns", CLIENT)
    for name, link, address in (("nlkub-mortal", "mortal0", "10.78.0.1/24"), (CLIENT, "mortal1", "10.78.0.2/24")):
        ip("-n", name, "link", "set", link, "up")
        ip("-n", name, "addr", "add", address, "dev", link)

    async def main() -> None:
        server = PodServer("web-1", say=lambda line: None)
        await server.open("nlkub-mortal", (Listen(8080), Listen(53, "UDP")))
        assert await ask_tcp("10.78.0.1", "/hostname") == "web-1\n"
        with client_socket("10.78.0.1", socket.SOCK_STREAM) as client:
            await asyncio.get_running_loop().sock_connect(client, ("10.78.0.1", 8080))
            ip("netns", "del", "nlkub-mortal")
            server.close()
            async with asyncio.timeout(10):
                while "mortal1" in interfaces(CLIENT):
                    await asyncio.sleep(0)

    asyncio.run(main())


@pytest.mark.parametrize("turns", range(6))
def test_who_connects_just_before_the_end_is_answered_or_sent_away_but_never_left_waiting(turns: int) -> None:
    async def exchange(server: PodServer) -> None:
        with client_socket("10.77.0.2", socket.SOCK_STREAM) as client:
            client.settimeout(5)
            client.connect(("10.77.0.2", 8080))
            client.sendall(b"GET /hostname HTTP/1.1\r\n\r\n")
            for _ in range(turns):
                await asyncio.sleep(0)
            server.close()
            with suppress(ConnectionResetError):
                assert await asyncio.to_thread(client.recv, 15) in (b"", b"HTTP/1.1 200 OK")

    gc.disable()  # which would close a forgotten connection sooner or later
    try:
        serving((Listen(8080),), exchange)
    finally:
        gc.enable()


def interfaces(namespace: str) -> set[str]:
    with inside(namespace):
        return {name for _, name in socket.if_nameindex()}


def test_one_process_serves_hundreds_of_pods() -> None:
    async def exchange(server: PodServer) -> None:
        servers = [PodServer(f"pod-{n}", say=lambda line: None) for n in range(300)]
        for n, other in enumerate(servers):
            await other.open(POD, (Listen(10000 + n), Listen(10000 + n, "UDP")))
        names = await asyncio.gather(*(ask_tcp("10.77.0.2", "/hostname", 10000 + n) for n in range(300)))
        assert names == [f"pod-{n}\n" for n in range(300)]
        for other in servers:
            other.close()
        while any(other.connections for other in servers):
            await asyncio.sleep(0)

    serving((), exchange)
