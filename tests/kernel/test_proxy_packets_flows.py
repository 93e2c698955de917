"""Flows that last: clients with a fixed port while endpoints come and go, affinity, and how evenly new ones spread."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from ipaddress import ip_network

import pytest
from proxy_kernel import Client, KernelNode
from proxy_memory import MEMORIES
from proxy_objects import CONFIG, LEAVING, LOCAL, REMOTE
from proxy_stage import NODE as NODE_NAMESPACE
from proxy_stage import stage
from proxy_tables import Case, Scene
from proxy_tables.case import (
    AFFINITY,
    BALANCED,
    BOTH,
    EXTERNAL,
    FAR,
    HERE,
    INGRESS,
    ITP_LOCAL,
    NODE,
    OUTSIDER,
    POD,
    STRANGER,
    THERE,
    VIP,
    away,
)
from proxy_tables.six import outcome_in_ipv6, words_in_ipv6
from proxy_tracer import DROPPED, REFUSED, UNTOUCHED, Outcome, masqueraded, reaches
from waiting import until

from netlab.kernel.namespaces import inside
from netlab.model.rules import Family

pytestmark = pytest.mark.root
EVERYWHERE = replace(CONFIG, nodeport_addresses=(ip_network("0.0.0.0/0"), ip_network("::/0")))
"""Node ports on every address of the node, whatever is the mode's default."""
UDP: dict[str, object] = {**BALANCED, **EXTERNAL, "ports": [{"port": 80, "nodePort": 30080, "protocol": "UDP"}]}
UDP_PORTS = ({"name": "", "port": 8080, "protocol": "UDP"},)
FRONTENDS = {
    "the ClusterIP": "10.96.0.10:80/udp",
    "a node port": f"{NODE}:30080/udp",
    "another address of the node": "172.20.0.9:30080/udp",
    "a load balancer's address": "203.0.113.10:80/udp",
    "an external address": "203.0.113.20:80/udp",
}


@pytest.fixture(scope="module", params=list(MEMORIES))
def outside_view(request: pytest.FixtureRequest) -> Iterator[KernelNode]:
    with stage() as places, closing(KernelNode(places, request.param)) as node:
        yield node


@pytest.fixture
def node1(outside_view: KernelNode) -> Iterator[KernelNode]:
    """The node, with the test in its namespace, and no flow from before."""
    with inside(NODE_NAMESPACE):
        outside_view.forget_flows()
        yield outside_view


class Play:
    """A Service whose endpoints change, in one family, and clients that keep their ports."""

    def __init__(self, node1: KernelNode, family: Family) -> None:
        self._node1, self._family = node1, family

    def show(self, *endpoints: dict[str, object], exists: bool = True, **spec: object) -> None:
        case = Case("", (), spec={**UDP, **spec}, ports=UDP_PORTS, endpoints=endpoints, status=INGRESS, exists=exists)
        self._node1.change(self._scene(case))

    def show_tcp(self, *endpoints: dict[str, object], **spec: object) -> None:
        self._node1.change(self._scene(Case("", ((POD, VIP, UNTOUCHED),), spec=spec, endpoints=endpoints)))

    def client(self, source: str, to: str) -> Client:
        if self._family is Family.IPV6:
            source, to = words_in_ipv6(source), words_in_ipv6(to)
        return self._node1.client(source, to)

    def clients(self, source: str, to: str, *, count: int) -> dict[Client, Outcome]:
        """That many, and what became of the first packet of each."""
        found: dict[Client, Outcome] = {}
        for _ in range(count // 50):
            clients = [self.client(source, to) for _ in range(50)]
            found |= zip(clients, self._node1.ask(client.flow for client in clients), strict=True)
        return found

    def is_(self, outcome: Outcome) -> Outcome:
        return outcome if self._family is Family.IPV4 else outcome_in_ipv6(outcome)

    def _scene(self, case: Case) -> Scene:
        return replace(case.scene(self._family), config=EVERYWHERE)


@pytest.fixture(params=list(Family))
def play(node1: KernelNode, request: pytest.FixtureRequest) -> Play:
    return Play(node1, request.param)


# --- UDP clients that keep their port


@pytest.mark.parametrize("to", [pytest.param(to, id=name) for name, to in FRONTENDS.items()])
@pytest.mark.parametrize("source", [pytest.param(POD, id="a Pod"), pytest.param(OUTSIDER, id="an outsider")])
def test_a_udp_client_moves_on_when_its_endpoint_goes_and_not_before(play: Play, source: str, to: str) -> None:
    play.show(HERE)
    client = play.client(source, to)
    kind = reaches if (source, to) == (POD, FRONTENDS["the ClusterIP"]) else masqueraded

    assert client.ask() == play.is_(kind(LOCAL))
    play.show(*BOTH)
    assert [client.ask() for _ in range(5)] == [play.is_(kind(LOCAL))] * 5
    play.show(THERE)
    assert client.ask() == play.is_(kind(REMOTE))
    play.show()
    assert client.ask() == REFUSED
    play.show(HERE)
    assert client.ask() == play.is_(kind(LOCAL))


@pytest.mark.parametrize("to", [pytest.param(to, id=name) for name, to in FRONTENDS.items()])
def test_a_udp_client_that_was_there_before_the_service_finds_it(play: Play, to: str) -> None:
    play.show(HERE, exists=False)
    client = play.client(OUTSIDER, to)

    assert client.ask() == UNTOUCHED
    play.show(HERE)
    assert client.ask() == play.is_(masqueraded(LOCAL))
    play.show(HERE, exists=False)
    assert client.ask() == UNTOUCHED


def test_a_udp_client_keeps_an_endpoint_that_ends_while_it_serves(play: Play) -> None:
    play.show(HERE)
    client = play.client(POD, FRONTENDS["the ClusterIP"])
    assert client.ask() == play.is_(reaches(LOCAL))

    play.show(away("10.244.1.5", **LEAVING), THERE)
    assert client.ask() == play.is_(reaches(LOCAL))
    play.show(THERE)
    assert client.ask() == play.is_(reaches(REMOTE))


def test_a_udp_client_of_this_nodes_endpoints_meets_silence_when_they_are_gone(play: Play) -> None:
    play.show(HERE, THERE, externalTrafficPolicy="Local", **ITP_LOCAL)
    outsider, pod = play.client(OUTSIDER, FRONTENDS["a node port"]), play.client(POD, FRONTENDS["the ClusterIP"])
    assert (outsider.ask(), pod.ask()) == (play.is_(reaches(LOCAL)), play.is_(reaches(LOCAL)))

    play.show(THERE, externalTrafficPolicy="Local", **ITP_LOCAL)
    assert (outsider.ask(), pod.ask()) == (DROPPED, DROPPED)
    play.show(externalTrafficPolicy="Local", **ITP_LOCAL)
    assert (outsider.ask(), pod.ask()) == (REFUSED, REFUSED)
    play.show(HERE, externalTrafficPolicy="Local", **ITP_LOCAL)
    assert (outsider.ask(), pod.ask()) == (play.is_(reaches(LOCAL)), play.is_(reaches(LOCAL)))


def test_only_the_flows_of_the_endpoint_that_goes_are_deleted(play: Play) -> None:
    play.show(*BOTH)
    clients = play.clients(POD, FRONTENDS["the ClusterIP"], count=50)
    elsewhere = play.client(POD, "198.51.100.7:80/udp")
    elsewhere.ask()
    before = {client: client.identity for client in (*clients, elsewhere)}
    assert None not in before.values()

    play.show(HERE)

    left = {client: client.identity for client in before if client.identity}
    assert left == {client: before[client] for client in before if clients.get(client) != play.is_(reaches(REMOTE))}
    assert 1 < len(left) < 50


# --- TCP


def test_a_tcp_connection_stays_where_it_is_when_endpoints_come_and_go(play: Play) -> None:
    play.show_tcp(HERE)
    client = play.client(POD, VIP)
    assert client.ask() == play.is_(reaches(LOCAL))

    for endpoints in (BOTH, (THERE,), ()):
        play.show_tcp(*endpoints)
        assert client.ask() == play.is_(reaches(LOCAL))
    assert play.client(POD, VIP).ask() == REFUSED


def test_clients_with_the_same_port_are_told_apart_behind_the_nodes_address(play: Play) -> None:
    play.show(THERE)
    one, other = play.client(OUTSIDER, FRONTENDS["a node port"]), play.client(STRANGER, FRONTENDS["a node port"])
    other.flow = other.flow._replace(source_port=one.flow.source_port)

    for client in (one, other, one, other):
        assert client.ask() == play.is_(masqueraded(REMOTE))


# --- affinity and chance


def test_a_client_with_affinity_comes_back_to_its_endpoint_by_every_way(play: Play) -> None:
    play.show(HERE, THERE, FAR, **AFFINITY)
    for source in (POD, OUTSIDER, NODE):
        first = play.client(source, FRONTENDS["the ClusterIP"]).ask().endpoints
        again = [play.client(source, to).ask().endpoints for to in FRONTENDS.values() for _ in range(10)]
        assert set(again) == {first}
        assert len(first) == 1


def test_clients_with_affinity_are_spread(play: Play) -> None:
    play.show(HERE, THERE, FAR, **AFFINITY)
    endpoints = {play.client(f"10.244.2.{20 + i}", FRONTENDS["the ClusterIP"]).ask().endpoints for i in range(60)}
    assert len(endpoints) == 3


def test_affinity_ends_when_the_client_was_away_for_longer(play: Play) -> None:
    play.show(HERE, THERE, FAR, **{**AFFINITY, "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 1}}})
    everybody = [f"10.244.2.{20 + i}" for i in range(40)]

    first = [play.client(source, FRONTENDS["the ClusterIP"]).ask() for source in everybody]
    over = time.monotonic() + 1.1
    until(lambda: time.monotonic() > over)
    again = [play.client(source, FRONTENDS["the ClusterIP"]).ask() for source in everybody]

    assert first != again


def test_new_flows_spread_evenly(play: Play) -> None:
    play.show(HERE, THERE, FAR)
    count = 3000
    found = Counter(play.clients(POD, FRONTENDS["the ClusterIP"], count=count).values())
    assert len(found) == 3
    # Six and a half standard deviations: less than one in ten thousand millions.
    assert all(abs(each - count / 3) < 6.5 * (count * 2 / 9) ** 0.5 for each in found.values()), found
