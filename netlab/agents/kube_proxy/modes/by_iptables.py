"""What modes have in common whose rules are in iptables' tables, all of them or the few that do not grow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, Protocol, TypeVar

from netlab.agents.kube_proxy.modes.mode import Mode
from netlab.kernel import iptables
from netlab.model.rules import Backend, Family, IPAddress


class Spelled(Protocol):
    """What such a mode's Spelling tells of its rules."""

    @property
    def listeners(self) -> tuple[IPAddress, ...] | None:
        """The addresses on which node ports answer; None: on every local one."""
        ...

    def rule_counts(self) -> Mapping[str, int]:
        """How many rules there are by table."""
        ...


S = TypeVar("S", bound=Spelled)


class ByIptables(Mode, Generic[S]):
    """A mode with a Spelling a family, whose rules whichever iptables this kernel has keeps."""

    def __init__(self) -> None:
        self._spellings: dict[Family, S] = {}

    def rule_counts(self) -> Mapping[tuple[Family, str], int]:
        return {
            (family, table): count
            for family, spelling in self._spellings.items()
            for table, count in spelling.rule_counts().items()
        }

    @property
    def backends(self) -> Mapping[Family, Backend]:
        return {family: iptables.require_tables(family) for family in self._spellings}

    @property
    def nodeport_listeners(self) -> Mapping[Family, tuple[IPAddress, ...] | None]:
        return {family: spelling.listeners for family, spelling in self._spellings.items()}
