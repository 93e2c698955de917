"""What nftables does not take is named, and nothing of its transaction is done."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

import pytest
from nft_dump import held
from nft_writing import by_netlink
from own_namespace import own_namespace

from netlab.kernel.nft_batch import ChangeRefused
from netlab.model.nft_rules import Drop, Goto, Rule
from netlab.model.nft_tables import AddChain, AddElements, AddRule, Chain, Change, DeleteTable, Element, Hook, Table
from netlab.model.rules import Family, Protocol
from netlab.proxy.nftables.base import base_sets
from netlab.proxy.nftables.changes import replacing
from netlab.proxy.nftables.names import CLUSTER_IPS, SERVICE_IPS

pytestmark = pytest.mark.root
NAMESPACE = "nlnftno.node1"
EMPTY = Table(Family.IPV4, base_sets(), (Chain("some-chain", hook=Hook("filter", "input", 0)),), ())
KEY = (ip_address("10.96.0.1"), Protocol.TCP, 80)


@pytest.fixture(autouse=True)
def namespace() -> Iterator[None]:
    """The test itself is in a namespace without rules."""
    with own_namespace(NAMESPACE):
        yield


def refused(*changes: Change) -> str:
    by_netlink(replacing(EMPTY, {}), Family.IPV4)
    before = held(Family.IPV4)
    with pytest.raises(ChangeRefused) as caught:
        by_netlink(changes, Family.IPV4)
    assert held(Family.IPV4) == before
    return str(caught.value)


def test_a_rule_that_is_refused_is_named_and_nothing_of_its_transaction_is_done() -> None:
    other = AddChain(Chain("other-chain"))
    message = refused(other, AddRule("some-chain", Rule((Goto("no-such-chain"),))), AddRule("other-chain", Rule(())))
    assert message == (
        "add rule ip kube-proxy some-chain goto no-such-chain in this network namespace: No such file or directory"
    )


def test_of_many_elements_the_one_that_is_refused_is_named() -> None:
    good = tuple(Element(SERVICE_IPS, (*KEY[:2], port), Drop()) for port in range(1, 60))
    bad = Element(SERVICE_IPS, KEY, Goto("no-such-chain"))
    message = refused(AddElements(SERVICE_IPS, (*good, bad, *good)))
    assert message.startswith(
        "add element ip kube-proxy service-ips { 10.96.0.1 . tcp . 80 : goto no-such-chain } in this network namespace"
    )


def test_more_refusals_than_the_socket_holds_name_the_first() -> None:
    message = refused(*(AddRule(f"no-chain-{number}", Rule((Drop(),))) for number in range(5000)))
    assert message.startswith("add rule ip kube-proxy no-chain-0 drop in this network namespace: ")


def test_a_rule_where_the_kernel_lets_none_be_is_refused() -> None:
    looping = AddRule("loop", Rule((Goto("loop"),)))
    message = refused(AddChain(Chain("loop")), looping, AddRule("some-chain", Rule((Goto("loop"),))))
    assert message == "add rule ip kube-proxy some-chain goto loop in this network namespace: Too many links"


def test_a_table_that_is_not_there_is_not_deleted() -> None:
    with pytest.raises(ChangeRefused, match="delete table ip kube-proxy"):
        by_netlink([DeleteTable()], Family.IPV4)


def test_elements_that_are_there_may_come_again() -> None:
    by_netlink(replacing(EMPTY, {}), Family.IPV4)
    again = AddElements(CLUSTER_IPS, (Element(CLUSTER_IPS, (ip_address("10.96.0.1"),)),))
    for _ in range(2):
        assert by_netlink([again], Family.IPV4) == 1
