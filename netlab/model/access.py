"""Where an API server is, and who asks it: what a kubeconfig says, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

UNIX = "unix:"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAccess:
    """An API server at `url` (https or http, perhaps with a path), over the unix socket `socket` where that is given.

    Certificates and keys are PEM texts. `token_file` is read for every request, as its content changes. `verify` False
    believes any server. `server_name` is what the server's certificate must say, where not the host of the URL.
    `in_lab`: it is the lab's of who asks, over the lab's own wires.
    """

    url: str
    socket: Path | None = None
    authority: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    verify: bool = True
    server_name: str = ""
    in_lab: bool = False

    @classmethod
    def at(cls, text: str) -> ServerAccess:
        """Read `unix:PATH`, `http://HOST:PORT` or `https://HOST:PORT`. ValueError says what is wrong."""
        if text.startswith(UNIX):
            path = text.removeprefix(UNIX).removeprefix("//")
            if not path:
                raise ValueError(f"{text!r} names no socket, for instance unix:/run/netlab/LAB/api.sock")
            return cls(url="http://api", socket=Path(path))
        try:
            parts = urlsplit(text)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError as error:
            raise ValueError(f"{text!r} is no URL: {error}") from error
        if not valid or parts.query or parts.fragment:
            raise ValueError(f"{text!r} is neither http(s)://HOST:PORT nor unix:PATH")
        return cls(url=text.rstrip("/"))

    @property
    def near(self) -> bool:
        """Whether the server is on this machine: nothing in between forgets connections, and it is soon asked again."""
        return self.in_lab or self.socket is not None

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return f"{UNIX}{self.socket}" if self.socket else self.url
