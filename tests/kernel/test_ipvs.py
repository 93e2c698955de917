"""Mode ipvs in the kernel: what ipvsadm(8) and ipset(8) show, who keeps which real server, and how everything goes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

import pytest
from ipvs_node import IPVS, ipvs_node, lines, members, rules, said, scene, servers
from proxy_kernel import Client, KernelNode
from proxy_objects import CONFIG, LOCAL, REMOTE, endpoint, endpoint_slice, node, service
from proxy_stage import PODS, Stage, stage
from proxy_tables import Scene
from proxy_tables.case import AFFINITY, BALANCED, BOTH, HERE, INGRESS, NODE_PORT, OUTSIDER, POD, THERE, VIP
from proxy_tracer import Outcome, reaches
from proxy_wire import Word

from netlab.agents.kube_proxy.core import Proxier
from netlab.agents.kube_proxy.leftovers import remove_other_modes
from netlab.agents.kube_proxy.modes.ipvs import IpvsMode
from netlab.agents.kube_proxy.modes.ipvs_departures import AT_MOST_SECONDS, Departures
from netlab.kernel import ipvs
from netlab.kernel.ipvs import IpvsSocket
from netlab.model.ipvs import DEVICE, Load, RealServer, Scheduler, ServerKey, VirtualServer
from netlab.model.modes import ProxyMode
from netlab.model.rules import Family, Protocol

pytestmark = [pytest.mark.root, pytest.mark.ipvs]
SERVER = VirtualServer(ServerKey(Protocol.TCP, ip_address("10.96.0.10"), 80), Scheduler.RR)
REAL = RealServer(ip_address("10.244.1.5"), 8080)


@pytest.fixture(scope="module")
def places() -> Iterator[Stage]:
    with stage() as found:
        yield found


@pytest.fixture
def node1(places: Stage) -> Iterator[KernelNode]:
    with ipvs_node(places) as found:
        yield found


def where(node1: KernelNode, source: str = POD, to: str = VIP) -> Outcome:
    return node1.client(source, to).ask()


def next_packet(places: Stage, client: Client) -> set[str]:
    """Where a later packet of a connection comes out, one that does not begin it."""
    token = places.new_token()
    places.send(client.flow, Word.STRAY, token, place=PODS)
    return {str(each.heard.flow.destination) for each in places.settled() if each.heard.token == token}


def test_ipvsadm_shows_a_virtual_server_for_each_address_and_a_real_one_for_each_endpoint(node1: KernelNode) -> None:
    node1.show(scene(*BOTH, spec=BALANCED, status=INGRESS))
    fronts = (
        "10.96.0.10:80",
        "203.0.113.10:80",
        *(f"{a}:30080" for a in ("192.168.50.11", "172.20.0.9", "10.244.1.1")),
    )
    assert servers() == {f"-A -t {front} -s rr" for front in fronts} | {
        f"-a -t {front} -r {real} -m -w 1" for front in fronts for real in (LOCAL, REMOTE)
    }
    assert f"10.96.0.10/32 scope global {DEVICE}" in said(f"ip -o address show {DEVICE}")
    assert members("KUBE-CLUSTER-IP") == {"10.96.0.10,tcp:80"}
    assert members("KUBE-LOAD-BALANCER") == {"203.0.113.10,tcp:80"}
    assert members("KUBE-NODE-PORT-TCP") == {"30080"}
    assert members("KUBE-LOOP-BACK") == {"10.244.1.5,tcp:8080,10.244.1.5"}
    assert members("KUBE-IPVS-IPS") == {"10.96.0.10", "203.0.113.10"}


def test_node_ports_are_where_nodeport_addresses_says_and_not_on_kube_ipvs0(node1: KernelNode) -> None:
    primary = replace(IPVS, nodeport_primary=True)
    node1.show(scene(HERE, spec={**NODE_PORT, "externalIPs": ["203.0.113.20"]}, config=primary))
    assert {line.split()[2] for line in servers()} == {"10.96.0.10:80", "203.0.113.20:80", "192.168.50.11:30080"}


def test_an_external_address_that_the_node_has_anyway_is_not_bound_a_second_time(node1: KernelNode) -> None:
    node1.show(scene(HERE, spec={"externalIPs": ["172.20.0.9", "203.0.113.20"]}))
    bound = said(f"ip -o address show {DEVICE}")
    assert "172.20.0.9" not in bound
    assert "203.0.113.20" in bound
    assert "-A -t 172.20.0.9:80 -s rr" in servers()


def test_a_client_with_affinity_keeps_its_real_server_and_gets_another_when_that_one_goes(node1: KernelNode) -> None:
    node1.show(scene(*BOTH, spec=AFFINITY))
    assert "-A -t 10.96.0.10:80 -s rr -p 100" in servers()
    first = where(node1)
    assert {where(node1) for _ in range(6)} == {first}
    left = THERE if first == reaches(LOCAL) else HERE
    node1.change(scene(left, spec=AFFINITY))
    assert where(node1) == (reaches(REMOTE) if left is THERE else reaches(LOCAL))


def test_without_affinity_the_next_connection_goes_to_the_next_real_server(node1: KernelNode) -> None:
    node1.show(scene(*BOTH))
    assert {where(node1), where(node1)} == {reaches(LOCAL), reaches(REMOTE)}


@pytest.mark.parametrize("scheduler", [Scheduler.SH, Scheduler.LC, Scheduler.SED, Scheduler.DH])
def test_the_scheduler_is_the_one_asked_for(node1: KernelNode, scheduler: Scheduler) -> None:
    node1.show(scene(*BOTH, config=replace(IPVS, ipvs_scheduler=scheduler)))
    assert f"-A -t 10.96.0.10:80 -s {scheduler}" in servers()
    seen = {where(node1) for _ in range(6)}
    assert seen <= {reaches(LOCAL), reaches(REMOTE)}
    assert len(seen) == 1 or scheduler in (Scheduler.LC, Scheduler.SED)


def test_changing_the_scheduler_keeps_the_virtual_server_and_its_connections(places: Stage, node1: KernelNode) -> None:
    node1.show(scene(*BOTH))
    client = node1.client(POD, VIP)
    (name,) = client.ask().endpoints
    node1.change(scene(*BOTH, config=replace(IPVS, ipvs_scheduler=Scheduler.SH)))
    assert "-A -t 10.96.0.10:80 -s sh" in servers()
    assert next_packet(places, client) == {name.partition(":")[0]}


def test_a_real_server_that_goes_keeps_its_connections_and_gets_no_other(places: Stage, node1: KernelNode) -> None:
    node1.show(scene(HERE))
    client = node1.client(POD, VIP)
    assert client.ask() == reaches(LOCAL)

    node1.change(scene(THERE))
    assert f"-a -t 10.96.0.10:80 -r {LOCAL} -m -w 0" in servers()
    assert next_packet(places, client) == {"10.244.1.5"}
    assert {where(node1) for _ in range(4)} == {reaches(REMOTE)}

    node1.change(scene(HERE, THERE))
    assert f"-a -t 10.96.0.10:80 -r {LOCAL} -m -w 1" in servers()
    assert {where(node1) for _ in range(4)} == {reaches(LOCAL), reaches(REMOTE)}


def test_a_real_server_without_connections_goes_at_once(node1: KernelNode) -> None:
    node1.show(scene(*BOTH))
    node1.change(scene(THERE))
    assert servers() == {"-A -t 10.96.0.10:80 -s rr", f"-a -t 10.96.0.10:80 -r {REMOTE} -m -w 1"}


def test_over_udp_a_real_server_goes_at_once_with_its_connections(node1: KernelNode) -> None:
    spec: dict[str, object] = {"ports": [{"port": 53, "protocol": "UDP"}]}
    ports = ({"name": "", "port": 53, "protocol": "UDP"},)

    def at(address: str) -> Scene:
        found = (node(), service(spec=spec), endpoint_slice(endpoint(address), ports=ports))
        return Scene("", found, IPVS, ())

    node1.show(at("10.244.1.5"))
    assert where(node1, to="10.96.0.10:53/udp") == reaches("10.244.1.5:53")
    node1.change(at("10.244.2.6"))
    assert servers() == {"-A -u 10.96.0.10:53 -s rr", "-a -u 10.96.0.10:53 -r 10.244.2.6:53 -m -w 1"}
    assert where(node1, to="10.96.0.10:53/udp") == reaches("10.244.2.6:53")


@pytest.mark.parametrize("passed", [60.0, AT_MOST_SECONDS])
def test_what_departs_is_deleted_when_its_last_connection_is_over_or_after_fifteen_minutes(
    node1: KernelNode, passed: float
) -> None:
    node1.show(scene(HERE))
    busy = passed == AT_MOST_SECONDS
    if busy:
        where(node1)
    time = [1000.0]
    departures = Departures(lambda: time[0])
    with IpvsSocket() as kernel:
        kernel.do(list(departures.changes(SERVER, {REAL: Load(weight=1, active=1, inactive=0)})))
    assert f"-a -t 10.96.0.10:80 -r {LOCAL} -m -w 0" in servers()
    assert departures.some.is_set()
    if busy:
        time[0] += passed - 1
        assert departures.delete_idle() == 0
        time[0] += 1
    assert departures.delete_idle() == 1
    assert servers() == {"-A -t 10.96.0.10:80 -s rr"}
    assert not departures.some.is_set()


def test_whatever_somebody_takes_away_comes_back_at_the_next_full_sync(node1: KernelNode) -> None:
    proxier = Proxier(IPVS)
    for each in scene(*BOTH, spec=NODE_PORT).objects:
        proxier.put(each)
    proxier.prepare()
    proxier.sync()
    before = (servers(), said("iptables-legacy-save -t nat"), members("KUBE-CLUSTER-IP"))
    for command in (
        "ipvsadm -d -t 10.96.0.10:80 -r 10.244.1.5:8080",
        "ipvsadm -D -t 192.168.50.11:30080",
        "ipvsadm -A -t 192.0.2.1:80 -s rr",
        "ipset flush KUBE-CLUSTER-IP",
        "ipset add KUBE-CLUSTER-IP 192.0.2.1,tcp:80",
        f"ip address flush dev {DEVICE}",
        "iptables-legacy -t nat -F KUBE-NODE-PORT",
    ):
        subprocess.run(command.split(), check=True)
    assert proxier.sync(full=True).changed
    assert (servers(), rules("nat"), members("KUBE-CLUSTER-IP")) == (before[0], lines(before[1]), before[2])
    assert "10.96.0.10/32" in said(f"ip -o address show {DEVICE}")
    assert not proxier.sync(full=True).changed


def test_a_kube_proxy_that_starts_again_takes_nothing_away(node1: KernelNode) -> None:
    node1.show(scene(*BOTH))
    before = (servers(), rules("nat"), rules("filter"))
    remove_other_modes(ProxyMode.IPVS)
    assert (servers(), rules("nat"), rules("filter")) == before


def test_after_a_change_to_mode_iptables_nothing_of_mode_ipvs_is_left(node1: KernelNode) -> None:
    node1.show(scene(*BOTH, spec=BALANCED, status=INGRESS))
    remove_other_modes(ProxyMode.IPTABLES)
    node1.show(scene(*BOTH, spec=BALANCED, status=INGRESS, config=replace(CONFIG, masquerade_all=True)))

    assert servers() == set()
    assert said("ipset list -n") == ""
    assert DEVICE not in said("ip -o link")
    assert not any("IPVS" in line or "KUBE-NODE-PORT " in line for line in (*rules("nat"), *rules("filter")))
    assert where(node1, OUTSIDER, VIP).endpoints <= {LOCAL, REMOTE}


def test_after_a_change_from_mode_iptables_nothing_of_that_is_left(node1: KernelNode) -> None:
    node1.show(scene(*BOTH, config=replace(CONFIG, masquerade_all=True)))
    remove_other_modes(ProxyMode.IPVS)
    node1.show(scene(*BOTH))
    assert not any("KUBE-SVC" in line or "KUBE-SEP" in line for line in rules("nat"))
    assert {where(node1), where(node1)} == {reaches(LOCAL), reaches(REMOTE)}


def test_cleaning_up_twice_is_no_error(node1: KernelNode) -> None:
    node1.show(scene(*BOTH))
    assert IpvsMode().remove(tuple(Family))
    assert not IpvsMode().remove(tuple(Family))


def test_adding_what_is_there_is_refused_by_the_kernel_and_named(node1: KernelNode) -> None:
    node1.show(scene(*BOTH))
    with IpvsSocket() as kernel, pytest.raises(Exception, match=r"10\.96\.0\.10"):
        kernel.do([ipvs.add(SERVER)])
