"""What every proxy mode can do. Use it in one thread, in the node's network namespace."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from netlab.model.modes import ProxyMode
from netlab.model.rules import Backend, Family, IPAddress, IPNetwork
from netlab.model.state import Sysctl
from netlab.proxy.complaints import Complaint
from netlab.proxy.config import NodeFacts, ProxyConfig
from netlab.proxy.decide import Route
from netlab.proxy.ports import PortKey

Routes = Mapping[PortKey, Route]
Networks = tuple[IPNetwork, ...]
ChangedRoutes = Mapping[PortKey, Route | None]
"""None for a Service port that is gone."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What rules depend on beside Routes: the flags, the node, the addresses that its interfaces have now.

    `endpoint_totals` counts the endpoints of all ports, in any state, by family.
    """

    config: ProxyConfig
    node: NodeFacts
    families: tuple[Family, ...]
    local_addresses: tuple[IPAddress, ...]
    endpoint_totals: Mapping[Family, int]


class Mode(ABC):
    """One proxy mode's rules in this network namespace, of every family that the kernel has what it takes for.

    First `start`, then `write`, then `follow` as often as Routes change.
    """

    name: ClassVar[ProxyMode]

    @abstractmethod
    def require(self, family: Family) -> None:
        """MissingCapability: no rights here, or this kernel has not what the mode needs for that family."""

    def sysctls(self, config: ProxyConfig, families: tuple[Family, ...]) -> tuple[Sysctl, ...]:
        """The settings that rules of this mode need; `config` is the one on its node."""
        del config, families
        return ()

    @abstractmethod
    def start(self, situation: Situation, routes: Routes) -> None:
        """Forget everything and take in these Routes; the kernel is not touched yet."""

    @abstractmethod
    def write(self) -> bool:
        """Make the kernel hold what was taken in, whatever it holds now; whether that was anything else.

        KernelError: it is not all in place.
        """

    @abstractmethod
    def follow(self, changed: ChangedRoutes, endpoint_totals: Mapping[Family, int]) -> bool:
        """Take in the Routes that changed and have the kernel follow with as little work as that change is.

        Whether the kernel's rules are different now. KernelError: it is not all in place.
        """

    @abstractmethod
    def take_in(self, changed: ChangedRoutes, endpoint_totals: Mapping[Family, int]) -> None:
        """Take in the Routes that changed without writing: `write` comes next."""

    async def work(self) -> None:
        """What the mode does beside rules, until it is cancelled; a mode that is all rules returns at once."""
        return

    @abstractmethod
    def remove(self, families: tuple[Family, ...], *, spared: Networks = ()) -> bool:
        """Take away all that this mode leaves in a network namespace, whoever left it. Whether there was anything.

        `spared` is what --ipvs-exclude-cidrs says. KernelError: something is still there.
        """

    def close(self) -> None:  # noqa: B027 - most modes hold nothing
        """Give up what the process holds; the rules stay."""

    @abstractmethod
    def rule_counts(self) -> Mapping[tuple[Family, str], int]:
        """How many rules there are by family and table."""

    @property
    @abstractmethod
    def backends(self) -> Mapping[Family, Backend]:
        """The families that there are rules for, and the kind of tables that the kernel keeps them in."""

    @property
    @abstractmethod
    def nodeport_listeners(self) -> Mapping[Family, tuple[IPAddress, ...] | None]:
        """The addresses on which node ports answer, by family; None: on every local one."""

    @property
    def left_out(self) -> tuple[Complaint, ...]:
        """What the kernel refused."""
        return ()
