"""Questions that are asked by creating an object: who am I, what may I do. Nothing is kept.

Who has a certificate of the lab may do everything (`netlab.api.authentication`), so every answer is yes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial

from aiohttp import hdrs, web

from netlab.api.authentication import OWNER, Identity, identify
from netlab.api.encoding import Json, check_kind, without_nulls
from netlab.api.http.bodies import read_body, validation_of, without_unknown
from netlab.api.registry import collection_path
from netlab.api.review_kinds import REVIEWS, SelfSubjectAccessReview, SelfSubjectReview, SelfSubjectRulesReview
from netlab.api.statuses import Cause, bad_request, invalid, not_allowed
from netlab.model.objects import KubernetesObject

JsonObject = dict[str, Json]
REASON = "a lab has no authorization: who has a certificate of it may do everything"
EVERYBODY = "system:authenticated"
"""The group of all who are known."""


def add_routes(router: web.UrlDispatcher) -> None:
    """The paths of all reviews."""
    for kind in REVIEWS:
        router.add_route("*", collection_path(kind), partial(_answer, kind))


async def _answer(kind: type[KubernetesObject], request: web.Request) -> web.Response:
    if request.method != hdrs.METH_POST:
        raise not_allowed()
    body = await read_body(request)
    check_kind(kind, body.value)
    known = without_unknown(
        request, body, api_version=kind.API_VERSION, kind=kind.__name__, validation=validation_of(request)
    )
    asks = (identify(request.transport) if request.transport else None) or OWNER
    answered: JsonObject = {
        "kind": kind.__name__,
        "apiVersion": kind.API_VERSION,
        "metadata": {"creationTimestamp": None},
        **review(kind, asks, without_nulls(known.get("spec"))),
    }
    return web.Response(body=json.dumps(answered).encode(), status=201, content_type="application/json")


def review(kind: type[KubernetesObject], asks: Identity, spec: Json) -> JsonObject:
    """`spec` and `status` of the answer. Raises Refusal where the question is none."""
    return _REVIEWS[kind](asks, spec if isinstance(spec, dict) else {})


def _access(_asks: Identity, spec: Mapping[str, Json]) -> JsonObject:
    if ("resourceAttributes" in spec) == ("nonResourceAttributes" in spec):
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        cause = Cause(
            reason="FieldValueInvalid", field="spec.resourceAttributes", message=f"Invalid value: null: {why}"
        )
        raise invalid(SelfSubjectAccessReview, "", (cause,))
    return {"spec": dict(spec), "status": {"allowed": True, "reason": REASON}}


def _rules(_asks: Identity, spec: Mapping[str, Json]) -> JsonObject:
    if not spec.get("namespace"):
        raise bad_request("no namespace on request")
    everything: JsonObject = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    elsewhere: JsonObject = {"verbs": ["*"], "nonResourceURLs": ["*"]}
    return {
        "spec": {},
        "status": {"resourceRules": [everything], "nonResourceRules": [elsewhere], "incomplete": False},
    }


def _self(asks: Identity, _spec: Mapping[str, Json]) -> JsonObject:
    groups: list[Json] = [*asks.groups, *([] if EVERYBODY in asks.groups else [EVERYBODY])]
    return {"status": {"userInfo": {"username": asks.user, "groups": groups}}}


_REVIEWS: dict[type[KubernetesObject], Callable[[Identity, Mapping[str, Json]], JsonObject]] = {
    SelfSubjectAccessReview: _access,
    SelfSubjectRulesReview: _rules,
    SelfSubjectReview: _self,
}
