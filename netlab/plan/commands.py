"""The same steps as commands that a learner can paste; errors name a step in the same words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab.model.state import Bridge, Link, Neighbour, Route, RouteKind, Veth, Vxlan
from netlab.plan.steps import (
    AddAddress,
    AddFdbEntry,
    AddLink,
    AddNamespace,
    AddNeighbour,
    AddRoute,
    DeleteAddress,
    DeleteFdbEntry,
    DeleteLink,
    DeleteNamespace,
    DeleteNeighbour,
    DeleteRoute,
    LinkField,
    SetLink,
    SetSysctl,
    SetTable,
    Step,
)


def commands(steps: Iterable[Step]) -> tuple[str, ...]:
    """The commands that do what the steps do, one a line, for a shell of the superuser."""
    return tuple(command(step) for step in steps)


def command(step: Step) -> str:  # noqa: PLR0911 (a table)
    """The one command that does what the step does."""
    match step:
        case AddNamespace(namespace):
            return f"ip netns add {namespace}"
        case DeleteNamespace(namespace):
            return f"ip netns delete {namespace}"
        case SetSysctl(namespace, sysctl):
            return f"ip netns exec {namespace} sysctl -qw {sysctl.key}={sysctl.value}"
        case SetTable(namespace, table):
            return f"ip netns exec {namespace} iptables-restore # {table.name}"
        case AddFdbEntry(namespace, entry):
            return f"bridge -n {namespace} fdb replace {entry.mac} dev {entry.link} dst {entry.destination} permanent"
        case DeleteFdbEntry(namespace, entry):
            return f"bridge -n {namespace} fdb del {entry.mac} dev {entry.link} dst {entry.destination}"
    return f"ip -n {step.namespace} {' '.join(_words(step))}"


def inner_command(step: Step) -> str | None:
    """The same for a shell that is inside the namespace already; None where there is no such command."""
    match step:
        case SetSysctl(_, sysctl):
            return f"sysctl -qw {sysctl.key}={sysctl.value}"
        case AddFdbEntry(_, entry):
            return f"bridge fdb replace {entry.mac} dev {entry.link} dst {entry.destination} permanent"
        case DeleteFdbEntry(_, entry):
            return f"bridge fdb del {entry.mac} dev {entry.link} dst {entry.destination}"
        case AddNamespace() | DeleteNamespace() | SetTable():
            return None
    return f"ip {' '.join(_words(step))}"


def _words(step: Step) -> tuple[str, ...]:  # noqa: PLR0911 (a table)
    match step:
        case AddLink(_, link, far):
            return (
                "link",
                "add",
                *_end(link),
                *(("master", link.master) if link.master else ()),
                "up",
                *_kind(link, far),
            )
        case SetLink(_, link, field):
            return "link", "set", link.name, *_change(link, field)
        case DeleteLink(_, link):
            return "link", "delete", link.name
        case AddAddress(_, address):
            return "address", "replace", str(address.interface), "dev", address.link
        case DeleteAddress(_, address):
            return "address", "delete", str(address.interface), "dev", address.link
        case AddRoute(_, route):
            return *_family(route), "route", "replace", *_route(route)
        case DeleteRoute(_, route):
            return *_family(route), "route", "delete", *_route(route)
        case AddNeighbour(_, entry):
            return "neighbour", "replace", *_neighbour(entry), "lladdr", entry.mac, "nud", "permanent"
        case DeleteNeighbour(_, entry):
            return "neighbour", "delete", *_neighbour(entry)
    raise TypeError(f"no command for {step}")


def _end(link: Link) -> tuple[str, ...]:
    return link.name, "address", link.mac, "mtu", str(link.mtu)


def _kind(link: Link, far: Link | None) -> tuple[str, ...]:
    match link:
        case Bridge():
            return "type", "bridge"
        case Veth() if far is not None:
            return "type", "veth", "peer", "name", *_end(far), "netns", link.peer_namespace
        case Vxlan():
            number, port = str(link.vni), str(link.port)
            return "type", "vxlan", "id", number, "local", str(link.local), "dstport", port, "nolearning"
    raise TypeError(f"not an interface that can be made: {link}")


def _change(link: Link, field: LinkField) -> tuple[str, ...]:
    match field:
        case LinkField.MAC:
            return "address", link.mac
        case LinkField.MTU:
            return "mtu", str(link.mtu)
        case LinkField.MASTER:
            return ("master", link.master) if link.master else ("nomaster",)
        case LinkField.HAIRPIN:
            return "type", "bridge_slave", "hairpin", "on" if link.hairpin else "off"
        case LinkField.UP:
            return ("up" if link.up else "down",)


def _family(route: Route) -> tuple[str, ...]:
    """`ip` takes `default` for IPv4's unless it is told."""
    return ("-6",) if route.destination.version == 6 else ()


def _route(route: Route) -> Iterator[str]:
    if route.kind is RouteKind.UNREACHABLE:
        yield "unreachable"
    yield str(route.destination) if route.destination.prefixlen else "default"
    if route.via:
        yield from ("via", str(route.via))
    if route.link:
        yield from ("dev", route.link)
    if route.onlink:
        yield "onlink"


def _neighbour(entry: Neighbour) -> tuple[str, ...]:
    return str(entry.address), "dev", entry.link
