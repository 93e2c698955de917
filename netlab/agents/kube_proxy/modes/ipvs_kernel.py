"""One family's virtual servers, address sets, addresses and rules in the kernel, kept as they are spelled.

What is new comes first and what is old goes last, so that no packet meets a half: sets, the rules that speak of them,
virtual servers, and only then the addresses that lead to those.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from netlab.agents.kube_proxy.modes.iptables_tables import KernelTables
from netlab.agents.kube_proxy.modes.ipvs_departures import Departures
from netlab.kernel import dummy, iptables, ipvs
from netlab.kernel.ipsets import SetSocket
from netlab.kernel.ipvs import Change, IpvsSocket
from netlab.model.ipvs import DEVICE, AddressSet, Load, RealServer, ServerKey, SetEntry, VirtualServer
from netlab.model.rules import Family, Table
from netlab.proxy.complaints import Complaint
from netlab.proxy.ipvs import Difference, Spelling

Entry = tuple[str, SetEntry]


class KernelIpvs:
    """One family's part of ipvs mode in the current network namespace."""

    def __init__(self, family: Family, departures: Departures) -> None:
        self.family = family
        self._departures = departures
        self._tables = KernelTables(family)
        self._servers: dict[ServerKey, VirtualServer] = {}
        self._knows_sets = False
        """Whether the sets are still those that rules were compiled for: a set that a rule uses is never deleted."""

    @property
    def left_out(self) -> tuple[Complaint, ...]:
        """The rules that the kernel refused."""
        return self._tables.left_out

    def write(self, spelling: Spelling) -> bool:
        """Make the kernel hold what is spelled, whatever it holds now; whether that was anything else. KernelError."""
        device_is_new = not dummy.is_there(DEVICE)
        if device_is_new:
            dummy.create(DEVICE)
        with SetSocket() as sets, IpvsSocket() as kernel:
            missing, superfluous, sets_are_new = _differences(sets, spelling.sets)
            seen = {each.server.key: each for each in kernel.servers() if each.server.key.family is self.family}
            bound = frozenset(a for a in dummy.addresses_of(DEVICE) if self._is_ours(a.version))
            wanted = spelling.servers
            difference = Difference(
                servers=tuple(wanted.values()),
                servers_gone=spelling.unwanted(seen),
                entries=missing,
                entries_gone=superfluous,
                bound=tuple(spelling.bound - bound),
                unbound=tuple(bound - spelling.bound),
                tables=spelling.tables(),
            )
            self._servers = {key: each.server for key, each in seen.items()}
            self._knows_sets = self._knows_sets and not sets_are_new
            changed = self._do(difference, sets, kernel, loads={key: each.loads for key, each in seen.items()})
        return changed or device_is_new or sets_are_new

    def follow(self, difference: Difference) -> bool:
        """Do what a change asks for; whether the kernel holds anything else now. KernelError."""
        if difference.nothing:
            return False
        with SetSocket() as sets, IpvsSocket() as kernel:
            changed = [each.key for each in difference.servers if each.key in self._servers]
            loads = {key: dict(kernel.loads(self._servers[key])) for key in changed}
            return self._do(difference, sets, kernel, loads=loads)

    def _do(
        self,
        difference: Difference,
        sets: SetSocket,
        kernel: IpvsSocket,
        *,
        loads: Mapping[ServerKey, Mapping[RealServer, Load]],
    ) -> bool:
        for name, entries in _by_set(difference.entries):
            sets.add(name, entries)
        written = self._write_rules(difference.tables) if difference.tables is not None else 0
        changes = list(self._changes(difference.servers, loads))
        kernel.do(changes)
        if difference.bound or difference.unbound:
            dummy.change_addresses(DEVICE, added=difference.bound, removed=difference.unbound)
        gone = [ipvs.remove(self._servers[key]) for key in difference.servers_gone if key in self._servers]
        kernel.do(gone)
        for name, entries in _by_set(difference.entries_gone):
            sets.delete(name, entries)
        self._note(difference)
        moved = difference.entries or difference.entries_gone or difference.bound or difference.unbound
        return bool(written or changes or gone or moved)

    def _note(self, difference: Difference) -> None:
        for server in difference.servers:
            self._servers[server.key] = server
        for key in difference.servers_gone:
            self._servers.pop(key, None)
            self._departures.forget_server(key)

    def _write_rules(self, tables: Iterable[Table]) -> int:
        if not self._knows_sets:
            iptables.forget_sets(self.family)
        written = self._tables.write(tables)
        self._knows_sets = True
        return written

    def _changes(
        self, wanted: Iterable[VirtualServer], loads: Mapping[ServerKey, Mapping[RealServer, Load]]
    ) -> Iterator[Change]:
        """How the kernel's servers become those wanted."""
        for server in wanted:
            before = self._servers.get(server.key)
            if before is None:
                yield ipvs.add(server)
            elif before[:3] != server[:3]:
                yield ipvs.alter(server)
            yield from self._departures.changes(server, loads.get(server.key, {}))

    def _is_ours(self, version: int) -> bool:
        return (version == 4) == (self.family is Family.IPV4)


def _differences(sets: SetSocket, wanted: Iterable[AddressSet]) -> tuple[tuple[Entry, ...], tuple[Entry, ...], bool]:
    """Which entries are missing and which are too many, and whether sets were; those are there now."""
    held = sets.sets()
    new = [each for each in wanted if not _is_alike(held.get(each.name), each)]
    sets.destroy([each.name for each in new if each.name in held])
    sets.create(new)
    missing, superfluous = [], []
    for each in wanted:
        there = held[each.name].entries if each not in new else frozenset()
        missing += [(each.name, entry) for entry in each.entries - there]
        superfluous += [(each.name, entry) for entry in there - each.entries]
    return tuple(missing), tuple(superfluous), bool(new)


def _is_alike(held: AddressSet | None, wanted: AddressSet) -> bool:
    """A set of ports has no family."""
    if held is None or held.kind is not wanted.kind:
        return False
    return held.family is wanted.family or held.kind.value.startswith("bitmap:")


def _by_set(entries: Iterable[Entry]) -> Iterator[tuple[str, list[SetEntry]]]:
    for name, group in groupby(sorted(entries, key=_name), key=_name):
        yield name, [entry for _, entry in group]


def _name(entry: Entry) -> str:
    return entry[0]
