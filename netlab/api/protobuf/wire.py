"""The fields of a message in protocol buffers.

Source: the encoding page of the Protocol Buffers documentation.
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_SIZES = {FIXED64: 8, FIXED32: 4}


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field, in order: a whole number, or the bytes. ValueError where this is no message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        size = _SIZES.get(kind)
        if kind == LENGTH:
            size, at = _varint(message, at)
        if size is None or at + size > len(message):
            raise ValueError("the message is cut short or has a field of an unknown kind")
        yield key >> 3, message[at : at + size]
        at += size


def signed(number: int) -> int:
    """A whole number of 64 bits that may be below zero."""
    return number - (1 << 64) if number >> 63 else number


def _varint(message: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & (1 << 64) - 1, at
    raise ValueError("a number in the message is cut short or too large")
