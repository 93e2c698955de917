"""The built-in server's HTTP: whole requests, pieces of them, and what is none."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.workload.connection import Connection, endpoint_text
from netlab.workload.datagrams import is_answer
from netlab.workload.http import BODY_LIMIT, HEADER_LIMIT, BadRequest, Request, RequestReader
from netlab.workload.server import PodServer


def parse(data: bytes) -> list[Request]:
    reader = RequestReader()
    reader.feed(data)
    return list(iter(reader.next, None))


@pytest.mark.parametrize(
    ("data", "request_"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Request("GET", "/")),
        (b"GET /hostname?x=1#y HTTP/1.1\r\n\r\n", Request("GET", "/hostname")),
        (b"GET http://web:80/healthz HTTP/1.1\r\n\r\n", Request("GET", "/healthz")),
        (b"GET / HTTP/1.1\r\nConnection: Close\r\n\r\n", Request("GET", "/", keep_alive=False)),
        (b"GET / HTTP/1.0\r\n\r\n", Request("GET", "/", keep_alive=False)),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", Request("GET", "/")),
        (b"GET / HTTP/1.1\n\n", Request("GET", "/")),
        (b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", Request("GET", "/")),
        (b"POST /readyz HTTP/1.1\r\nContent-Length: 4\r\n\r\ntrue", Request("POST", "/readyz", b"true")),
    ],
    ids=["a request", "a query is cut off", "a whole address", "close after it", "HTTP/1.0 closes",
         "HTTP/1.0 kept open", "typed by hand", "empty lines before it", "with a body"],
)  # fmt: skip
def test_a_request_is_read(data: bytes, request_: Request) -> None:
    assert parse(data) == [request_]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"hello\n", HTTPStatus.BAD_REQUEST),
        (b"\x16\x03\x01\x02\x00\x01", HTTPStatus.BAD_REQUEST),
        (b"SSH-2.0-OpenSSH_9.2\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET /\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET /\x01 HTTP/1.1\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET http://[::1 HTTP/1.1\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTPStatus.HTTP_VERSION_NOT_SUPPORTED),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", HTTPStatus.LENGTH_REQUIRED),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * HEADER_LIMIT, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE),
        (b"G" * (HEADER_LIMIT + 1), HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE),
        (f"POST / HTTP/1.1\r\nContent-Length: {BODY_LIMIT + 1}\r\n\r\n".encode(), HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        (b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    ],
    ids=["a word", "TLS", "SSH", "no version", "a control character", "no address", "a field without colon",
         "a negative length", "two lengths", "HTTP/2", "chunks", "an endless header", "an endless line",
         "a body too large", "a length too long"],
)  # fmt: skip
def test_what_is_no_request_is_refused_with_its_status(data: bytes, status: HTTPStatus) -> None:
    with pytest.raises(BadRequest) as refused:
        parse(data)
    assert refused.value.status == status


@given(st.lists(st.integers(min_value=1, max_value=40)))
def test_requests_are_the_same_in_whatever_pieces_they_come(sizes: list[int]) -> None:
    data = b"GET /a HTTP/1.1\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /c HTTP/1.0\n\n"
    reader, requests = RequestReader(), []
    for size in [*sizes, len(data)]:
        reader.feed(data[:size])
        data = data[size:]
        requests.extend(iter(reader.next, None))
    assert [(r.method, r.path, r.body) for r in requests] == [
        ("GET", "/a", b""),
        ("POST", "/b", b"abc"),
        ("GET", "/c", b""),
    ]
    assert not reader.waiting


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_a_part_of_one_or_refused(data: bytes) -> None:
    with contextlib.suppress(BadRequest):
        assert all(request.path for request in parse(data))


Exchange = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def converse(exchange: Exchange, server: PodServer | None = None) -> list[str]:
    """Serve one end of a socket pair and run `exchange` on the other; what the server logged."""
    logged: list[str] = []

    async def main() -> None:
        site = server or PodServer("web-1", say=logged.append, readiness_path="/my/ready")
        ours, theirs = socket.socketpair()
        await asyncio.get_running_loop().connect_accepted_socket(lambda: Connection(site), ours)
        reader, writer = await asyncio.open_connection(sock=theirs)
        try:
            async with asyncio.timeout(60):
                await exchange(reader, writer)
        finally:
            writer.close()
            await writer.wait_closed()
            site.close()
            while site.connections:
                await asyncio.sleep(0)

    asyncio.run(main())
    return logged


async def answer(reader: asyncio.StreamReader, *, head: bool = False) -> tuple[int, str]:
    """The next answer: status and body."""
    header = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(int(line.split()[1]) for line in header.splitlines() if line.startswith("Content-Length"))
    return int(header.split()[1]), "" if head else (await reader.readexactly(length)).decode()


def ask(*requests: bytes) -> list[tuple[int, str]]:
    """The answers to requests on one connection, sent all at once."""
    answers: list[tuple[int, str]] = []

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(requests))
        for request in requests:
            answers.append(await answer(reader, head=request.startswith(b"HEAD")))

    converse(exchange)
    return answers


def get(path: str, method: str = "GET", body: bytes = b"") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def test_each_path_has_its_answer_on_one_connection() -> None:
    assert ask(get("/"), get("/hostname"), get("/clientip"), get("/healthz"), get("/readyz"), get("/none")) == [
        (200, "web-1\nclient unknown:0\nserver unknown:0\n"),
        (200, "web-1\n"),
        (200, "unknown\n"),
        (200, "ok\n"),
        (200, "ready\n"),
        (404, "web-1 has only /, /hostname, /clientip, /healthz, /readyz\n"),
    ]


def test_head_has_the_length_but_no_body() -> None:
    assert ask(get("/hostname", "HEAD"), get("/hostname")) == [(200, ""), (200, "web-1\n")]


def test_readiness_is_turned_off_and_on_again() -> None:
    off, on = get("/readyz", "POST", b"false"), get("/readyz", "POST", b"True\n")
    statuses = [status for status, _ in ask(off, get("/readyz"), get("/healthz"), get("/"), on, get("/readyz"))]
    assert statuses == [200, 503, 200, 200, 200, 200]


def test_readiness_is_neither_true_nor_false_with_another_body() -> None:
    assert ask(get("/readyz", "POST", b"maybe"), get("/readyz")) == [
        (400, "the body must be true or false\n"),
        (200, "ready\n"),
    ]


def test_the_path_of_the_pods_own_probe_answers_as_readiness_does() -> None:
    statuses = [status for status, _ in ask(get("/my/ready"), get("/readyz", "POST", b"false"), get("/my/ready"))]
    assert statuses == [200, 200, 503]


def test_another_method_is_told_what_is_allowed() -> None:
    assert ask(get("/", "DELETE"), get("/readyz", "PUT")) == [
        (405, "use GET, HEAD here\n"),
        (405, "use GET, HEAD, POST here\n"),
    ]


def test_a_client_that_sends_no_request_is_told_and_cut_off() -> None:
    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\n" + b"x" * 500_000)
        assert (await answer(reader))[0] == 400
        assert await reader.read() == b""

    assert converse(exchange) == ["unknown:0 400 this is not HTTP: a request starts like GET / HTTP/1.1"]


def test_a_request_cut_off_by_the_client_is_refused() -> None:
    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTT")
        writer.write_eof()
        assert (await answer(reader))[0] == 400
        assert await reader.read() == b""

    converse(exchange)


def test_a_client_that_has_closed_its_half_still_gets_its_answer() -> None:
    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(get("/hostname"))
        writer.write_eof()
        assert await answer(reader) == (200, "web-1\n")
        assert await reader.read() == b""

    converse(exchange)


def test_a_client_that_wants_the_connection_closed_gets_that() -> None:
    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /hostname HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert await answer(reader) == (200, "web-1\n")
        assert await reader.read() == b""

    converse(exchange)


def test_a_client_that_reads_late_gets_every_answer() -> None:
    requests = 20_000

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(get("/hostname") * requests)
        sending = asyncio.ensure_future(writer.drain())
        for _ in range(requests):
            assert await answer(reader) == (200, "web-1\n")
        await sending

    assert len(converse(exchange)) == requests


def test_an_open_connection_ends_with_its_server() -> None:
    server = PodServer("web-1", say=lambda line: None)

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(get("/hostname"))
        await answer(reader)
        server.close()
        assert await reader.read() == b""

    converse(exchange, server)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (("10.0.0.1", 80), "10.0.0.1:80"),
        (("::ffff:10.0.0.1", 80, 0, 0), "10.0.0.1:80"),
        (("fd00::1", 80, 0, 0), "[fd00::1]:80"),
    ],
    ids=["IPv4", "IPv4 on a socket of both", "IPv6"],
)
def test_an_address_is_written_as_people_write_it(address: tuple[str, int], text: str) -> None:
    assert endpoint_text(address) == text


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"web-1 10.244.0.7\n", True),
        (b"web-1 fd00:10:244::7\n", True),
        (b"hello 1\n", False),
        (b"hello\n", False),
        (b"", False),
    ],
    ids=["of an IPv4 client", "of an IPv6 client", "two words", "a word", "nothing"],
)
def test_an_answer_is_known_as_one(data: bytes, expected: bool) -> None:
    assert is_answer(data) is expected
