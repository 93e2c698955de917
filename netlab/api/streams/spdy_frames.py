"""The frames of SPDY/3.1, which kubectl spoke before WebSockets and still speaks for forwarded ports.

Source: the SPDY protocol, draft 3.1. Flow control is left out, as the other side (moby/spdystream) leaves it out.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

VERSION = 3
FIN = 0x01
FRAME_LIMIT = 1 << 18
"""Bytes of a frame that is read."""
HEADERS_LIMIT = 64 * 1024
"""Bytes of a stream's headers once they are unpacked."""


class FrameType(IntEnum):
    """DATA is this module's own number: on the wire data have none."""

    DATA = 0
    SYN_STREAM = 1
    SYN_REPLY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    HEADERS = 8
    WINDOW_UPDATE = 9


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it came. `stream` is 0 where it is about none."""

    type: FrameType | None
    stream: int
    flags: int
    body: bytes

    @property
    def last(self) -> bool:
        """Whether its sender sends no more on this stream."""
        return bool(self.flags & FIN)


_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200-OK version HTTP/1.1 url public set-cookie "
    "keep-alive origin"
)
_REST = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative "
    "Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 "
    "Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec "
    "00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8"
    "charset=iso-8859-1,utf-,*,enq=0."
)


def _dictionary() -> bytes:
    """What both sides' compression begins with, as the protocol says it."""
    words = (word.replace("200-OK", "200 OK").encode() for word in _WORDS.split())
    return b"".join(struct.pack("!I", len(word)) + word for word in words) + _REST.encode()


DICTIONARY = _dictionary()


class FrameReader:
    """Bytes as they come, cut into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes. ValueError for what is no SPDY/3."""
        self._rest += data
        while len(self._rest) >= 8:
            first, second = struct.unpack_from("!II", self._rest)
            flags, length = second >> 24, second & 0xFFFFFF
            if length > FRAME_LIMIT:
                raise ValueError(f"a frame of {length} bytes")
            if len(self._rest) < 8 + length:
                return
            body, self._rest = self._rest[8 : 8 + length], self._rest[8 + length :]
            yield _frame(first, flags, body)


def _frame(first: int, flags: int, body: bytes) -> Frame:
    if not first >> 31:
        return Frame(FrameType.DATA, first, flags, body)
    if first >> 16 & 0x7FFF != VERSION:
        raise ValueError(f"version {first >> 16 & 0x7FFF} instead of {VERSION}")
    number = first & 0xFFFF
    known = FrameType(number) if number in list(FrameType) else None
    about = known in (FrameType.SYN_STREAM, FrameType.SYN_REPLY, FrameType.RST_STREAM, FrameType.HEADERS)
    stream = struct.unpack_from("!I", body)[0] & 0x7FFFFFFF if about and len(body) >= 4 else 0
    return Frame(known, stream, flags, body)


class HeaderReader:
    """The headers of streams, unpacked: one for the whole connection, since each builds on those before."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    def read(self, frame: Frame) -> dict[str, str]:
        """The headers of a SYN_STREAM. ValueError where they are none."""
        try:
            block = self._inflate.decompress(frame.body[10:], HEADERS_LIMIT)
            if self._inflate.unconsumed_tail:
                raise ValueError("headers that are too long")
            return dict(_pairs(block))
        except (zlib.error, struct.error, UnicodeDecodeError) as error:
            raise ValueError(f"headers that cannot be read: {error}") from error


def _pairs(block: bytes) -> Iterator[tuple[str, str]]:
    (count,), at = struct.unpack_from("!I", block), 4
    for _ in range(count):
        pair = []
        for _ in range(2):
            (length,) = struct.unpack_from("!I", block, at)
            pair.append(block[at + 4 : at + 4 + length].decode())
            at += 4 + length
        yield pair[0].lower(), pair[1]


class FrameWriter:
    """Frames to be sent, with their headers packed: one for the whole connection."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def reply(self, stream: int, headers: Mapping[str, str]) -> bytes:
        """SYN_REPLY: the stream is open."""
        block = struct.pack("!I", len(headers))
        for pair in headers.items():
            for text in pair:
                block += struct.pack("!I", len(text)) + text.encode()
        packed = self._deflate.compress(block) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return _control(FrameType.SYN_REPLY, struct.pack("!I", stream) + packed)


def data_frame(stream: int, data: bytes, *, last: bool = False) -> bytes:
    """DATA, and with `last` no more after it."""
    return struct.pack("!II", stream, (FIN if last else 0) << 24 | len(data)) + data


def pong(frame: Frame) -> bytes:
    """The answer to a PING."""
    return _control(FrameType.PING, frame.body)


def goaway(last_stream: int) -> bytes:
    """GOAWAY: the connection ends, and all is well."""
    return _control(FrameType.GOAWAY, struct.pack("!II", last_stream, 0))


def _control(type_: FrameType, body: bytes) -> bytes:
    return struct.pack("!II", 1 << 31 | VERSION << 16 | type_, len(body)) + body
