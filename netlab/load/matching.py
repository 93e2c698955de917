"""Which labels a selector chooses."""

from __future__ import annotations

from collections.abc import Mapping

from netlab.load.tree import Cursor


def chooses(selector: Cursor, labels: Mapping[str, str]) -> bool:
    """Whether a label selector (matchLabels and matchExpressions, all of them) chooses these labels."""
    wanted = selector.get("matchLabels").labels
    return wanted.items() <= labels.items() and all(
        _holds(term, labels) for term in selector.get("matchExpressions").items()
    )


def _holds(term: Cursor, labels: Mapping[str, str]) -> bool:
    key, operator = term.get("key").text, term.get("operator").text
    values = {value.text for value in term.get("values").items()}
    match operator:
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return True


def is_empty(selector: Cursor) -> bool:
    """Whether a label selector asks for nothing at all, and so would choose everything."""
    return not selector.get("matchLabels").labels and not selector.get("matchExpressions").items()
