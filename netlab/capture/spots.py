"""What `netlab capture` is told: where to listen."""

from __future__ import annotations

from dataclasses import dataclass

from netlab.model.names import FABRIC, Place, PlaceKind

EVERYWHERE = "all"
KINDS = tuple(f"{kind}/" for kind in PlaceKind)


@dataclass(frozen=True, slots=True)
class Spot:
    """A place, or the wire between the nodes (`place` None), and one of its interfaces, or all (`interface` None)."""

    place: Place | None
    interface: str | None = None

    def __str__(self) -> str:
        name = str(self.place) if self.place else FABRIC
        return f"{name}:{self.interface}" if self.interface else name

    @classmethod
    def parse(cls, text: str) -> Spot:
        """Read `pod/NAME`, `node/NAME`, `external/NAME` or `fabric`, with `:INTERFACE` or without; ValueError."""
        name, colon, interface = text.partition(":")
        if colon and not interface:
            raise ValueError(f"{text!r} names no interface: write {name}:eth0, or {name} for all of them")
        return cls(None if name == FABRIC else Place.parse(name), interface or None)


def is_spot(word: str) -> bool:
    """Whether a word says where to listen; what does not is the beginning of a filter."""
    return word.startswith(KINDS) or word.partition(":")[0] in (FABRIC, EVERYWHERE)
