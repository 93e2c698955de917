"""What is wrong with an argument, as an error; imported by what must start fast."""

from __future__ import annotations

from netlab.errors import InvalidInput, Problem


def wrong(message: str, suggestion: str = "") -> InvalidInput:
    """A mistake in an argument."""
    return InvalidInput([Problem("", 0, 0, "", message, suggestion)])
