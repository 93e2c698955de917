"""How endpoints are spread over slices: pure. What is in a slice stays there, so that few slices change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netlab.model.objects import Endpoint, EndpointSlice

ENDPOINTS_PER_SLICE = 100
Identity = tuple[str, str]
"""An endpoint's address and the name of its Pod: Pods in their node's network share its address."""


def identity(endpoint: Endpoint) -> Identity:
    """What makes two endpoints the same one, whatever else changes."""
    return endpoint.addresses[0], (endpoint.target_ref.name if endpoint.target_ref else None) or ""


@dataclass(frozen=True, slots=True)
class Packing:
    """What to write for one group of endpoints."""

    kept: tuple[EndpointSlice, ...]
    """The slices with what is to be in them, some of them as they were."""
    emptied: tuple[EndpointSlice, ...]
    new: tuple[tuple[Endpoint, ...], ...]
    """The endpoints of each slice to be made."""


def pack(existing: Sequence[EndpointSlice], wanted: Mapping[Identity, Endpoint]) -> Packing:
    """Put the `wanted` endpoints of one group into its `existing` slices, and new ones if need be."""
    left = dict(wanted)
    contents: list[list[Endpoint]] = []
    for each in existing:
        kept = (left.pop(identity(endpoint), None) for endpoint in each.endpoints)
        contents.append([endpoint for endpoint in kept if endpoint is not None])
    homeless = list(left.values())
    for index in _by_readiness(existing, contents):
        room = ENDPOINTS_PER_SLICE - len(contents[index])
        contents[index] += homeless[:room]
        homeless = homeless[room:]
    pairs = tuple(zip(existing, map(tuple, contents), strict=True))
    return Packing(
        kept=tuple(
            each if content == each.endpoints else each.model_copy(update={"endpoints": content})
            for each, content in pairs
            if content
        ),
        emptied=tuple(each for each, content in pairs if not content),
        new=tuple(
            tuple(homeless[start : start + ENDPOINTS_PER_SLICE])
            for start in range(0, len(homeless), ENDPOINTS_PER_SLICE)
        ),
    )


def _by_readiness(existing: Sequence[EndpointSlice], contents: Sequence[list[Endpoint]]) -> list[int]:
    """The slices in the order in which they take newcomers: those that change anyway first, of them the fullest."""

    def order(index: int) -> tuple[bool, int]:
        return tuple(contents[index]) == existing[index].endpoints, -len(contents[index])

    return sorted(range(len(existing)), key=order)
