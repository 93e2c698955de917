"""What a URL asks for: `/apis/apps/v1/namespaces/default/deployments/web/scale?...`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from netlab.api.registry import BY_PLURAL, kind_at
from netlab.api.spelling import Spelling, plain, spelling
from netlab.api.statuses import bad_request, no_such_resource
from netlab.model.objects import KubernetesObject


@dataclass(frozen=True, slots=True)
class Target:
    """The collection (`name` None), the object, or the subresource of an object that a URL names."""

    kind: type[KubernetesObject]
    spelling: Spelling
    namespace: str | None = None
    name: str | None = None
    subresource: str = ""


def parse_path(raw_path: str) -> Target:
    """The target of a still percent-encoded path. Raises Refusal 404 where nothing is served."""
    steps = [unquote(step) for step in raw_path.strip("/").split("/")]
    if steps[0] == "api" and len(steps) > 2:
        return _target(steps[1], steps[2:])
    if steps[0] == "apis" and len(steps) > 3:
        return _target(f"{steps[1]}/{steps[2]}", steps[3:])
    raise no_such_resource()


def _target(api_version: str, steps: list[str]) -> Target:
    namespace = None
    if steps[0] == "namespaces" and len(steps) > 2 and steps[2] not in ("status", "finalize"):
        namespace, steps = steps[1], steps[2:]
    other = spelling(api_version, steps[0])
    kind = BY_PLURAL[steps[0]] if other else kind_at(api_version, steps[0])
    if kind is None or len(steps) > 3 or not all(steps) or (namespace is not None and not kind.NAMESPACED):
        raise no_such_resource()
    name = steps[1] if len(steps) > 1 else None
    if kind.NAMESPACED and name is not None and namespace is None:
        raise no_such_resource()
    return Target(kind, other or plain(kind), namespace, name, steps[2] if len(steps) > 2 else "")


@dataclass(frozen=True, slots=True)
class ListOptions:
    """The query of a list or watch. `version` None: the newest state, without a wish as to where to start."""

    labels: str = ""
    fields: str = ""
    watch: bool = False
    version: int | None = None
    exact: bool = False
    """The list is to be as it was at `version`, and at no other."""
    limit: int = 0
    """How many objects a page may have; 0: all."""
    token: str = ""
    """Where the page before this one ended."""
    bookmarks: bool = False
    send_initial_events: bool = False
    timeout: float | None = None
    """Seconds after which the server ends a watch."""


def list_options(query: Mapping[str, str]) -> ListOptions:
    """Read a query. Raises Refusal 400 for numbers that are none."""
    version = _number(query, "resourceVersion")
    initial, match = _flag(query, "sendInitialEvents"), query.get("resourceVersionMatch", "")
    if initial and match != "NotOlderThan":
        raise bad_request("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
    if match not in ("", "NotOlderThan", "Exact"):
        raise bad_request(
            f'resourceVersionMatch: Unsupported value: "{match}": supported values: "Exact", "NotOlderThan"'
        )
    if match and not query.get("resourceVersion") and not initial:
        raise bad_request(
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        )
    return ListOptions(
        labels=query.get("labelSelector", ""),
        fields=query.get("fieldSelector", ""),
        watch=_flag(query, "watch"),
        version=version or None,
        exact=match == "Exact",
        limit=_number(query, "limit"),
        token=query.get("continue", ""),
        bookmarks=_flag(query, "allowWatchBookmarks"),
        send_initial_events=initial,
        timeout=_number(query, "timeoutSeconds") or None,
    )


def _flag(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "").lower() in ("1", "true")


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name) or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise bad_request(f"invalid {name}: {text!r} is no number")
    return int(text)
