"""The command line's API client, when the server ends at the wrong moment."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from netlab.api.sync_client import SyncClient
from netlab.model.objects import Pod

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
EVENT = b'{"type":"ADDED","object":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","resourceVersion":"1"}}}\n'


@contextmanager
def server(path: Path, answer: bytes) -> Iterator[SyncClient]:
    """A server that answers one request with these bytes and is gone."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = Thread(target=serve)
        thread.start()
        with SyncClient(path) as client:
            yield client
        thread.join()


def test_a_watch_cut_off_by_the_server_s_end_is_an_oserror_after_what_came(tmp_path: Path) -> None:
    chunk = f"{len(EVENT):x}\r\n".encode() + EVENT + b"\r\n"
    with server(tmp_path / "api", HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk) as client:
        events = client.watch(Pod)
        assert next(events).object is not None
        with pytest.raises(ConnectionResetError, match="ended in the middle of an answer"):
            next(events)


def test_an_answer_cut_off_by_the_server_s_end_is_an_oserror(tmp_path: Path) -> None:
    with (
        server(tmp_path / "api", HEAD + b"Content-Length: 100\r\n\r\n{") as client,
        pytest.raises(ConnectionResetError, match="ended in the middle of an answer"),
    ):
        client.get(Pod, "web")
