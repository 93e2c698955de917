"""The controllers' work queue, drained until nothing is left to do."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Protocol

from netlab.api.controllers.alarms import Alarms
from netlab.api.store import Change, Store
from netlab.errors import ApiError

log = logging.getLogger(__name__)


class Controller(Protocol):
    """Makes the objects that come from others agree with them."""

    def all_keys(self) -> Iterable[str]:
        """Every key there is to look at, for the start."""

    def keys_of(self, change: Change) -> Iterable[str]:
        """The keys to look at again after a write."""

    def reconcile(self, key: str) -> None:
        """Make what depends on the key right. Raises ApiError where the API refuses that."""


class Controllers:
    """Controllers in the order of their turn: one whose work another's builds upon comes first."""

    def __init__(self, store: Store, controllers: Sequence[Controller], alarms: Alarms) -> None:
        self._alarms = alarms
        self._queues: tuple[tuple[Controller, dict[str, None]], ...] = tuple(
            (controller, dict.fromkeys(controller.all_keys())) for controller in controllers
        )
        store.subscribe(self._note)

    def _note(self, change: Change) -> None:
        for controller, queue in self._queues:
            for key in controller.keys_of(change):
                queue[key] = None

    def settle(self) -> None:
        """Work until every queue is empty. What the API refuses is logged and tried again after its next change.

        Each controller empties its queue before the next has its turn: a Deployment is looked at once after all of its
        Pods were placed, not after each.
        """
        for who, key in self._alarms.rung():
            for controller, queue in self._queues:
                if controller is who:
                    queue[key] = None
        while any(queue for _, queue in self._queues):
            for controller, queue in self._queues:
                _work(controller, queue)


def _work(controller: Controller, queue: dict[str, None]) -> None:
    while queue:
        key = next(iter(queue))
        del queue[key]
        try:
            controller.reconcile(key)
        except ApiError as refusal:
            log.warning("%s of %s: %s", type(controller).__name__, key, refusal)
