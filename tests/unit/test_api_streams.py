"""Commands, logs and forwarded ports, without a lab: what runs, runs here; and the frames of SPDY."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import subprocess
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.api.cluster import Cluster
from netlab.api.http.server import listen, serving
from netlab.api.statuses import Refusal
from netlab.api.store import Store
from netlab.api.streams.channels import exit_status, terminal_size
from netlab.api.streams.logs import previous_life
from netlab.api.streams.spdy_frames import (
    DICTIONARY,
    Frame,
    FrameReader,
    FrameType,
    FrameWriter,
    HeaderReader,
    data_frame,
)
from netlab.errors import NotFound
from netlab.model.objects import ObjectMeta, Pod
from netlab.model.topology import Topology

DEADLINE = 30.0
POD = "/api/v1/namespaces/default/pods/web"


class HereCommand:
    """A command on this machine."""

    def __init__(self, argv: Sequence[str], *, stdin: bool) -> None:
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        pipes = [self._process.stdin, self._process.stdout, self._process.stderr]
        self.stdin, *outputs = [os.dup(pipe.fileno()) if pipe else -1 for pipe in pipes]
        self.outputs = tuple(outputs)
        for pipe in pipes:
            if pipe:
                pipe.close()
        for file in {self.stdin, *self.outputs} - {-1}:
            os.set_blocking(file, False)

    def resize(self, *, columns: int, rows: int) -> None:
        """There is no terminal."""

    def end_input(self) -> None:
        if self.stdin >= 0:
            os.close(self.stdin)
        self.stdin = -1

    async def ended(self) -> int:
        status = await asyncio.get_running_loop().run_in_executor(None, self._process.wait)
        return status if status >= 0 else 128 - status

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self.end_input()
        for file in self.outputs:
            os.close(file)


@dataclass
class Here:
    """A Pod's inside is this machine."""

    folder: Path
    ended: int = 0

    def start(self, pod: Pod, argv: Sequence[str], *, terminal: bool, stdin: bool) -> HereCommand:
        return HereCommand(argv, stdin=stdin)

    def attach(self, pod: Pod, container: str, *, stdin: bool) -> HereCommand:
        if container == "two":
            raise NotFound("container two is not running")
        return HereCommand(("sh", "-c", "cat; echo no >&2"), stdin=stdin)

    def log(self, pod: Pod, container: str) -> Path:
        return self.folder / f"{container}.log"

    def socket_in(self, pod: Pod, family: socket.AddressFamily) -> socket.socket:
        return socket.socket(family, socket.SOCK_STREAM)


@asynccontextmanager
async def a_session(folder: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a server with one Pod, `web`."""
    store, path = Store(), folder / "api.sock"
    cluster = Cluster(store)
    cluster.create(Topology(metadata=ObjectMeta(name="lab")))
    spec = {"containers": [{"name": "one"}, {"name": "two"}]}
    cluster.create(Pod.model_validate({"metadata": {"name": "web", "namespace": "default"}, "spec": spec}))
    async with serving(cluster, listen(path), access=Here(folder)):
        connector = aiohttp.UnixConnector(str(path))
        async with aiohttp.ClientSession("http://api", connector=connector) as session:
            yield session
    store.close()


async def run(
    session: aiohttp.ClientSession, query: list[tuple[str, str]], *, protocol: str, sent: Sequence[bytes | str] = (),
    container: str = "one",
) -> tuple[bytes, bytes, Any]:  # fmt: skip
    """What a command (without one, what runs already) prints on both streams, and its Status."""
    printed = {1: b"", 2: b"", 3: b""}
    url = f"{POD}/{'exec' if query else 'attach'}"
    pairs = [*query, ("container", container), ("stdout", "1"), ("stderr", "1"), ("stdin", "1" if sent else "0")]
    async with session.ws_connect(url, params=pairs, protocols=(protocol,)) as channel:
        assert channel.protocol == protocol
        for each in sent:
            await (channel.send_str(each) if isinstance(each, str) else channel.send_bytes(each))
        async for message in channel:
            printed[message.data[0]] += message.data[1:]
    return printed[1], printed[2], json.loads(printed[3])


def words(*argv: str) -> list[tuple[str, str]]:
    return [("command", word) for word in argv]


def test_a_command_s_output_and_status_come_over_their_channels(tmp_path: Path) -> None:
    async def story() -> Any:
        async with a_session(tmp_path) as session:
            query = words("sh", "-c", "echo out; echo err >&2; exit 4")
            return await run(session, query, protocol="v4.channel.k8s.io")

    out, err, status = asyncio.run(asyncio.wait_for(story(), DEADLINE))
    assert (out, err) == (b"out\n", b"err\n")
    assert (status["status"], status["reason"]) == ("Failure", "NonZeroExitCode")
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "4", "field": ""}]


def test_version_5_can_end_the_input_and_text_is_taken_for_bytes(tmp_path: Path) -> None:
    async def story() -> Any:
        async with a_session(tmp_path) as session:
            sent = (b"\0in ", "\0text", bytes((255, 0)))
            return await run(session, words("cat"), protocol="v5.channel.k8s.io", sent=sent)

    out, _, status = asyncio.run(asyncio.wait_for(story(), DEADLINE))
    assert (out, status["status"]) == (b"in text", "Success")


@pytest.mark.parametrize("protocol", ["v5.channel.k8s.io", "v4.channel.k8s.io"])
def test_who_attaches_has_the_input_the_output_and_the_end_of_what_runs(tmp_path: Path, protocol: str) -> None:
    async def story() -> Any:
        async with a_session(tmp_path) as session:
            sent = (b"\0typed", bytes((255, 0))) if protocol.startswith("v5") else ()
            return await run(session, [], protocol=protocol, sent=sent)

    out, err, status = asyncio.run(asyncio.wait_for(story(), DEADLINE))
    assert (out, err) == (b"typed" if protocol.startswith("v5") else b"", b"no\n")
    assert status["status"] == "Success"


def test_who_attaches_to_what_does_not_run_is_told(tmp_path: Path) -> None:
    async def story() -> Any:
        async with a_session(tmp_path) as session:
            return await run(session, [], protocol="v4.channel.k8s.io", container="two")

    _, _, status = asyncio.run(asyncio.wait_for(story(), DEADLINE))
    assert (status["status"], status["message"]) == ("Failure", "container two is not running")


def test_a_command_ends_with_its_client(tmp_path: Path) -> None:
    mark = tmp_path / "pid"

    async def story() -> int:
        async with a_session(tmp_path) as session:
            query = [
                *words("sh", "-c", f"echo $$ > {mark}; echo on; exec sleep 600"),
                ("container", "one"),
                ("stdout", "1"),
            ]
            async with session.ws_connect(f"{POD}/exec", params=query, protocols=("v4.channel.k8s.io",)) as channel:
                while b"on" not in (await channel.receive()).data:
                    pass
            pid = int(mark.read_text())
            for _ in range(2000):
                if not Path(f"/proc/{pid}").exists():
                    return pid
                await asyncio.sleep(0.005)
            raise AssertionError("it still runs")

    assert asyncio.run(asyncio.wait_for(story(), DEADLINE))


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", f"{POD}/exec?command=true&container=one", 400, "Upgrade request required"),
        ("GET", f"{POD}/log", 400, "a container name must be specified for pod web, choose one of: [one two]"),
        ("GET", f"{POD}/log?container=three", 400, "container three is not valid for pod web"),
        ("GET", f"{POD}/log?container=one&previous=true", 400, "previous terminated container"),
        ("GET", f"{POD}/log?container=one&sinceSeconds=0", 422, "sinceSeconds: Invalid value: 0"),
        ("GET", f"{POD}/log?container=one&sinceSeconds=5&sinceTime=2026-01-01T00:00:00Z", 422, "at most one of"),
        ("GET", f"{POD}/log?container=one&sinceTime=yesterday", 400, "is no time"),
        ("GET", f"{POD}/log?container=one&sinceTime=0001-01-01T00:00:00%2B23:00", 400, "is no time"),
        ("GET", f"{POD}/log?container=one&tailLines=many", 400, "is no number"),
        ("GET", POD.replace("web", "nobody") + "/log", 404, "not found"),
        ("DELETE", f"{POD}/exec", 405, "does not allow this method"),
        ("GET", f"{POD}/nonsense", 404, "could not find the requested resource"),
    ],
)
def test_what_cannot_be_done_in_a_pod_is_refused(
    tmp_path: Path, method: str, path: str, status: int, message: str
) -> None:
    async def story() -> Any:
        async with a_session(tmp_path) as session, session.request(method, path) as answer:
            return answer.status, await answer.json()

    code, body = asyncio.run(asyncio.wait_for(story(), DEADLINE))
    assert (code, message in body["message"]) == (status, True), body


LOG = b"""\
2026-01-01T00:00:00.000000001Z stdout F a
2026-01-01T00:00:01.500000000Z stderr P b
2026-01-01T00:00:01.600000000Z stdout F c
2026-01-01T00:00:02.000000000Z stdout F d
"""


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", "a\nbc\nd\n"),
        ("tailLines=1", "d\n"),
        ("tailLines=0", ""),
        ("limitBytes=3", "a\nb"),
        ("timestamps=true&tailLines=2",
         "2026-01-01T00:00:01.500000000Z bc\n2026-01-01T00:00:02.000000000Z d\n"),
        ("timestamps=true&limitBytes=5", "2026-"),
        ("sinceTime=2026-01-01T00:00:02Z", "d\n"),
        ("sinceTime=2026-01-01T01:00:02%2B01:00", "d\n"),
        ("sinceTime=1960-01-01T00:00:00Z", "a\nbc\nd\n"),
        ("sinceSeconds=5&tailLines=1", ""),
        ("sinceSeconds=99999999999", "a\nbc\nd\n"),
    ],
)  # fmt: skip
def test_a_log_is_shown_as_far_as_is_asked_for(tmp_path: Path, query: str, text: str) -> None:
    (tmp_path / "one.log").write_bytes(LOG)

    async def story() -> tuple[str, str]:
        async with a_session(tmp_path) as session:
            async with session.get(f"{POD}/log?container=one&{query}") as answer:
                found = await answer.text()
            async with session.get(f"{POD}/log?container=two&{query}") as answer:
                return found, await answer.text()

    assert asyncio.run(asyncio.wait_for(story(), DEADLINE)) == (text, "")


@pytest.mark.parametrize(
    ("statuses", "file"),
    [
        ([{"name": "one", "lastState": {"terminated": {"exitCode": 1}}, "state": {"running": {}}}], "one.log.previous"),
        ([{"name": "one", "lastState": {"terminated": {"exitCode": 1}}, "state": {"waiting": {}}}], "one.log"),
        ([{"name": "one", "state": {"running": {}}}], None),
        ([{"name": "two", "lastState": {"terminated": {"exitCode": 1}}, "state": {"running": {}}}], None),
        ([], None),
    ],
    ids=["running again", "about to run again", "running for the first time", "another container", "not yet"],
)
def test_the_log_of_a_container_s_life_before_is_found(statuses: list[Any], file: str | None) -> None:
    pod = Pod.model_validate({"metadata": {"name": "web"}, "status": {"containerStatuses": statuses}})
    if file is None:
        with pytest.raises(Refusal, match='previous terminated container "one" in pod "web" not found'):
            previous_life(pod, "one", Path("one.log"))
    else:
        assert previous_life(pod, "one", Path("one.log")) == Path(file)


# --- SPDY


def syn_stream(number: int, headers: dict[str, str], compressor: Any) -> bytes:
    block = struct.pack("!I", len(headers))
    for pair in headers.items():
        for text in pair:
            block += struct.pack("!I", len(text)) + text.encode()
    body = struct.pack("!IIH", number, 0, 0) + compressor.compress(block) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return struct.pack("!II", 0x80030001, len(body)) + body


def test_a_command_runs_over_spdy(tmp_path: Path) -> None:
    async def story() -> dict[int, bytes]:
        async with a_session(tmp_path):
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "api.sock"))
            query = "command=cat&container=one&stdin=1&stdout=1"
            head = f"POST {POD}/exec?{query} HTTP/1.1\r\nHost: api\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
            writer.write(f"{head}X-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n".encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 101 ")
            assert b"X-Stream-Protocol-Version: v4.channel.k8s.io" in answer
            compressor = zlib.compressobj(zdict=DICTIONARY)
            for number, kind in ((1, "error"), (3, "stdin"), (5, "stdout")):
                writer.write(syn_stream(number, {"streamtype": kind}, compressor))
            writer.write(data_frame(3, b"over spdy", last=True))
            frames, received = FrameReader(), dict[int, bytes]()
            while data := await reader.read(65536):
                for frame in frames.feed(data):
                    if frame.type is FrameType.DATA:
                        received[frame.stream] = received.get(frame.stream, b"") + frame.body
                    elif frame.type is FrameType.GOAWAY:
                        writer.close()
                        return received
            return received

    received = asyncio.run(asyncio.wait_for(story(), DEADLINE))
    assert received[5] == b"over spdy"
    assert json.loads(received[1])["status"] == "Success"


def test_headers_are_read_as_they_were_packed_and_each_block_builds_on_the_last() -> None:
    compressor, reader, frames = zlib.compressobj(zdict=DICTIONARY), HeaderReader(), FrameReader()
    for number in (1, 3):
        (frame,) = frames.feed(syn_stream(number, {"streamtype": "data", "port": "80"}, compressor))
        assert (frame.type, frame.stream) == (FrameType.SYN_STREAM, number)
        assert reader.read(frame) == {"streamtype": "data", "port": "80"}
    (reply,) = FrameReader().feed(FrameWriter().reply(7, {"a": "b"}))
    assert (reply.type, reply.stream) == (FrameType.SYN_REPLY, 7)


@given(st.binary(max_size=64), st.integers(1, 9))
def test_frames_may_come_in_pieces(data: bytes, size: int) -> None:
    sent = data_frame(5, data) + data_frame(7, b"", last=True)
    reader, found = FrameReader(), list[Frame]()
    for start in range(0, len(sent), size):
        found += reader.feed(sent[start : start + size])
    assert [(frame.stream, frame.body, frame.last) for frame in found] == [(5, data, False), (7, b"", True)]


@pytest.mark.parametrize("data", [b"\x80\x02\0\x01\0\0\0\0", b"\0\0\0\x01\0\xff\xff\xff"])
def test_frames_of_another_version_or_without_end_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"version|bytes"):
        list(FrameReader().feed(data))


@given(st.binary(max_size=40))
def test_headers_that_are_none_are_refused_and_nothing_else_happens(data: bytes) -> None:
    with pytest.raises(ValueError, match="headers"):
        HeaderReader().read(Frame(FrameType.SYN_STREAM, 1, 0, bytes(10) + b"\xff" + data))


@pytest.mark.parametrize(
    ("data", "size"),
    [(b'{"Width":80,"Height":24}', (80, 24)), (b'{"Width":0,"Height":24}', None), (b"[]", None), (b"{", None),
     (b'{"Width":70000,"Height":1}', None)],
)  # fmt: skip
def test_a_terminal_s_size_is_read_or_left_alone(data: bytes, size: tuple[int, int] | None) -> None:
    assert terminal_size(data) == size


def test_an_end_that_went_well_says_so() -> None:
    assert json.loads(exit_status(0))["status"] == "Success"
