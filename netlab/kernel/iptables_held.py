"""A legacy table as the kernel gives and takes it: the bytes of all rules in one piece, chain after chain.

Whole tables are read here and written by `iptables_replace`: nothing is copied rule by rule or looked for by name, as
libiptc must for who changes one rule at a time. Changes of a few rules go by libiptc (`iptables_handle`).

    a chain   a head that says its name (the built-in ones have none), its rules, a foot: RETURN, or the policy
    a jump    how many bytes it is from the table's beginning to the first rule of its chain

Source: <linux/netfilter_ipv4/ip_tables.h>, its IPv6 twin, <linux/netfilter/x_tables.h>.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from socket import IPPROTO_RAW, SOCK_RAW, socket
from typing import NamedTuple

from netlab.kernel.iptables_handle import EntryLayout, cannot_open, entry_layout
from netlab.kernel.table_marks import FAMILIES, GET_INFO, getsockopt
from netlab.model.rules import Chain, Family

GET_ENTRIES = 65
BUILT_IN = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
"""The built-in chains, by the number of their hook."""
INFO = struct.Struct("=32sI5I5III")
"""struct ipt_getinfo: name, hooks as bits, where their chains begin, where those end, entries, bytes."""
GIVEN = struct.Struct("=32sI4x")
"""The head of struct ipt_get_entries, before the entries."""
STANDARD = struct.Struct("=H29sBi4x")
"""struct xt_standard_target: size, name (none), revision, and a verdict below zero or where it jumps to."""
ERROR = struct.Struct("=H29sB32s")
"""struct xt_error_target, which opens a chain and ends the table, and what its text is filled up to."""
ERROR_TEXT = 32
OFFSETS = struct.Struct("=HH")
"""Of an entry, where its target begins and where it ends."""
OPENING = b"ERROR\0"
"""The target that opens a chain."""
NEW = -1
"""The position of an entry that was not there before."""
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
        return HeldChain([rule, *self.rules], [leads_to, *self.leads_to], [NEW, *positions_of(self)])

    def without_rule(self, number: int) -> HeldChain:
        """Without the rule of that number, counted from 0."""
        columns = (self.rules, self.leads_to, [*positions_of(self)])
        return HeldChain(*([*column[:number], *column[number + 1 :]] for column in columns))


def positions_of(chain: HeldChain | Chain) -> Iterable[int]:
    """Where each of the rules is in the kernel's table, or NEW."""
    positions = chain.positions if isinstance(chain, HeldChain) else ()
    return positions or repeat(NEW, len(chain.rules))


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
    with opened(family, name) as asked:
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


# --- the kernel


def opened(family: Family, name: str) -> socket:
    """A socket to speak to the kernel about a table. MissingCapability: no rights; KernelError."""
    try:
        return socket(FAMILIES[family][0], SOCK_RAW, IPPROTO_RAW)
    except OSError as error:
        raise cannot_open(family, name, error.errno or 0) from error


def _get(asked: socket, option: int, buffer: bytearray, *, family: Family, name: str) -> None:
    size = ctypes.c_uint(len(buffer))
    place = (ctypes.c_char * len(buffer)).from_buffer(buffer)
    if getsockopt()(asked.fileno(), FAMILIES[family][1], option, place, ctypes.byref(size)):
        raise cannot_open(family, name, ctypes.get_errno())
