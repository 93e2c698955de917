"""A table that is not there yet comes in several transactions, the hooks with the last of them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_address

import pytest
from nft_dump import Held, held
from own_namespace import own_namespace
from proxy_objects import CONFIG, endpoint_slice, node, service
from proxy_tables.case import HERE, THERE

from netlab.agents.kube_proxy.core import Proxier
from netlab.kernel.nft_batch import CHANGES_A_PIECE, ChangeRefused, make_as_they_come
from netlab.kernel.nft_chains import generation, has_table
from netlab.kernel.nft_socket import NftSocket
from netlab.model.modes import ProxyMode
from netlab.model.nft_rules import Drop, Goto, Rule
from netlab.model.nft_tables import AddChain, AddRule, AddTable, Chain
from netlab.model.rules import Family
from netlab.proxy.config import ProxyConfig
from netlab.proxy.nftables.names import TABLE

pytestmark = pytest.mark.root
COUNT = CHANGES_A_PIECE // 2
"""Of Services with a chain and two rules each."""
CONFIGURED = ProxyConfig(node_name=CONFIG.node_name, mode=ProxyMode.NFTABLES)


@pytest.fixture(autouse=True)
def namespace() -> Iterator[None]:
    """The test itself is in a namespace without rules."""
    with own_namespace("nlnftgrow.node1"):
        yield


def proxier(count: int = COUNT) -> Proxier:
    found = Proxier(CONFIGURED, families=(Family.IPV4,))
    found.put(node())
    for number in range(count):
        name, address = f"web-{number}", ip_address("10.96.1.0") + number
        found.put(service(name, spec={"clusterIP": str(address)}))
        found.put(endpoint_slice(HERE, THERE, name=name, service=name))
    return found


def content() -> Held:
    found = held(Family.IPV4)
    return found._replace(rules=sorted(found.rules))


def test_it_becomes_what_one_transaction_makes_and_is_known_to_be_our_own_doing() -> None:
    with closing(proxier()) as first:
        before = generation()
        first.sync()
        assert generation() - before > 2
        grown = content()
        assert first.sync(full=True).changed is False
    with closing(proxier()) as second:
        before = generation()
        second.sync()
        assert generation() - before == 1
    assert content() == grown


def test_what_has_grown_is_listed_so_that_nft_loads_it_again() -> None:
    with closing(proxier(count=20)) as one:  # of thousands nft of an ordinary user has no room for the messages
        one.sync()
    grown = content()
    listed = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
    subprocess.run(["nft", "-f", "-"], input=f"flush ruleset\n{listed}", text=True, check=True)
    assert content() == grown


def test_a_change_of_a_later_piece_that_is_refused_is_named() -> None:
    chains = [AddChain(Chain(f"chain-{number}")) for number in range(CHANGES_A_PIECE)]
    bad = AddRule("chain-7", Rule((Goto("no-such-chain"),)))
    changes = [AddTable(), *chains, AddRule("chain-6", Rule((Drop(),))), bad]
    with closing(NftSocket()) as by, pytest.raises(ChangeRefused) as caught:
        make_as_they_come(changes, family=Family.IPV4, table=TABLE, by=by)
    assert str(caught.value).startswith("add rule ip kube-proxy chain-7 goto no-such-chain in this network namespace: ")
    assert has_table(Family.IPV4, TABLE)
    assert not has_table(Family.IPV6, TABLE)
