"""One namespace's rules under observation while a flow passes: put up, listened to, taken down."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import replace
from enum import StrEnum

from netlab.errors import KernelError, MissingCapability
from netlab.kernel.namespaces import inside
from netlab.kernel.nft_chains import base_chain_hooks
from netlab.kernel.tracing import legacy_rules, nft_rules, packet_log
from netlab.kernel.tracing.counters import Counts, grown, read_counts
from netlab.kernel.tracing.events import HOOKS, TraceEvent
from netlab.kernel.tracing.flow_match import FlowMatch
from netlab.kernel.tracing.nft_log import NftTraceLog
from netlab.kernel.tracing.packet_log import PacketLog

OURS = {"prerouting": (0, nft_rules.BEFORE_ALL), "output": (3, nft_rules.BEFORE_ALL)}
"""Hook and priority of the chains of ours."""
TRANSLATION = 100
"""The priority of translation: of destinations -100, of sources 100."""


class Method(StrEnum):
    """How rules are observed: by the target TRACE in legacy tables, by nftables, which shows both kinds, or counted."""

    LEGACY = "legacy"
    NFT = "nft"
    COUNTERS = "counters"


class Tracing:
    """The rules of the network namespace `where`, while one flow passes.

    `prepare` once, then `events` or `counted` after the flow; `clean` undoes what was put up, as often as it is called,
    in any process. Nothing is done in a namespace that has no rules.
    """

    def __init__(self, where: str, match: FlowMatch, *, method: Method | None = None) -> None:
        self.where, self._match, self._wanted = where, match, method
        self.method: Method | None = None
        """How rules are observed here, once that is prepared."""
        self._log: PacketLog | None = None
        self._nft: NftTraceLog | None = None
        self._before: Counts = {}
        with inside(where):
            self._legacy = legacy_rules.has_tables(match.family)
            self._hooks = base_chain_hooks(match.family)
            self._methods = self._possible()
            self._logger = packet_log.logger_here(match.family) if self._legacy else None

    @property
    def has_rules(self) -> bool:
        """Whether anything here could match a packet."""
        return self._legacy or bool(self._hooks)

    def prepare(self) -> None:
        """Listen, then put the flow under trace; where that cannot be done, and none was chosen, by the next method.

        MissingCapability; KernelError.
        """
        *others, last = self._methods
        with inside(self.where):
            for method in others:
                with suppress(KernelError, MissingCapability):
                    self._begin(method)
                    return
                self._end(method)
            self._begin(last)

    def clean(self) -> None:
        """Undo it; who does not know what was put up, since another process did that, undoes all. KernelError."""
        with inside(self.where), ExitStack() as stack:
            for method in (self.method,) if self.method else self._methods:
                stack.callback(self._take_out, method)

    def events(self) -> list[TraceEvent]:
        """What happened to packets of the flow, with the texts of the rules, kind by kind of tables in order."""
        with inside(self.where):
            legacy = legacy_rules.told(self._match.family, self._log.events()) if self._log else []
            modern = nft_rules.told(map(self._placed, self._nft.events())) if self._nft else []
        return [*legacy, *modern]

    def counted(self) -> list[TraceEvent]:
        """The rules whose counters grew, where they are counted and not traced."""
        if self.method is not Method.COUNTERS:
            return []
        with inside(self.where):
            return grown(self._before, read_counts(self._match.family), self._hooks)

    def close(self) -> None:
        """Stop listening."""
        if self._log:
            self._log.close()
        if self._nft:
            self._nft.close()
        self._log = self._nft = None

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

    def _possible(self) -> tuple[Method, ...]:
        """The methods to try, one after the other."""
        if not self.has_rules:
            return ()
        if self._wanted is not None:
            return (self._wanted,)
        nft = self._hooks and nft_rules.is_possible()
        return (
            *((Method.NFT,) if nft else ()),
            *((Method.LEGACY,) if self._legacy else ()),
            Method.COUNTERS,
        )

    def _begin(self, method: Method) -> None:
        if method is Method.COUNTERS:
            self._before = read_counts(self._match.family)
        else:
            self._trace(method)
        self.method = method

    def _trace(self, method: Method) -> None:
        if method is Method.NFT:
            self._nft = NftTraceLog(self.where)
        if self._legacy:
            packet_log.require_logger(self._match.family)
            self._log = PacketLog(self.where)
            packet_log.set_logger(self._match.family, packet_log.LOGGER, where=self.where)
        if method is Method.NFT:
            nft_rules.put(self._match)
        else:
            legacy_rules.put(self._match)

    def _end(self, method: Method) -> None:
        """Stop what could not be begun: a part of it may have been."""
        self.close()
        with suppress(KernelError, MissingCapability):
            self._take_out(method)

    def _take_out(self, method: Method) -> None:
        if method is Method.NFT:
            nft_rules.take_out()
        elif method is Method.LEGACY:
            legacy_rules.take_out(self._match)
        if self._logger and method is not Method.COUNTERS:
            packet_log.set_logger(self._match.family, self._logger, where=self.where)
