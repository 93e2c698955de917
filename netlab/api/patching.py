"""Changing an object by a patch: JSON merge patch (RFC 7396), and the three-way merge of `apply`.

`apply` remembers in an annotation what was applied last: a field that was in there and is no longer in the file goes,
one that somebody else set stays. Lists are replaced as a whole.
"""

from __future__ import annotations

import json

from netlab.api.encoding import Json

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def merge(target: Json, patch: Json) -> Json:
    """`target` with `patch` applied: null removes a field, an object merges, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def with_last_applied(wanted: dict[str, Json]) -> dict[str, Json]:
    """The object as the file has it, with the annotation that remembers it."""
    text = json.dumps(wanted, separators=(",", ":"), sort_keys=True) + "\n"
    annotated = merge(wanted, {"metadata": {"annotations": {LAST_APPLIED: text}}})
    assert isinstance(annotated, dict)
    return annotated


def last_applied(live: dict[str, Json]) -> dict[str, Json]:
    """What was applied last to the object, as its annotation has it; empty where there is none."""
    metadata = live.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    text = annotations.get(LAST_APPLIED) if isinstance(annotations, dict) else None
    try:
        parsed: Json = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def three_way_patch(*, last: dict[str, Json], wanted: dict[str, Json], live: dict[str, Json]) -> dict[str, Json]:
    """The merge patch that makes `live` what the file wants: what differs, and null for what the file dropped."""
    patch: dict[str, Json] = {key: None for key in last if key not in wanted and key in live}
    for key, value in wanted.items():
        present = live.get(key)
        if isinstance(value, dict) and isinstance(present, dict):
            before = last.get(key)
            inner = three_way_patch(last=before if isinstance(before, dict) else {}, wanted=value, live=present)
            if inner:
                patch[key] = inner
        elif present != value:
            patch[key] = value
    return patch
