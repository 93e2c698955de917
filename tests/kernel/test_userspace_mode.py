"""Mode userspace with real sockets: the node's kube-proxy accepts, chooses an endpoint and copies."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import AF_INET, AF_INET6, SHUT_RDWR, SHUT_WR, SOCK_DGRAM, SOCK_STREAM, SocketKind

import pytest
from kube_proxy_lab import DUAL_STACK, GATEWAY, GATEWAY_6, NODE, POD, PODS, PODS_6, WITHIN_SECONDS, ProxyLab, proxy_lab
from waiting import until

from netlab.agents import kube_proxy
from netlab.agents.kube_proxy import AgentOptions
from netlab.agents.kube_proxy.modes.userspace import UserspaceMode
from netlab.model.modes import ProxyMode
from netlab.model.objects import EndpointSlice, Service
from netlab.model.rules import Family
from netlab.model.topology import Proxy, Topology

pytestmark = pytest.mark.root
VIP, VIP_6 = "10.96.0.10", "fd00:10:96::10"
NODE_ADDRESS, NODE_ADDRESS_6 = "172.18.0.2", "fd00:172:18::2"
NODE_PORT = 30080
MEGABYTES_10 = os.urandom(1 << 20) * 10
NOBODY = "10.244.0.9"
PLACES = (NODE, POD)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[ProxyLab]:
    with proxy_lab(tmp_path, options=AgentOptions(), mode="userspace", network=DUAL_STACK) as found:
        yield found


def serve(lab: ProxyLab, *addresses: str, protocol: str = "TCP", **spec: object) -> None:
    """A Service `web` at VIP (or VIP_6), port 80, and at the node port, with these endpoints at port 8080."""
    six = any(":" in address for address in addresses)
    port = {"port": 80, "targetPort": 8080, "nodePort": NODE_PORT, "protocol": protocol}
    families = {"ipFamilies": ["IPv6" if six else "IPv4"], "ipFamilyPolicy": "SingleStack"}
    lab.service(**{"type": "NodePort", "clusterIP": VIP_6 if six else VIP, "ports": [port], **families, **spec})
    lab.endpoints(*addresses, protocol=protocol)
    lab.followed()


def connect(lab: ProxyLab, place: str, address: str, port: int) -> socket.socket:
    """A TCP connection from the node or from the Pod."""
    with lab.inside(place):
        found = socket.socket(AF_INET6 if ":" in address else AF_INET, SOCK_STREAM)
    found.settimeout(WITHIN_SECONDS)
    try:
        found.connect((address, port))
    except OSError:
        found.close()
        raise
    return found


def datagrams(lab: ProxyLab, place: str, address: str, port: int) -> socket.socket:
    """A UDP socket that is connected from there: it hears nobody else."""
    with lab.inside(place):
        found = socket.socket(AF_INET6 if ":" in address else AF_INET, SOCK_DGRAM)
    found.settimeout(WITHIN_SECONDS)
    found.connect((address, port))
    return found


@contextmanager
def answering(lab: ProxyLab, address: str, kind: SocketKind = SOCK_STREAM) -> Iterator[None]:
    """A server in the Pod, at port 8080, that answers with its address and the client's: `10.244.0.7 10.244.0.1`."""

    def answer(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                if kind == SOCK_STREAM:
                    connection, client = listener.accept()
                    with connection:
                        connection.sendall(f"{address} {client[0]}".encode())
                else:
                    data, client = listener.recvfrom(100)
                    if not data:
                        return
                    listener.sendto(f"{address} {client[0]}".encode(), client)

    with lab.listen(address, 8080, kind) as listener:
        listener.settimeout(None)
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        yield
        with suppress(OSError):  # a UDP socket says ENOTCONN, and wakes who reads it all the same
            listener.shutdown(SHUT_RDWR)
        thread.join(WITHIN_SECONDS)
        assert not thread.is_alive()


def read_all(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def told(lab: ProxyLab, place: str, address: str, port: int) -> str:
    """What a server says to a TCP client: its own address and whom it sees. Empty where nobody says anything."""
    with connect(lab, place, address, port) as client:
        return read_all(client).decode()


def rules(table: str = "nat", command: str = "iptables-legacy-save") -> list[str]:
    text = subprocess.run([command, "-t", table], check=True, capture_output=True, text=True).stdout
    return [line for line in text.splitlines() if line.startswith(("-A", ":KUBE"))]


def ports() -> set[str]:
    """The ports of the proxy that the rules of IPv4 name for the Service web."""
    lines = "\n".join(line for line in rules() if "default/web" in line)
    return set(re.findall(r"(?:--to-ports |--to-destination \S+:)(\d+)$", lines, re.MULTILINE))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("endpoint", "targets", "gateway"),
    [
        (PODS[0], ((VIP, 80), (NODE_ADDRESS, NODE_PORT), (GATEWAY, NODE_PORT)), GATEWAY),
        (PODS_6[0], ((VIP_6, 80), (NODE_ADDRESS_6, NODE_PORT), (GATEWAY_6, NODE_PORT)), GATEWAY_6),
    ],
    ids=["IPv4", "IPv6"],
)
def test_a_pod_sees_the_node_and_never_the_client(
    lab: ProxyLab, place: str, endpoint: str, targets: tuple[tuple[str, int], ...], gateway: str
) -> None:
    with answering(lab, endpoint):
        serve(lab, endpoint)
        for address, port in targets:
            assert told(lab, place, address, port) == f"{endpoint} {gateway}"


def test_the_node_itself_reaches_a_node_port_on_loopback(lab: ProxyLab) -> None:
    with answering(lab, PODS[0]):
        serve(lab, PODS[0])
        assert told(lab, NODE, "127.0.0.1", NODE_PORT) == f"{PODS[0]} {GATEWAY}"


def test_an_external_address_is_answered_and_its_neighbour_is_not(lab: ProxyLab) -> None:
    with answering(lab, PODS[0]):
        serve(lab, PODS[0], externalIPs=["198.51.100.7"])
        for place in PLACES:
            assert told(lab, place, "198.51.100.7", 80) == f"{PODS[0]} {GATEWAY}"
        with lab.inside(NODE), socket.socket(AF_INET, SOCK_STREAM) as client:
            client.settimeout(0.5)
            with pytest.raises(OSError, match=r"timed out|refused|No route"):
                client.connect(("198.51.100.8", 80))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("endpoint", "targets"),
    [
        (PODS[0], ((VIP, 80), (NODE_ADDRESS, NODE_PORT), (GATEWAY, NODE_PORT))),
        (PODS_6[0], ((VIP_6, 80), (NODE_ADDRESS_6, NODE_PORT), (GATEWAY_6, NODE_PORT))),
    ],
    ids=["IPv4", "IPv6"],
)
def test_datagrams_are_copied_and_answered_by_whom_the_client_asked(
    lab: ProxyLab, place: str, endpoint: str, targets: tuple[tuple[str, int], ...]
) -> None:
    with answering(lab, endpoint, SOCK_DGRAM):
        serve(lab, endpoint, protocol="UDP")
        for target in targets:
            with datagrams(lab, place, *target) as client:
                for _ in range(2):
                    client.send(b"who?")
                    assert client.recv(100).decode().split()[0] == endpoint


def test_a_port_that_the_service_does_not_have_is_not_answered(lab: ProxyLab) -> None:
    with answering(lab, PODS[0]):
        serve(lab, PODS[0])
        with lab.inside(NODE), socket.socket(AF_INET, SOCK_STREAM) as client:
            client.settimeout(0.5)
            with pytest.raises(OSError, match=r"timed out|refused|No route"):
                client.connect((VIP, 81))


def test_endpoints_are_taken_in_turn(lab: ProxyLab) -> None:
    with answering(lab, PODS[0]), answering(lab, PODS[1]):
        serve(lab, *PODS)
        answers = [told(lab, POD, VIP, 80).split()[0] for _ in range(6)]
    assert sorted(answers[:2]) == sorted(PODS)
    assert answers == answers[:2] * 3


def test_an_endpoint_that_refuses_is_passed_over(lab: ProxyLab) -> None:
    with answering(lab, PODS[1]):
        serve(lab, *PODS)
        assert {told(lab, NODE, VIP, 80).split()[0] for _ in range(4)} == {PODS[1]}


def test_an_endpoint_that_is_silent_is_passed_over_within_a_second(lab: ProxyLab) -> None:
    with answering(lab, PODS[1]):
        serve(lab, PODS[1], NOBODY)
        started = time.monotonic()
        assert {told(lab, POD, VIP, 80).split()[0] for _ in range(2)} == {PODS[1]}
        assert time.monotonic() - started < 1


def test_where_no_endpoint_answers_the_client_is_hung_up_on(lab: ProxyLab) -> None:
    serve(lab, PODS[0])
    assert told(lab, POD, VIP, 80) == ""


def test_a_udp_client_whose_endpoint_turns_it_down_gets_the_next_one(lab: ProxyLab) -> None:
    with answering(lab, PODS[1], SOCK_DGRAM):
        serve(lab, *PODS, protocol="UDP")
        with datagrams(lab, POD, VIP, 80) as client:
            client.settimeout(0.5)

            def ask() -> str:
                client.send(b"who?")
                with suppress(TimeoutError):
                    return client.recv(100).decode()
                return ""

            assert until(ask).split()[0] == PODS[1]


def test_a_client_keeps_its_endpoint_where_the_service_asks_for_that(lab: ProxyLab) -> None:
    with answering(lab, PODS[0]), answering(lab, PODS[1]):
        serve(lab, *PODS, sessionAffinity="ClientIP")
        from_pod = {told(lab, POD, VIP, 80).split()[0] for _ in range(4)}
        from_node = {told(lab, NODE, VIP, 80).split()[0] for _ in range(4)}
        assert (len(from_pod), from_pod | from_node) == (1, set(PODS))

        lab.endpoints(PODS[1])
        lab.followed()
        assert told(lab, POD, VIP, 80).split()[0] == PODS[1]


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_a_service_without_endpoints_is_accepted_and_hung_up_on(lab: ProxyLab, protocol: str) -> None:
    serve(lab, protocol=protocol)
    if protocol == "TCP":
        assert told(lab, POD, VIP, 80) == ""
        assert told(lab, NODE, NODE_ADDRESS, NODE_PORT) == ""
        return
    with datagrams(lab, POD, VIP, 80) as client:
        client.settimeout(0.3)
        client.send(b"anybody?")
        with pytest.raises(TimeoutError):
            client.recv(100)


def in_thread(body: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=body)
    thread.start()
    return thread


def test_ten_megabytes_go_through_unchanged_both_ways_and_each_way_ends_by_itself(lab: ProxyLab) -> None:
    with lab.listen(PODS[0], 8080) as server:
        serve(lab, PODS[0])
        with connect(lab, POD, VIP, 80) as client, server.accept()[0] as accepted:
            accepted.settimeout(WITHIN_SECONDS)
            sending = in_thread(lambda: (client.sendall(MEGABYTES_10), client.shutdown(SHUT_WR)))
            assert read_all(accepted) == MEGABYTES_10
            sending.join()

            answering_ = in_thread(lambda: (accepted.sendall(MEGABYTES_10), accepted.shutdown(SHUT_WR)))
            assert read_all(client) == MEGABYTES_10
            answering_.join()


def test_a_server_that_ends_its_half_still_hears_the_client(lab: ProxyLab) -> None:
    with lab.listen(PODS[0], 8080) as server:
        serve(lab, PODS[0])
        with connect(lab, POD, VIP, 80) as client, server.accept()[0] as accepted:
            accepted.settimeout(WITHIN_SECONDS)
            accepted.shutdown(SHUT_WR)
            assert client.recv(1) == b""
            client.sendall(b"still here")
            assert accepted.recv(100) == b"still here"


def test_when_endpoints_change_established_connections_stay_and_new_ones_go_to_the_new(lab: ProxyLab) -> None:
    with lab.listen(PODS[0], 8080) as old, answering(lab, PODS[1]):
        serve(lab, PODS[0])
        with connect(lab, POD, VIP, 80) as client, old.accept()[0] as accepted:
            accepted.settimeout(WITHIN_SECONDS)
            lab.endpoints(PODS[1])
            lab.followed()

            assert told(lab, POD, VIP, 80).split()[0] == PODS[1]
            client.sendall(b"as before")
            assert accepted.recv(100) == b"as before"


def test_a_udp_client_moves_on_when_its_endpoint_goes(lab: ProxyLab) -> None:
    with answering(lab, PODS[0], SOCK_DGRAM), answering(lab, PODS[1], SOCK_DGRAM):
        serve(lab, PODS[0], protocol="UDP")
        with datagrams(lab, POD, VIP, 80) as client:
            for endpoint in PODS:
                lab.endpoints(endpoint, protocol="UDP")
                lab.followed()
                client.send(b"who?")
                assert client.recv(100).decode().split()[0] == endpoint


def test_a_service_that_goes_takes_its_listener_its_connections_and_its_rules_along(lab: ProxyLab) -> None:
    with lab.listen(PODS[0], 8080) as server:
        serve(lab, PODS[0])
        (port,) = ports()
        with connect(lab, POD, VIP, 80) as client, server.accept()[0]:
            lab.client.delete(Service, "web")
            lab.client.delete(EndpointSlice, "web-1")
            lab.service("other", clusterIP="10.96.0.11")
            lab.followed()

            assert client.recv(1) == b""
            with pytest.raises(ConnectionRefusedError):
                lab.connect(NODE_ADDRESS, int(port))
    assert not [line for table in ("nat", "filter") for line in rules(table) if "default/web" in line]


def test_the_last_service_that_goes_ends_its_connections_although_no_rule_translates_any_more(lab: ProxyLab) -> None:
    with lab.listen(PODS[0], 8080) as server:
        serve(lab, PODS[0])
        with connect(lab, POD, VIP, 80) as client, server.accept()[0]:
            lab.client.delete(Service, "web")
            until(lambda: not [line for line in rules() if "default/web" in line])

            assert client.recv(1) == b""


def test_a_proxy_that_was_killed_leaves_rules_to_ports_where_nobody_answers_until_it_is_back(lab: ProxyLab) -> None:
    with answering(lab, PODS[0]):
        serve(lab, PODS[0])
        before, old = rules(), ports()
        lab.stop("proxy", signal.SIGKILL)

        assert rules() == before
        for place, address, port in ((POD, VIP, 80), (NODE, VIP, 80), (POD, NODE_ADDRESS, NODE_PORT)):
            with pytest.raises(ConnectionRefusedError):
                told(lab, place, address, port)

        lab.start_proxy()
        lab.followed()
        for place, address, port in ((POD, VIP, 80), (NODE, VIP, 80), (POD, NODE_ADDRESS, NODE_PORT)):
            assert told(lab, place, address, port) == f"{PODS[0]} {GATEWAY}"
        assert ports() != old


def test_a_udp_client_that_outlives_the_proxy_is_answered_by_the_next_one(lab: ProxyLab) -> None:
    """Conntrack knows its flow still, which leads to a port where nobody listens any more."""
    with answering(lab, PODS[0], SOCK_DGRAM):
        serve(lab, PODS[0], protocol="UDP")
        with datagrams(lab, POD, VIP, 80) as client:
            client.send(b"who?")
            assert client.recv(100)
            lab.stop("proxy", signal.SIGKILL)
            lab.start_proxy()
            lab.followed()
            client.send(b"who?")
            assert client.recv(100).decode().split()[0] == PODS[0]


def test_clients_and_servers_that_break_off_leave_nothing_open(lab: ProxyLab) -> None:
    with lab.listen(PODS[0], 8080) as server:
        serve(lab, PODS[0])
        idle = sockets_of(lab.processes["proxy"])
        for number in range(60):
            client = connect(lab, POD, VIP, 80)
            accepted, _ = server.accept()
            client.sendall(b"x")
            assert accepted.recv(1) == b"x", "from here on there are both connections"
            first, second = (client, accepted) if number % 2 else (accepted, client)
            if number % 3 == 0:
                first.sendall(MEGABYTES_10[:100_000])
            if number % 5 == 0:
                first.shutdown(SHUT_WR)
            first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            first.close()
            read_to_end(second)
        until(lambda: sockets_of(lab.processes["proxy"]) <= idle)


def read_to_end(connection: socket.socket) -> None:
    """Until the other side has ended it, one way or the other."""
    with connection, suppress(ConnectionError):
        connection.settimeout(WITHIN_SECONDS)
        read_all(connection)


def test_rules_of_a_killed_proxy_are_found_and_taken_away(lab: ProxyLab) -> None:
    serve(lab, PODS[0])
    lab.stop("proxy", signal.SIGKILL)
    assert any("KUBE-PORTALS" in line for line in rules())

    assert UserspaceMode().remove(tuple(Family))

    assert not [line for table in ("nat", "filter") for line in rules(table) if "KUBE-" in line]
    assert not [line for line in rules("nat", "ip6tables-legacy-save") if "KUBE-" in line]
    assert not UserspaceMode().remove(tuple(Family))


def change_mode(lab: ProxyLab, mode: str) -> None:
    """As `netlab up` does; the proxy's answer tells when it is in that mode."""
    topology = lab.client.get(Topology, "nlipt")
    spec = topology.spec.model_copy(update={"proxy": Proxy(mode=ProxyMode(mode))})
    lab.client.apply(topology.model_copy(update={"spec": spec}))
    until(lambda: asked_mode(lab) == mode)
    lab.followed()


def asked_mode(lab: ProxyLab) -> str:
    with suppress(OSError):
        return lab.ask("127.0.0.1", 10249, "/proxyMode")
    return ""


def sockets_of(pid: int) -> int:
    """How many sockets a process has open."""
    folder = Path(f"/proc/{pid}/fd")
    return sum(os.readlink(each).startswith("socket:") for each in folder.iterdir() if each.is_symlink())


def test_changing_the_mode_and_back_leaves_nothing_of_the_other(lab: ProxyLab) -> None:
    own = re.compile(r"KUBE-(PORTALS|NODEPORT-)")
    with lab.listen(PODS[0], 8080) as server:
        serve(lab, PODS[0])
        with connect(lab, POD, VIP, 80) as client, server.accept()[0]:
            change_mode(lab, "iptables")
            assert client.recv(1) == b"", "its bytes were copied by a process that is in another mode now"
        everything = [*rules(), *rules("filter"), *rules("nat", "ip6tables-legacy-save")]
        assert not [line for line in everything if own.search(line)]

        with connect(lab, NODE, VIP, 80) as client, server.accept()[0] as accepted:
            accepted.settimeout(WITHIN_SECONDS)
            change_mode(lab, "userspace")
            client.sendall(b"conntrack remembers")
            assert accepted.recv(100) == b"conntrack remembers"
        everything = [*rules(), *rules("filter"), *rules("nat", "ip6tables-legacy-save")]
        assert any(own.search(line) for line in everything)
        left = [line for line in everything if "KUBE-" in line and not own.search(line)]
        assert all("KUBE-FIREWALL" in line for line in left), left


def test_no_socket_is_left_open_when_connections_end(lab: ProxyLab) -> None:
    with answering(lab, PODS[0]):
        serve(lab, *PODS)
        assert told(lab, POD, VIP, 80)
        before = sockets_of(lab.processes["proxy"])
        for _ in range(50):
            assert told(lab, POD, VIP, 80)
        until(lambda: sockets_of(lab.processes["proxy"]) <= before)


def test_more_connections_than_its_files_allow_are_turned_away_and_the_first_go_on(tmp_path: Path) -> None:
    with proxy_lab(tmp_path, options=None, mode="userspace") as lab, lab.listen(PODS[0], 8080) as server:

        def with_few_files() -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (270, 270))
            kube_proxy.run(lab.paths, "node1", options=lab.options)

        lab.start("proxy", with_few_files)
        serve(lab, PODS[0])
        with connect(lab, POD, VIP, 80) as first, server.accept()[0] as accepted:
            accepted.settimeout(WITHIN_SECONDS)
            others = [connect(lab, POD, VIP, 80) for _ in range(8)]
            assert others[-1].recv(1) == b""
            first.sendall(b"goes on")
            assert accepted.recv(100) == b"goes on"
            for each in others:
                each.close()


def test_what_the_mode_cannot_do_is_said(lab: ProxyLab) -> None:
    lab.service(clusterIP=VIP, ports=[{"port": 80, "protocol": "SCTP"}])
    report = lab.followed()

    assert report["complaints"] == [
        "Service default/web: spec.ports: mode userspace does not do SCTP: port 80 is not served"
    ]
    assert not [line for line in rules() if "default/web" in line]


def test_status_metrics_and_health_go_on(lab: ProxyLab) -> None:
    serve(lab, PODS[0])
    report = lab.followed()

    assert (report["mode"], report["backend"]) == ("userspace", "legacy")
    commands = ("iptables-legacy-save", "ip6tables-legacy-save")
    counted = sum(
        line.startswith("-A") for table in ("nat", "filter") for each in commands for line in rules(table, each)
    )
    assert report["rules"] == counted
    assert lab.ask("127.0.0.1", 10249, "/proxyMode") == "userspace"
    assert "nodeEligible" in lab.ask(NODE_ADDRESS, 10256, "/healthz")


def test_rules_that_somebody_flushed_come_back_with_the_same_ports(lab: ProxyLab) -> None:
    with answering(lab, PODS[0]):
        serve(lab, PODS[0])
        before = sorted(rules())
        subprocess.run(["iptables-legacy", "-t", "nat", "-F", "KUBE-PORTALS-CONTAINER"], check=True)
        until(lambda: sorted(rules()) == before)
        assert told(lab, POD, VIP, 80)
