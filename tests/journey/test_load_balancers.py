"""Load balancers in a lab: whose address a Pod sees, and where an address goes when its Service does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from netlab_command import PREFIX, Caller, Lab, topology

WITHIN = 20.0
NAME = f"{PREFIX}-balancers"
CUSTOMER, BALANCED, LOCAL = "external/customer", "172.18.255.1:80", "172.18.255.2:80"
LATER = """
apiVersion: v1
kind: Service
metadata: {name: later}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""


@pytest.fixture(scope="module")
def lab(user: Caller) -> Iterator[Lab]:
    with user.lab(NAME, topology("load-balancer", name=NAME)) as up:
        yield up


def comes_true(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + WITHIN
    while not condition():
        if time.monotonic() > deadline:
            return False
    return True


def sources(lab: Lab, to: str) -> dict[str, set[str]]:
    """The client's addresses that each Pod saw of 20 packets, all of which must arrive."""
    seen: dict[str, set[str]] = {}
    for flow in lab.json("probe", CUSTOMER, to, "--count", "20")["flows"]:
        assert flow["verdict"] == "reached"
        seen.setdefault(flow["pod"], set()).add(flow["sourceSeen"])
    return seen


def address(lab: Lab, service: str) -> list[str]:
    balancer = lab.json("get", "service", service)["status"].get("loadBalancer", {})
    return [ingress["ip"] for ingress in balancer.get("ingress", [])]


def test_with_policy_local_the_pod_sees_the_client_and_with_cluster_the_node_that_let_it_in(lab: Lab) -> None:
    assert sources(lab, LOCAL) == {"web-1": {"172.18.0.100"}}
    behind_the_node = {pod: seen for pod, seen in sources(lab, BALANCED).items() if pod == "web-2"}
    assert behind_the_node == {"web-2": {"172.18.0.2"}}


def test_an_address_goes_with_its_service_and_the_next_one_gets_it(lab: Lab) -> None:
    free = "172.18.255.4:80"
    assert lab.verdicts(CUSTOMER, free) == {"unreachable": 1}
    lab.ok("apply", "-f", "-", text=LATER)
    assert address(lab, "later") == ["172.18.255.4"]
    assert comes_true(lambda: lab.verdicts(CUSTOMER, free) == {"reached": 1})
    lab.ok("apply", "-f", "-", text=LATER.replace("LoadBalancer", "NodePort"))
    assert address(lab, "later") == []
    assert comes_true(lambda: lab.verdicts(CUSTOMER, free) == {"unreachable": 1})
    lab.ok("apply", "-f", "-", text=LATER.replace("later", "latest"))
    assert address(lab, "latest") == ["172.18.255.4"]
    assert comes_true(lambda: lab.verdicts(CUSTOMER, free) == {"reached": 1})
    lab.ok("delete", "service", "later", "latest")
    assert comes_true(lambda: lab.verdicts(CUSTOMER, free) == {"unreachable": 1})
