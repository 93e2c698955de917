"""Which ends of veth pairs belong together: the kernel tells each end only numbers."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyroute2.netlink.rtnl.nsidmsg import nsidmsg

from netlab.kernel.namespaces import Namespaces
from netlab.kernel.netlink import RouteSocket, attribute

RTM_GETNSID = 90
NETNSA_FD = 3
End = tuple[str, str]
"""An interface by its namespace's name and its own."""


@dataclass(frozen=True, slots=True)
class CableEnd:
    """An end: its name and number, the other end's number, and the number by which that one's namespace is known here.

    The last is None where both ends are in one namespace.
    """

    name: str
    index: int
    far_index: int
    far_namespace: int | None


def far_ends(ends: Mapping[str, Sequence[CableEnd]], namespaces: Namespaces) -> dict[End, End]:
    """The far end of each end, of those that are in these namespaces; `ends` has them by namespace.

    The far end is one whose two interface numbers are the same, crosswise. There may be one in several namespaces: then
    the kernel is asked which of them has the number that the near one's namespace knows.
    """
    candidates: defaultdict[tuple[int, int], list[tuple[str, CableEnd]]] = defaultdict(list)
    for namespace, inside in ends.items():
        for end in inside:
            candidates[end.index, end.far_index].append((namespace, end))
    found: dict[End, End] = {}
    for namespace, inside in ends.items():
        open_ends = [end for end in inside if (namespace, end.name) not in found]
        if not open_ends:
            continue
        namespaces.enter(namespace)
        with RouteSocket(namespace) as route:
            for end in open_ends:
                for there, far in candidates[end.far_index, end.index]:
                    if _number(there, route, namespaces) == end.far_namespace:
                        found[namespace, end.name], found[there, far.name] = (there, far.name), (namespace, end.name)
    return found


def _number(namespace: str, route: RouteSocket, namespaces: Namespaces) -> int | None:
    """The number by which the socket's namespace knows the one of that name; None for itself."""
    if namespace == route.where:
        return None
    descriptor = struct.pack("=I", namespaces.descriptor(namespace))
    message = nsidmsg(route.ask(RTM_GETNSID, bytes(4) + attribute(NETNSA_FD, descriptor)))
    message.decode()
    number: int = message.get_attr("NETNSA_NSID")
    return number
