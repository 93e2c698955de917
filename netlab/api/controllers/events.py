"""Events do not pile up: only so many are kept, and the oldest go first."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from netlab.api.journal import EventType
from netlab.api.store import Change, Store
from netlab.model.objects import Event

EVENTS_LIMIT = 1000
"""How many Events are kept. A cluster forgets them after an hour instead."""


class EventLimiter:
    """Key: anything; all Events are counted."""

    def __init__(self, store: Store, *, limit: int = EVENTS_LIMIT) -> None:
        self._store = store
        self._limit = limit

    def all_keys(self) -> Iterable[str]:
        """All."""
        return ("",)

    def keys_of(self, change: Change) -> Iterable[str]:
        """All, when there is one more."""
        return ("",) if isinstance(change.object, Event) and change.type is EventType.ADDED else ()

    def reconcile(self, key: str) -> None:
        """Delete those that are too many."""
        surplus = self._store.count(Event) - self._limit
        for each in list(islice(self._store.keys(Event), max(0, surplus))):
            namespace, _, name = each.partition("/")
            self._store.delete(Event, name, namespace)
