"""Carry out the steps of a plan: namespaces, settings, interfaces and what lies on them.

Steps that follow one another in one namespace are one batch: one netlink system call. The caller's process has a
single thread, which visits the namespaces in turn and ends where it began.
"""

from __future__ import annotations

import errno
import select
import socket
import time
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Self

from netlab.errors import KernelError
from netlab.kernel import iptables, sysctls
from netlab.kernel.namespaces import Namespaces
from netlab.kernel.netlink import RECEIVE_BYTES, Refusal, Request, RouteSocket
from netlab.kernel.netlink_requests import request
from netlab.plan.commands import command
from netlab.plan.steps import (
    AddLink,
    AddNamespace,
    DeleteAddress,
    DeleteFdbEntry,
    DeleteLink,
    DeleteNamespace,
    DeleteNeighbour,
    DeleteRoute,
    SetSysctl,
    SetTable,
    Step,
)

DELETIONS = (DeleteAddress, DeleteFdbEntry, DeleteLink, DeleteNeighbour, DeleteRoute)
GONE_ALREADY = frozenset({errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL})
"""What is to be deleted is not there: the kernel took it away with something else."""
DYING_SECONDS = 5.0
"""How long a deleted namespace may go on holding the name of a cable's other end."""
RTMGRP_LINK = 1


def apply(steps: Iterable[Step]) -> None:
    """Carry out the steps in their order.

    KernelError names the first step that the kernel refused, as a command, and the namespace; NotFound: there is no
    such namespace. What comes before it is done, and the rest of its batch may be: read the state before trying again.
    """
    with Namespaces() as namespaces:
        for (name, _), group in groupby(steps, key=_batch):
            _apply(tuple(group), name=name, namespaces=namespaces)


def _batch(step: Step) -> tuple[str, type[Step] | None]:
    """What may go in one batch: same namespace, and interfaces apart from what lies on them."""
    alone = (AddLink, AddNamespace, DeleteNamespace, SetSysctl, SetTable)
    return step.namespace, type(step) if isinstance(step, alone) else None


def _apply(steps: Sequence[Step], *, name: str, namespaces: Namespaces) -> None:
    match steps[0]:
        case AddNamespace():
            namespaces.create(name)
        case DeleteNamespace():
            namespaces.delete(name)
        case SetSysctl():
            namespaces.enter(name)
            for step in steps:
                if isinstance(step, SetSysctl):
                    sysctls.write(step.sysctl, where=name)
        case SetTable():
            namespaces.enter(name)
            for step in steps:
                if isinstance(step, SetTable):
                    _set_table(step)
        case _:
            namespaces.enter(name)
            with _Interfaces(name, namespaces) as interfaces:
                interfaces.apply(steps)


def _set_table(step: SetTable) -> None:
    try:
        iptables.apply(step.table)
    except KernelError as error:
        raise KernelError(error.operation, step.namespace, error.number) from error


class _Interfaces:
    """The interfaces of one namespace: a batch of netlink steps, and the numbers behind the names in them."""

    def __init__(self, name: str, namespaces: Namespaces) -> None:
        self._name = name
        self._namespaces = namespaces
        self._socket = RouteSocket(name)
        self._indexes: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def index(self, interface: str) -> int:
        """The number of an interface, asked once. KernelError (ENODEV): there is none of that name."""
        if interface not in self._indexes:
            self._indexes[interface] = self._socket.index(interface)
        return self._indexes[interface]

    def descriptor(self, namespace: str) -> int:
        """An open file of another namespace, to put the far end of a cable there."""
        return self._namespaces.descriptor(namespace)

    def apply(self, steps: Sequence[Step]) -> None:
        """Send the steps in as few batches as they allow."""
        pending: list[tuple[Step, Request]] = []
        for step in steps:
            if made := self._request(step, pending):
                pending.append((step, made))
        self._send(pending)

    def _request(self, step: Step, pending: list[tuple[Step, Request]]) -> Request | None:
        """The step's request; None where it is to delete what lies on an interface that is not there."""
        try:
            return request(step, self)
        except KernelError:
            self._send(pending)  # one of these may make the interface that the step names
        try:
            return request(step, self)
        except KernelError as error:
            if isinstance(step, DELETIONS) and error.number in GONE_ALREADY:
                return None
            raise self._error(step, error.number) from error

    def _send(self, pending: list[tuple[Step, Request]]) -> None:
        steps, requests = [step for step, _ in pending], [made for _, made in pending]
        pending.clear()
        for refusal in self._socket.send(requests):
            self._settle(steps[refusal.index], refusal)

    def _settle(self, step: Step, refusal: Refusal) -> None:
        if isinstance(step, DELETIONS) and refusal.number in GONE_ALREADY:
            return
        if isinstance(step, AddLink) and refusal.number == errno.EEXIST:
            self._add_when_free(step)
            return
        raise self._error(step, refusal.number, refusal.message)

    def _add_when_free(self, step: AddLink) -> None:
        """Make an interface whose name may still be held by the far end of a cable into a namespace that is dying."""
        deadline = time.monotonic() + DYING_SECONDS
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as watch:
            watch.bind((0, RTMGRP_LINK))
            while refusals := self._socket.send([request(step, self)]):
                left = deadline - time.monotonic()
                if refusals[0].number != errno.EEXIST or left < 0 or not select.select([watch], [], [], left)[0]:
                    raise self._error(step, refusals[0].number, refusals[0].message)
                watch.recv(RECEIVE_BYTES)

    def _error(self, step: Step, number: int, message: str = "") -> KernelError:
        return KernelError(command(step), self._name, number, message)
