"""HTTP/1.1 of the built-in server, without any input or output: bytes in, requests out; responses as bytes.

Source: RFC 9112. Lenient where people type by hand (bare line feeds, no Host), strict where it would have to guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

HEADER_LIMIT = 8 * 1024
"""Bytes of a request line and its header fields together."""
BODY_LIMIT = 64 * 1024
NOT_HTTP = "this is not HTTP: a request starts like GET / HTTP/1.1"
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) +([\x21-\x7e]+) +HTTP/(\d)\.(\d) *\r?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\0]*?)[ \t]*\r?")
_END_OF_HEADER = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Request:
    """`path` is without host and query; `keep_alive`: the client expects to send more on this connection."""

    method: str
    path: str
    body: bytes = b""
    keep_alive: bool = True


@dataclass(frozen=True, slots=True)
class Response:
    status: HTTPStatus
    body: str
    allow: str = ""
    """The methods that are allowed here, for 405."""

    def encode(self, *, keep_alive: bool, with_body: bool = True) -> bytes:
        """The response as it goes over the wire; `with_body` False for HEAD."""
        content = self.body.encode()
        fields = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            "Content-Type: text/plain; charset=utf-8",
            f"Content-Length: {len(content)}",
            f"Connection: {'keep-alive' if keep_alive else 'close'}",
        ]
        if self.allow:
            fields.append(f"Allow: {self.allow}")
        return "\r\n".join([*fields, "", ""]).encode() + (content if with_body else b"")


class BadRequest(Exception):
    """What came is no request, or one that this server does not take. The connection cannot go on."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        self.status = status
        super().__init__(why)

    def response(self) -> Response:
        return Response(self.status, f"{self}\n")


class RequestReader:
    """Makes requests of the bytes of one connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def waiting(self) -> bool:
        """Whether a part of a request is there, whose rest has not come yet."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> Request | None:
        """The next request, None while it is incomplete. BadRequest as soon as it cannot become one."""
        self._check_start()
        end = _END_OF_HEADER.search(self._buffer)
        if (end.start() if end else len(self._buffer)) > HEADER_LIMIT:
            raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"the header is over {HEADER_LIMIT} bytes")
        return self._complete(bytes(self._buffer[: end.start()]).split(b"\n"), end.end()) if end else None

    def _check_start(self) -> None:
        """Refuse at once what does not start like a request (TLS, a word); empty lines before one mean nothing."""
        if self._buffer.startswith((b"\r", b"\n")):
            self._buffer = self._buffer.lstrip(b"\r\n")
        if self._buffer and not _TOKEN.match(self._buffer):
            raise BadRequest(HTTPStatus.BAD_REQUEST, NOT_HTTP)
        end_of_line = self._buffer.find(b"\n", 0, HEADER_LIMIT)
        if end_of_line >= 0:
            _request_line(bytes(self._buffer[:end_of_line]))

    def _complete(self, lines: list[bytes], start: int) -> Request | None:
        method, path, version = _request_line(lines[0])
        fields = _fields(lines[1:])
        length = _body_length(fields)
        if len(self._buffer) < start + length:
            return None
        body = bytes(self._buffer[start : start + length])
        del self._buffer[: start + length]
        options = {option.strip().lower() for option in fields.get("connection", "").split(",")}
        return Request(method, path, body, "close" not in options and (version == 1 or "keep-alive" in options))


def _request_line(line: bytes) -> tuple[str, str, int]:
    """Method, path and minor version."""
    match = _REQUEST_LINE.fullmatch(line)
    if not match:
        raise BadRequest(HTTPStatus.BAD_REQUEST, NOT_HTTP)
    method, target, major, minor = (part.decode() for part in match.groups())
    if major != "1":
        raise BadRequest(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, f"this server speaks HTTP/1.1, not {major}.{minor}")
    try:
        path = urlsplit(target).path if "://" in target else target.partition("?")[0].partition("#")[0]
    except ValueError as error:
        raise BadRequest(HTTPStatus.BAD_REQUEST, f"{target!r} is not an address") from error
    return method, path or "/", int(minor)


def _fields(lines: list[bytes]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in lines:
        match = _FIELD.fullmatch(line)
        if not match:
            raise BadRequest(HTTPStatus.BAD_REQUEST, f"{line!r} is not a header field")
        name, value = match[1].decode().lower(), match[2].decode("latin-1")
        if name == "content-length" and fields.get(name, value) != value:
            raise BadRequest(HTTPStatus.BAD_REQUEST, "two different lengths")
        fields[name] = value
    return fields


def _body_length(fields: dict[str, str]) -> int:
    if "transfer-encoding" in fields:
        raise BadRequest(HTTPStatus.LENGTH_REQUIRED, "this server takes bodies with a Content-Length only")
    length = fields.get("content-length", "0")
    if not re.fullmatch(r"[0-9]+", length):
        raise BadRequest(HTTPStatus.BAD_REQUEST, f"{length!r} is not a length")
    if len(length) > 15 or int(length) > BODY_LIMIT:
        raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is over {BODY_LIMIT} bytes")
    return int(length)
