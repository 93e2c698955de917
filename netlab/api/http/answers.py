"""An object as an answer, in the form that the client wants it in."""

from __future__ import annotations

from aiohttp import web

from netlab.api.encoding import Json
from netlab.api.http import negotiation
from netlab.api.tables.forms import Form
from netlab.api.tables.table import partial, table
from netlab.model.objects import KubernetesObject


def json_response(body: bytes, *, status: int = 200) -> web.Response:
    """An answer in JSON."""
    return web.Response(body=body, status=status, content_type="application/json")


def object_response(request: web.Request, value: KubernetesObject, body: bytes) -> web.Response:
    """The object, whose JSON is `body`, or its metadata, or it as a row of a table. Raises Refusal."""
    wanted = negotiation.wanted(request)
    match wanted.form:
        case Form.TABLE:
            metadata: dict[str, Json] = {"resourceVersion": value.metadata.resource_version}
            included, row = negotiation.included(request), ((value, body),)
            return json_response(table(type(value), row, wanted=wanted, included=included, metadata=metadata))
        case Form.METADATA:
            return json_response(partial(body, version=wanted.version))
    return json_response(body)
