"""The order of reasoning: do flows fare well; if not, is that in the objects; else what in the kernel is otherwise."""

from __future__ import annotations

from collections.abc import Callable

from netlab.model.diagnosis import CauseName, Diagnosis
from netlab.trace.diagnosis import drifted, objects, programs, proxies, strangers
from netlab.trace.diagnosis.checks import checks
from netlab.trace.diagnosis.evidence import Evidence, Finding

Judge = Callable[[Evidence], Finding | None]


def diagnose(evidence: Evidence) -> Diagnosis:
    """One cause and one remedy, with all that was looked at; no cause where nothing is wrong."""
    finding = _found(evidence)
    return Diagnosis(
        from_=evidence.prediction.from_,
        to=evidence.prediction.to,
        verdict=evidence.verdict,
        cause=finding.cause if finding else None,
        explanation=finding.text if finding else None,
        remedy=finding.remedy if finding else None,
        evidence=checks(evidence),
        journey=evidence.journey,
    )


def _found(evidence: Evidence) -> Finding | None:
    if evidence.strange:
        judges = NOT_AS_FORETOLD
    elif evidence.lost:
        judges = LOST_AS_FORETOLD
    else:
        judges = FARE_WELL
    return next((found for judge in judges if (found := judge(evidence))), None)


def _overlapping(evidence: Evidence) -> Finding | None:
    return objects.overlapping(evidence.view)


def _unknown(evidence: Evidence) -> Finding:
    prediction = evidence.prediction
    text = f"By the lab's state the flow should be {prediction.first.verdict}, but it is {evidence.verdict}."
    if evidence.journey and evidence.journey.first_difference:
        text = f"{text} {evidence.journey.first_difference}."
    return Finding(CauseName.UNKNOWN, text, f"look where it ends: netlab trace {prediction.from_} {prediction.to}")


FARE_WELL: tuple[Judge, ...] = (
    objects.behind_proxy,
    drifted.duplicated,
    objects.shared_address,
    drifted.too_large,
    proxies.left_behind,
    proxies.not_followed,
    objects.too_broad,
    programs.wrong_resolver,
    proxies.cut_off,
)
"""What goes wrong beside flows that arrive: larger packets, older flows, Pods that get none, names, later changes."""
LOST_AS_FORETOLD: tuple[Judge, ...] = (
    _overlapping,
    objects.shared_address,
    drifted.keeps_unready,
    objects.in_objects,
    _unknown,
)
NOT_AS_FORETOLD: tuple[Judge, ...] = (
    _overlapping,
    objects.shared_address,
    drifted.in_both_kinds,
    strangers.by_stranger,
    proxies.at_proxy,
    proxies.carried_by_nobody,
    drifted.on_the_way,
    strangers.not_masqueraded,
    proxies.left_behind,
    programs.nobody_listens,
    objects.in_objects,
    _unknown,
)
"""What is sure comes first: the rule that was seen to drop the packet, before what may have led it there."""
