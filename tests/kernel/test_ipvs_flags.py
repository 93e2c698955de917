"""Mode ipvs: --ipvs-strict-arp as seen by neighbours, --ipvs-exclude-cidrs by the virtual servers of somebody else."""

from __future__ import annotations

import socket
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, ip_network
from pathlib import Path

import pytest
from ipvs_node import IPVS, ipvs_node, said, scene, servers
from netlab_command import NETLAB
from proxy_kernel import KernelNode
from proxy_objects import CASES, node
from proxy_stage import WORLD, Stage, stage
from proxy_tables.case import HERE, INGRESS, NODE_PORT

from netlab.agents.kube_proxy.core import Proxier
from netlab.agents.kube_proxy.leftovers import remove_every_mode, remove_other_modes
from netlab.kernel import sysctls
from netlab.kernel.namespaces import inside
from netlab.model.modes import ProxyMode
from netlab.model.objects import KubernetesObject
from netlab.model.state import Sysctl

pytestmark = [pytest.mark.root, pytest.mark.ipvs]
ARP, BROADCAST = 0x0806, b"\xff" * 6
REQUEST, REPLY = 1, 2
ARP_PACKET = struct.Struct("!HHBBH6s4s6s4s")
OWN, CLUSTER_IP, BALANCER = "192.168.50.11", "10.96.0.10", "203.0.113.10"
THEIRS = "-A -t 192.0.2.1:80 -s wlc"
EXCLUDING = replace(IPVS, ipvs_exclude_cidrs=(ip_network("192.0.2.0/24"), ip_network("fd00:192::/64")))


@pytest.fixture(scope="module")
def places() -> Iterator[Stage]:
    with stage() as found:
        yield found


@pytest.fixture
def node1(places: Stage) -> Iterator[KernelNode]:
    with ipvs_node(places) as found:
        yield found
        subprocess.run(["ipvsadm", "--clear"], check=True)
        for key in ("arp_ignore", "arp_announce"):
            sysctls.write(Sysctl(f"net/ipv4/conf/all/{key}", "0"), where="node1")


def who_has(*addresses: str) -> set[str]:
    """Which of them the node says that it has, asked by ARP on its wire; it answers in order, and for its own one."""
    with inside(WORLD), socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as wire:
        wire.bind(("eth0", ARP))
        wire.settimeout(20)
        mac, client = wire.getsockname()[4], IPv4Address("198.51.100.7").packed
        for address in (*addresses, OWN):
            wanted = IPv4Address(address).packed
            packet = ARP_PACKET.pack(1, 0x0800, 6, 4, REQUEST, mac, client, bytes(6), wanted)
            wire.sendto(packet, ("eth0", ARP, 0, 0, BROADCAST))
        found: set[str] = set()
        while OWN not in found:
            *_, kind, _, said_by, _, _ = ARP_PACKET.unpack_from(wire.recv(100))
            found |= {str(IPv4Address(said_by))} if kind == REPLY else set()
    return found - {OWN}


def started(*objects: KubernetesObject) -> Proxier:
    """A new kube-proxy that has served these objects."""
    proxier = Proxier(EXCLUDING)
    for each in objects:
        proxier.put(each)
    proxier.prepare()
    proxier.sync()
    return proxier


def test_without_strict_arp_the_node_tells_the_wire_that_it_has_the_services_addresses(node1: KernelNode) -> None:
    node1.show(scene(HERE, spec={"type": "LoadBalancer"}, status=INGRESS))
    assert who_has(CLUSTER_IP, BALANCER, "203.0.113.77") == {CLUSTER_IP, BALANCER}


def test_with_strict_arp_it_keeps_them_to_itself_and_serves_them_all_the_same(node1: KernelNode) -> None:
    strict = replace(IPVS, ipvs_strict_arp=True)
    node1.show(scene(HERE, spec={"type": "LoadBalancer"}, status=INGRESS, config=strict))
    assert who_has(CLUSTER_IP, BALANCER, "203.0.113.77") == set()
    assert node1.client("198.51.100.7", f"{BALANCER}:80").ask().endpoints == {"10.244.1.5:8080"}


def test_a_virtual_server_of_somebody_else_outlives_every_sync_where_it_is_excluded(node1: KernelNode) -> None:
    said("ipvsadm -A -t 192.0.2.1:80 -s wlc")
    said("ipvsadm -A -t 192.0.3.1:80 -s wlc")
    said("ipvsadm -A -t [fd00:192::1]:80 -s wlc")
    node1.show(scene(HERE, config=EXCLUDING))
    assert THEIRS in servers()
    assert "-A -t [fd00:192::1]:80 -s wlc" in servers()
    assert not any("192.0.3.1" in line for line in servers())

    node1.show(scene(HERE))
    assert not any("192.0.2.1" in line or "fd00:192" in line for line in servers())


def test_a_virtual_server_of_a_service_that_goes_stays_too_where_it_is_excluded(node1: KernelNode) -> None:
    spec: dict[str, object] = {**NODE_PORT, "externalIPs": ["192.0.2.7"]}
    proxier = started(*scene(HERE, spec=spec).objects)
    proxier.remove(scene(HERE).objects[1])
    proxier.sync()
    assert servers() == {"-A -t 192.0.2.7:80 -s rr", "-a -t 192.0.2.7:80 -r 10.244.1.5:8080 -m -w 1"}
    assert not proxier.sync(full=True).changed


def test_in_a_namespace_without_any_address_it_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "objects.yaml"
    manifest = (CASES / "clusterip-3ep" / "manifest.yaml").read_text()
    file.write_text(f"{(CASES / 'node1.yaml').read_text()}---\n{manifest}")
    netlab = f"{NETLAB} proxy --node=node1 --proxy-mode=ipvs -f {file} --once"
    bare = subprocess.run(["unshare", "-n", *netlab.split()], capture_output=True, text=True, check=False)
    assert (bare.returncode, "ip link set lo up" in bare.stderr) == (1, True)
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", f"ip link set lo up && {netlab}"], check=True, capture_output=True
    )
    assert b"ipvs rules written" in done.stdout


def test_what_is_excluded_outlives_a_change_of_the_mode_and_the_cleanup(node1: KernelNode) -> None:
    said("ipvsadm -A -t 192.0.2.1:80 -s wlc")
    started(*scene(HERE).objects)
    remove_other_modes(ProxyMode.IPTABLES, spared=EXCLUDING.ipvs_exclude_cidrs)
    assert servers() == {THEIRS}

    started(node())
    remove_every_mode(spared=EXCLUDING.ipvs_exclude_cidrs)
    assert servers() == {THEIRS}

    started(node())
    remove_every_mode()
    assert servers() == set()
