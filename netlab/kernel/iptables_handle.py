"""One legacy table of the current network namespace as libiptc holds it: a copy that `commit` writes back whole.

The copy belongs to the namespace in which it was opened. A commit succeeds only if nobody has changed the number of
rules in between (EAGAIN otherwise), and leaves the copy stale: open another one for the next change.
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from types import TracebackType

from netlab.errors import KernelError, MissingCapability
from netlab.kernel.iptables_answers import HERE
from netlab.kernel.iptables_library import iptc, libiptc
from netlab.model.rules import Family

_libc = ctypes.CDLL(None)
LIBRARIES = {Family.IPV4: ("ip4tc", "iptc"), Family.IPV6: ("ip6tc", "ip6tc")}


@dataclass(frozen=True, slots=True)
class EntryLayout:
    """Where the fixed head of a rule (struct ipt_entry, struct ip6t_entry) keeps what; sizes and offsets in bytes."""

    size: int
    target_offset: int
    next_offset: int
    nfcache: int
    comefrom: int
    counters: int
    address: int
    source: int
    destination: int
    source_mask: int
    destination_mask: int
    in_interface: int
    out_interface: int
    in_interface_mask: int
    out_interface_mask: int
    protocol: int
    flags: int
    inverted: int


@cache
def entry_layout(family: Family) -> EntryLayout:
    """The layout, from python-iptables' own declaration of the structures."""
    ip4, ip6 = iptc().ip4tc, iptc().ip6tc
    entry, address = (ip4.ipt_entry, ip4.ipt_ip) if family is Family.IPV4 else (ip6.ip6t_entry, ip6.ip6t_ip6)
    return EntryLayout(
        size=ctypes.sizeof(entry),
        target_offset=entry.target_offset.offset,
        next_offset=entry.next_offset.offset,
        nfcache=entry.nfcache.offset,
        comefrom=entry.comefrom.offset,
        counters=entry.counters.offset,
        address=address.src.size,
        source=address.src.offset,
        destination=address.dst.offset,
        source_mask=address.smsk.offset,
        destination_mask=address.dmsk.offset,
        in_interface=address.iniface.offset,
        out_interface=address.outiface.offset,
        in_interface_mask=address.iniface_mask.offset,
        out_interface_mask=address.outiface_mask.offset,
        protocol=address.proto.offset,
        flags=address.flags.offset,
        inverted=address.invflags.offset,
    )


class _Library:
    """The functions of libip4tc or libip6tc, with their C prototypes (<libiptc/libiptc.h>)."""

    def __init__(self, family: Family) -> None:
        library, self.prefix = LIBRARIES[family]
        self.library = libiptc(library)
        text, handle, number = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_uint
        self.init = self._function("init", handle, text)
        self.free = self._function("free", None, handle)
        self.commit = self._function("commit", ctypes.c_int, handle)
        self.is_chain = self._function("is_chain", ctypes.c_int, text, handle)
        self.first_chain = self._function("first_chain", text, handle)
        self.next_chain = self._function("next_chain", text, handle)
        self.create_chain = self._function("create_chain", ctypes.c_int, text, handle)
        self.delete_chain = self._function("delete_chain", ctypes.c_int, text, handle)
        self.flush = self._function("flush_entries", ctypes.c_int, text, handle)
        self.append = self._function("append_entry", ctypes.c_int, text, text, handle)
        self.insert = self._function("insert_entry", ctypes.c_int, text, text, number, handle)
        self.delete = self._function("delete_entry", ctypes.c_int, text, text, text, handle)
        self.references = self._function("get_references", ctypes.c_int, ctypes.POINTER(ctypes.c_uint), text, handle)

    def _function(self, name: str, result: type | None, *arguments: type) -> ctypes._NamedFuncPointer:
        function = self.library[f"{self.prefix}_{name}"]
        function.restype, function.argtypes = result, list(arguments)
        return function


@cache
def _library(family: Family) -> _Library:
    return _Library(family)


class OpenTable:
    """A table's copy. Use it in a `with` statement, in one thread, without leaving the namespace that it was opened in.

    Every method raises KernelError with libiptc's errno: ENOENT for a chain or rule that is not there, EEXIST, EAGAIN
    where somebody else changed the table since it was opened.
    """

    def __init__(self, family: Family, name: str) -> None:
        self.family = family
        self.name = name
        self._library = _library(family)
        self._offset = entry_layout(family).next_offset
        self._handle = self._library.init(name.encode())
        if not self._handle:
            raise cannot_open(family, name, ctypes.get_errno())

    def __enter__(self) -> OpenTable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forget the copy; what was not committed is lost.

        A copy of 40000 rules and what is committed of it are 50 MB in small pieces, which malloc would keep.
        """
        if self._handle:
            self._library.free(self._handle)
            self._handle = None
            _libc.malloc_trim(0)

    def commit(self) -> None:
        """Put the copy in place of the kernel's table, in one step."""
        self._check(self._library.commit(self._handle), "commit")

    def chains(self) -> tuple[str, ...]:
        """The names of all chains, the built-in ones first, each group in the order of iptables-save."""
        name, found = self._library.first_chain(self._handle), []
        while name:
            found.append(name.decode())
            name = self._library.next_chain(self._handle)
        return tuple(found)

    def has_chain(self, chain: str) -> bool:
        return bool(self._library.is_chain(chain.encode(), self._handle))

    def create_chain(self, chain: str) -> None:
        self._check(self._library.create_chain(chain.encode(), self._handle), f"create chain {chain}")

    def delete_chain(self, chain: str) -> None:
        """Delete an empty chain to which nothing jumps."""
        self._check(self._library.delete_chain(chain.encode(), self._handle), f"delete chain {chain}")

    def flush(self, chain: str) -> None:
        self._check(self._library.flush(chain.encode(), self._handle), f"empty chain {chain}")

    def references(self, chain: str) -> int:
        """How many rules jump to the chain."""
        count = ctypes.c_uint()
        found = self._library.references(ctypes.byref(count), chain.encode(), self._handle)
        self._check(found, f"count the references to {chain}")
        return count.value

    def append(self, chain: str, entries: Sequence[bytes]) -> None:
        """Append rules, given as stamped bytes; chains that they jump to must be there (ENOENT)."""
        for entry in entries:
            self._check(self._library.append(chain.encode(), entry, self._handle), f"append a rule to chain {chain}")

    def insert(self, chain: str, entry: bytes, position: int) -> None:
        """Insert a rule so that it is the chain's number `position`, counted from 0."""
        done = self._library.insert(chain.encode(), entry, position, self._handle)
        self._check(done, f"insert a rule into chain {chain}")

    def delete(self, chain: str, entry: bytes, mask: bytes) -> None:
        """Delete the first rule that equals `entry` in the bits of `mask`."""
        self._check(self._library.delete(chain.encode(), entry, mask, self._handle), f"delete a rule of chain {chain}")

    def _check(self, done: int, operation: str) -> None:
        if not done:
            raise self._error(operation)

    def _error(self, operation: str) -> KernelError:
        return KernelError(f"{operation} of table {self.name} ({self.family})", HERE, ctypes.get_errno())


def cannot_open(family: Family, name: str, number: int) -> KernelError | MissingCapability:
    """Why a table cannot be opened, by the kernel's errno."""
    if number in (errno.ENOENT, errno.ENOPROTOOPT, errno.EINVAL):
        module = "iptable" if family is Family.IPV4 else "ip6table"
        return MissingCapability(
            f"this kernel has no legacy {family} table {name}",
            f"load it with `modprobe {module}_{name}`, or use a kernel with CONFIG_NETFILTER_XTABLES_LEGACY",
        )
    if number in (errno.EPERM, errno.EACCES):
        return MissingCapability("CAP_NET_ADMIN in this network namespace", "run as root, or as the namespace's owner")
    return KernelError(f"open table {name} ({family})", HERE, number)
