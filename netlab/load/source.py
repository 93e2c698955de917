"""Get the text of a file, or of standard input, and say cleanly what stands in the way."""

from __future__ import annotations

import re
import sys
from itertools import islice
from pathlib import Path

from netlab.errors import InvalidInput, Problem
from netlab.load.tree import Mark, Report

SIZE_LIMIT = 32 * 1024 * 1024
"""Bytes. A lab of ten thousand Services takes about four million."""
UNPRINTABLE_LIMIT = 100
"""Forbidden characters after which no more are reported."""
STANDARD_INPUT = Path("-")
_NOWHERE = Mark(0, 0)
LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
"""What ends a line in YAML 1.1 (section 5.4)."""
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
"""What no YAML text may hold (YAML 1.1, section 5.1). A byte order mark counts, except as the first character."""


def read_text(path: Path) -> tuple[str, str]:
    """The text of a file, `-` being standard input, and the name to call it by in problems; raises InvalidInput."""
    name = "standard input" if path == STANDARD_INPUT else str(path)
    return decode(_read_bytes(path, name), file=name), name


def decode(data: bytes, *, file: str) -> str:
    """The bytes as text; raises InvalidInput with the place of the first byte that is not UTF-8."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        mark = place(data[: error.start].decode("utf-8-sig", errors="replace"), None)
        message = f"is not UTF-8 text: byte 0x{data[error.start]:02x}"
        raise _invalid(file, message, "save the file as UTF-8", mark=mark) from None


def printable(text: str, report: Report) -> str:
    """Report the characters that YAML forbids; what comes back has a stand-in for each, so that reading can go on."""
    for found in islice(_UNPRINTABLE.finditer(text), UNPRINTABLE_LIMIT):
        report.error(place(text, found.start()), "", f"the character U+{ord(found[0]):04X} may not stand in a file", "")
    return _UNPRINTABLE.sub("\ufffd", text)


def place(text: str, offset: int | None) -> Mark:
    """The place of the character at that offset; None is the end of the text."""
    before = text[:offset]
    breaks = list(LINE_BREAK.finditer(before))
    return Mark(len(breaks) + 1, len(before) - (breaks[-1].end() if breaks else 0) + 1)


def _read_bytes(path: Path, name: str) -> bytes:
    try:
        if path == STANDARD_INPUT:
            data = sys.stdin.buffer.read(SIZE_LIMIT + 1)
        else:
            with path.open("rb") as file:
                data = file.read(SIZE_LIMIT + 1)
    except IsADirectoryError:
        raise _invalid(name, "is a directory", "name the file in it") from None
    except FileNotFoundError:
        raise _invalid(name, "there is no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _invalid(name, f"cannot be read: {reason}") from None
    if len(data) > SIZE_LIMIT:
        raise _invalid(name, f"is larger than {SIZE_LIMIT // 1024 // 1024} MiB")
    return data


def _invalid(file: str, message: str, suggestion: str = "", *, mark: Mark = _NOWHERE) -> InvalidInput:
    return InvalidInput([Problem(file, mark.line, mark.column, "", message, suggestion)])
