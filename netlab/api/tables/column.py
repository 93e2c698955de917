"""What a column is called and where it is shown, and how a cell is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netlab.model.objects import LabelSelector, PodSpec

NONE, UNSET, UNKNOWN = "<none>", "<unset>", "<unknown>"
Cell = str | int
Row = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """`wide` columns are shown by `-o wide` alone."""

    name: str
    wide: bool = False
    type: str = "string"
    format: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a kind, and an object's cells."""

    columns: tuple[Column, ...]
    row: Callable[[Any], Row]


NAME = Column("Name", format="name")
AGE = Column("Age")


def pairs(values: Mapping[str, str] | None) -> str:
    """`app=web,tier=front`."""
    return ",".join(f"{key}={value}" for key, value in (values or {}).items()) or NONE


def selector(value: LabelSelector) -> str:
    """A selector as kubectl writes it."""
    terms = [f"{key}={text}" for key, text in sorted(value.match_labels.items())]
    for each in value.match_expressions:
        values = ",".join(each.values)
        match each.operator:
            case "In":
                terms.append(f"{each.key} in ({values})")
            case "NotIn":
                terms.append(f"{each.key} notin ({values})")
            case "Exists":
                terms.append(each.key)
            case "DoesNotExist":
                terms.append(f"!{each.key}")
    return ",".join(terms) or NONE


def containers(spec: PodSpec) -> tuple[str, str]:
    """Names and images of a Pod's containers."""
    names = ",".join(each.name for each in spec.containers)
    return names, ",".join(each.image or "" for each in spec.containers)


def first(values: Sequence[str], shown: int) -> str:
    """The first values, then how many more there are."""
    text = ",".join(values[:shown])
    return f"{text} + {len(values) - shown} more..." if len(values) > shown else text
