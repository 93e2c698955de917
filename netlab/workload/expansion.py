"""Variables in a command's arguments, as Kubernetes replaces them."""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(?:\$|\(([-._a-zA-Z0-9]+)\))")


def expand(text: str, env: Mapping[str, str]) -> str:
    """`$(NAME)` becomes the variable's value, or stays where there is none; `$$` becomes `$`."""

    def replacement(match: re.Match[str]) -> str:
        return env.get(match[1], match[0]) if match[1] else "$"

    return _REFERENCE.sub(replacement, text)
