"""What an unquoted word means: the reading that kubectl gives it (YAML 1.1, without clock times and dates)."""

from __future__ import annotations

import re

from netlab.load.tree import Atom

_TRUE = frozenset({"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})
_FALSE = frozenset({"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_INTEGER = re.compile(r"[-+]?(0b[01][01_]*|0o[0-7][0-7_]*|0x[0-9a-fA-F][0-9a-fA-F_]*|0[0-7_]*|[1-9][0-9_]*)", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_DIGIT_LIMIT = 70
"""Longer than any whole number of 64 bits in any base, and short enough to convert at once."""


def resolve(text: str) -> Atom:
    """The value of a plain scalar. Whole numbers beyond 64 bits become floats, as they do in Kubernetes."""
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if text[0] in "0123456789+-.":
        return _number(text)
    return text


def _number(text: str) -> Atom:
    if len(text) <= _DIGIT_LIMIT and _INTEGER.fullmatch(text):
        value = _integer(text)
        return value if -(2**63) <= value < 2**64 else float(value)
    if _INFINITE.fullmatch(text):
        return float(text.replace(".", "", 1))
    return float(text) if _FLOAT.fullmatch(text) else text


def _integer(text: str) -> int:
    """A leading 0 alone means base eight, as in `defaultMode: 0644`."""
    digits = text.replace("_", "").lstrip("+-")
    base = {"0b": 2, "0o": 8, "0x": 16}.get(digits[:2])
    if base is None:
        base = 8 if digits.startswith("0") else 10
    else:
        digits = digits[2:]
    return -int(digits, base) if text.startswith("-") else int(digits, base)
