"""Real servers that go: they get no new connection (weight 0) and are deleted once the ones they have are over.

Over UDP there is nothing to wait for. Source: kube-proxy's graceful termination, which looks once a minute too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping

from netlab.kernel import ipvs
from netlab.kernel.ipvs import Change, IpvsSocket
from netlab.model.ipvs import Load, RealServer, ServerKey, VirtualServer
from netlab.model.rules import Protocol

LOOK_EVERY_SECONDS = 60.0
AT_MOST_SECONDS = 900.0
"""IPVS' own timeout of a TCP connection on which nothing happens: after as long a real server goes in any case."""
log = logging.getLogger(__name__)


class Departures:
    """The real servers of all virtual servers that are about to go. `clock` tells seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: dict[tuple[ServerKey, RealServer], tuple[VirtualServer, float]] = {}
        self.some = asyncio.Event()
        """Set while there are any."""

    def __len__(self) -> int:
        return len(self._since)

    def changes(self, server: VirtualServer, loads: Mapping[RealServer, Load]) -> Iterator[Change]:
        """How the real servers that the kernel has become those of `server`."""
        for real in server.real_servers:
            self._forget(server.key, real)
            if real not in loads:
                yield ipvs.add_real(server, real)
            elif loads[real].weight != 1:
                yield ipvs.weigh(server, real, weight=1)
        for real in loads.keys() - set(server.real_servers):
            if server.key.protocol is Protocol.UDP or is_idle(loads[real]):
                self._forget(server.key, real)
                yield ipvs.remove_real(server, real)
                continue
            self._since.setdefault((server.key, real), (server, self._clock()))
            self.some.set()
            if loads[real].weight:
                yield ipvs.weigh(server, real, weight=0)

    def forget_server(self, key: ServerKey) -> None:
        """A virtual server is gone, and its real servers with it."""
        for server, real in [each for each in self._since if each[0] == key]:
            self._forget(server, real)

    def delete_idle(self) -> int:
        """Delete those that no connection is left to, or that are waited for too long; how many. KernelError."""
        gone = 0
        with IpvsSocket() as kernel:
            for (key, real), (server, since) in list(self._since.items()):
                load = dict(kernel.loads(server)).get(real)
                late = self._clock() - since >= AT_MOST_SECONDS
                if load is not None and not is_idle(load) and not late:
                    continue
                if load is not None:
                    kernel.do([ipvs.remove_real(server, real)])
                self._forget(key, real)
                gone += 1
        return gone

    def _forget(self, key: ServerKey, real: RealServer) -> None:
        self._since.pop((key, real), None)
        if not self._since:
            self.some.clear()


def is_idle(load: Load) -> bool:
    """Whether no connection is left, not even one that is closing."""
    return load.active + load.inactive == 0
