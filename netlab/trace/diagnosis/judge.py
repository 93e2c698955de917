"""The order of reasoning: do flows fare well; if not, is that in the objects; else what in the kernel is otherwise."""

from __future__ import annotations

from netlab.model.diagnosis import CauseName, Diagnosis
from netlab.trace.diagnosis.checks import checks
from netlab.trace.diagnosis.evidence import Evidence, Finding
from netlab.trace.diagnosis.objects import in_objects


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
    )


def _found(evidence: Evidence) -> Finding | None:
    if not evidence.lost and not evidence.strange:
        return None
    return in_objects(evidence) or _unknown(evidence)


def _unknown(evidence: Evidence) -> Finding:
    prediction = evidence.prediction
    trace = f"netlab trace {prediction.from_} {prediction.to}"
    text = f"By the lab's state the flow should be {prediction.first.verdict}, but it is {evidence.verdict}."
    return Finding(CauseName.UNKNOWN, text, f"look where it ends: {trace}")
