"""One cause and one remedy: from objects and what flows were seen to do, in a table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from trace_files import predicted, small

from netlab.model.diagnosis import CauseName, Diagnosis
from netlab.model.journey import Flow
from netlab.trace import Foretold, Prediction, TracedLab
from netlab.trace.diagnosis import Evidence, diagnose

EXTERNALS = "{externals: [{name: outside}]}"


def pod(
    name: str, *, labels: str = "{app: web}", node: str = "node1", port: str = "containerPort: 8080, name: http"
) -> str:
    return f"""\
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {labels}}}
spec: {{nodeName: {node}, containers: [{{name: c, image: any, ports: [{{{port}}}]}}]}}
---
"""


def service(spec: str, *, name: str = "web") -> str:
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n---\n"


CLIENT = pod("client", labels="{role: client}")
WEB = "clusterIP: 10.96.0.80, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]"


def flow(way: Foretold) -> Flow:
    """A flow that fares as foretold."""
    return Flow(verdict=way.verdict, pod=way.pod, source_seen=way.source_seen)


def as_foretold(prediction: Prediction) -> Evidence:
    return Evidence(prediction=prediction, flows=tuple(map(flow, prediction.ways)))


def diagnosed(lab: TracedLab, from_: str, to: str) -> Diagnosis:
    return diagnose(as_foretold(predicted(lab, from_, to)))


@dataclass(frozen=True)
class Case:
    objects: str
    cause: CauseName | None
    remedy: str = ""
    from_: str = "pod/client"
    to: str = "service/web:80"


IN_OBJECTS = {
    "nothing is wrong": Case(pod("web-1") + service(WEB), None),
    "a selector that is a slip": Case(
        pod("web-1") + service(WEB.replace("app: web", "app: wbe")),
        CauseName.SELECTOR_MATCHES_NOTHING,
        "set spec.selector of Service default/web to {app: web}",
    ),
    "a selector like nobody's labels": Case(
        pod("web-1") + service(WEB.replace("app: web", "colour: green")),
        CauseName.SELECTOR_MATCHES_NOTHING,
        "give the Pods the labels colour=green, or spec.selector of Service default/web theirs",
    ),
    "no selector": Case(
        service("clusterIP: 10.96.0.80, ports: [{port: 80}]"),
        CauseName.SELECTOR_MISSING,
        "give Service default/web a spec.selector, or write an EndpointSlice for it",
    ),
    "a selector that also matches a Pod without the port": Case(
        pod("web-1") + pod("cache", port="containerPort: 6379") + service(WEB),
        CauseName.SELECTOR_TOO_BROAD,
        "add to spec.selector of Service default/web a label that only the Pods have that are meant",
    ),
    "a named port that no Pod has": Case(
        pod("web-1") + service(WEB.replace("8080", "htpp")),
        CauseName.NAMED_PORT_MISSING,
        "name a port of the containers so, or set targetPort of Service default/web to http",
    ),
    "a targetPort where nobody listens": Case(
        pod("web-1") + service(WEB.replace("8080", "8081")),
        CauseName.WRONG_TARGET_PORT,
        "set targetPort of port 80 of Service default/web to 8080",
    ),
    "a Service of UDP before a Pod of TCP": Case(
        pod("web-1") + service(WEB.replace("8080", "8080, protocol: UDP")),
        CauseName.PROTOCOL_MISMATCH,
        "set protocol: TCP in Service default/web",
        to="service/web:80/udp",
    ),
    "asked in another protocol": Case(
        pod("web-1") + service(WEB),
        CauseName.PROTOCOL_MISMATCH,
        "ask for port 80/tcp, or set protocol: UDP in Service default/web",
        to="service/web:80/udp",
    ),
    "a port that the Service has not": Case(
        pod("web-1") + service(WEB),
        CauseName.PORT_NOT_SERVED,
        "ask for one that Service default/web has: 80/tcp",
        to="10.96.0.80:81",
    ),
    "a port that the Pod has not": Case(
        pod("web-1"),
        CauseName.NOTHING_LISTENS,
        "ask for a port that the Pod has, or start what should listen",
        to="pod/web-1:9",
    ),
    "policy Local, inside": Case(
        pod("web-1", node="node2") + service(f"{WEB}, internalTrafficPolicy: Local"),
        CauseName.INTERNAL_POLICY_LOCAL,
        "set spec.internalTrafficPolicy of Service default/web to Cluster, or run one of its Pods on node1",
    ),
    "policy Local, outside": Case(
        pod("web-1", node="node2")
        + service(
            f"{WEB[:-1]}".replace("8080}", "8080, nodePort: 30080}]") + ", type: NodePort, externalTrafficPolicy: Local"
        ),
        CauseName.EXTERNAL_POLICY_LOCAL,
        "set spec.externalTrafficPolicy of Service default/web to Cluster, or run one of its Pods on node1",
        from_="external/outside",
        to="node/node1:30080",
    ),
    "a ClusterIP from outside": Case(
        pod("web-1") + service(WEB),
        CauseName.CLUSTER_ADDRESS_OUTSIDE,
        "ask for a node port (node/NAME:PORT) or the address of a load balancer, or from inside the cluster",
        from_="external/outside",
    ),
    "an address of the Service range that nobody has": Case(
        pod("web-1"),
        CauseName.NOBODY_HAS_ADDRESS,
        "ask for an address that somebody has: netlab get services,pods,nodes shows them",
        to="10.96.3.3:80",
    ),
}


@pytest.mark.parametrize("case", IN_OBJECTS.values(), ids=IN_OBJECTS)
def test_what_stands_in_the_objects_is_named_with_its_remedy(case: Case) -> None:
    found = diagnosed(small(CLIENT + case.objects, EXTERNALS), case.from_, case.to)
    assert (found.cause, found.remedy or "") == (case.cause, case.remedy)
    assert bool(found.explanation) == bool(case.cause)


def test_pods_that_are_not_ready_are_named() -> None:
    traced = small(CLIENT + pod("web-1") + service(WEB), EXTERNALS)
    view = traced.view
    sleeping = [
        each.model_copy(update={"status": each.status.model_copy(update={"conditions": ()})})
        if each.metadata.name == "web-1"
        else each
        for each in view.pods
    ]
    pieces = tuple(
        piece.model_copy(
            update={
                "endpoints": tuple(
                    e.model_copy(update={"conditions": e.conditions.model_copy(update={"ready": False})})
                    for e in piece.endpoints
                )
            }
        )
        for piece in view.endpoint_slices
    )
    lab = TracedLab(replace(view, pods=tuple(sleeping), endpoint_slices=pieces))
    found = diagnosed(lab, "pod/client", "service/web:80")
    assert found.cause is CauseName.READINESS_FAILING
    assert "its Pod web-1 is not ready" in (found.explanation or "")


def test_every_cause_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "why.md").read_text()
    assert [name.value for name in CauseName if f"`{name}`" not in page] == []
