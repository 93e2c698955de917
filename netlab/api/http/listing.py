"""Lists, and watches, which are lists that go on."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp import hdrs, web

from netlab.api.encoding import Json
from netlab.api.http.pages import Page, Pages
from netlab.api.http.requests import ListOptions, Target
from netlab.api.http.watching import Spell, Watch, bookmark_line, error_line, event_line
from netlab.api.journal import EventType
from netlab.api.selectors import predicate
from netlab.api.statuses import Refusal, expired
from netlab.api.store import Store
from netlab.api.tables.forms import PLAIN, Form, Included, Wanted
from netlab.api.tables.table import partial, table

log = logging.getLogger(__name__)

BOOKMARK_SECONDS = 60.0
"""How often an idle watch that asked for bookmarks gets one."""
INITIAL_CHUNK = 64
"""Lines of a watch's initial state that are written at once."""


@dataclass(frozen=True, slots=True)
class Answer:
    """In which form a client wants what it lists."""

    wanted: Wanted = PLAIN
    included: Included = Included.METADATA


def list_objects(store: Store, pages: Pages, target: Target, options: ListOptions, answer: Answer) -> bytes:
    """The list's JSON. Raises Refusal."""
    page = _page(store, pages, target, options)
    metadata: dict[str, Json] = {"resourceVersion": str(page.version)}
    if page.token:
        metadata["continue"] = page.token
        if not (options.labels or options.fields):
            return _written(page, target, answer, {**metadata, "remainingItemCount": page.remaining})
    return _written(page, target, answer, metadata)


def _page(store: Store, pages: Pages, target: Target, options: ListOptions) -> Page:
    asked = (target.spelling.api_version, target.kind.PLURAL, target.namespace or "", options.labels, options.fields)
    if options.token:
        return pages.next(options.token, limit=options.limit, asked=asked)
    store.check_version(options.version or 0)
    if options.exact and options.version != store.version:
        raise expired(options.version or 0, store.version)
    matches = predicate(target.kind, labels=options.labels, fields=options.fields)
    found = store.all_stored(target.kind, target.namespace)
    if matches is not None:
        found = tuple(stored for stored in found if matches(stored.object))
    return pages.first(found, store.version, limit=options.limit, asked=asked)


def _written(page: Page, target: Target, answer: Answer, metadata: dict[str, Json]) -> bytes:
    write, wanted = target.spelling.write, answer.wanted
    bodies = ((stored.object, write(stored.encoded)) for stored in page.items)
    if wanted.form is Form.TABLE:
        return table(target.kind, bodies, wanted=wanted, included=answer.included, metadata=metadata)
    kind, api_version = f"{target.kind.__name__}List", target.spelling.api_version
    lines = (body for _, body in bodies)
    if wanted.form is not Form.OBJECT:
        kind, api_version = "PartialObjectMetadataList", f"meta.k8s.io/{wanted.version}"
        lines = (partial(body, version=wanted.version) for body in lines)
    head = b'{"kind":"%b","apiVersion":"%b"' % (kind.encode(), api_version.encode())
    return b'%b,"metadata":%b,"items":[%b]}' % (head, json.dumps(metadata).encode(), b",".join(lines))


def spelled(target: Target, answer: Answer) -> Spell:
    """How the objects of a watch are written for its client; of tables only the first says what the columns are."""
    write, wanted = target.spelling.write, answer.wanted
    headed = True

    def as_table(value: object, body: bytes) -> bytes:
        nonlocal headed
        row = ((value, write(body)),)
        written = table(target.kind, row, wanted=wanted, included=answer.included, headed=headed)  # type: ignore[arg-type]
        headed = False
        return written

    match wanted.form:
        case Form.TABLE:
            return as_table
        case Form.METADATA | Form.METADATA_LIST:
            return lambda _value, body: partial(write(body), version=wanted.version)
    return lambda _value, body: write(body)


async def watch_objects(
    request: web.Request, store: Store, target: Target, options: ListOptions, answer: Answer
) -> web.StreamResponse:
    """Send what happens to the objects, until the client goes, reads too slowly or the time is up. Raises Refusal."""
    matches = predicate(target.kind, labels=options.labels, fields=options.fields)
    spell = spelled(target, answer)
    watch = Watch(store, target.kind, spell, namespace=target.namespace, matches=matches)
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "application/json"})
    try:
        start = tuple(_initial_lines(store, watch, target, options))
        await response.prepare(request)
        for position in range(0, len(start), INITIAL_CHUNK):
            await response.write(b"".join(start[position : position + INITIAL_CHUNK]))
        await _follow(watch, response, options, target)
    except Refusal as refusal:
        await response.prepare(request)
        await response.write(error_line(refusal))
    except ConnectionError:
        log.debug("a watch of %s went away", target.kind.PLURAL)
    finally:
        watch.close()
    return response


def _initial_lines(store: Store, watch: Watch, target: Target, options: ListOptions) -> Iterable[bytes]:
    """What happened since the version asked for, or else what there is."""
    if options.version and not options.send_initial_events:
        return tuple(watch.lines_for(store.changes_since(target.kind, options.version)))
    store.check_version(options.version or 0)
    found = store.all_stored(target.kind, target.namespace)
    lines = [
        event_line(EventType.ADDED, watch.spell(stored.object, stored.encoded))
        for stored in found
        if watch.wants(stored.object)
    ]
    if options.send_initial_events and options.bookmarks:
        lines.append(bookmark_line(target.kind, target.spelling, store.version, initial_events_end=True))
    return lines


async def _follow(watch: Watch, response: web.StreamResponse, options: ListOptions, target: Target) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + options.timeout if options.timeout else None
    while not watch.overrun:
        patience = BOOKMARK_SECONDS if end is None else min(BOOKMARK_SECONDS, end - loop.time())
        if patience <= 0:
            return
        if lines := await watch.take(patience):
            await response.write(lines)
        elif options.bookmarks and not watch.overrun:
            await response.write(bookmark_line(watch.kind, target.spelling, watch.version))
    # It read too slowly: it is told to list anew, once it comes to that.
    raise expired(watch.version, watch.version)
