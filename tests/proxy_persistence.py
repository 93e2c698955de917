"""Which client came to which endpoint, in mode ipvs: the kernel remembers by itself, so it is packets that tell it.

A client is forgotten when it comes while no real server takes any (net.ipv4.vs.expire_quiescent_template), and
remembered with an endpoint when it comes while that is the only one: also with an endpoint that is gone again.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from itertools import count

from proxy_tables import Last
from proxy_tables.case import AFFINITY_SECONDS, OUTSIDER
from proxy_tables.six import words_in_ipv6
from proxy_wire import Flow

from netlab.kernel import ipvs
from netlab.kernel.ipvs import IpvsSocket
from netlab.model.ipvs import RealServer, ServerKey, VirtualServer

FIRST_PORT = 30000
"""From here on no other client of the tests has its port."""
NEIGHBOURS = {4: ip_address(OUTSIDER), 6: ip_address(words_in_ipv6(OUTSIDER))}
"""Whose neighbours may come where an outsider may."""


class Persistence:
    """Of mode ipvs: a virtual server's templates of connections. `visit` sends a packet of a flow."""

    def __init__(self, visit: Callable[[Flow], object]) -> None:
        self._visit = visit
        self._numbers = count(1)
        self._strangers = count(1)

    def is_kept(self) -> bool:
        with IpvsSocket() as kernel:
            return any(each.server.persistent_seconds is not None for each in kernel.servers())

    def only(self, flow: Flow, last: Last | None) -> None:
        key = ServerKey(flow.protocol, flow.destination, flow.port)
        with IpvsSocket() as kernel:
            found = [each for each in kernel.servers() if each.server.key == key]
            for server, loads in found:
                real_servers = tuple(loads)
                self._come(flow, kernel, server, real_servers, taking=None)
                if last and last.seconds_ago < AFFINITY_SECONDS:
                    self._come(flow, kernel, server, real_servers, taking=_real_server(last.endpoint))
                _open(kernel, server, real_servers, taking=real_servers)

    def _come(
        self,
        flow: Flow,
        kernel: IpvsSocket,
        server: VirtualServer,
        real_servers: tuple[RealServer, ...],
        *,
        taking: RealServer | None,
    ) -> None:
        """Have the client come while that real server alone takes clients, which may be there for so long only."""
        guest = taking is not None and taking not in real_servers
        if taking is not None and guest:
            kernel.do([ipvs.add_real(server, taking)])
        _open(kernel, server, real_servers, taking=(taking,) if taking else ())
        number = next(self._numbers)
        self._visit(flow._replace(source_port=FIRST_PORT + number % FIRST_PORT))
        if taking is not None and guest:
            kernel.do([ipvs.remove_real(server, taking)])
            _open(kernel, server, real_servers, taking=real_servers)
            self._turn(flow, number)

    def _turn(self, flow: Flow, number: int) -> None:
        """Every second time a stranger comes: a real server that goes leaves the turn always at the same other one."""
        if number % 4:
            self._visit(flow._replace(source=NEIGHBOURS[flow.source.version] + next(self._strangers)))


def _open(
    kernel: IpvsSocket, server: VirtualServer, real_servers: tuple[RealServer, ...], *, taking: tuple[RealServer, ...]
) -> None:
    kernel.do([ipvs.weigh(server, each, weight=int(each in taking)) for each in real_servers])


def _real_server(endpoint: str) -> RealServer:
    address, _, port = endpoint.rpartition(":")
    return RealServer(ip_address(address.strip("[]")), int(port))
