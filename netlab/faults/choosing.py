"""Which victim a fault gets: the one that was named, or the only one that it can be put into."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from netlab.errors import InvalidInput, NotFound
from netlab.faults.fault import Fault, Make, unfit
from netlab.faults.names import Scope
from netlab.faults.steps import Steps
from netlab.model.cluster import ClusterView

OPTIONS = {Scope.NODE: "--on NODE", Scope.SERVICE: "--service NAME", Scope.POD: "--on pod/NAME"}
"""How a victim of each scope is named."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A victim, `node/n1` say, and the steps that put the fault into it."""

    victim: str
    steps: Steps


def choose(fault: Fault, view: ClusterView, wanted: str | None) -> Chosen:
    """The victim of that name; with None the only one that fits.

    NotFound: nothing has that name. InvalidInput: the fault cannot be put into it, or several would fit.
    """
    if wanted is not None:
        return _named(fault, view, wanted)
    chosen, reasons = fitting(fault, view)
    if len(chosen) == 1:
        return chosen[0]
    if not chosen:
        said = "; ".join(f"{victim}: {reason}" for victim, reason in reasons.items())
        raise unfit(f"{fault.name} cannot be put into this lab: {said or f'there is no {fault.scope}'}")
    names = ", ".join(each.victim for each in chosen)
    raise unfit(f"{fault.name} could be put into {names}: say which with {OPTIONS[fault.scope]}")


def fitting(fault: Fault, view: ClusterView) -> tuple[tuple[Chosen, ...], dict[str, str]]:
    """What the fault can be put into, and of the rest why not; without what belongs to the cluster itself."""
    chosen: list[Chosen] = []
    reasons: dict[str, str] = {}
    for victim, make in fault.victims(view):
        if not fault.is_own(victim):
            continue
        try:
            chosen.append(Chosen(victim, make()))
        except InvalidInput as error:
            reasons[victim] = error.problems[0].message
    return tuple(chosen), reasons


def require_victim(fault: Fault, view: ClusterView, wanted: str) -> Make:
    """How the fault is put into the victim of that name. NotFound: nothing that it could be put into has that name."""
    victims = dict(fault.victims(view))
    if wanted in victims:
        return victims[wanted]
    near = difflib.get_close_matches(wanted, victims, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there is {', '.join(victims) or 'none'}"
    raise NotFound(f"there is no {wanted}: {hint}")


def _named(fault: Fault, view: ClusterView, wanted: str) -> Chosen:
    make = require_victim(fault, view, wanted)
    try:
        return Chosen(wanted, make())
    except InvalidInput as error:
        raise unfit(f"{fault.name} cannot be put into {wanted}: {error.problems[0].message}") from error
