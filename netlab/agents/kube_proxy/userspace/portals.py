"""All sockets of mode userspace in this network namespace, by Service port."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import NamedTuple, Protocol

from netlab.agents.kube_proxy.userspace.allowance import Allowance, allowed_here
from netlab.agents.kube_proxy.userspace.listening_sockets import open_listener
from netlab.agents.kube_proxy.userspace.tcp import TcpPortal
from netlab.agents.kube_proxy.userspace.udp import UdpPortal
from netlab.model.rules import Protocol as Transport
from netlab.proxy.decide import Route
from netlab.proxy.ports import PortKey
from netlab.proxy.userspace import Balancer


class Portal(Protocol):
    """What answers for one Service port."""

    def endpoints_changed(self) -> None:
        """The balancer has other endpoints now."""

    def close(self) -> Awaitable[object]:
        """Close everything now; what is returned ends when all of it has come to its end."""
        ...


class _Open(NamedTuple):
    portal: Portal
    balancer: Balancer
    port: int


class Portals:
    """A listening socket for each Service port, on a port that the kernel chooses. For use inside a running loop."""

    def __init__(self) -> None:
        self._allowance: Allowance | None = None
        self._open: dict[PortKey, _Open] = {}
        self._retired: list[_Open] = []
        self._ending: set[asyncio.Future[object]] = set()

    def serve(self, route: Route) -> int:
        """Have the Service port answered, by these endpoints from now on: the port that is listened on. KernelError.

        Established connections stay where they are.
        """
        known = self._open.get(route.key) or self._listen(route.key)
        known.balancer.follow(route.reachable, affinity_seconds=route.port.affinity_seconds)
        known.portal.endpoints_changed()
        return known.port

    def retire(self, key: PortKey) -> None:
        """The Service port is gone: its socket is closed once its rules are, by `close_retired`."""
        if (known := self._open.pop(key, None)) is not None:
            self._retired.append(known)

    def keys(self) -> tuple[PortKey, ...]:
        """The Service ports that are answered."""
        return tuple(self._open)

    def close_retired(self) -> None:
        """Close what was retired, with its connections."""
        for each in self._retired:
            ending = asyncio.ensure_future(each.portal.close())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
        self._retired.clear()

    async def close(self) -> None:
        """Close everything, and wait until every connection has ended."""
        for key in self.keys():
            self.retire(key)
        self.close_retired()
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _listen(self, key: PortKey) -> _Open:
        if self._allowance is None:
            self._allowance = allowed_here()
        listener, balancer = open_listener(key.family, key.protocol), Balancer()
        if key.protocol is Transport.UDP:
            portal: Portal = UdpPortal(listener, balancer, self._allowance)
        else:
            portal = TcpPortal(listener, balancer, self._allowance, name=str(key))
        self._open[key] = _Open(portal, balancer, listener.getsockname()[1])
        return self._open[key]
