"""IPVS, the kernel's load balancer, as values: virtual servers, their real servers, and the address sets beside them.

`ipvsadm -Ln` and `ipset list` show the same things. Sources: ipvsadm(8), ipset(8), <linux/ip_vs.h>.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from netlab.model.rules import Family, IPAddress, IPNetwork, Protocol

DEVICE = "kube-ipvs0"
"""The interface that has every ClusterIP in ipvs mode. No other program makes one of that name."""


class Scheduler(StrEnum):
    """How IPVS picks the real server of a new connection: each is a kernel module ip_vs_NAME."""

    RR = "rr"
    """One after the other."""
    WRR = "wrr"
    LC = "lc"
    """The one with the fewest connections."""
    WLC = "wlc"
    LBLC = "lblc"
    LBLCR = "lblcr"
    SH = "sh"
    """By a hash of the client's address."""
    DH = "dh"
    """By a hash of the virtual server's address: always the same one."""
    SED = "sed"
    NQ = "nq"
    FO = "fo"
    OVF = "ovf"
    MH = "mh"
    """By a consistent hash (Maglev) of the client's address."""


class ServerKey(NamedTuple):
    """What packets are addressed to: there is at most one virtual server for it."""

    protocol: Protocol
    address: IPAddress
    port: int

    @property
    def family(self) -> Family:
        return Family.IPV4 if self.address.version == 4 else Family.IPV6


class RealServer(NamedTuple):
    """Where a virtual server sends packets, by translating them (NAT, ipvsadm's --masquerading), with weight 1."""

    address: IPAddress
    port: int


class VirtualServer(NamedTuple):
    """A virtual server; without real servers the kernel answers that the port is unreachable.

    With `persistent_seconds` a client comes back to its real server until it has been silent for so long.
    """

    key: ServerKey
    scheduler: Scheduler
    persistent_seconds: int | None = None
    real_servers: tuple[RealServer, ...] = ()


class Load(NamedTuple):
    """What the kernel tells of a real server. With the weight 0 it gets no new connection."""

    weight: int
    active: int
    inactive: int


class SeenServer(NamedTuple):
    """A virtual server as the kernel has it; its own `real_servers` are empty."""

    server: VirtualServer
    loads: Mapping[RealServer, Load]


class SetKind(StrEnum):
    """What an entry of an address set is made of."""

    ADDRESS = "hash:ip"
    ADDRESS_PORT = "hash:ip,port"
    ADDRESS_PORT_SOURCE = "hash:ip,port,ip"
    ADDRESS_PORT_NETWORK = "hash:ip,port,net"
    PORT = "bitmap:port"


class SetEntry(NamedTuple):
    """An entry; what its set's kind has no place for is None. `source` is a network of one address, or any."""

    address: IPAddress | None = None
    protocol: Protocol | None = None
    port: int | None = None
    source: IPNetwork | None = None

    def __str__(self) -> str:
        """As ipset(8) writes it: `10.96.0.10,tcp:80`, `10.96.0.10,tcp:80,10.244.1.5`, `30080`."""
        port = None if self.port is None else f"{self.protocol}:{self.port}" if self.protocol else str(self.port)
        parts = (self.address, port, _source_text(self.source))
        return ",".join(str(part) for part in parts if part is not None)


class AddressSet(NamedTuple):
    """A set by which one rule speaks of many addresses."""

    name: str
    kind: SetKind
    family: Family
    entries: frozenset[SetEntry] = frozenset()


def _source_text(source: IPNetwork | None) -> str | None:
    if source is None:
        return None
    return str(source.network_address) if source.prefixlen == source.max_prefixlen else str(source)
