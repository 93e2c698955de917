"""How an endpoint is chosen: for each number of endpoints one map, which all Services that have so many share.

    endpoints          dnat to ... numgen random mod 2 map @endpoints-2
                       dnat to ... numgen random mod 3 map @endpoints-3
                       drop
    map endpoints-3    10.96.0.10 . tcp . 80 . 0 : 10.244.1.5 . 8080     (and 1, and 2)

A packet is found in one of the maps, by the address and port that it was sent to. An endpoint that comes or goes is a
few elements: for a rule the kernel looks through all chains that packets can come to, for an element it does not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from netlab.model.nft_rules import Dnat, DnatByMap, Drop, Field, Rule
from netlab.model.nft_tables import Chain, Drawn, Element, Key, KeyType, Set
from netlab.proxy.nftables import names

TO_PORT = (Field.PROTOCOL, Field.PORT)
TO_SERVICE = (Field.DESTINATION, *TO_PORT)
KEYS = {Field.DESTINATION: KeyType.ADDRESS, Field.PROTOCOL: KeyType.PROTOCOL, Field.PORT: KeyType.PORT}
BY_ADDRESS = (names.ENDPOINTS, names.LOCAL_ENDPOINTS)
"""The kinds of maps for what is sent to an address of a Service: of all endpoints, and of those of this node."""
BY_NODE_PORT = (names.NODEPORT_ENDPOINTS, names.LOCAL_NODEPORT_ENDPOINTS)
"""The same for what is sent to a node port, at whatever address of the node."""
FIELDS = dict.fromkeys(BY_ADDRESS, TO_SERVICE) | dict.fromkeys(BY_NODE_PORT, TO_PORT)
"""By what packets are looked up in each kind of map."""
CHAINS = dict(zip((names.ENDPOINTS, names.LOCAL_ENDPOINTS), zip(BY_ADDRESS, BY_NODE_PORT, strict=True), strict=True))
"""The kinds of maps that each of the chains looks into."""
SizedMap = tuple[str, int]
"""A kind of map, and for how many endpoints a key it is."""
BETWEEN = Rule((Drop(),), "its endpoints were just being changed: the next attempt finds them")


class Draw(NamedTuple):
    """Packets with this key go to one of the endpoints, by chance."""

    map: str
    key: Key
    endpoints: tuple[Dnat, ...]

    @property
    def sized(self) -> SizedMap:
        """Where its elements are."""
        return self.map, len(self.endpoints)

    def elements(self) -> list[Element]:
        """One for each endpoint."""
        name = _name(self.sized)
        return [Element(name, (*self.key, Drawn(number)), each) for number, each in enumerate(self.endpoints)]


def maps(sized: Collection[SizedMap]) -> Iterator[Set]:
    """The maps for these numbers of endpoints."""
    for kind, fields in FIELDS.items():
        for count in _counts(kind, sized):
            yield Set(_name((kind, count)), tuple(map(KEYS.__getitem__, fields)), one_of=count)


def choosing_chains(sized: Collection[SizedMap]) -> tuple[Chain, ...]:
    """The chains that look into those maps, both always."""
    return tuple(Chain(name, (*_rules(name, sized), BETWEEN)) for name in CHAINS)


def choosing_rule(sized: SizedMap) -> Rule:
    """The rule that looks into a map."""
    kind, count = sized
    return Rule((DnatByMap(FIELDS[kind], count, _name(sized)),))


def _rules(chain: str, sized: Collection[SizedMap]) -> Iterator[Rule]:
    for kind in CHAINS[chain]:
        for count in _counts(kind, sized):
            yield choosing_rule((kind, count))


def _counts(kind: str, sized: Collection[SizedMap]) -> list[int]:
    return sorted(count for each, count in sized if each == kind)


def _name(sized: SizedMap) -> str:
    kind, count = sized
    return f"{kind}-{count}"
