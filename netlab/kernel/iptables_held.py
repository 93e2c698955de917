"""A legacy table as the kernel gives and takes it: the bytes of all rules in one piece, chain after chain.

Whole tables are read and written here: nothing is copied rule by rule or looked for by name, as libiptc must for who
changes one rule at a time. Changes of a few rules go by libiptc (`iptables_handle`).

    a chain   a head that says its name (the built-in ones have none), its rules, a foot: RETURN, or the policy
    a jump    how many bytes it is from the table's beginning to the first rule of its chain

Source: <linux/netfilter_ipv4/ip_tables.h>, its IPv6 twin, <linux/netfilter/x_tables.h>.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from socket import IPPROTO_RAW, SOCK_RAW, socket
from typing import NamedTuple

from netlab.errors import KernelError
from netlab.kernel.iptables_answers import HERE
from netlab.kernel.iptables_handle import EntryLayout, cannot_open, entry_layout
from netlab.kernel.table_marks import FAMILIES, GET_INFO, getsockopt
from netlab.model.rules import Family

REPLACE, ADD_COUNTERS = 64, 65
"""IPT_SO_SET_REPLACE and IPT_SO_SET_ADD_COUNTERS, the same numbers in IPv6."""
GET_ENTRIES = 65
BUILT_IN = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
"""The built-in chains, by the number of their hook."""
INFO = struct.Struct("=32sI5I5III")
"""struct ipt_getinfo: name, hooks as bits, where their chains begin, where those end, entries, bytes."""
GIVEN = struct.Struct("=32sI4x")
"""The head of struct ipt_get_entries, before the entries."""
HEAD = struct.Struct("@32sIII5I5IIP")
"""The head of struct ipt_replace: name, hooks as bits, entries, bytes, begins, ends, counters and their place."""
ADDED = struct.Struct("=32sI4x")
"""The head of struct xt_counters_info, before the counters."""
COUNTERS = struct.Struct("=QQ")
STANDARD = struct.Struct("=H29sBi4x")
"""struct xt_standard_target: size, name (none), revision, and a verdict below zero or where it jumps to."""
ERROR = struct.Struct("=H29sB32s")
"""struct xt_error_target, which opens a chain and ends the table, and what its text is filled up to."""
ERROR_TEXT = 32
OFFSETS = struct.Struct("=HH")
"""Of an entry, where its target begins and where it ends."""
OPENING, END = b"ERROR\0", b"ERROR"
"""The target that opens a chain, and what it says at the end of the table."""
NEW = -1
"""The position of an entry that was not there before."""
NAMED = STANDARD.size - 2
"""Bytes of a standard target after its size: those that are different for libiptc, which takes a name."""
LEADING_ON = struct.Struct("=30xi4x")
"""The same bytes for the kernel."""
VERDICTS = {"DROP": -1, "ACCEPT": -2, "QUEUE": -4, "RETURN": -5}
"""-NF_DROP - 1 and so on; RETURN is XT_RETURN."""
VERDICT_NAMES = {number: name for name, number in VERDICTS.items()}


class HeldChain(NamedTuple):
    """The rules of one chain, column by column.

    `leads_to` is where a rule's standard target leads: a verdict, a chain, or "" for on; None is another target,
    which the bytes tell. `positions` count the table's entries as they are in the kernel, for their counters; NEW is
    a new one, and where all of them are new there are none.
    """

    rules: Sequence[bytes] = ()
    leads_to: Sequence[str | None] = ()
    positions: Sequence[int] = ()

    def with_rule(self, rule: bytes, leads_to: str | None) -> HeldChain:
        """With a new rule at the top."""
        return HeldChain([rule, *self.rules], [leads_to, *self.leads_to], [NEW, *_positions(self)])

    def without_rule(self, number: int) -> HeldChain:
        """Without the rule of that number, counted from 0."""
        columns = (self.rules, self.leads_to, [*_positions(self)])
        return HeldChain(*([*column[:number], *column[number + 1 :]] for column in columns))


class Policy(NamedTuple):
    """What a built-in chain does at its end: the bytes of its foot, and that one's position."""

    rule: bytes
    position: int


@dataclass(frozen=True, slots=True)
class HeldTable:
    """One table of the current network namespace, as it was read. `entries` counts heads and feet too."""

    family: Family
    name: str
    entries: int
    policies: Mapping[str, Policy]
    """By built-in chain, in the order of the table."""
    chains: Mapping[str, HeldChain]


# --- reading


def read_table(family: Family, name: str) -> HeldTable:
    """Read a table. MissingCapability: there is none of that name, or no right to; KernelError: anything else."""
    layout = entry_layout(family)  # python-iptables' import also loads ip_tables, where that is a module
    with _opened(family, name) as asked:
        info = bytearray(INFO.pack(name.encode(), *[0] * 13))
        _get(asked, GET_INFO, info, family=family, name=name)
        _, hooks, *numbers = INFO.unpack(info)
        entries, size = numbers[10:]
        given = bytearray(GIVEN.size + size)
        GIVEN.pack_into(given, 0, name.encode(), size)
        _get(asked, GET_ENTRIES, given, family=family, name=name)
    valid = [hook for hook in range(len(BUILT_IN)) if hooks >> hook & 1]
    reader = _Reader(
        layout,
        begins={numbers[hook]: BUILT_IN[hook] for hook in valid},
        feet={numbers[5 + hook]: BUILT_IN[hook] for hook in valid},
    )
    reader.read(bytes(memoryview(given)[GIVEN.size :]))
    return HeldTable(family, name, entries, reader.policies, reader.chains())


class _Reader:
    """Takes the bytes of a table apart; built-in chains begin and have their feet at these places."""

    def __init__(self, layout: EntryLayout, *, begins: Mapping[int, str], feet: Mapping[int, str]) -> None:
        self.policies: dict[str, Policy] = {}
        self._offsets_at = layout.target_offset
        self._begins = begins
        self._feet = feet
        self._starts: dict[int, str] = {}
        self._found: dict[str, tuple[list[bytes], list[str | int | None], list[int]]] = {}

    def read(self, data: bytes) -> None:
        at = position = 0
        rules, leads_to, positions = self._begin(self._begins.get(at, ""), at)
        while at < len(data):
            target_at, length = OFFSETS.unpack_from(data, at + self._offsets_at)
            target, following = data[at + target_at : at + length], at + length
            if at in self._begins:
                rules, leads_to, positions = self._begin(self._begins[at], at)
            if at in self._feet:
                self.policies[self._feet[at]] = Policy(data[at:following], position)
            elif target.startswith(OPENING, 2):
                rules, leads_to, positions = self._begin(_text(ERROR.unpack(target)[3]), following)
            else:
                rules.append(data[at:following])
                leads_to.append(_leads_to(target, following))
                positions.append(position)
            at, position = following, position + 1

    def chains(self) -> dict[str, HeldChain]:
        """What was read, with names in place of places. The last opening is the table's end, and opens nothing."""
        *found, _ = self._found.items()
        return {chain: self._named(*columns, foot=chain not in self.policies) for chain, columns in found}

    def _begin(self, chain: str, at: int) -> tuple[list[bytes], list[str | int | None], list[int]]:
        self._starts[at] = chain
        return self._found.setdefault(chain, ([], [], []))

    def _named(
        self, rules: list[bytes], leads_to: list[str | int | None], positions: list[int], *, foot: bool
    ) -> HeldChain:
        """With `foot`, the last entry is that of a chain of somebody's own, which is no rule."""
        count = len(rules) - foot
        names = [self._starts[to] if isinstance(to, int) else to for to in leads_to[:count]]
        return HeldChain(rules[:count], names, positions[:count])


def _leads_to(target: bytes, following: int) -> str | int | None:
    """As in HeldChain, but of a chain the place of its first rule; what comes next in the table is at `following`."""
    if target[2]:
        return None
    number: int = STANDARD.unpack(target)[3]
    if number < 0:
        return VERDICT_NAMES[number]
    return "" if number == following else number


def _text(field: bytes) -> str:
    return field.rstrip(b"\0").decode(errors="replace")


# --- writing


def replace_table(held: HeldTable, chains: Mapping[str, HeldChain]) -> None:
    """Put these chains in place of all that was read, in one step; rules that stay keep their counters.

    KernelError: EAGAIN where somebody else changed the table since it was read; ENOENT where a rule leads to a chain
    that there is not; EINVAL, ELOOP or ENOENT where the kernel does not take a rule. Then nothing was changed.
    """
    writer = _Writer(held, chains)
    counters = ctypes.create_string_buffer(COUNTERS.size * held.entries)
    data = writer.data(counters)
    with _opened(held.family, held.name) as told:
        _set(told, REPLACE, data, held=held)
        kept = _kept_counters(held, chains, counters.raw)
        if kept:
            _set(told, ADD_COUNTERS, ADDED.pack(held.name.encode(), len(kept) // COUNTERS.size) + kept, held=held)


class _Writer:
    """Lays out a table, entry by entry: the built-in chains first."""

    def __init__(self, held: HeldTable, chains: Mapping[str, HeldChain]) -> None:
        self._held = held
        opening = ERROR.pack(ERROR.size, b"ERROR", 0, b"")[:-ERROR_TEXT]
        self._head = _entry(held.family, target_size=ERROR.size) + opening
        self._pieces: list[bytes] = [b""]
        self._size = 0
        self._starts: dict[str, int] = {}
        self._feet: dict[str, int] = {}
        self._leading: list[tuple[int, str]] = []
        for name, policy in held.policies.items():
            self._add({name: chains[name]}, head=None, foot=policy.rule)
        returning = STANDARD.pack(STANDARD.size, b"", 0, VERDICTS["RETURN"])
        foot = _entry(held.family, target_size=STANDARD.size) + returning
        self._add({name: chains[name] for name in _others(held, chains)}, head=self._head, foot=foot)

    def _add(self, chains: Mapping[str, HeldChain], *, head: bytes | None, foot: bytes) -> None:
        """Chains with such heads, which want their names, and feet. A table has tens of thousands: one loop for all."""
        pieces, starts, leading, at = self._pieces, self._starts, self._leading, self._size
        foot_size = len(foot)
        for name, (rules, leads, _) in chains.items():
            if head is not None:
                opening = head + name.encode().ljust(ERROR_TEXT, b"\0")
                pieces.append(opening)
                at += len(opening)
            starts[name] = at
            for rule, leads_to in zip(rules, leads, strict=True):
                at += len(rule)
                if leads_to is not None:
                    leading.append((at, leads_to))
            pieces += rules
            pieces.append(foot)
            self._feet[name] = at
            at += foot_size
        self._size = at

    def data(self, counters: ctypes.Array[ctypes.c_char]) -> bytearray:
        """What REPLACE takes: the kernel will write what the old entries have counted into `counters`."""
        end = self._head + END.ljust(ERROR_TEXT, b"\0")
        places = [name if name in self._held.policies else "" for name in BUILT_IN]
        self._pieces[0] = HEAD.pack(
            self._held.name.encode(),
            sum(1 << hook for hook, name in enumerate(places) if name),
            len(self._pieces),
            self._size + len(end),
            *(self._starts.get(name, 0) for name in places),
            *(self._feet.get(name, 0) for name in places),
            self._held.entries,
            ctypes.addressof(counters),
        )
        data = bytearray().join((*self._pieces, end))
        self._lead(data)
        return data

    def _lead(self, data: bytearray) -> None:
        """Every standard target gets the number of bytes to where it leads in place of the name."""
        numbers, put, target_at = VERDICTS | self._starts, LEADING_ON.pack_into, HEAD.size - LEADING_ON.size
        for end, leads_to in self._leading:
            number = numbers.get(leads_to, end if leads_to == "" else None)
            if number is None:
                raise KernelError(f"jump to chain {leads_to} of table {self._held.name}", HERE, errno.ENOENT)
            put(data, target_at + end, number)


def _entry(family: Family, *, target_size: int) -> bytes:
    """An entry that matches everything, before its target."""
    layout = entry_layout(family)
    entry = bytearray(layout.size)
    OFFSETS.pack_into(entry, layout.target_offset, layout.size, layout.size + target_size)
    return bytes(entry)


def _positions(chain: HeldChain) -> Iterable[int]:
    return chain.positions or repeat(NEW, len(chain.rules))


def _others(held: HeldTable, chains: Iterable[str]) -> list[str]:
    """The chains that are not built in, in the order of the table."""
    return sorted(set(chains).difference(held.policies))


def _kept_counters(held: HeldTable, chains: Mapping[str, HeldChain], counted: bytes) -> bytes:
    """What was counted, for each entry in its new place; nothing where nothing was."""
    if not any(counted):
        return b""
    positions: list[int] = []
    for name, policy in held.policies.items():
        positions += [*_positions(chains[name]), policy.position]
    for name in _others(held, chains):
        positions += [NEW, *_positions(chains[name]), NEW]
    size, none = COUNTERS.size, bytes(COUNTERS.size)
    kept = (none if at == NEW else counted[at * size : (at + 1) * size] for at in (*positions, NEW))
    return b"".join(kept)


# --- the kernel


def _opened(family: Family, name: str) -> socket:
    try:
        return socket(FAMILIES[family][0], SOCK_RAW, IPPROTO_RAW)
    except OSError as error:
        raise cannot_open(family, name, error.errno or 0) from error


def _get(asked: socket, option: int, buffer: bytearray, *, family: Family, name: str) -> None:
    size = ctypes.c_uint(len(buffer))
    place = (ctypes.c_char * len(buffer)).from_buffer(buffer)
    if getsockopt()(asked.fileno(), FAMILIES[family][1], option, place, ctypes.byref(size)):
        raise cannot_open(family, name, ctypes.get_errno())


def _set(told: socket, option: int, data: bytes | bytearray, *, held: HeldTable) -> None:
    try:
        told.setsockopt(FAMILIES[held.family][1], option, data)
    except OSError as error:
        raise KernelError(f"commit of table {held.name} ({held.family})", HERE, error.errno or 0) from error
