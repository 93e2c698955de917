"""What netlab writes into nftables by netlink is what nft(8) makes of the same rules as text, byte for byte."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from nft_dump import held, listing
from nft_writing import by_netlink, by_nft, flush
from own_namespace import own_namespace
from proxy_objects import CASES, MACHINE_ADDRESSES, documents, endpoint, endpoint_slice, node, service, tracker
from proxy_reference import cases, flags_of

from netlab.kernel.nft_batch import make
from netlab.kernel.nft_sets import remembered_clients
from netlab.kernel.nft_socket import NftSocket
from netlab.model.modes import ProxyMode
from netlab.model.nft_rules import (
    AddressIn,
    AddressInAny,
    Drop,
    IncomingInterface,
    OneIn,
    Rule,
    Side,
)
from netlab.model.nft_tables import (
    Chain,
    Client,
    Table,
    TablePatch,
)
from netlab.model.objects import KubernetesObject
from netlab.model.rules import Family, IPNetwork
from netlab.proxy.config import DetectLocalMode, ProxyConfig
from netlab.proxy.decide import decide_all
from netlab.proxy.nftables import Spelling, spell
from netlab.proxy.nftables.base import base_sets
from netlab.proxy.nftables.changes import patching, replacing
from netlab.proxy.nftables.names import TABLE
from netlab.proxy.nftables.text import change_text, table_text

pytestmark = pytest.mark.root
NAMESPACE = "nlnftlink.node1"
SERVICE_CIDRS = (ip_network("10.96.0.0/16"), ip_network("fd00:10:96::/112"))
NFT = ProxyConfig(
    node_name="node1",
    mode=ProxyMode.NFTABLES,
    cluster_cidrs=(ip_network("10.244.0.0/16"), ip_network("fd00:10:244::/48")),
    service_cidrs=SERVICE_CIDRS,
)
ADDRESSES = tuple(map(ip_address, MACHINE_ADDRESSES))


@pytest.fixture(autouse=True)
def namespace() -> Iterator[None]:
    """The test itself is in a namespace without rules."""
    with own_namespace(NAMESPACE):
        yield


def check_alike(tables: Iterable[Table]) -> None:
    """Twice ours, the second in the place of the first, then nft's."""
    seen = []
    for _ in range(2):
        for table in tables:
            by_netlink(replacing(table, {}), table.family)
        seen.append(([held(family) for family in Family], listing()))
    flush()
    by_nft(*map(table_text, tables))
    wanted = ([held(family) for family in Family], listing())
    for found in seen:
        for ours, theirs in zip(found[0], wanted[0], strict=True):
            assert ours._asdict() == theirs._asdict()
        assert found == wanted
    assert any(each.rules for each in wanted[0])


def tables(*objects: KubernetesObject, config: ProxyConfig = NFT) -> list[Table]:
    known = tracker(*objects)
    routes = decide_all(known, config).values()
    return [
        spell(routes, config=config, node=known.node, family=family, local_addresses=ADDRESSES) for family in Family
    ]


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_rules_of_a_reference_case_are_the_same_bytes_as_by_nft(case: Path) -> None:
    config = replace(flags_of(case).config, mode=ProxyMode.NFTABLES, service_cidrs=SERVICE_CIDRS)
    check_alike(tables(*documents(CASES / "node1.yaml"), *documents(case / "manifest.yaml"), config=config))


PORTS: list[dict[str, object]] = [{"name": "a", "port": 8080}, {"name": "b", "port": 53, "protocol": "SCTP"}]
BOTH_PORTS: list[dict[str, object]] = [
    {"name": "a", "port": 80, "nodePort": 30080},
    {"name": "b", "port": 53, "protocol": "SCTP"},
]
EVERYTHING: dict[str, object] = {
    "type": "LoadBalancer",
    "clusterIPs": ["10.96.0.10", "fd00:10:96::10"],
    "ports": BOTH_PORTS,
    "externalIPs": ["203.0.113.20", "2001:db8::20"],
    "loadBalancerSourceRanges": ["192.168.0.0/16", "1.2.3.4/32", "0.0.0.0/8", "255.0.0.0/8", "fd00:50::/32", "::/3"],
}
STICKY: dict[str, object] = {"sessionAffinity": "ClientIP"}
LOCAL: dict[str, object] = {
    "externalTrafficPolicy": "Local",
    "internalTrafficPolicy": "Local",
    "healthCheckNodePort": 31000,
}
STATUS: dict[str, object] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.10"}, {"ip": "2001:db8::10"}]}}
ENDPOINTS = (
    endpoint_slice(*(endpoint(f"10.244.{i}.{i}") for i in range(1, 8)), ports=PORTS),
    endpoint_slice(
        *(endpoint(f"fd00:10:244::{i}", node=f"node{i}") for i in range(1, 9)), name="web-6", ports=PORTS, family="IPv6"
    ),
)
CONFIGS = {
    "by cluster CIDR": NFT,
    "masquerading all, with a port that can be foretold": replace(NFT, masquerade_all=True, random_fully=False),
    "by the beginning of an interface's name": replace(
        NFT, detect_local_mode=DetectLocalMode.INTERFACE_NAME_PREFIX, interface_name_prefix="veth"
    ),
    "by the name of a bridge": replace(
        NFT, detect_local_mode=DetectLocalMode.BRIDGE_INTERFACE, bridge_interface="cni0"
    ),
    "with several ranges of Services": replace(
        NFT, service_cidrs=tuple(map(ip_network, ("10.96.0.0/16", "10.100.0.0/15", "10.96.3.0/24", "fd00:10:96::/112")))
    ),
    "node ports on some addresses": replace(NFT, nodeport_addresses=(ip_network("192.168.0.0/16"),)),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("spec", [{}, STICKY, LOCAL, {**STICKY, **LOCAL}], ids=["plain", "sticky", "local", "both"])
def test_everything_at_once_is_the_same_bytes_as_by_nft(spec: dict[str, object], config: ProxyConfig) -> None:
    check_alike(tables(node(), service(spec={**EVERYTHING, **spec}, status=STATUS), *ENDPOINTS, config=config))
    check_alike(tables(node(), service(spec={**EVERYTHING, **spec}, status=STATUS), config=config))


NETWORKS = [
    *(f"10.1.2.3/{length}" for length in (0, 1, 7, 8, 9, 15, 16, 17, 24, 31, 32)),
    *(f"fd00:1:2:3::4/{length}" for length in (0, 1, 8, 9, 44, 48, 64, 65, 112, 127, 128)),
]
LISTS = [
    ("10.0.0.0/8",),
    ("10.0.0.0/8", "192.168.0.0/16"),
    ("0.0.0.0/1", "192.168.0.0/16"),
    ("128.0.0.0/1", "10.0.0.0/8"),
    ("255.255.255.255/32", "0.0.0.0/32", "9.9.9.9/32"),
    ("fd00::/8", "2001:db8::/32", "::1/128"),
    ("8000::/1", "::/2"),
]


def one_rule(*parts: AddressIn | AddressInAny | IncomingInterface | OneIn, family: Family) -> Table:
    return Table(family, base_sets(), (Chain("some-chain", (Rule((*parts, Drop())),)),), ())


def family_of(network: IPNetwork) -> Family:
    return Family(f"IPv{network.version}")


@pytest.mark.parametrize("text", NETWORKS)
def test_a_network_of_any_length_is_the_same_bytes_as_by_nft(text: str) -> None:
    network = ip_network(text, strict=False)
    for negated in (False, True):
        part = AddressIn(Side.SOURCE, network, negated=negated)
        check_alike([one_rule(part, family=family_of(network))])


@pytest.mark.parametrize("texts", LISTS)
def test_several_networks_are_the_same_bytes_as_by_nft(texts: tuple[str, ...]) -> None:
    networks = tuple(map(ip_network, texts))
    for side in Side:
        for negated in (False, True):
            check_alike([one_rule(AddressInAny(side, networks, negated=negated), family=family_of(networks[0]))])


def test_thousands_of_networks_are_the_same_bytes_as_by_nft() -> None:
    networks = tuple(ip_network(f"2001:db8:{number:x}::/56") for number in range(3000))
    check_alike([one_rule(AddressInAny(Side.SOURCE, networks), family=Family.IPV6)])


def test_changes_one_after_the_other_leave_what_nft_makes_of_them() -> None:
    for family in Family:
        flush()
        lists = [
            replacing(spelled.table(), {}) if patch is None else patching(patch) for spelled, patch in steps(family)
        ]
        for changes in lists:
            by_netlink(changes, family)
        ours = held(family), listing()
        flush()
        for changes in lists:
            by_nft(*(change_text(change, family) for change in changes))
        assert held(family)._asdict() == ours[0]._asdict()
        assert listing() == ours[1]


def steps(family: Family) -> Iterator[tuple[Spelling, TablePatch | None]]:
    """A table, then what changes when a Service of many features comes, changes and goes."""
    known = tracker(node(), *ENDPOINTS)
    spelling = Spelling(config=NFT, node=known.node, family=family, local_addresses=ADDRESSES)
    spelling.start(decide_all(known, NFT))
    yield spelling, None
    before = decide_all(known, NFT)
    for spec in ({}, STICKY, {**STICKY, "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}}, LOCAL, None):
        objects = () if spec is None else (service(spec={**EVERYTHING, **spec}, status=STATUS),)
        after = decide_all(tracker(node(), *ENDPOINTS, *objects), NFT)
        yield spelling, spelling.update({key: after.get(key) for key in before.keys() | after.keys()})
        before = after


def test_what_a_set_remembers_is_given_back() -> None:
    (table, _) = tables(node(), service(spec={**EVERYTHING, **STICKY}, status=STATUS), *ENDPOINTS)
    name = next(each.name for each in table.sets if each.seconds)
    clients = tuple(Client(ip_address(f"198.51.{number >> 8}.{number & 255}"), 60_000) for number in range(300))
    by_netlink(replacing(table, {name: clients}), Family.IPV4)
    kept = remembered_clients(Family.IPV4, TABLE, name)
    assert {each.address for each in kept} == {each.address for each in clients}
    assert all(50_000 < each.milliseconds <= 60_000 for each in kept)


def test_what_does_not_fit_into_one_transaction_is_written_in_several() -> None:
    (table, _) = tables(node(), service(spec=EVERYTHING, status=STATUS), *ENDPOINTS)
    changes = replacing(table, {})
    assert by_netlink(changes, Family.IPV4) == 1
    whole = held(Family.IPV4)
    with closing(NftSocket()) as by:
        by.room = 2000
        assert make(changes, family=Family.IPV4, table=TABLE, by=by) > 3
    assert held(Family.IPV4) == whole


def test_a_list_longer_than_a_socket_of_an_ordinary_user_takes_is_written_all_the_same() -> None:
    chains = tuple(Chain(f"chain-{number}", (Rule((Drop(),)),)) for number in range(5000))
    table = Table(Family.IPV4, base_sets(), chains, ())
    assert by_netlink(replacing(table, {}), Family.IPV4) >= 1
    assert len(held(Family.IPV4).rules) == len(chains)
