"""Did you mean: the known word that is the fewest edits away from the one that was written."""

from __future__ import annotations

from collections.abc import Iterable

_LONGEST = 80


def distance(one: str, other: str, *, limit: int) -> int:
    """Edits (insert, delete, replace, swap of neighbours) between two words; anything beyond `limit` is `limit` + 1."""
    if abs(len(one) - len(other)) > limit:
        return limit + 1
    before, last = [0] * (len(other) + 1), list(range(len(other) + 1))
    for row, letter in enumerate(one, start=1):
        line = [row]
        for column, against in enumerate(other, start=1):
            cost = min(last[column] + 1, line[-1] + 1, last[column - 1] + (letter != against))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == against:
                cost = min(cost, before[column - 2] + 1)
            line.append(cost)
        if min(line) > limit:
            return limit + 1
        before, last = last, line
    return last[-1]


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` is probably a slip for: at most a third of its letters away, whatever the case."""
    if not word or len(word) > _LONGEST:
        return None
    limit = max(1, len(word) // 3)
    ranked = sorted((distance(word.lower(), other.lower(), limit=limit), other) for other in known)
    return ranked[0][1] if ranked and ranked[0][0] <= limit else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The suggestion, or "" where no known word is near."""
    found = nearest(word, known)
    return f"did you mean {found}?" if found else ""
