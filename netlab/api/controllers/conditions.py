"""Conditions of an object's status."""

from __future__ import annotations

from netlab.model.objects import Condition

Conditions = tuple[Condition, ...]


def with_condition(conditions: Conditions, condition: Condition, *, now: str) -> Conditions:
    """The conditions with this one; its time is that of the last change from True to False or back.

    A lastUpdateTime that it has of its own stays.
    """
    before = next((each for each in conditions if each.type == condition.type), None)
    same = before is not None and before.status == condition.status
    time = before.last_transition_time if before and same else now
    dated = condition.model_copy(update={"last_transition_time": time})
    return (*(each for each in conditions if each is not before), dated)


def without_condition(conditions: Conditions, type_: str) -> Conditions:
    """The conditions but for those of this type."""
    return tuple(each for each in conditions if each.type != type_)
