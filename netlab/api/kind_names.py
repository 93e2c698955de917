"""A kind by any name that people have for it: singular, plural or short, in any case."""

from __future__ import annotations

import difflib

from netlab.api.registry import SERVED
from netlab.errors import InvalidInput, Problem
from netlab.model.objects import KubernetesObject

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


def kind_named(text: str) -> type[KubernetesObject]:
    """The kind of that name. InvalidInput: there is none."""
    spellings: dict[str, type[KubernetesObject]] = {}
    for each in SERVED:
        spellings |= dict.fromkeys((each.PLURAL, each.__name__.lower(), *SHORT_NAMES.get(each.PLURAL, ())), each)
    found = spellings.get(text.lower())
    if found is None:
        near = difflib.get_close_matches(text.lower(), spellings, n=1)
        plurals = ", ".join(each.PLURAL for each in SERVED)
        suggestion = f"did you mean {near[0]}?" if near else f"there are {plurals}"
        raise InvalidInput([Problem("", 0, 0, "", f"there is no kind {text!r}", suggestion)])
    return found
