"""What a set with a timeout remembers, to be given back to it when its table is made anew."""

from __future__ import annotations

import struct
from ipaddress import ip_address

from netlab.errors import KernelError
from netlab.kernel.netlink import NLM_F_DUMP, attribute, attributes, each_attribute
from netlab.kernel.nft_chains import FAMILIES, ask
from netlab.model.nft_tables import Client
from netlab.model.rules import Family

GET_ELEMENTS = 10 << 8 | 13
LIST_TABLE, LIST_SET, LIST_ELEMENTS = 1, 2, 3
ELEMENT_KEY, ELEMENT_EXPIRATION, DATA_VALUE = 1, 5, 1
MILLISECONDS = struct.Struct(">Q")


def remembered_clients(family: Family, table: str, name: str) -> tuple[Client, ...]:
    """The addresses in the set and how long each stays; none where there is no such set."""
    wanted = attribute(LIST_TABLE, table.encode() + b"\0") + attribute(LIST_SET, name.encode() + b"\0")
    try:
        answers = list(ask(GET_ELEMENTS, NLM_F_DUMP, family=FAMILIES[family], body=wanted))
    except KernelError:
        return ()
    elements = [each for answer in answers for _, each in each_attribute(answer.get(LIST_ELEMENTS, b""))]
    return tuple(map(_client, filter(lambda each: ELEMENT_EXPIRATION in each, map(attributes, elements))))


def _client(element: dict[int, bytes]) -> Client:
    address = ip_address(attributes(element[ELEMENT_KEY])[DATA_VALUE])
    (milliseconds,) = MILLISECONDS.unpack(element[ELEMENT_EXPIRATION])
    return Client(address, milliseconds)
