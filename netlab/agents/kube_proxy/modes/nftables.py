"""Mode nftables: Routes as one table a family, which the kernel takes in one transaction a change.

Only a table that is not there yet comes in several; packets come to it with the last of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from netlab.agents.kube_proxy.modes.mode import ChangedRoutes, Mode, Networks, Routes, Situation
from netlab.kernel.nft_batch import make, make_as_they_come
from netlab.kernel.nft_chains import has_table, require_nftables
from netlab.kernel.nft_sets import remembered_clients
from netlab.kernel.nft_socket import NftSocket
from netlab.kernel.nft_table import delete_table
from netlab.kernel.nft_watch import TableWatch
from netlab.model.modes import ProxyMode
from netlab.model.nft_tables import Change
from netlab.model.rules import Backend, Family, IPAddress
from netlab.proxy.nftables import Spelling
from netlab.proxy.nftables.changes import growing, hooking, patching, replacing
from netlab.proxy.nftables.names import TABLE


class NftablesMode(Mode):
    """The tables of `netlab.proxy.nftables`, by netlink."""

    name: ClassVar[ProxyMode] = ProxyMode.NFTABLES

    def __init__(self) -> None:
        self._spellings: dict[Family, Spelling] = {}
        self._right: set[Family] = set()
        """The families whose table holds what was last taken in, unless somebody else has touched it since."""
        self._watch: TableWatch | None = None

    def require(self, family: Family) -> None:
        del family  # nftables has both, or none
        require_nftables()

    def start(self, situation: Situation, routes: Routes) -> None:
        for family in situation.families:
            spelling = Spelling(
                config=situation.config,
                node=situation.node,
                family=family,
                local_addresses=situation.local_addresses,
            )
            spelling.start(routes)
            self._spellings[family] = spelling
        self._right.clear()

    def write(self) -> bool:
        watch = self._watching()
        self._right -= watch.touched()
        wrong = self._spellings.keys() - self._right
        for family in sorted(wrong):
            if not has_table(family, TABLE):
                self._grow(family)
                continue
            table = self._spellings[family].table()
            remembered = {
                each.name: clients
                for each in table.sets
                if each.seconds is not None and (clients := remembered_clients(family, TABLE, each.name))
            }
            self._make(family, replacing(table, remembered))
        return bool(wrong)

    def follow(self, changed: ChangedRoutes, endpoint_totals: Mapping[Family, int]) -> bool:
        del endpoint_totals
        patches = {family: spelling.update(changed) for family, spelling in self._spellings.items()}
        if self._spellings.keys() - self._right:
            return self.write()
        different = {family: patch for family, patch in patches.items() if not patch.nothing}
        for family, patch in different.items():
            self._make(family, patching(patch))
        return bool(different)

    def take_in(self, changed: ChangedRoutes, endpoint_totals: Mapping[Family, int]) -> None:
        del endpoint_totals
        for family, spelling in self._spellings.items():
            if not spelling.update(changed).nothing:
                self._right.discard(family)

    def remove(self, families: tuple[Family, ...], *, spared: Networks = ()) -> bool:
        del spared
        deleted = [delete_table(family, TABLE) for family in families]
        return any(deleted)

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def rule_counts(self) -> Mapping[tuple[Family, str], int]:
        return {(family, TABLE): spelling.rule_count for family, spelling in self._spellings.items()}

    @property
    def backends(self) -> Mapping[Family, Backend]:
        return dict.fromkeys(self._spellings, Backend.NFT)

    @property
    def nodeport_listeners(self) -> Mapping[Family, tuple[IPAddress, ...] | None]:
        return {family: spelling.listeners for family, spelling in self._spellings.items()}

    def _make(self, family: Family, changes: list[Change]) -> None:
        """In one transaction."""
        self._own(family, lambda by: make(changes, family=family, table=TABLE, by=by))

    def _grow(self, family: Family) -> None:
        """A new table where there is none: piece by piece, while it is spelled, and with its hooks in the end."""
        spelling = self._spellings[family]

        def grow(by: NftSocket) -> int:
            pieces = make_as_they_come(growing(spelling), family=family, table=TABLE, by=by)
            return pieces + make(hooking(spelling.base()), family=family, table=TABLE, by=by)

        self._own(family, grow)

    def _own(self, family: Family, change: Callable[[NftSocket], int]) -> None:
        """What the kernel tells of this change is not somebody else's doing."""
        self._right.discard(family)
        self._watching().own(change)
        self._right.add(family)

    def _watching(self) -> TableWatch:
        if self._watch is None:
            self._watch = TableWatch(TABLE)
        return self._watch
