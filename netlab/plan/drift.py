"""What somebody has changed by hand: the steps that would put it right, told as what is there and what should be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from netlab.model.drift import Drift, DriftKind
from netlab.model.names import FABRIC
from netlab.model.rules import IPAddress
from netlab.model.state import Link, NamespaceState
from netlab.plan.commands import command, inner_command
from netlab.plan.diff import diff
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

AGAIN = "netlab down, then netlab up, makes it anew"
FIELDS = {LinkField.MTU: DriftKind.MTU, LinkField.HAIRPIN: DriftKind.HAIRPIN}
Told = tuple[DriftKind, str, str]
"""Of what kind, the subject, and the text."""


def drifts(
    seen: Sequence[NamespaceState], wanted: Sequence[NamespaceState], places: Mapping[str, str]
) -> tuple[Drift, ...]:
    """Everything that is not as wanted. `places` are the namespaces of `wanted` as the command line names them."""
    known = _Known({state.name: state for state in seen}, _owners(wanted, places))
    return tuple(_drift(step, known, places) for step in diff(seen, wanted) if not known.has(step))


@dataclass(frozen=True, slots=True)
class _Known:
    seen: Mapping[str, NamespaceState]
    owners: Mapping[IPAddress, str]
    """The places that are to have an address."""

    def has(self, step: Step) -> bool:
        """Whether it is there: a step for what only goes away with another step is none of the differences."""
        state = self.seen.get(step.namespace)
        match step:
            case AddAddress(_, address):
                return state is not None and address in state.addresses
            case AddRoute(_, route):
                return state is not None and route in state.routes
            case AddNeighbour(_, entry):
                return state is not None and entry in state.neighbours
        return False

    def link(self, namespace: str, name: str) -> Link | None:
        state = self.seen.get(namespace)
        return state.link(name) if state else None


def _owners(wanted: Iterable[NamespaceState], places: Mapping[str, str]) -> dict[IPAddress, str]:
    return {address.interface.ip: places.get(state.name, state.name) for state in wanted for address in state.addresses}


def _drift(step: Step, known: _Known, places: Mapping[str, str]) -> Drift:
    place = places.get(step.namespace, step.namespace)
    kind, subject, text = _told(step, known)
    return Drift(place=place, kind=kind, subject=subject, text=f"{place}: {text}", remedy=_remedy(step, place))


def _remedy(step: Step, place: str) -> str:
    if place == FABRIC:
        return command(step)
    inside = inner_command(step)
    return f"netlab exec {place} -- {inside}" if inside else AGAIN


def _told(step: Step, known: _Known) -> Told:  # noqa: PLR0911 (a table)
    match step:
        case AddNamespace(name):
            return DriftKind.NAMESPACE, name, "its network namespace is gone"
        case DeleteNamespace(name):
            return DriftKind.NAMESPACE, name, f"nobody planned the network namespace {name}"
        case SetSysctl(namespace, sysctl):
            there = known.seen[namespace].sysctls if namespace in known.seen else ()
            now = next((each.value for each in there if each.key == sysctl.key), "not there")
            return DriftKind.SETTING, sysctl.key, f"{sysctl.key} is {now}, not {sysctl.value}"
        case SetLink(namespace, link, field):
            return FIELDS.get(field, DriftKind.LINK), link.name, _field(known.link(namespace, link.name), link, field)
        case AddLink(_, link):
            return DriftKind.LINK, link.name, f"the interface {link.name} is gone"
        case DeleteLink(_, link):
            return DriftKind.EXTRA, link.name, f"nobody planned the interface {link.name}"
        case SetTable(_, table):
            rules = f"the rules in {table.owned[0]}* of table {table.name}" if table.owned else f"table {table.name}"
            return DriftKind.RULES, table.name, f"{rules} are not those by which Pods leave in their node's name"
    return _told_of_addresses(step, known)


def _told_of_addresses(step: Step, known: _Known) -> Told:  # noqa: PLR0911 (a table)
    match step:
        case AddAddress(_, address):
            subject = str(address.interface.ip)
            return DriftKind.ADDRESS, subject, f"{address.link} lacks its address {address.interface}"
        case DeleteAddress(_, address):
            owner, subject = known.owners.get(address.interface.ip), str(address.interface.ip)
            if owner:
                return DriftKind.DUPLICATE, subject, f"{address.link} has {subject}, which is the address of {owner}"
            return DriftKind.ADDRESS, subject, f"nobody planned the address {address.interface} of {address.link}"
        case AddRoute(_, route):
            return DriftKind.ROUTE, str(route.destination), f"{_routes(step, known)}, not {_inner(step)}"
        case DeleteRoute(_, route):
            return DriftKind.ROUTE, str(route.destination), f"nobody planned the route to {route.destination}"
        case AddNeighbour(_, entry):
            text = f"of {entry.address} it does not know the MAC {entry.mac} on {entry.link}"
            return DriftKind.NEIGHBOUR, str(entry.address), text
        case DeleteNeighbour(_, entry):
            return DriftKind.NEIGHBOUR, str(entry.address), f"nobody planned {entry.address} at {entry.mac}"
        case AddFdbEntry(_, entry) | DeleteFdbEntry(_, entry):
            text = f"{entry.link} does not send frames for {entry.mac} where it should"
            return DriftKind.NEIGHBOUR, str(entry.destination), text
    raise TypeError(f"no words for {step}")


def _field(now: Link | None, wanted: Link, field: LinkField) -> str:
    found, should = (getattr(now, field) if now else "?"), getattr(wanted, field)
    if field is LinkField.UP:
        return f"{wanted.name} is {'down, not up' if should else 'up, not down'}"
    if field is LinkField.MASTER:
        return f"{wanted.name} is {f'a port of {found}' if found else 'no port of a bridge'}, not of {should}"
    if field is LinkField.HAIRPIN:
        return f"hairpin mode of {wanted.name} is {_on(found)}, not {_on(should)}"
    return f"the {'MTU' if field is LinkField.MTU else 'MAC'} of {wanted.name} is {found}, not {should}"


def _on(value: object) -> str:
    return "on" if value else "off"


def _routes(step: AddRoute, known: _Known) -> str:
    state = known.seen.get(step.namespace)
    there = [route for route in state.routes if route.destination == step.route.destination] if state else []
    if not there:
        return f"there is no route to {step.route.destination}"
    return f"the route is {_inner(AddRoute(step.namespace, there[0]))}"


def _inner(step: AddRoute) -> str:
    return (inner_command(step) or "").partition(" replace ")[2]
