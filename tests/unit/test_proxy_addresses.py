"""Addresses as values that rules are made of."""

from __future__ import annotations

import pickle
from ipaddress import ip_address, ip_network

import pytest

from netlab.proxy.addresses import host_network


@pytest.mark.parametrize(("text", "bits"), [("10.244.1.5", 32), ("fd00:10:244::5", 128)])
def test_the_network_of_one_address_is_like_any_other_network(text: str, bits: int) -> None:
    address = ip_address(text)
    found, usual = host_network(address), ip_network(f"{text}/{bits}")

    assert found == usual
    assert usual == found
    assert hash(found) == hash(usual)
    assert str(found) == str(usual)
    assert found.prefixlen == bits
    assert address in found
    assert address + 1 not in found
    assert found.broadcast_address == address
    assert found < host_network(address + 1)
    assert pickle.loads(pickle.dumps(found)) == usual
