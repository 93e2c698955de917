"""What is sent to, and who must answer, as one writes it."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.model.objects import ObjectMeta, OwnerReference, Pod
from netlab.model.targets import Target, TargetKind, TargetProtocol, Workload, WorkloadKind

UDP, ICMP = TargetProtocol.UDP, TargetProtocol.ICMP
READ = {
    "service/web:80": Target(kind=TargetKind.SERVICE, name="web", port=80),
    "service/web:http": Target(kind=TargetKind.SERVICE, name="web", port="http"),
    "service/kube-system/dns:53/udp": Target(
        kind=TargetKind.SERVICE, name="dns", namespace="kube-system", port=53, protocol=UDP
    ),
    "service/web:80/sctp": Target(kind=TargetKind.SERVICE, name="web", port=80, protocol=TargetProtocol.SCTP),
    "pod/web-1:8080": Target(kind=TargetKind.POD, name="web-1", port=8080),
    "pod/udp:53": Target(kind=TargetKind.POD, name="udp", port=53),
    "pod/web-1/icmp": Target(kind=TargetKind.POD, name="web-1", protocol=ICMP),
    "pod/shop/icmp/icmp": Target(kind=TargetKind.POD, name="icmp", namespace="shop", protocol=ICMP),
    "node/node1:30080/udp": Target(kind=TargetKind.NODE, name="node1", port=30080, protocol=UDP),
    "external/client:80": Target(kind=TargetKind.EXTERNAL, name="client", port=80),
    "10.96.0.10:80": Target(kind=TargetKind.ADDRESS, address=ip_address("10.96.0.10"), port=80),
    "10.96.0.10/icmp": Target(kind=TargetKind.ADDRESS, address=ip_address("10.96.0.10"), protocol=ICMP),
    "[fd00::1]:80/udp": Target(kind=TargetKind.ADDRESS, address=ip_address("fd00::1"), port=80, protocol=UDP),
    "fd00::1/icmp": Target(kind=TargetKind.ADDRESS, address=ip_address("fd00::1"), protocol=ICMP),
}
REFUSED = {
    "": "names no port",
    "web": "names no port",
    "service/web": "names no port: write service/NAME:PORT",
    "fd00::1:80": "names no port",
    "pod/web:80/icmp": "ICMP has no ports: write pod/web/icmp",
    "pod/web:0": "port 0 is not between 1 and 65535",
    "pod/web:99999": "port 99999 is not between 1 and 65535",
    "pod/web:" + "9" * 5000: "port 999999999999 is not between 1 and 65535",
    "pod/web:Http": "'Http' is neither a port number nor the name of a port",
    "node/node1:http": "only Services and Pods have named ports",
    "10.0.0.1:http": "only Services and Pods have named ports",
    "node/a/b:80": "a node is in no namespace",
    "address/10.0.0.1:80": "is not a target",
    "deployment/web:80": "is not a target",
    "pod/Web:80": "is not a target",
    "pod//web:80": "is not a target",
    "10.0.0.300:80": "is not a target",
    "[fe80::1%eth0]:80": "means something on one machine alone",
    "[fd00::1:80": "names no port",
}


@pytest.mark.parametrize(("text", "target"), READ.items(), ids=READ.keys())
def test_a_target_is_read_and_written_back(text: str, target: Target) -> None:
    assert (Target.parse(text), str(target)) == (target, text)


@pytest.mark.parametrize(("text", "reason"), REFUSED.items(), ids=[text[:30] or "nothing" for text in REFUSED])
def test_what_is_no_target_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        Target.parse(text)
    assert reason in str(caught.value)


@given(st.one_of(st.text(max_size=30), st.text("servicpodn/:[].0123456789udpa", max_size=30)))
def test_any_text_is_a_target_that_reads_back_as_itself_or_a_value_error(text: str) -> None:
    try:
        target = Target.parse(text)
    except ValueError:
        return
    assert Target.parse(str(target)) == target


def test_tcp_may_be_said_and_goes_without_saying() -> None:
    assert Target.parse("service/web:80/tcp") == Target.parse("service/web:80")


def test_a_deployment_stands_for_the_pods_that_it_owns_in_its_namespace() -> None:
    owner = OwnerReference(api_version="apps/v1", kind="ReplicaSet", name="web-5d4f", uid="1")

    def pod(name: str, namespace: str, *owners: OwnerReference) -> Pod:
        labels = {"pod-template-hash": "5d4f"}
        return Pod(metadata=ObjectMeta(name=name, namespace=namespace, owner_references=owners, labels=labels))

    pods = [pod("web-1", "default", owner), pod("web-2", "shop", owner), pod("web-3", "default"), pod("web", "default")]
    assert [Workload.parse("deployment/web").includes(each) for each in pods] == [True, False, False, False]
    assert [Workload.parse("deployment/shop/web").includes(each) for each in pods] == [False, True, False, False]
    assert [Workload.parse("pod/web").includes(each) for each in pods] == [False, False, False, True]


@pytest.mark.parametrize("text", ["web", "node/node1", "pod/", "pod/a/b/c", "deployment/A", ""])
def test_what_names_no_pods_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="names no Pods: write pod/NAME or deployment/NAME"):
        Workload.parse(text)


def test_a_workload_is_written_as_it_is_read() -> None:
    assert str(Workload(kind=WorkloadKind.DEPLOYMENT, name="web", namespace="shop")) == "deployment/shop/web"
    assert str(Workload.parse("pod/web")) == "pod/web"
