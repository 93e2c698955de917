"""Who gets which address: pure arithmetic over the ranges of a topology.

Of each node range the first address is the fabric router's, then come nodes and externals in the order of the file. Of
each Pod range every node gets the next free share (/24, IPv6 /64), whose first address is the Pods' gateway. Whatever
has an address keeps it when the file changes, unless the file now gives that address to another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, ip_address
from itertools import combinations
from typing import TypeVar

from netlab.errors import InvalidInput, Problem
from netlab.model.rules import IPAddress
from netlab.model.topology import Cidr, External, NodeEntry, Topology

NODE_SHARE_LENGTH = {4: 24, 6: 64}
"""Prefix length of a node's share of a Pod range, unless the whole range is smaller."""
Machine = TypeVar("Machine", NodeEntry, External)


def router_address(cidr: Cidr) -> IPAddress:
    """The fabric router's address on the wire: the first of the range."""
    return cidr.network_address + 1


def hosts(cidr: Cidr) -> Iterator[IPAddress]:
    """The addresses of a range that a machine or Pod may have: after the router's or gateway's, in order."""
    last = int(cidr.broadcast_address) - (1 if cidr.version == 4 else 0)
    return (ip_address(number) for number in range(int(cidr.network_address) + 2, last + 1))


def overlapping(ranges: Mapping[str, Cidr]) -> tuple[tuple[str, str], ...]:
    """The names of all pairs of ranges that have an address in common, in the order of `ranges`."""
    return tuple(
        (one, other) for one, other in combinations(ranges, 2) if _overlap(one=ranges[one], other=ranges[other])
    )


def _overlap(*, one: Cidr, other: Cidr) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.overlaps(other)
    return not isinstance(other, IPv4Network) and one.overlaps(other)


def service_band(size: int) -> int:
    """How many addresses at the bottom of a Service range of `size` addresses are kept for those who ask for one.

    Source: KEP-3070; ranges of up to 16 addresses have no such band.
    """
    return 0 if size <= 16 else min(max(16, size // 16), 256)


def node_port_band(size: int) -> int:
    """The same of a NodePort range of `size` ports (KEP-3668)."""
    return 0 if size <= 16 else min(max(16, size // 32), 128)


def complete(topology: Topology, before: Topology | None = None) -> Topology:
    """The topology with every address and Pod range spelled out; those of `before` are kept where they can be.

    Raises InvalidInput where a range is too small.
    """
    spec = topology.spec
    earlier = before.spec if before else None
    nodes, externals = spec.nodes, spec.externals
    for cidr in spec.network.node_cidrs:
        given = (*(node.addresses for node in nodes), *(external.addresses for external in externals))
        taken = {router_address(cidr), *(address for own in given for address in _inside(cidr, own))}
        nodes = _keep(nodes, earlier.nodes if earlier else (), cidr, taken)
        externals = _keep(externals, earlier.externals if earlier else (), cidr, taken)
        free = (address for address in hosts(cidr) if address not in taken)
        nodes, externals = _give(nodes, cidr, free), _give(externals, cidr, free)
    for cidr in spec.network.pod_cidrs:
        nodes = _share(nodes, earlier.nodes if earlier else (), cidr)
    completed = spec.model_copy(update={"nodes": nodes, "externals": externals})
    return topology.model_copy(update={"spec": completed})


def _inside(cidr: Cidr, addresses: Iterable[str]) -> tuple[IPAddress, ...]:
    return tuple(address for address in map(ip_address, addresses) if address in cidr)


def _with_address(machine: Machine, address: IPAddress) -> Machine:
    return machine.model_copy(update={"addresses": (*machine.addresses, str(address))})


def _keep(
    machines: tuple[Machine, ...], earlier: tuple[Machine, ...], cidr: Cidr, taken: set[IPAddress]
) -> tuple[Machine, ...]:
    """The machines, those without an address in `cidr` with the one they had before, which is `taken` from here on."""
    had = {machine.name: _inside(cidr, machine.addresses) for machine in earlier}
    kept = []
    for machine in machines:
        mine = had.get(machine.name, ())
        if mine and mine[0] not in taken and not _inside(cidr, machine.addresses):
            taken.add(mine[0])
            kept.append(_with_address(machine, mine[0]))
        else:
            kept.append(machine)
    return tuple(kept)


def _give(machines: tuple[Machine, ...], cidr: Cidr, free: Iterator[IPAddress]) -> tuple[Machine, ...]:
    """The machines, those without an address in `cidr` with the next free one."""
    given = []
    for machine in machines:
        address = None if _inside(cidr, machine.addresses) else next(free, None)
        if address is None and not _inside(cidr, machine.addresses):
            raise _too_small("spec.network.nodeCIDRs", f"{cidr} has no address left for {machine.name}")
        given.append(machine if address is None else _with_address(machine, address))
    return tuple(given)


def _share(nodes: tuple[NodeEntry, ...], earlier: tuple[NodeEntry, ...], cidr: Cidr) -> tuple[NodeEntry, ...]:
    """The nodes, those without a share of the Pod range `cidr` with the one they had before or the next free one."""
    had = {node.name: node.pod_cidrs for node in earlier}
    taken = [share for node in nodes for share in _shares(node.pod_cidrs, cidr)]
    kept = []
    for node in nodes:
        mine = () if _shares(node.pod_cidrs, cidr) else _shares(had.get(node.name, ()), cidr)
        usable = [share for share in mine if not any(_overlap(one=share, other=other) for other in taken)]
        taken += usable[:1]
        kept.append(_with_share(node, usable[0]) if usable else node)
    free = (share for share in _all_shares(cidr) if not any(_overlap(one=share, other=other) for other in taken))
    return tuple(node if _shares(node.pod_cidrs, cidr) else _with_next_share(node, cidr, free) for node in kept)


def _shares(shares: Iterable[Cidr], cidr: Cidr) -> tuple[Cidr, ...]:
    return tuple(share for share in shares if share.version == cidr.version)


def _all_shares(cidr: Cidr) -> Iterator[Cidr]:
    return cidr.subnets(new_prefix=max(cidr.prefixlen, NODE_SHARE_LENGTH[cidr.version]))


def _with_share(node: NodeEntry, share: Cidr) -> NodeEntry:
    return node.model_copy(update={"pod_cidrs": (*node.pod_cidrs, share)})


def _with_next_share(node: NodeEntry, cidr: Cidr, free: Iterator[Cidr]) -> NodeEntry:
    share = next(free, None)
    if share is None:
        length = NODE_SHARE_LENGTH[cidr.version]
        raise _too_small("spec.network.podCIDRs", f"{cidr} has no /{length} left for the Pods of {node.name}")
    return _with_share(node, share)


def _too_small(path: str, message: str) -> InvalidInput:
    return InvalidInput([Problem("Topology", 0, 0, path, message, "take a larger range")])


class PodAddresses:
    """The addresses of one node's share of a Pod range, of which the lowest free one is given out first."""

    def __init__(self, share: Cidr) -> None:
        self._first = int(share.network_address) + 2
        self._last = int(share.broadcast_address) - (1 if share.version == 4 else 0)
        self._used: set[int] = set()
        self._lowest = self._first

    def use(self, address: IPAddress) -> None:
        """Note that somebody has `address`."""
        self._used.add(int(address))

    def free(self, address: IPAddress) -> None:
        """Note that nobody has `address` any more."""
        self._used.discard(int(address))
        if self._first <= int(address) < self._lowest:
            self._lowest = int(address)

    def lowest(self) -> IPAddress | None:
        """The lowest free address, or None if all are in use. It stays free until `use`."""
        while self._lowest in self._used:
            self._lowest += 1
        return ip_address(self._lowest) if self._lowest <= self._last else None
