"""Mode nftables: what the real kube-proxy 1.36.2 wrote on node1 for the same objects (tests/golden/reference).

All of it is the same, but for how an endpoint is chosen: docs/decisions/0019 says why.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from nft_reference import read_listing, spelled_out
from nft_spelled_back import as_kube_proxy_has_it
from proxy_objects import CASES, MACHINE_ADDRESSES, documents, tracker
from proxy_reference import cases, flags_of

from netlab.model.modes import ProxyMode
from netlab.model.rules import Family
from netlab.proxy.decide import decide_all
from netlab.proxy.nftables import spell
from netlab.proxy.nftables.text import table_text

SERVICE_CIDRS = (ip_network("10.96.0.0/16"), ip_network("fd00:10:96::/112"))


def ours(case: Path, family: Family) -> str:
    known = tracker(*documents(CASES / "node1.yaml"), *documents(case / "manifest.yaml"))
    config = replace(flags_of(case).config, mode=ProxyMode.NFTABLES, service_cidrs=SERVICE_CIDRS)
    addresses = tuple(map(ip_address, MACHINE_ADDRESSES))
    routes = decide_all(known, config).values()
    return table_text(spell(routes, config=config, node=known.node, family=family, local_addresses=addresses))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_table_is_that_of_the_real_kube_proxy(case: Path) -> None:
    real = read_listing((case / "nftables.nft").read_text())
    text = "".join(ours(case, family) for family in Family if ("ip6" in real or family is Family.IPV4))
    spelled = read_listing(text)
    assert {ip: as_kube_proxy_has_it(table, ip=ip) for ip, table in spelled.items()} == real


def test_the_comparison_sees_a_rule_that_is_missing() -> None:
    text = (CASES / "nodeport" / "nftables.nft").read_text()
    assert read_listing(text) != read_listing(text.replace("goto service-PFISGYVC-default/web/tcp/\n", "\n"))


@pytest.mark.parametrize(
    ("whole", "changed"),
    [
        ("10.96.0.10 . tcp . 80 . 1 : 10.244.2.6 . 8080", "10.96.0.10 . tcp . 80 . 1 : 10.244.2.7 . 8080"),
        ("tcp . 30080 . 1 : 10.244.2.6 . 8080", "tcp . 30080 . 0 : 10.244.2.6 . 8080"),
        ("tcp . 30080 . 0 : 10.244.1.5 . 8080,", ""),
        ("mod 2 map @nodeport-endpoints-2", "mod 3 map @nodeport-endpoints-2"),
    ],
)
def test_the_comparison_sees_a_choice_that_is_another(whole: str, changed: str) -> None:
    text = ours(CASES / "nodeport", Family.IPV4)
    real = read_listing((CASES / "nodeport" / "nftables.nft").read_text())["ip"]
    assert as_kube_proxy_has_it(read_listing(text)["ip"], ip="ip") == real
    assert whole in text
    try:
        found = as_kube_proxy_has_it(read_listing(text.replace(whole, changed))["ip"], ip="ip")
    except AssertionError:
        return
    assert found != real


def test_a_choice_of_a_chain_leaves_each_the_same_chance() -> None:
    rule = "numgen random mod 3 vmap { 0 : goto a, 1 : goto b, 2 : goto c }"
    assert list(spelled_out(rule)) == ["numgen random mod 3 0 goto a", "numgen random mod 2 0 goto b", "goto c"]
