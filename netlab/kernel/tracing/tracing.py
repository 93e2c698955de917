"""One namespace's rules under observation while a flow passes: put up, listened to, taken down."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from netlab.kernel.namespaces import inside
from netlab.kernel.nft_chains import base_chain_hooks
from netlab.kernel.tracing import legacy_rules, nft_rules, packet_log
from netlab.kernel.tracing.events import HOOKS, TraceEvent
from netlab.kernel.tracing.flow_match import FlowMatch
from netlab.kernel.tracing.nft_log import NftTraceLog
from netlab.kernel.tracing.packet_log import PacketLog

OURS = {"prerouting": (0, nft_rules.BEFORE_ALL), "output": (3, nft_rules.BEFORE_ALL)}
"""Hook and priority of the chains of ours."""
TRANSLATION = 100
"""The priority of translation: of destinations -100, of sources 100."""


class Method(StrEnum):
    """How a flow is put under trace: by the target TRACE in legacy tables, or by nftables, which shows both kinds."""

    LEGACY = "legacy"
    NFT = "nft"


class Tracing:
    """The rules of the network namespace `where`, while one flow passes.

    `prepare` once, then `events` after the flow; `clean` undoes what was put up, as often as it is called, in any
    process. Nothing is done in a namespace that has no rules.
    """

    def __init__(self, where: str, match: FlowMatch, *, method: Method | None = None) -> None:
        self.where, self._match, self._wanted = where, match, method
        self.method: Method | None = None
        """How the flow is traced here; None where there are no rules, or no way."""
        self._log: PacketLog | None = None
        self._nft: NftTraceLog | None = None
        with inside(where):
            self._legacy = legacy_rules.has_tables(match.family)
            self._hooks = base_chain_hooks(match.family)
            self.method = self._choose()
            self._logger = packet_log.logger_here(match.family) if self.method and self._legacy else ""

    @property
    def has_rules(self) -> bool:
        """Whether anything here could match a packet."""
        return self._legacy or bool(self._hooks)

    def prepare(self) -> None:
        """Listen, then put the flow under trace. MissingCapability; KernelError."""
        with inside(self.where):
            if self.method is Method.NFT:
                self._nft = NftTraceLog(self.where)
            if self.method is not None and self._legacy:
                self._log = PacketLog(self.where)
                packet_log.set_logger(self._match.family, packet_log.LOGGER, where=self.where)
            if self.method is Method.NFT:
                nft_rules.put(self._match)
            elif self.method is Method.LEGACY:
                legacy_rules.put(self._match)

    def clean(self) -> None:
        """Undo it. KernelError."""
        with inside(self.where):
            if self.method is Method.NFT:
                nft_rules.take_out()
            elif self.method is Method.LEGACY:
                legacy_rules.take_out(self._match)
            if self._logger:
                packet_log.set_logger(self._match.family, self._logger, where=self.where)

    def events(self) -> list[TraceEvent]:
        """What happened to packets of the flow, with the texts of the rules, kind by kind of tables in order."""
        with inside(self.where):
            legacy = legacy_rules.told(self._match.family, self._log.events()) if self._log else []
            modern = nft_rules.told(map(self._placed, self._nft.events())) if self._nft else []
        return [*legacy, *modern]

    def close(self) -> None:
        """Stop listening."""
        if self._log:
            self._log.close()
        if self._nft:
            self._nft.close()

    @property
    def nat_places(self) -> dict[str, str]:
        """What translates at each hook: `nat/PREROUTING`, or in nftables the base chain that does."""
        return (
            {}
            if self._legacy
            else {
                HOOKS[number]: f"{table}/{chain}"
                for (table, chain), (number, priority) in self._hooks.items()
                if abs(priority) == TRANSLATION
            }
        )

    def _placed(self, event: TraceEvent) -> TraceEvent:
        """An event of nftables with the hook and the priority of its base chain."""
        table, _, chain = event.place.partition("/")
        number, priority = self._hooks.get((table, chain), OURS.get(chain, (0, 0)))
        return replace(event, hook=HOOKS[number], priority=priority)

    def _choose(self) -> Method | None:
        if not self.has_rules:
            return None
        if self._wanted is None:
            return Method.NFT if self._hooks and nft_rules.is_possible() else Method.LEGACY
        return self._wanted
