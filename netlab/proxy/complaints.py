"""What is wrong with an object that a proxy was given. It is said by name; everything else is served."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Complaint:
    """One part of one object that cannot be served: `path` is the field as Kubernetes writes it."""

    kind: str
    name: str
    path: str
    message: str

    def __str__(self) -> str:
        name = self.name if self.name.isprintable() else ascii(self.name)
        return f"{self.kind} {name}: {self.path}: {self.message}"
