"""Lists, and watches, which are lists that go on."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable

from aiohttp import hdrs, web

from netlab.api.journal import EventType
from netlab.api.requests import ListOptions, Target
from netlab.api.selectors import predicate
from netlab.api.statuses import Refusal
from netlab.api.store import Store
from netlab.api.watching import Watch, bookmark_line, error_line, event_line

log = logging.getLogger(__name__)

BOOKMARK_SECONDS = 60.0
"""How often an idle watch that asked for bookmarks gets one."""
INITIAL_CHUNK = 64
"""Lines of a watch's initial state that are written at once."""


def list_objects(store: Store, target: Target, options: ListOptions) -> bytes:
    """The list's JSON. Raises Refusal."""
    store.check_version(options.version or 0)
    matches = predicate(target.kind, labels=options.labels, fields=options.fields)
    found = store.all_stored(target.kind, target.namespace)
    write = target.spelling.write
    items = b",".join(write(stored.encoded) for stored in found if matches is None or matches(stored.object))
    metadata = json.dumps({"resourceVersion": str(store.version)}).encode()
    head = b'{"kind":"%bList","apiVersion":"%b"' % (target.kind.__name__.encode(), target.spelling.api_version.encode())
    return b'%b,"metadata":%b,"items":[%b]}' % (head, metadata, items)


async def watch_objects(request: web.Request, store: Store, target: Target, options: ListOptions) -> web.StreamResponse:
    """Send what happens to the objects, until the client goes, reads too slowly or the time is up. Raises Refusal."""
    matches = predicate(target.kind, labels=options.labels, fields=options.fields)
    watch = Watch(store, target.kind, target.spelling, namespace=target.namespace, matches=matches)
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "application/json"})
    try:
        start = tuple(_initial_lines(store, watch, target, options))
        await response.prepare(request)
        for position in range(0, len(start), INITIAL_CHUNK):
            await response.write(b"".join(start[position : position + INITIAL_CHUNK]))
        await _follow(watch, response, options)
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
    write = target.spelling.write
    lines = [event_line(EventType.ADDED, write(stored.encoded)) for stored in found if watch.wants(stored.object)]
    if options.send_initial_events and options.bookmarks:
        lines.append(bookmark_line(target.kind, target.spelling, store.version, initial_events_end=True))
    return lines


async def _follow(watch: Watch, response: web.StreamResponse, options: ListOptions) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + options.timeout if options.timeout else None
    while not watch.overrun:
        patience = BOOKMARK_SECONDS if end is None else min(BOOKMARK_SECONDS, end - loop.time())
        if patience <= 0:
            return
        if lines := await watch.take(patience):
            await response.write(lines)
        elif options.bookmarks and not watch.overrun:
            await response.write(bookmark_line(watch.kind, watch.spelling, watch.version))
