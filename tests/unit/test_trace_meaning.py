"""What the end of a packet means, in a sentence that says what to do."""

from __future__ import annotations

import pytest
from trace_files import lab, predicted, small

from netlab.model.modes import ProxyMode

POD = """\
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}, labels: {labels}}}
spec:
  nodeName: node1
  containers: [{{name: c, image: any, ports: [{{containerPort: 8080, name: http}}]}}]
---
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{clusterIP: 10.96.0.80, {spec}}}
"""
PORTS = "ports: [{port: 80, targetPort: 8080}]"


def meaning(*, pods: tuple[str, ...] = (), service: str, to: str = "service/web:80") -> str | None:
    """What is said of a packet from the Pod `client`."""
    client = POD.format(name="client", namespace="default", labels="{role: client}")
    prediction = predicted(small(client + "".join(pods) + SERVICE.format(spec=service)), "pod/client", to)
    return prediction.meaning(prediction.first)


def web(*, labels: str = "{app: web}", namespace: str = "default") -> str:
    return POD.format(name="web-1", namespace=namespace, labels=labels)


def test_a_selector_that_is_a_slip_is_put_right() -> None:
    said = meaning(pods=(web(),), service=f"selector: {{app: wbe}}, {PORTS}")
    assert said == ("Service default/web has no ready endpoint; selector app=wbe matches no Pod; did you mean app=web?")


def test_a_selector_with_two_terms_keeps_the_one_that_is_right() -> None:
    said = meaning(
        pods=(web(labels="{app: web, tier: front}"),), service=f"selector: {{app: web, tier: fornt}}, {PORTS}"
    )
    assert said is not None
    assert said.endswith("did you mean app=web,tier=front?")


def test_a_selector_that_resembles_nothing_is_left_alone() -> None:
    said = meaning(pods=(web(),), service=f"selector: {{colour: green}}, {PORTS}")
    assert said == "Service default/web has no ready endpoint; selector colour=green matches no Pod."


def test_pods_in_another_namespace_do_not_count_and_are_pointed_at() -> None:
    namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n"
    said = meaning(pods=(namespace, web(namespace="shop")), service=f"selector: {{app: web}}, {PORTS}")
    assert said is not None
    assert said.endswith("matches no Pod in namespace default; namespace shop has such Pods.")


def test_a_target_port_by_a_name_that_no_pod_has() -> None:
    said = meaning(pods=(web(),), service="selector: {app: web}, ports: [{port: 80, targetPort: htp}]")
    assert said == (
        "Service default/web has no ready endpoint: none of its Pods has a port called htp; did you mean http?"
    )


def test_a_target_port_by_a_number_that_nobody_listens_on() -> None:
    said = meaning(pods=(web(),), service="selector: {app: web}, ports: [{port: 80, targetPort: 9090}]")
    assert said == (
        "Nobody in Pod web-1 listens on port 9090/tcp; it has 8080/tcp. "
        "Port 80 of Service default/web leads there: is its targetPort right?"
    )


def test_a_service_without_selector_needs_a_slice() -> None:
    said = meaning(service="ports: [{port: 80}]")
    assert said == "Service default/web has no endpoint: it has no selector, and nobody wrote an EndpointSlice for it."


SENTENCES = [
    (
        "nodeport",
        "external/client",
        "node/node2:30081",
        None,
        "Service default/web-local keeps traffic on its node (externalTrafficPolicy: Local), and node2 has no ready "
        "endpoint of it; node1 has some.",
    ),
    (
        "load-balancer",
        "external/stranger",
        "172.18.255.3:80",
        None,
        "(loadBalancerSourceRanges); 172.18.0.200 is not in there.",
    ),
    ("two-nodes", "pod/shell", "service/web:81", None, "Service default/web has no port 81/tcp; it has 80/tcp"),
    ("two-nodes", "pod/shell", "10.96.0.80:81", ProxyMode.NFTABLES, "has no port 81/tcp; it has 80/tcp"),
    ("two-nodes", "pod/shell", "10.96.99.99:80", None, "No Service has the address 10.96.99.99"),
    ("two-nodes", "pod/shell", "10.96.99.99:80", ProxyMode.NFTABLES, "No Service has the address 10.96.99.99."),
    ("two-nodes", "pod/shell", "pod/web-1:9999", None, "Nobody in Pod web-1 listens on port 9999/tcp; it has 8080/tcp"),
    ("two-nodes", "pod/shell", "10.244.9.9:80", None, "No Pod has the address 10.244.9.9"),
    ("two-nodes", "pod/shell", "10.244.0.99:80", None, "Nobody has the address 10.244.0.99"),
    (
        "two-nodes",
        "external/client",
        "pod/web-1:8080",
        None,
        "is the address of Pod web-1, which means something inside",
    ),
    ("two-nodes", "external/client", "service/web:80", None, "from outside use a node port or a load balancer"),
    ("two-nodes", "external/client", "node/node1:30090", None, "did you mean 30080 of Service default/web-outside?"),
    (
        "two-nodes",
        "node/node1",
        "127.0.0.1:30080",
        ProxyMode.NFTABLES,
        "has the node port 30080, which in mode nftables does not answer at 127.0.0.1:30080.",
    ),
    ("ipvs", "external/client", "node/node2:30082", None, "The answer comes from 10.244.0.3, which external/client"),
]


@pytest.mark.parametrize(("file", "from_", "to", "mode", "said"), SENTENCES)
def test_a_sentence_for_each_end(file: str, from_: str, to: str, mode: ProxyMode | None, said: str) -> None:
    prediction = predicted(lab(file, mode), from_, to)
    meaning_ = prediction.meaning(prediction.first)
    assert meaning_ is not None
    assert said in meaning_


def test_of_what_arrives_there_is_nothing_to_say() -> None:
    prediction = predicted(lab("two-nodes"), "pod/shell", "service/web:80")
    assert [prediction.meaning(way) for way in prediction.ways] == [None, None]
