"""Whose turn it is: endpoints one after the other, and clients that keep theirs."""

from __future__ import annotations

from ipaddress import ip_address

from netlab.proxy.slices import Endpoint
from netlab.proxy.userspace import Balancer
from netlab.proxy.userspace.balancer import CLIENTS_AT_MOST

A, B, C = (Endpoint(ip_address(f"10.244.1.{n}"), 8080, f"10.244.1.{n}:8080", local=True) for n in (1, 2, 3))
SECONDS = 100


def balancer(*endpoints: Endpoint, affinity_seconds: int | None = None) -> Balancer:
    found = Balancer()
    found.follow(endpoints, affinity_seconds=affinity_seconds)
    return found


def picks(found: Balancer, *clients: str, now: float = 0.0) -> list[Endpoint | None]:
    return [found.pick(client, now=now) for client in clients]


def test_endpoints_are_taken_in_turn_whoever_asks() -> None:
    assert picks(balancer(A, B, C), *"xxyxyy") == [A, B, C, A, B, C]


def test_where_there_is_no_endpoint_nobody_gets_one() -> None:
    assert picks(balancer(), "x", "y") == [None, None]
    assert picks(balancer(affinity_seconds=SECONDS), "x") == [None]


def test_endpoints_that_change_are_followed() -> None:
    found = balancer(A, B, C)
    assert picks(found, "x", "x") == [A, B]
    found.follow((A, C), affinity_seconds=None)
    assert set(picks(found, "x", "x")) == {A, C}
    found.follow((), affinity_seconds=None)
    assert picks(found, "x") == [None]
    assert (found.has(A), found.has(B)) == (False, False)


def test_a_client_keeps_its_endpoint_and_others_go_on_in_turn() -> None:
    assert picks(balancer(A, B, C, affinity_seconds=SECONDS), *"xyxzyx") == [A, B, A, C, B, A]


def test_a_client_keeps_its_endpoint_as_long_as_it_comes_again_in_time() -> None:
    found = balancer(A, B, affinity_seconds=SECONDS)
    assert [found.pick("x", now=now) for now in (0, 99, 198, 298)] == [A, A, A, B]


def test_a_client_whose_endpoint_is_gone_or_did_not_answer_gets_another() -> None:
    found = balancer(A, B, affinity_seconds=SECONDS)
    assert picks(found, "x", "x") == [A, A]
    found.forget("x")
    assert picks(found, "x", "x") == [B, B]
    found.follow((A,), affinity_seconds=SECONDS)
    assert picks(found, "x", "x") == [A, A]


def test_clients_are_forgotten_where_affinity_is_given_up() -> None:
    found = balancer(A, B, affinity_seconds=SECONDS)
    assert picks(found, "x", "x") == [A, A]
    found.follow((A, B), affinity_seconds=None)
    found.follow((A, B), affinity_seconds=SECONDS)
    assert picks(found, "x") == [B]


def test_of_very_many_clients_those_that_came_last_are_remembered() -> None:
    found = balancer(A, B, affinity_seconds=SECONDS)
    assert found.pick("first", now=0) is A
    for number in range(CLIENTS_AT_MOST):
        found.pick(str(number), now=0)
    last = found.pick(str(CLIENTS_AT_MOST - 1), now=0)
    assert found.pick(str(CLIENTS_AT_MOST - 1), now=0) is last
    assert found.pick("first", now=0) is found.pick("first", now=0)
