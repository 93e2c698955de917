"""Mode nftables in a kernel: what is there after a sync, after changes, and after somebody else was at work."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from nft_reference import Seen, read_listing
from nft_spelled_back import as_kube_proxy_has_it
from proxy_objects import CASES, CONFIG, documents, endpoint, endpoint_slice, node, service
from proxy_reference import cases, flags_of
from proxy_tables.case import AFFINITY, BALANCED, BOTH, FAR, HERE, INGRESS, NODE_PORT, RANGES, THERE

from netlab.agents.kube_proxy.core import Proxier
from netlab.agents.kube_proxy.leftovers import remove_other_modes
from netlab.kernel.namespaces import Namespaces
from netlab.model.modes import ProxyMode
from netlab.model.objects import KubernetesObject, ServiceCIDR
from netlab.proxy.config import ProxyConfig

pytestmark = pytest.mark.root
NETLAB = str(Path(sys.executable).with_name("netlab"))
NAMESPACE = "nlnft.node1"
SERVICE_CIDRS = (ip_network("10.96.0.0/16"), ip_network("fd00:10:96::/112"))
NFT = replace(CONFIG, mode=ProxyMode.NFTABLES, service_cidrs=SERVICE_CIDRS)
ADDRESSES = ("192.168.50.11/24", "fd00:50::11/64")
MEMORY = "affinity-T6OEKE6Q-default/web/tcp/__10.244.1.5/8080"


@pytest.fixture(autouse=True)
def namespace() -> Iterator[None]:
    """The test itself is in a namespace with node1's addresses."""
    with Namespaces() as namespaces:
        namespaces.create(NAMESPACE)
        namespaces.enter(NAMESPACE)
        for address in ADDRESSES:
            subprocess.run(["ip", "address", "add", address, "dev", "lo"], check=True)
        try:
            yield
        finally:
            namespaces.delete(NAMESPACE)


def nft(*arguments: str, text: str | None = None) -> str:
    return subprocess.run(["nft", *arguments], input=text, capture_output=True, text=True, check=True).stdout


def listing() -> dict[str, Seen]:
    return read_listing(nft("list", "ruleset"))


def proxier(*objects: KubernetesObject, config: ProxyConfig = NFT) -> Proxier:
    found = Proxier(config)
    for each in (node(), *objects):
        found.put(each)
    return found


def written_anew(*objects: KubernetesObject) -> dict[str, Seen]:
    """What a kube-proxy that has just started makes of these objects."""
    with closing(proxier(*objects)) as fresh:
        fresh.sync()
    return listing()


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_kernel_holds_what_the_real_kube_proxy_wrote(case: Path) -> None:
    config = replace(flags_of(case).config, mode=ProxyMode.NFTABLES, service_cidrs=SERVICE_CIDRS)
    real = read_listing((case / "nftables.nft").read_text())
    objects = (*documents(CASES / "node1.yaml"), *documents(case / "manifest.yaml"))
    for _ in range(2):
        with closing(proxier(*objects, config=config)) as proxy:
            proxy.sync(full=True)
        held = {ip: as_kube_proxy_has_it(table, ip=ip) for ip, table in listing().items() if ip in real}
        assert held == real


WEB = service(spec=NODE_PORT)
MORE = endpoint_slice(FAR, name="web-2")
STICKY = service(spec={**NODE_PORT, **AFFINITY})
SHORT = {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}}
FEW, MANY, CHANGED = 40, 4000, 20
BEHIND_NAT = """
table ip seen {
    chain output {
        type filter hook output priority -50
        ip daddr 10.96.0.10 counter
    }
}
"""
ON_NODE = {"internalTrafficPolicy": "Local"}
CHANGES: dict[str, tuple[tuple[KubernetesObject, ...], tuple[KubernetesObject, ...]]] = {
    "an endpoint comes": ((WEB, endpoint_slice(HERE)), (WEB, endpoint_slice(*BOTH))),
    "an endpoint goes": ((WEB, endpoint_slice(*BOTH)), (WEB, endpoint_slice(THERE))),
    "the last endpoint goes": ((WEB, endpoint_slice(HERE)), (WEB, endpoint_slice())),
    "the first endpoint comes": ((WEB, endpoint_slice()), (WEB, endpoint_slice(HERE))),
    "a Service comes": ((), (WEB, endpoint_slice(*BOTH))),
    "a Service goes": ((WEB, endpoint_slice(*BOTH)), (endpoint_slice(*BOTH),)),
    "affinity is set": ((WEB, endpoint_slice(*BOTH)), (STICKY, endpoint_slice(*BOTH))),
    "affinity is taken back": ((STICKY, endpoint_slice(*BOTH)), (WEB, endpoint_slice(*BOTH))),
    "affinity gets another time": (
        (STICKY, endpoint_slice(*BOTH)),
        (service(spec={**NODE_PORT, **AFFINITY, **SHORT}), endpoint_slice(*BOTH)),
    ),
    "affinity gets another time, and the node's own endpoints a chain": (
        (STICKY, endpoint_slice(*BOTH)),
        (service(spec={**NODE_PORT, **AFFINITY, **SHORT, **ON_NODE}), endpoint_slice(*BOTH)),
    ),
    "affinity gets another time, and a chain goes": (
        (service(spec={**NODE_PORT, **AFFINITY, **SHORT, **ON_NODE}), endpoint_slice(*BOTH)),
        (STICKY, endpoint_slice(*BOTH)),
    ),
    "source ranges are set": (
        (service(spec=BALANCED, status=INGRESS), endpoint_slice(*BOTH)),
        (service(spec=RANGES, status=INGRESS), endpoint_slice(*BOTH)),
    ),
    "one of two Services with the same endpoint and address goes": (
        (
            service(spec={"externalIPs": ["203.0.113.20"]}),
            service("other", spec={"clusterIP": "10.96.0.11", "externalIPs": ["203.0.113.20"]}),
            endpoint_slice(HERE),
            endpoint_slice(HERE, name="other-1", service="other"),
        ),
        (
            service("other", spec={"clusterIP": "10.96.0.11", "externalIPs": ["203.0.113.20"]}),
            endpoint_slice(HERE, name="other-1", service="other"),
        ),
    ),
}


@pytest.mark.parametrize(("before", "after"), CHANGES.values(), ids=CHANGES.keys())
def test_a_change_leaves_what_a_fresh_start_would_write(
    before: tuple[KubernetesObject, ...], after: tuple[KubernetesObject, ...]
) -> None:
    with closing(proxier(*before)) as proxy:
        proxy.sync()
        for each in before:
            if each.key not in {other.key for other in after if other.kind == each.kind}:
                proxy.remove(each)
        for each in after:
            proxy.put(each)
        assert proxy.sync().full is False
        rules = proxy.rule_counts()
    changed = listing()

    assert changed == written_anew(*after)
    assert sum(rules.values()) == sum(len(_rules(table)) for table in changed.values())


def _rules(table: Seen) -> list[str]:
    """The rules among a table's lines."""
    lines = [line for chain in table.chains.values() for line in chain]
    return [line for line in lines if not line.startswith(("type ", "comment "))]


def test_what_is_written_is_left_alone_while_nobody_touches_it_and_made_good_when_somebody_does() -> None:
    with closing(proxier(WEB, endpoint_slice(*BOTH))) as proxy:
        proxy.sync()
        right = listing()
        assert proxy.sync(full=True).changed is False

        nft("flush", "chain", "ip", "kube-proxy", "services")
        assert proxy.sync(full=True).changed is True
        assert listing() == right

        nft("delete", "element", "ip", "kube-proxy", "endpoints-2", "{ 10.96.0.10 . tcp . 80 . 1 }")
        assert proxy.sync(full=True).changed is True
        assert listing() == right

        nft("delete", "table", "ip6", "kube-proxy")
        assert proxy.sync(full=True).changed is True
        assert listing() == right


def test_a_packet_that_finds_no_endpoint_between_two_numbers_of_them_is_dropped_and_not_let_through() -> None:
    """As if it had looked into the map for one endpoint before, and into that for two after the second went."""
    names = service(spec={"ports": [{"port": 53, "protocol": "UDP"}]})
    endpoints = endpoint_slice(*BOTH, ports=[{"name": "", "port": 53, "protocol": "UDP"}])
    with closing(proxier(names, endpoints)) as proxy, socket.socket(type=socket.SOCK_DGRAM) as client:
        proxy.sync()
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        subprocess.run(["ip", "route", "add", "10.0.0.0/8", "dev", "lo"], check=True)
        nft("-f", "-", text=BEHIND_NAT)
        client.sendto(b"translated", ("10.96.0.10", 53))
        nft("flush", "map", "ip", "kube-proxy", "endpoints-2")
    with socket.socket(type=socket.SOCK_DGRAM) as client, pytest.raises(PermissionError):  # its own node's rules end it
        client.sendto(b"lost", ("10.96.0.10", 53))
    assert "counter packets 0 " in nft("list", "table", "ip", "seen")


def test_one_endpoint_takes_no_longer_among_many_services() -> None:
    """Were it a rule, the kernel would look through the chains of all: 14 times the time among so many."""
    few, many = (fastest_change(count) for count in (FEW, MANY))
    assert many < 5 * few, (few, many)


def fastest_change(count: int) -> float:
    """Seconds until another endpoint is in the place of one, of so many Services."""
    objects = [each for number in range(count) for each in numbered(number)]
    with closing(proxier(*objects)) as proxy:
        proxy.sync()
        taken = []
        for number in range(0, count, count // CHANGED):
            _, changed = numbered(number, second="10.244.9.9")
            started = time.perf_counter()
            proxy.put(changed)
            assert proxy.sync().changed is True
            taken.append(time.perf_counter() - started)
    return min(taken)


def numbered(number: int, *, second: str = "10.244.3.7") -> tuple[KubernetesObject, KubernetesObject]:
    """A Service of two endpoints."""
    name, address = f"web-{number}", ip_address("10.96.1.0") + number
    endpoints = endpoint_slice(HERE, endpoint(second), name=f"{name}-1", service=name)
    return service(name, spec={"clusterIP": str(address)}), endpoints


def test_somebody_elses_table_stays_and_is_no_reason_to_write() -> None:
    theirs = "table ip mine {\n\tchain theirs {\n\t\tip saddr 192.0.2.1 drop\n\t}\n}\n"
    with closing(proxier(WEB, endpoint_slice(*BOTH))) as proxy:
        proxy.sync()
        nft("-f", "-", text=theirs)
        assert proxy.sync(full=True).changed is False
        proxy.put(endpoint_slice(HERE))
        assert proxy.sync().changed is True
    assert nft("list", "table", "ip", "mine") == theirs


def test_clients_are_remembered_when_the_table_is_made_anew() -> None:
    with closing(proxier(STICKY, endpoint_slice(*BOTH))) as proxy:
        proxy.sync()
        nft("add", "element", "ip", "kube-proxy", MEMORY, "{ 198.51.100.7 expires 77s }")
    with closing(proxier(STICKY, endpoint_slice(HERE))) as proxy:
        proxy.sync()
    (kept,) = json.loads(nft("-j", "list", "set", "ip", "kube-proxy", MEMORY))["nftables"][1]["set"]["elem"]
    assert kept["elem"]["val"] == "198.51.100.7"
    assert 70 < kept["elem"]["expires"] <= 77


def test_to_change_the_mode_leaves_nothing_of_the_other_one() -> None:
    objects = (WEB, endpoint_slice(*BOTH))
    with closing(proxier(*objects, config=replace(NFT, mode=ProxyMode.IPTABLES))) as proxy:
        remove_other_modes(ProxyMode.IPTABLES)
        proxy.sync()
    assert "default/web" in saved()

    remove_other_modes(ProxyMode.NFTABLES)
    with closing(proxier(*objects)) as proxy:
        proxy.sync()
    assert [line for line in saved().splitlines() if "KUBE-" in line and "KUBE-FIREWALL" not in line] == []
    assert listing().keys() == {"ip", "ip6"}

    remove_other_modes(ProxyMode.IPTABLES)
    assert listing() == {}


def saved() -> str:
    return subprocess.run(["iptables-legacy-save"], capture_output=True, text=True, check=True).stdout


def test_proxy_once_writes_it_and_cleanup_takes_it_away() -> None:
    text = "---\n".join(path.read_text() for path in (CASES / "node1.yaml", CASES / "nodeport" / "manifest.yaml"))
    command = [NETLAB, "proxy", "--node=node1", "--proxy-mode=nftables", "-f", "-", "--once", "-o", "json"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    counted = {family: len(_rules(table)) for family, table in listing().items()}
    assert result["mode"] == "nftables"
    assert result["rules"] == {
        "IPv4": {"kube-proxy": counted["ip"]},
        "IPv6": {"kube-proxy": counted["ip6"]},
    }
    assert Path("/proc/sys/net/ipv4/conf/all/route_localnet").read_text() == "0\n"

    subprocess.run([NETLAB, "proxy", "--cleanup"], check=True, capture_output=True)
    assert listing() == {}


def test_the_range_that_addresses_are_given_out_of_may_be_told_by_objects() -> None:
    ranges = ServiceCIDR.model_validate({"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/16"]}})
    with closing(proxier(WEB, endpoint_slice(HERE), config=replace(NFT, service_cidrs=()))) as proxy:
        proxy.sync()
        before = listing()["ip"].chains["cluster-ips-check"]
        proxy.put(ranges)
        proxy.sync()
        after = listing()["ip"].chains["cluster-ips-check"]
        proxy.remove(ranges)
        proxy.sync()
        assert listing()["ip"].chains["cluster-ips-check"] == before
    assert after == (*before, 'ip daddr 10.96.0.0/16 drop comment "Drop traffic to unallocated ClusterIPs"')
