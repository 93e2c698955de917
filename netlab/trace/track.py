"""The record of one packet's way: its hops in the order of time, and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from netlab.model.journey import Hop, PacketVerdict, RuleHit, Way
from netlab.proxy.slices import Endpoint
from netlab.trace.causes import Cause
from netlab.trace.connections import Connection
from netlab.trace.machine import Machine
from netlab.trace.packet import Packet
from netlab.trace.policy import Choice

Pick = Callable[[Choice], Endpoint]
MOST_HOPS = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody who waits for an answer: the machine, what it sent, and the client's packet that it passes on.

    `passes_on` is None for the client itself; else a kube-proxy of mode userspace asks for another.
    """

    machine: Machine
    sent: Packet
    passes_on: Packet | None = None


@dataclass(slots=True)
class Track:
    """What is known of the flow so far. `pick` chooses among endpoints."""

    pick: Pick
    hops: list[Hop] = field(default_factory=list)
    way: Way = Way.REQUEST
    connections: dict[str, list[Connection]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    pending: PacketVerdict = PacketVerdict.DROPPED
    verdict: PacketVerdict = PacketVerdict.DROPPED
    pod: str | None = None
    source_seen: str | None = None
    cause: Cause | None = None
    translated: tuple[str, str] | None = None

    def hop(
        self,
        machine: Machine,
        hook: str,
        packet: Packet,
        *,
        before: Packet | None = None,
        rules: tuple[RuleHit, ...] = (),
        verdict: PacketVerdict | None = None,
        detail: str | None = None,
    ) -> None:
        """Note that the packet passed there; `before` is what it was until then."""
        changed = packet.differs_from(before) if before else ()
        if packet.inner and detail is None:
            detail = f"VXLAN around {packet.inner.src} > {packet.inner.dst}"
        self.hops.append(
            Hop(
                at=machine.at,
                hook=hook,
                way=self.way,
                packet=packet.seen(),
                rules=rules,
                changed=changed,
                verdict=verdict,
                detail=detail,
            )
        )

    @property
    def is_request(self) -> bool:
        return self.way is Way.REQUEST

    @property
    def goes_round(self) -> bool:
        return len(self.hops) > MOST_HOPS

    def remember(self, machine: Machine, connection: Connection) -> None:
        """The machine's connection tracking has this flow from now on; it takes the place of what it was so far."""
        known = self.connections.setdefault(machine.at, [])
        known[:] = [each for each in known if each.came != connection.came]
        known.append(connection)

    def carried(self, machine: Machine, packet: Packet) -> Connection | None:
        """The flow that a packet of the request is of."""
        return next((each for each in self.connections.get(machine.at, ()) if each.carries(packet)), None)

    def answered(self, machine: Machine, packet: Packet) -> Connection | None:
        """The flow that a packet of the reply answers."""
        return next((each for each in self.connections.get(machine.at, ()) if each.is_answered_by(packet)), None)

    def stop(self, verdict: PacketVerdict, cause: Cause | None) -> None:
        """Nothing more comes. What is lost on its way back the client never hears of."""
        self.verdict = verdict if self.is_request else PacketVerdict.DROPPED
        self.cause = self.cause or cause
