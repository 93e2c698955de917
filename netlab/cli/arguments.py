"""Arguments to values: places, targets, kinds. What is wrong with one is said with the argument as it was written."""

from __future__ import annotations

import difflib

from netlab.cli.mistakes import wrong
from netlab.model.names import Place
from netlab.model.objects import KINDS, KubernetesObject
from netlab.model.targets import Target
from netlab.model.topology import Topology

EVERY_KIND: tuple[type[KubernetesObject], ...] = (*KINDS, Topology)
SHORT_NAMES = {
    "nodes": ("no",),
    "pods": ("po",),
    "services": ("svc",),
    "endpointslices": ("eps",),
    "namespaces": ("ns",),
    "deployments": ("deploy",),
    "events": ("ev",),
    "topologies": ("topo",),
}
"""As kubectl spells them, by plural; `topo` is netlab's own."""


def place(text: str) -> Place:
    """Read FROM or WHERE; a bare name is a Pod."""
    try:
        return Place.parse(text if "/" in text else f"pod/{text}")
    except ValueError as error:
        raise wrong(str(error)) from error


def target(text: str) -> Target:
    """Read TO."""
    try:
        return Target.parse(text)
    except ValueError as error:
        raise wrong(str(error)) from error


def kind(text: str) -> type[KubernetesObject]:
    """Read KIND: a kind's name in singular, plural or short, in any case."""
    spellings: dict[str, type[KubernetesObject]] = {}
    for each in EVERY_KIND:
        spellings |= dict.fromkeys((each.PLURAL, each.__name__.lower(), *SHORT_NAMES.get(each.PLURAL, ())), each)
    found = spellings.get(text.lower())
    if found is None:
        near = difflib.get_close_matches(text.lower(), spellings, n=1)
        plurals = ", ".join(each.PLURAL for each in EVERY_KIND)
        raise wrong(f"there is no kind {text!r}", f"did you mean {near[0]}?" if near else f"there are {plurals}")
    return found


def kinds(text: str) -> list[type[KubernetesObject]]:
    """Read KIND[,KIND...]; `all` are the kinds that kubectl means by it, of those that a lab has."""
    return [kind(each) for each in ("pods,services,deployments" if text == "all" else text).split(",")]


def kind_and_name(text: str) -> tuple[type[KubernetesObject], str]:
    """Read KIND/NAME."""
    spelled, slash, name = text.partition("/")
    if not slash or not name:
        raise wrong(f"{text!r} is not KIND/NAME", "for instance deployment/web")
    return kind(spelled), name
