"""In which form the client wants the answer: objects as they are, their metadata alone, or a table."""

from __future__ import annotations

from aiohttp import hdrs, web

from netlab.api.statuses import Refusal, bad_request
from netlab.api.tables.forms import PLAIN, Form, Included, Wanted

JSON = "application/json"
META_VERSIONS = ("v1", "v1beta1")


_ANY = ("*/*", "application/*", JSON)


def wanted(request: web.Request) -> Wanted:
    """The first form in the Accept header that the server has. Raises Refusal 406 where it has none of them."""
    accept = request.headers.get(hdrs.ACCEPT)
    if not accept or accept in _ANY:
        return PLAIN
    for entry in accept.split(","):
        media_type, *rest = (part.strip() for part in entry.split(";"))
        if media_type not in _ANY:
            continue
        parameters = dict(part.partition("=")[::2] for part in rest)
        form = parameters.get("as", "")
        if form == "":
            return PLAIN
        known = parameters.get("g") == "meta.k8s.io" and parameters.get("v") in META_VERSIONS
        if known and form in list(Form):
            return Wanted(Form(form), parameters["v"])
    message = f"only the following media types are accepted: {JSON}"
    raise Refusal(406, "NotAcceptable", message)


def included(request: web.Request) -> Included:
    """What the query says; the metadata where it says nothing. Raises Refusal 400."""
    text = request.query.get("includeObject") or Included.METADATA
    try:
        return Included(text)
    except ValueError:
        raise bad_request(f"unrecognized includeObject value: {text!r}") from None
