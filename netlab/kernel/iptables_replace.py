"""A legacy table put together as one piece, and put in place of the one that the kernel has.

What the piece is made of `iptables_held` says.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Callable, Iterable, Mapping
from socket import socket

from netlab.errors import KernelError
from netlab.kernel.iptables_answers import HERE
from netlab.kernel.iptables_handle import entry_layout
from netlab.kernel.iptables_held import (
    BUILT_IN,
    ERROR,
    ERROR_TEXT,
    NEW,
    OFFSETS,
    STANDARD,
    VERDICTS,
    HeldChain,
    HeldTable,
    opened,
    positions_of,
)
from netlab.kernel.table_marks import FAMILIES
from netlab.model.rules import Chain, Family

END = b"ERROR"
"""What opens at the end of the table."""
REPLACE, ADD_COUNTERS = 64, 65
"""IPT_SO_SET_REPLACE and IPT_SO_SET_ADD_COUNTERS, the same numbers in IPv6."""
HEAD = struct.Struct("@32sIII5I5IIP")
"""The head of struct ipt_replace: name, hooks as bits, entries, bytes, begins, ends, counters and their place."""
ADDED = struct.Struct("=32sI4x")
"""The head of struct xt_counters_info, before the counters."""
COUNTERS = struct.Struct("=QQ")
NAMED = STANDARD.size - 2
"""Bytes of a standard target after its size: those that are different for libiptc, which takes a name."""
LEADING_ON = struct.Struct("=30xi4x")
"""The same bytes for the kernel."""


def replace_table(
    held: HeldTable, chains: Mapping[str, HeldChain | Chain], *, stamp: Callable[[Chain], HeldChain]
) -> None:
    """Put these chains in place of all that was read, in one step; rules that stay keep their counters.

    Chains that are values still are made into bytes by `stamp`, one after the other, as they are written.
    KernelError: EAGAIN where somebody else changed the table since it was read; ENOENT where a rule leads to a chain
    that there is not; EINVAL, ELOOP or ENOENT where the kernel does not take a rule. Then nothing was changed.
    """
    writer = _Writer(held)
    for name in (*held.policies, *_others(held, chains)):
        chain = chains[name]
        writer.add(name, stamp(chain) if isinstance(chain, Chain) else chain)
    counters = ctypes.create_string_buffer(COUNTERS.size * held.entries)
    data = writer.data(counters)
    with opened(held.family, held.name) as told:
        _set(told, REPLACE, data, held=held)
        kept = _kept_counters(held, chains, counters.raw)
        if kept:
            _set(told, ADD_COUNTERS, ADDED.pack(held.name.encode(), len(kept) // COUNTERS.size) + kept, held=held)


class _Writer:
    """Lays out a table, chain after chain, the built-in ones first."""

    def __init__(self, held: HeldTable) -> None:
        self._held = held
        self._data = bytearray(HEAD.size)
        self._entries = 0
        self._starts: dict[str, int] = {}
        self._feet: dict[str, int] = {}
        self._ends: list[int] = []
        self._leads_to: list[str] = []
        opening = ERROR.pack(ERROR.size, b"ERROR", 0, b"")[:-ERROR_TEXT]
        returning = STANDARD.pack(STANDARD.size, b"", 0, VERDICTS["RETURN"])
        self._head = _entry(held.family, target_size=ERROR.size) + opening
        self._foot = _entry(held.family, target_size=STANDARD.size) + returning

    def add(self, name: str, chain: HeldChain) -> None:
        data, policy = self._data, self._held.policies.get(name)
        if policy is None:
            data += self._head + name.encode().ljust(ERROR_TEXT, b"\0")
        self._starts[name] = len(data) - HEAD.size
        for rule, leads_to in zip(chain.rules, chain.leads_to, strict=True):
            data += rule
            if leads_to is not None:
                self._ends.append(len(data))
                self._leads_to.append(leads_to)
        self._feet[name] = len(data) - HEAD.size
        data += self._foot if policy is None else policy.rule
        self._entries += len(chain.rules) + (2 if policy is None else 1)

    def data(self, counters: ctypes.Array[ctypes.c_char]) -> bytearray:
        """What REPLACE takes: the kernel will write what the old entries have counted into `counters`."""
        self._data += self._head + END.ljust(ERROR_TEXT, b"\0")
        places = [name if name in self._held.policies else "" for name in BUILT_IN]
        HEAD.pack_into(
            self._data,
            0,
            self._held.name.encode(),
            sum(1 << hook for hook, name in enumerate(places) if name),
            self._entries + 1,
            len(self._data) - HEAD.size,
            *(self._starts.get(name, 0) for name in places),
            *(self._feet.get(name, 0) for name in places),
            self._held.entries,
            ctypes.addressof(counters),
        )
        self._lead()
        return self._data

    def _lead(self) -> None:
        """Every standard target gets the number of bytes to where it leads in place of the name."""
        numbers, put, data = VERDICTS | self._starts, LEADING_ON.pack_into, self._data
        for end, leads_to in zip(self._ends, self._leads_to, strict=True):
            number = numbers.get(leads_to, end - HEAD.size if leads_to == "" else None)
            if number is None:
                raise KernelError(f"jump to chain {leads_to} of table {self._held.name}", HERE, errno.ENOENT)
            put(data, end - NAMED, number)


def _entry(family: Family, *, target_size: int) -> bytes:
    """An entry that matches everything, before its target."""
    layout = entry_layout(family)
    entry = bytearray(layout.size)
    OFFSETS.pack_into(entry, layout.target_offset, layout.size, layout.size + target_size)
    return bytes(entry)


def _others(held: HeldTable, chains: Iterable[str]) -> list[str]:
    """The chains that are not built in, in the order of the table."""
    return sorted(set(chains).difference(held.policies))


def _kept_counters(held: HeldTable, chains: Mapping[str, HeldChain | Chain], counted: bytes) -> bytes:
    """What was counted, for each entry in its new place; nothing where nothing was."""
    if not any(counted):
        return b""
    positions: list[int] = []
    for name, policy in held.policies.items():
        positions += [*positions_of(chains[name]), policy.position]
    for name in _others(held, chains):
        positions += [NEW, *positions_of(chains[name]), NEW]
    size, none = COUNTERS.size, bytes(COUNTERS.size)
    kept = (none if at == NEW else counted[at * size : (at + 1) * size] for at in (*positions, NEW))
    return b"".join(kept)


def _set(told: socket, option: int, data: bytes | bytearray, *, held: HeldTable) -> None:
    try:
        told.setsockopt(FAMILIES[held.family][1], option, data)
    except OSError as error:
        raise KernelError(f"commit of table {held.name} ({held.family})", HERE, error.errno or 0) from error
