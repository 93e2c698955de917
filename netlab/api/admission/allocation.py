"""ClusterIPs and NodePorts: who has which, and which is free.

The bottom of each range is a band for those who ask for a certain address or port; whoever takes what comes gets one at
random from above it, and from the band only when all else is taken. Source: KEP-3070, KEP-3668.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from random import Random

from netlab.model.rules import IPAddress
from netlab.model.topology import Cidr
from netlab.plan.addresses import node_port_band, service_band

ALLOCATED = "provided port is already allocated"
ATTEMPTS = 16
"""Random picks before the range is searched in order."""


class Pool:
    """The numbers from `first` to `last`, the lowest `band` of them to be had on demand only, if possible."""

    def __init__(self, first: int, last: int, *, band: int) -> None:
        self.first, self.last, self._middle = first, last, min(first + band, last + 1)
        self._holders: dict[int, str] = {}

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last

    def holder(self, number: int) -> str | None:
        """Who has the number: the key of a Service."""
        return self._holders.get(number)

    def hold(self, number: int, holder: str) -> None:
        """Note that `holder` has the number."""
        self._holders[number] = holder

    def release(self, number: int, holder: str) -> None:
        """Note that `holder` no longer has the number."""
        if self._holders.get(number) == holder:
            del self._holders[number]

    def lowest(self) -> int | None:
        """The lowest free number, or None. It stays free until `hold`."""
        return next((number for number in range(self.first, self.last + 1) if number not in self._holders), None)

    def pick(self, random: Random, besides: frozenset[int] = frozenset()) -> int | None:
        """A free number that is not in `besides`, or None. It stays free until `hold`."""

        def free(number: int) -> bool:
            return number not in self._holders and number not in besides

        above = self._pick(self._middle, self.last, random, free)
        return above if above is not None else self._pick(self.first, self._middle - 1, random, free)

    @staticmethod
    def _pick(first: int, last: int, random: Random, free: Callable[[int], bool]) -> int | None:
        if first > last:
            return None
        for _ in range(ATTEMPTS):
            number = random.randint(first, last)
            if free(number):
                return number
        start = random.randint(first, last)
        return next(filter(free, chain(range(start, last + 1), range(first, start))), None)


class ServiceAddresses:
    """One Service range. Its first and (IPv4) last addresses belong to nobody."""

    def __init__(self, cidr: Cidr) -> None:
        self.cidr = cidr
        self.family = f"IPv{cidr.version}"
        last = int(cidr.broadcast_address) - (1 if cidr.version == 4 else 0)
        self._pool = Pool(int(cidr.network_address) + 1, last, band=service_band(cidr.num_addresses))

    def problem(self, address: IPAddress, wanted_by: str, *, forced: bool = False) -> str:
        """Why a Service cannot have an address; "" if it can. `forced`: the range does not matter."""
        if not forced and (address.version != self.cidr.version or int(address) not in self._pool):
            return f"the provided IP ({address}) is not in the valid range. The range of valid IPs is {self.cidr}"
        holder = self._pool.holder(int(address))
        return "" if holder in (None, wanted_by) else "provided IP is already allocated"

    def pick(self, random: Random) -> IPAddress | None:
        """A free address, or None. It stays free until `hold`."""
        number = self._pool.pick(random)
        if number is None:
            return None
        return self.cidr.network_address + (number - int(self.cidr.network_address))

    def hold(self, address: IPAddress, holder: str) -> None:
        """Note that a Service has the address."""
        self._pool.hold(int(address), holder)

    def release(self, address: IPAddress, holder: str) -> None:
        """Note that a Service no longer has it."""
        self._pool.release(int(address), holder)


class NodePorts:
    """The range of NodePorts, `30000-32767`."""

    def __init__(self, text: str) -> None:
        first, _, last = text.partition("-")
        self.text = text
        size = int(last) - int(first) + 1
        self._pool = Pool(int(first), int(last), band=node_port_band(size))

    def problem(self, port: int, wanted_by: str) -> str:
        """Why a Service cannot have a port; "" if it can."""
        if port not in self._pool:
            return f"provided port is not in the valid range. The range of valid ports is {self.text}"
        holder = self._pool.holder(port)
        return "" if holder in (None, wanted_by) else ALLOCATED

    def pick(self, random: Random, besides: frozenset[int]) -> int | None:
        """A free port that is not in `besides`, or None. It stays free until `hold`."""
        return self._pool.pick(random, besides)

    def hold(self, port: int, holder: str) -> None:
        """Note that a Service has the port."""
        self._pool.hold(port, holder)

    def release(self, port: int, holder: str) -> None:
        """Note that a Service no longer has it."""
        self._pool.release(port, holder)
