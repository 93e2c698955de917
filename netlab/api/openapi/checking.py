"""What of a JSON object is no field of its kind, and what is of another type than its field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from netlab.api.encoding import Json
from netlab.api.openapi.shapes import Form, Shape


@dataclass(slots=True)
class Findings:
    """Paths of what was found; `unknown` has been left out of the result."""

    unknown: list[str] = field(default_factory=list)
    mistyped: list[str] = field(default_factory=list)
    """A sentence each."""


def known_part(value: dict[str, Json], shape: Shape, findings: Findings) -> dict[str, Json]:
    """The object without the fields that its kind does not have; the same value where all are known."""
    checked = _struct(value, shape, "", findings) if shape.form is Form.STRUCT else value
    assert isinstance(checked, dict)
    return checked


def _checked(value: Json, shape: Shape, path: str, findings: Findings) -> Json:
    if value is None or shape.form is Form.ANYTHING:
        return value
    if isinstance(value, dict):
        if shape.form is Form.STRUCT:
            return _struct(value, shape, path, findings)
        if shape.form is Form.MAP and shape.item:
            return _map(value, shape.item, path, findings)
    elif isinstance(value, list) and shape.form is Form.LIST and shape.item:
        return _list(value, shape.item, path, findings)
    elif (fits := _FITS.get(shape.form)) and fits(value):
        return value
    wanted = _WORDS.get(shape.form, shape.form.value)
    findings.mistyped.append(f"json: cannot unmarshal {_word(value)} into Go struct field {path} of type {wanted}")
    return value


def _struct(value: dict[str, Json], shape: Shape, path: str, findings: Findings) -> Json:
    fields, changed = shape.fields, None
    for key, each in value.items():
        known = fields.get(key)
        place = f"{path}.{key}" if path else key
        if known is None:
            findings.unknown.append(place)
        elif (checked := _checked(each, known, place, findings)) is each:
            continue
        else:
            changed = changed if changed is not None else dict(value)
            changed[key] = checked
            continue
        changed = changed if changed is not None else dict(value)
        del changed[key]
    return value if changed is None else changed


def _map(value: dict[str, Json], item: Shape, path: str, findings: Findings) -> Json:
    checked = {key: _checked(each, item, f"{path}.{key}", findings) for key, each in value.items()}
    return checked if any(checked[key] is not each for key, each in value.items()) else value


def _list(value: list[Json], item: Shape, path: str, findings: Findings) -> Json:
    checked = [_checked(each, item, f"{path}[{index}]", findings) for index, each in enumerate(value)]
    return checked if any(new is not old for new, old in zip(checked, value, strict=True)) else value


def _is_integer(value: Json) -> bool:
    return type(value) is int


_FITS: dict[Form, Callable[[Json], bool]] = {
    Form.STRING: lambda value: isinstance(value, str),
    Form.INTEGER: _is_integer,
    Form.NUMBER: lambda value: type(value) in (int, float),
    Form.BOOLEAN: lambda value: isinstance(value, bool),
    Form.INT_OR_STRING: lambda value: type(value) in (int, str),
}
_WORDS = {Form.INTEGER: "int", Form.BOOLEAN: "bool", Form.STRUCT: "object", Form.NUMBER: "float64"}


def _word(value: Json) -> str:
    """What Go calls a JSON value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "object" if isinstance(value, dict) else "array"
