"""Is every field known, of the right type, and are those there that must be?"""

from __future__ import annotations

from netlab.load import formats
from netlab.load.fields import Field, ListOf, MappingOf, ObjectOf, Type, Value, fields, key_complaint
from netlab.load.nearest import nearest
from netlab.load.tree import Cursor, Mapping, Scalar, Sequence

_PLAIN_NAMES: dict[formats.Check, str] = {
    formats.boolean: "true or false",
    formats.integer: "a whole number",
    formats.port: "a port number",
}


def check_structure(document: Cursor, kind: str) -> None:
    """Report every problem of the document's structure, taking it for an object of that kind."""
    present = _known_fields(document, kind)
    for name, field in present:
        _check(document.get(name), field.type, asked=name != "status")
    # These have been asked for when the document's kind was told.
    _report_missing(document, kind, {"apiVersion", "kind", "metadata", *(name for name, _ in present)})


def _known_fields(cursor: Cursor, kind: str) -> list[tuple[str, Field]]:
    """The fields that are there and known; the unknown ones are reported."""
    known = fields(kind)
    if isinstance(cursor.node, Mapping):
        for key, entry in cursor.node.entries.items():
            if key not in known:
                path = f"{cursor.path}.{key[:60]}" if cursor.path else key[:60]
                message = f'unknown field "{key[:60]}"'
                cursor.report.error(entry.mark, path, message, _known_instead(key, kind))
    return [(name, known[name]) for name, _ in cursor.entries() if name in known]


def _known_instead(key: str, kind: str) -> str:
    """The field that was probably meant, where it belongs, or all that there are."""
    known = fields(kind)
    if slip := nearest(key, known):
        return f'did you mean "{slip}"?'
    for name, field in known.items():
        inner, dots = field.type, name
        while isinstance(inner, ListOf):
            inner, dots = inner.item, f"{dots}[]"
        if isinstance(inner, ObjectOf) and name != "status" and key in fields(inner.name):
            return f"it belongs into {dots}"
    return "known here: " + ", ".join(known) if len(known) <= 12 else ""


def _check(cursor: Cursor, type_: Type, *, asked: bool) -> None:
    """`asked` False accepts what lacks required fields: a status is the cluster's to complete."""
    match type_:
        case Value(check):
            _check_value(cursor, type_, formats.any_value is check)
        case ListOf(item):
            if isinstance(cursor.node, Sequence):
                for element in cursor.items():
                    _check(element, item, asked=asked)
            else:
                cursor.error(f"must be a list, not {_named(cursor)}", _as_list(cursor))
        case MappingOf(item):
            _check_mapping(cursor, type_, asked=asked)
        case ObjectOf(name):
            _check_object(cursor, name, asked=asked)


def _check_value(cursor: Cursor, type_: Value, anything: bool) -> None:
    if isinstance(cursor.node, Scalar):
        if complaint := type_.check(cursor.node):
            cursor.error(*complaint)
    elif not anything:
        cursor.error(f"must be {_PLAIN_NAMES.get(type_.check, 'a text')}, not {_named(cursor)}")


def _check_mapping(cursor: Cursor, type_: MappingOf, *, asked: bool) -> None:
    if not isinstance(cursor.node, Mapping):
        cursor.error(f"must be a mapping, not {_named(cursor)}", "write KEY: VALUE")
        return
    for key, entry in cursor.node.entries.items():
        inside = Cursor(cursor.report, entry.value, f"{cursor.path}[{key[:80]}]", entry.value.mark)
        if complaint := key_complaint(type_, key):
            cursor.report.error(entry.mark, inside.path, *complaint)
        _check(inside, type_.item, asked=asked)


def _check_object(cursor: Cursor, name: str, *, asked: bool) -> None:
    if not isinstance(cursor.node, Mapping):
        cursor.error(f"must be a mapping, not {_named(cursor)}", _as_mapping(cursor))
        return
    present = _known_fields(cursor, name)
    for field_name, field in present:
        _check(cursor.get(field_name), field.type, asked=asked)
    if asked:
        _report_missing(cursor, name, {field_name for field_name, _ in present})


def _report_missing(cursor: Cursor, kind: str, present: set[str]) -> None:
    """Report the fields that must be there and are not."""
    for name, field in fields(kind).items():
        if field.required and name not in present:
            cursor.get(name).error("is missing", f"add {name}: {_example(field.type)}")


def _example(type_: Type) -> str:
    if isinstance(type_, ListOf):
        return "[...]"
    return "{...}" if isinstance(type_, MappingOf | ObjectOf) else "..."


def _named(cursor: Cursor) -> str:
    if isinstance(cursor.node, Scalar):
        return f"{formats.kind_of(cursor.node.value)} ({formats.shown(cursor.node.value)})"
    return "a list" if isinstance(cursor.node, Sequence) else "a mapping" if cursor.node else "nothing"


def _as_list(cursor: Cursor) -> str:
    if isinstance(cursor.node, Scalar) and cursor.node.text and len(cursor.node.text) <= 40:
        return f"write [{cursor.node.text}]"
    return "begin each element with a dash"


def _as_mapping(cursor: Cursor) -> str:
    return "take the dash out" if isinstance(cursor.node, Sequence) else "write KEY: VALUE"
