"""One probe's packets under way: sent one after the other, without waiting for the answers to those before.

A flow ends when its answer comes, when an ICMP error quotes its packet, when there is no route for it, or when its time
is up. Everything happens in one loop over the sockets; times are the kernel's own stamps.
"""

from __future__ import annotations

import contextlib
import random
import selectors
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from netlab.model.journey import PacketVerdict
from netlab.probe.packets import Answer, Arrival, Dialect, Tag
from netlab.probe.sockets import NoRoute, Origin, Received, drain

MOST_AT_ONCE = 400
"""Flows that may wait for their answers at one time: each holds a socket, and a process may have 1024."""
SEND_AGAIN_AFTER = 0.001
"""Seconds to wait where the sending socket's buffer is full."""


@dataclass(slots=True)
class Outcome:
    """A flow and what is known of it so far."""

    tag: Tag
    sent: float
    deadline: float
    held: socket.socket | None
    verdict: PacketVerdict | None = None
    milliseconds: float | None = None
    arrival: Arrival | None = None


class Exchange:
    """The flows of one probe. To be run inside FROM's network namespace.

    `ended` is called with each flow as soon as its verdict is known, while the kernel still remembers its translation.
    """

    def __init__(
        self,
        origin: Origin,
        dialect: Dialect,
        *,
        taps: Iterable[socket.socket],
        randomness: random.Random,
        ended: Callable[[Outcome], None],
        tokens: Iterable[int] = (),
    ) -> None:
        """`tokens` are the first flows', where they must be known beforehand."""
        self._tokens = iter(tokens)
        self._origin, self._dialect, self._randomness, self._ended = origin, dialect, randomness, ended
        self._by_token: dict[int, Outcome] = {}
        self._waiting: dict[int, Outcome] = {}
        """By port, in the order of their deadlines."""
        self._selector = selectors.DefaultSelector()
        self._watch(origin.answers, lambda data: self._hear(dialect.answer(data.data), data))
        self._watch(origin.errors, lambda data: self._hear(dialect.error(data.data), data))
        self._taps = tuple(taps)
        for tap in self._taps:
            self._watch(tap, lambda data: self._arrived(dialect.arrival(data.data)))

    def run(self, *, count: int, timeout: float, interval: float) -> tuple[Outcome, ...]:
        """Send `count` packets, the next no sooner than `interval` seconds after the last; all flows, in that order.

        A flow is dropped if nothing came back `timeout` seconds after it was sent.
        """
        due = time.monotonic()
        try:
            while self._waiting or len(self._by_token) < count:
                self._expire()
                free = len(self._by_token) < count and len(self._waiting) < MOST_AT_ONCE
                if free and time.monotonic() >= due:
                    due = time.monotonic() + (interval if self._send_one(timeout) else SEND_AGAIN_AFTER)
                self._listen(until=due if free and len(self._by_token) < count else None)
            self._listen(until=0.0)
            return tuple(self._by_token.values())
        finally:
            self._selector.close()
            self._release()

    # --- sending

    def _send_one(self, timeout: float) -> bool:
        """Whether the packet left, or never will; False where it has to be tried again."""
        port, held = self._origin.reserve()
        tag = Tag(port, self._new_token())
        flow = Outcome(tag, sent=time.time(), deadline=time.monotonic() + timeout, held=held)
        try:
            self._origin.send(self._dialect.request(tag))
        except BlockingIOError:
            if held:
                held.close()
            return False
        except NoRoute:
            self._by_token[tag.token] = flow
            self._end(flow, PacketVerdict.UNREACHABLE)
            return True
        self._by_token[tag.token] = self._waiting[tag.port] = flow
        return True

    def _new_token(self) -> int:
        if (given := next(self._tokens, None)) is not None:
            return given
        while (token := self._randomness.getrandbits(32)) in self._by_token:
            pass
        return token

    # --- hearing

    def _watch(self, source: socket.socket, handle: Callable[[Received], None]) -> None:
        def read() -> None:
            for received in drain(source):
                handle(received)

        self._selector.register(source, selectors.EVENT_READ, read)

    def _listen(self, *, until: float | None) -> None:
        """Handle what comes in; wait for it at most until that time, and until the first flow's time is up."""
        ends = [flow.deadline for flow in self._waiting.values()][:1] + ([] if until is None else [until])
        patience = max(0.0, min(ends, default=0.0) - time.monotonic())
        for key, _events in self._selector.select(patience):
            read: Callable[[], None] = key.data
            read()

    def _hear(self, answer: Answer | None, received: Received) -> None:
        flow = self._waiting.get(answer.port) if answer else None
        if answer is None or flow is None or answer.token not in (None, flow.tag.token):
            return
        del self._waiting[answer.port]
        flow.milliseconds = max(0.0, round((received.time - flow.sent) * 1000, 3))
        self._end(flow, answer.verdict)

    def _arrived(self, arrival: Arrival | None) -> None:
        flow = self._by_token.get(arrival.token) if arrival else None
        if flow is not None:
            flow.arrival = arrival

    # --- the end of a flow

    def _expire(self) -> None:
        now = time.monotonic()
        for port in [port for port, flow in self._waiting.items() if flow.deadline <= now]:
            flow = self._waiting.pop(port)
            self._end(flow, PacketVerdict.DROPPED)
            if flow.arrival:
                self._say_farewell(flow)

    def _end(self, flow: Outcome, verdict: PacketVerdict) -> None:
        flow.verdict = verdict
        if flow.held:
            flow.held.close()
        self._ended(flow)

    def _say_farewell(self, flow: Outcome) -> None:
        """Tell the server whose answer got lost that nobody waits for it."""
        farewell = self._dialect.farewell(flow.tag)
        if farewell:
            with contextlib.suppress(NoRoute, BlockingIOError):
                self._origin.send(farewell)

    def _release(self) -> None:
        for flow in self._waiting.values():
            if flow.held:
                flow.held.close()
