"""Objects are shown as kubectl shows them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from netlab.cli.object_tables import LAYOUTS, age, table
from netlab.cli.output import columns
from netlab.model.objects import (
    KINDS,
    Deployment,
    EndpointSlice,
    Event,
    KubernetesObject,
    Namespace,
    Node,
    Pod,
    Service,
)
from netlab.model.topology import Topology

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AGES = [
    (0, "0s"),
    (119, "119s"),
    (120, "2m"),
    (310, "5m10s"),
    (601, "10m"),
    (10_740, "179m"),
    (10_800, "3h"),
    (11_100, "3h5m"),
    (100_000, "27h"),
    (345_600, "4d"),
]


def shown(kind: type[KubernetesObject], document: dict[str, object]) -> dict[str, str]:
    """The cells of a table of one object, by their headings."""
    value = kind.model_validate({"apiVersion": kind.API_VERSION, "kind": kind.__name__} | document)
    header, row = table(kind, [value]).splitlines()
    starts = [header.index(name) for name in LAYOUTS[kind][0]]
    ends = [*starts[1:], None]
    return {header[start:end].strip(): row[start:end].strip() for start, end in zip(starts, ends, strict=True)}


@pytest.mark.parametrize(("seconds", "text"), AGES, ids=[f"{s} seconds are {t}" for s, t in AGES])
def test_an_age_is_as_short_as_kubectl_s(seconds: int, text: str) -> None:
    since = (NOW - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    assert age(since, now=NOW) == text


def test_every_kind_can_be_shown() -> None:
    assert LAYOUTS.keys() == {*KINDS, Topology}


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert columns(("NAME", "IP"), [("web", ""), ("a-long-name", "10.0.0.1")]) == (
        "NAME          IP\nweb           <none>\na-long-name   10.0.0.1\n"
    )


def test_a_pod_shows_its_readiness_restarts_address_and_node() -> None:
    row = shown(
        Pod,
        {
            "metadata": {"name": "web"},
            "spec": {"nodeName": "node1", "containers": [{"name": "a"}, {"name": "b"}]},
            "status": {
                "phase": "Running",
                "podIPs": [{"ip": "10.244.0.2"}, {"ip": "fd00::2"}],
                "containerStatuses": [
                    {"name": "a", "ready": True, "restartCount": 2},
                    {"name": "b", "restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}}},
                ],
            },
        },
    )
    del row["AGE"]
    assert row == {
        "NAME": "web",
        "READY": "1/2",
        "STATUS": "CrashLoopBackOff",
        "RESTARTS": "3",
        "IP": "10.244.0.2,fd00::2",
        "NODE": "node1",
    }


@pytest.mark.parametrize(
    ("pod", "status"),
    [
        ({"status": {"phase": "Running"}}, "Running"),
        ({}, "Pending"),
        ({"metadata": {"name": "web", "deletionTimestamp": "2026-01-01T00:00:00Z"}}, "Terminating"),
    ],
)
def test_a_pod_s_status_is_what_happens_to_it(pod: dict[str, object], status: str) -> None:
    assert shown(Pod, {"metadata": {"name": "web"}} | pod)["STATUS"] == status


def test_a_service_shows_every_port_with_its_node_port() -> None:
    ports = [{"port": 80, "nodePort": 30080}, {"port": 53, "protocol": "UDP"}]
    row = shown(Service, {"metadata": {"name": "web"}, "spec": {"type": "NodePort", "ports": ports}})
    assert (row["TYPE"], row["PORT(S)"], row["EXTERNAL-IP"]) == ("NodePort", "80:30080/TCP,53/UDP", "<none>")


def test_a_load_balancer_without_an_address_is_pending() -> None:
    assert shown(Service, {"spec": {"type": "LoadBalancer"}})["EXTERNAL-IP"] == "<pending>"


def test_a_service_of_both_families_shows_both_addresses() -> None:
    row = shown(Service, {"spec": {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::1"]}})
    assert row["CLUSTER-IP"] == "10.96.0.1,fd00::1"


def test_a_slice_shows_three_endpoints_and_counts_the_others() -> None:
    endpoints = [{"addresses": [f"10.244.0.{number}"]} for number in range(2, 7)]
    row = shown(EndpointSlice, {"addressType": "IPv4", "endpoints": endpoints, "ports": [{"port": 8080}]})
    assert (row["PORTS"], row["ENDPOINTS"]) == ("8080", "10.244.0.2,10.244.0.3,10.244.0.4 + 2 more...")


def test_a_node_shows_whether_it_is_ready_and_its_pod_range() -> None:
    row = shown(
        Node,
        {
            "spec": {"podCIDRs": ["10.244.0.0/24"], "unschedulable": True},
            "status": {
                "addresses": [
                    {"type": "InternalIP", "address": "172.18.0.2"},
                    {"type": "Hostname", "address": "node1"},
                ],
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        },
    )
    assert (row["STATUS"], row["INTERNAL-IP"]) == ("Ready,SchedulingDisabled", "172.18.0.2")
    assert row["POD-CIDR"] == "10.244.0.0/24"


def test_a_deployment_shows_how_many_of_its_pods_are_ready() -> None:
    status = {"readyReplicas": 2, "availableReplicas": 2, "updatedReplicas": 3}
    row = shown(Deployment, {"spec": {"replicas": 3}, "status": status})
    assert (row["READY"], row["UP-TO-DATE"], row["AVAILABLE"]) == ("2/3", "3", "2")


def test_objects_of_several_namespaces_say_which_they_are_in() -> None:
    value = Pod.model_validate(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "dns", "namespace": "kube-system"}}
    )
    assert table(Pod, [value], with_namespace=True).splitlines()[1].startswith("kube-system   dns ")


def test_a_namespace_is_active() -> None:
    assert shown(Namespace, {"metadata": {"name": "default"}})["STATUS"] == "Active"


def test_an_event_shows_what_was_noticed_about_which_object_and_how_often() -> None:
    event = {
        "involvedObject": {"kind": "Service", "namespace": "default", "name": "web"},
        "type": "Warning",
        "reason": "BadPort",
        "message": "it has\nnone",
        "count": 3,
        "lastTimestamp": "2026-01-01T00:00:00Z",
    }
    row = shown(Event, event)
    assert row.pop("LAST SEEN").endswith("(x3)")
    assert row == {"TYPE": "Warning", "REASON": "BadPort", "OBJECT": "service/web", "MESSAGE": "it has none"}


def test_a_topology_shows_its_nodes_and_choices() -> None:
    row = shown(Topology, {"metadata": {"name": "two"}, "spec": {"nodes": [{"name": "a"}, {"name": "b"}]}})
    assert (row["NODES"], row["PROXY"], row["FABRIC"]) == ("a,b", "iptables", "routed")
