"""Why a packet did not arrive: what `meaning` puts into a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from netlab.model.rules import IPAddress, IPNetwork
from netlab.proxy.decide import Route
from netlab.proxy.ports import ServicePort


class Reason(StrEnum):
    """What stood in the way."""

    NO_ENDPOINT = "no endpoint"
    NO_LOCAL_ENDPOINT = "no endpoint on this node"
    SOURCE_RANGE = "outside of the source ranges"
    PORT_NOT_SERVED = "the Service has no such port"
    NO_SUCH_SERVICE = "no Service has the address"
    NO_LISTENER = "nobody listens"
    NO_ROUTE = "no route"
    NOBODY_THERE = "nobody has the address"
    NOT_A_ROUTER = "it does not forward"
    OTHER_ADDRESS_ANSWERS = "the answer comes from an address that was not asked"
    LOOP = "it goes round in circles"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A reason, where it applied (`at`, a place) and to what.

    `address` and `port` are what the packet was addressed to there, `source` who sent it. `service` is the Service port
    that is concerned, `allowed` who may use it. `text` is the route that turned the packet down.
    """

    reason: Reason
    at: str
    address: IPAddress | None = None
    port: int | None = None
    protocol: str = "tcp"
    source: IPAddress | None = None
    route: Route | None = None
    service: ServicePort | None = None
    allowed: tuple[IPNetwork, ...] = ()
    text: str = ""
