"""Which packets are of the flow, and in which direction each goes, however its addresses were translated."""

from __future__ import annotations

from netlab.kernel.tracing.flow_match import FlowMatch
from netlab.model.journey import Way
from netlab.model.targets import TargetProtocol
from netlab.probe.headers import UDP, Headers

Ends = tuple[object, int, object, int]


class Recognition:
    """Remembers the addresses that the flow was seen with: to be asked in the order of time."""

    def __init__(self, match: FlowMatch) -> None:
        self._match = match
        self._shapes: set[Ends] = set()

    def way(self, headers: Headers) -> Way | None:
        """The packet's direction; None for a packet of another flow."""
        if headers.quoted is not None:
            quoted = self.way(headers.quoted)
            return None if quoted is None else Way.REPLY if quoted is Way.REQUEST else Way.REQUEST
        if headers.is_error:  # cut short before the packet that it quotes
            return Way.REPLY if any(source == headers.destination for source, *_ in self._shapes) else None
        found = self._way(headers)
        if found is Way.REQUEST:
            self._shapes.add(headers.ends)
        return found

    def _way(self, headers: Headers) -> Way | None:
        match self._match.protocol:
            case TargetProtocol.TCP:
                return self._of_tcp(headers)
            case TargetProtocol.ICMP:
                return self._of_echo(headers)
            case _:
                return self._of_udp(headers) if headers.protocol == UDP else None

    def _of_tcp(self, headers: Headers) -> Way | None:
        flags = headers.flags or ""
        if headers.sequence == self._match.token and "S" in flags:
            return Way.REQUEST
        return Way.REPLY if headers.acknowledged == self._match.acknowledged and flags not in ("", ".") else None

    def _of_echo(self, headers: Headers) -> Way | None:
        if headers.token != self._match.token:
            return None
        return Way.REQUEST if headers.flags == "echo request" else Way.REPLY

    def _of_udp(self, headers: Headers) -> Way | None:
        """A server may send the token back: who was spoken to before answers."""
        if headers.reversed_ends in self._shapes:
            return Way.REPLY
        return Way.REQUEST if headers.token == self._match.token or headers.ends in self._shapes else None
