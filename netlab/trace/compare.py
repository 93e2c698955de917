"""Does the kernel do what the model says? The first place where an observed journey and its prediction part.

Compared is what every tap and every program sees, each way by itself: the interfaces in their order with the packet on
each, balancers, the program at the end; then verdict and Pod. A hook of netfilter shows in the packet behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netlab.model.journey import Hop, Journey, PacketSeen, Way
from netlab.trace.foretell import Foretold, Prediction
from netlab.trace.lab import FABRIC
from netlab.trace.packet import VXLAN_PORT

BRIDGES = frozenset({"link/cni0", "link/br0"})
"""Whether a bridged packet shows on the bridge's own interface depends on whether the kernel knew the neighbour."""
COMPARED = ("src", "dst", "proto", "sport", "dport", "flags")
NAMES = {"src": "source", "dst": "destination", "proto": "protocol", "sport": "source port", "dport": "port"}


def compare(observed: Journey, prediction: Prediction) -> Journey:
    """The journey with its prediction beside it: that of the way which it took."""
    way = way_taken(observed, prediction)
    difference = first_difference(observed, way, known=prediction)
    return observed.model_copy(
        update={
            "prediction": way.hops,
            "endpoints": prediction.endpoints,
            "agrees": difference is None,
            "first_difference": difference,
            "meaning": _meaning(observed, way, known=prediction),
        }
    )


def _meaning(observed: Journey, way: Foretold, *, known: Prediction) -> str | None:
    """The model's reason counts where the end is the model's too; else what ended it is not as the lab made it."""
    reason = known.meaning(way)
    if observed.verdict is way.verdict:
        return reason or observed.meaning
    should = f"By the lab's state it should be {way.verdict.value}" + (f": {reason}" if reason else ".")
    return f"{should} {observed.meaning or _by_hand(observed)}"


def _by_hand(observed: Journey) -> str:
    """What to look at, by the place where the observed packet ended."""
    last = next((hop for hop in reversed(observed.hops) if hop.verdict is observed.verdict), None)
    last = last or (observed.hops[-1] if observed.hops else None)
    if last is None:
        return "The kernel saw no packet at all."
    if last.rules:
        return f"It ended at {_place(last)}, by a rule that the lab's objects do not ask for: {last.rules[-1].rule}"
    if last.hook == "route":
        family = "ipv6" if ":" in last.packet.dst else "ipv4"
        setting = f"net.{family}.conf.all.forwarding"
        return f"It ended at {last.at}: its routes, or the sysctl {setting}, are not as the lab made them."
    return f"It was last seen at {_place(last)}: rules, routes or sysctls behind that are not as the lab made them."


def way_taken(observed: Journey, prediction: Prediction) -> Foretold:
    """The foretold way by the endpoint that the observed packet got; the first where it got none of them."""
    for hop in reversed(observed.hops):
        if hop.way is Way.REQUEST and (way := prediction.through(_addressed(hop.packet))):
            return way
    return (prediction.by_pod(observed.pod) if observed.pod else None) or prediction.first


def first_difference(observed: Journey, way: Foretold, *, known: Prediction) -> str | None:
    """The first place where they part, in a sentence; None where they do not."""
    for direction in Way:
        seen = _compared(observed.hops, direction)
        if seen and (found := _walk(seen, _compared(way.hops, direction))):
            return found
    if observed.verdict is not way.verdict:
        return f"the kernel says {observed.verdict.value}, the model {way.verdict.value}"
    if observed.pod == way.pod:
        return None
    return f"the kernel brought it to {observed.pod or 'no Pod'}, the model knows {_pods(known)}"


def _pods(known: Prediction) -> str:
    return ", ".join(sorted({way.pod for way in known.ways if way.pod})) or "none"


def _addressed(packet: PacketSeen) -> str:
    host = f"[{packet.dst}]" if ":" in packet.dst else packet.dst
    return f"{host}:{packet.dport}"


def _compared(hops: Iterable[Hop], way: Way) -> list[Hop]:
    return [hop for hop in hops if hop.way is way and hop.hook.startswith(("link/", "ipvs", "proxy", "socket"))]


def _walk(seen: Sequence[Hop], foretold: Sequence[Hop]) -> str | None:
    left = list(foretold)
    for hop in seen:
        at = next((index for index, each in enumerate(left) if _same_place(hop, each)), None)
        if at is None:
            if _may_be_missing(hop, seen):
                continue
            return f"at {_place(hop)} the kernel had {_spell(hop.packet)}, the model has nothing there"
        if missed := next((each for each in left[:at] if not _may_be_missing(each, seen)), None):
            return f"the model has {_spell(missed.packet)} at {_place(missed)}, the kernel had nothing there"
        if found := _difference(hop, left[at]):
            return found
        left = left[at + 1 :]
    missed = next((each for each in left if not _may_be_missing(each, seen)), None)
    return f"the model goes on to {_place(missed)}, the kernel does not" if missed else None


def _same_place(one: Hop, other: Hop) -> bool:
    return (one.at, one.hook) == (other.at, other.hook)


def _may_be_missing(hop: Hop, seen: Sequence[Hop]) -> bool:
    """What a journey may leave out, or have beside the model's hops, without being another one."""
    if hop.at == FABRIC:
        return hop.hook in BRIDGES or not any(each.at == FABRIC for each in seen)
    home = hop.hook == "socket" and hop.way is Way.REPLY
    return hop.hook in BRIDGES or hop.hook == "link/lo" or home


def _difference(seen: Hop, foretold: Hop) -> str | None:
    """A tunnelled packet may be told by what is inside it or by what is around it."""
    if VXLAN_PORT in (foretold.packet.dport, seen.packet.dport):
        return None
    for name in COMPARED:
        had, model = getattr(seen.packet, name), getattr(foretold.packet, name)
        if had is not None and model is not None and had != model:
            return f"at {_place(seen)} the kernel saw {NAMES.get(name, name)} {had}, the model {model}"
    return None


def _place(hop: Hop) -> str:
    return f"{hop.at} {hop.hook}"


def _spell(packet: PacketSeen) -> str:
    return f"a packet from {packet.src} to {_addressed(packet)}" if packet.dport else f"{packet.src} > {packet.dst}"
