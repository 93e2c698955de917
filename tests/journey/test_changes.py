"""What changes while a lab runs reaches every node's rules by watch, and the packets follow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from netlab_command import PREFIX, Caller, Lab, comes_true

NODES = ("n1", "n2")
FILE = """
apiVersion: netlab/v1
kind: Topology
metadata: {{name: {name}}}
spec:
  nodes: [{nodes}]
  externals: [{{name: client}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: many}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: many}}}}
  template:
    metadata: {{labels: {{app: many}}}}
    spec: {{containers: [{{name: web, ports: [{{containerPort: 8080}}]}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: many}}
spec: {{clusterIP: 10.96.0.50, selector: {{app: many}}, ports: [{{port: 80, targetPort: 8080}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{clusterIP: 10.96.0.80, selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: shell}}
spec: {{nodeName: n1, containers: [{{name: shell, command: [sleep, infinity]}}]}}
"""
WEB = """---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: web}}}}
spec:
  nodeName: {node}
  containers:
    - name: web
      ports: [{{containerPort: {port}}}]
      readinessProbe: {{httpGet: {{path: /readyz, port: {port}}}, periodSeconds: 1, failureThreshold: 1}}
"""
EXTRA = """
apiVersion: v1
kind: Service
metadata: {name: extra}
spec: {clusterIP: 10.96.0.99, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""


def pod(name: str, node: str, *, port: int = 8080) -> str:
    return WEB.format(name=name, node=node, port=port)


def text(name: str, *pods: str, nodes: tuple[str, ...] = NODES) -> str:
    """The file of a lab with these Pods beside those that are always there."""
    listed = ", ".join(f"{{name: {node}}}" for node in nodes)
    return "".join([FILE.format(name=name, nodes=listed), *pods])


WEB_1, WEB_2 = pod("web-1", "n1"), pod("web-2", "n2")


@pytest.fixture(scope="module")
def lab(root: Caller) -> Iterator[Lab]:
    """A lab that every test leaves as it found it."""
    with root.lab(f"{PREFIX}-changes", text(f"{PREFIX}-changes", WEB_1, WEB_2)) as up:
        yield up


def rules_everywhere(lab: Lab, text: str, *, count: int | None = None, nodes: tuple[str, ...] = NODES) -> bool:
    """Whether every node's rules have `text` in them, or have it in exactly `count` lines."""
    lines = [sum(text in line for line in lab.rules(node).splitlines()) for node in nodes]
    return all(found > 0 if count is None else found == count for found in lines)


def uids(lab: Lab) -> dict[str, str]:
    """Every object's identity."""
    kinds = ("nodes", "pods", "services")
    return {
        f"{kind}/{item['metadata']['name']}": item["metadata"]["uid"]
        for kind in kinds
        for item in lab.json("get", kind)["items"]
    }


@pytest.mark.root
def test_a_service_that_is_created_reaches_every_node_and_one_that_is_deleted_leaves_it(lab: Lab) -> None:
    assert lab.ok("apply", "-f", "-", text=EXTRA) == "service/extra created\n"
    assert comes_true(lambda: rules_everywhere(lab, "-d 10.96.0.99/32"))
    for source in ("pod/shell", "node/n1", "node/n2"):
        assert lab.answering(source, "service/extra:80") == {"web-1", "web-2"}
    lab.ok("delete", "service", "extra")
    assert comes_true(lambda: rules_everywhere(lab, "10.96.0.99", count=0))
    assert lab.verdicts("pod/shell", "10.96.0.99:80") == {"unreachable": 1}


@pytest.mark.root
def test_a_service_that_changes_its_port_and_selector_is_followed(lab: Lab) -> None:
    lab.ok("apply", "-f", "-", text=EXTRA)
    lab.ok("apply", "-f", "-", text=EXTRA.replace("port: 80,", "port: 81,").replace("app: web", "app: many"))
    assert comes_true(lambda: rules_everywhere(lab, "--dport 81 "))
    assert all(name.startswith("many-") for name in lab.answering("node/n2", "service/extra:81"))
    assert lab.verdicts("node/n2", "10.96.0.99:80") == {"unreachable": 1}
    lab.ok("delete", "-f", "-", text=EXTRA)
    assert comes_true(lambda: rules_everywhere(lab, "10.96.0.99", count=0))


@pytest.mark.root
def test_a_deployment_that_is_scaled_takes_every_nodes_rules_along(lab: Lab) -> None:
    for replicas in (5, 1, 0, 2):
        lab.ok("scale", "deployment/many", "--replicas", str(replicas))
        reached = comes_true(lambda n=replicas: rules_everywhere(lab, '"default/many ->', count=n))
        assert reached, f"{replicas} Pods, rules: {lab.rules('n1')}"
        if replicas:
            assert len(lab.answering("pod/shell", "service/many:80", count=20 * replicas)) == replicas
        else:
            assert lab.verdicts("pod/shell", "service/many:80") == {"refused": 1}


def set_ready(lab: Lab, pod: str, *, ready: str) -> None:
    """Tell a Pod's server what its readiness probe shall hear."""
    url = "http://127.0.0.1:8080/readyz"
    lab.ok("exec", pod, "--", "curl", "--fail", "--silent", "-X", "POST", "-d", ready, url)


@pytest.mark.root
def test_a_pod_that_fails_its_readiness_probe_leaves_the_rules_and_comes_back(lab: Lab) -> None:
    address = next(each["address"] for each in lab.json("status")["pods"] if each["name"] == "web-1")
    set_ready(lab, "pod/web-1", ready="false")
    assert comes_true(lambda: rules_everywhere(lab, address, count=0))
    assert lab.answering("pod/shell", "service/web:80") == {"web-2"}
    assert lab.answering("pod/shell", "pod/web-1:8080") == {"web-1"}, "it serves all the same"
    set_ready(lab, "pod/web-1", ready="true")
    assert comes_true(lambda: rules_everywhere(lab, address))
    assert lab.answering("pod/shell", "service/web:80") == {"web-1", "web-2"}


@pytest.mark.root
def test_a_node_that_the_file_gains_takes_part_and_one_that_it_loses_is_gone(lab: Lab) -> None:
    before = uids(lab)
    three = (*NODES, "n3")
    lab.up(text(lab.name, WEB_1, WEB_2, pod("web-3", "n3"), nodes=three))
    assert before.items() <= uids(lab).items(), "nothing else was made anew"
    assert rules_everywhere(lab, "-d 10.96.0.80/32", nodes=three), "up waits for the new node's rules"
    assert lab.answering("pod/shell", "service/web:80", count=60) == {"web-1", "web-2", "web-3"}
    assert lab.answering("node/n3", "service/web:80", count=60) == {"web-1", "web-2", "web-3"}
    assert lab.answering("pod/web-3", "pod/web-1:8080") == {"web-1"}
    lab.up(text(lab.name, WEB_1, WEB_2))
    assert uids(lab) == before
    assert lab.answering("pod/shell", "service/web:80") == {"web-1", "web-2"}
    assert lab.run("exec", "node/n3", "--", "true").status == 4
    assert [node["name"] for node in lab.json("status")["nodes"]] == list(NODES)


@pytest.mark.root
def test_an_object_that_the_file_loses_goes_and_one_that_was_applied_stays(lab: Lab) -> None:
    lab.ok("apply", "-f", "-", text=EXTRA)
    before = uids(lab)
    lab.up(text(lab.name, WEB_1))
    gone = before.keys() - uids(lab).keys()
    assert gone == {"pods/web-2"}
    assert lab.answering("pod/shell", "service/extra:80") == {"web-1"}
    assert lab.answering("pod/shell", "service/web:80") == {"web-1"}
    lab.up(text(lab.name, WEB_1, WEB_2))
    lab.ok("delete", "service", "extra")
    assert lab.answering("pod/shell", "service/web:80") == {"web-1", "web-2"}


@pytest.mark.root
def test_a_pod_that_the_file_changes_is_made_anew_and_no_other(lab: Lab) -> None:
    before = uids(lab)
    lab.up(text(lab.name, WEB_1, pod("web-2", "n2", port=9090)))
    after = uids(lab)
    assert {key for key in before if before[key] != after.get(key)} == {"pods/web-2"}
    assert lab.answering("pod/shell", "pod/web-2:9090") == {"web-2"}
    assert lab.verdicts("pod/shell", "pod/web-2:8080") == {"refused": 1}
    lab.up(text(lab.name, WEB_1, WEB_2))
    assert lab.answering("pod/shell", "pod/web-2:8080") == {"web-2"}


@pytest.mark.root
def test_up_on_a_lab_that_matches_its_file_changes_nothing(lab: Lab) -> None:
    def everything() -> tuple[object, ...]:
        return uids(lab), [lab.rules(node).splitlines() for node in NODES], lab.processes()

    before = everything()
    lab.up()
    assert everything() == before


@pytest.mark.root
def test_a_network_that_the_file_changes_is_refused_and_the_lab_stays_as_it_was(lab: Lab) -> None:
    before = uids(lab)
    changed = text(lab.name, WEB_1).replace("spec:\n  nodes", "spec:\n  network: {fabric: vxlan}\n  nodes", 1)
    done = lab.caller.run("up", "-", text=changed)
    assert done.status == 2
    assert "spec.network: cannot change while lab" in done.err
    assert "netlab down" in done.err
    assert uids(lab) == before


@pytest.mark.root
@pytest.mark.parametrize("command", ["break", "heal"])
@pytest.mark.parametrize("node", ["n3", "external/client"])
def test_a_fault_on_what_is_no_node_is_refused(lab: Lab, command: str, node: str) -> None:
    done = lab.run(command, "kube-proxy-stopped", "--on", node)
    assert (done.status, done.out) in ((4, ""), (2, ""))
    assert done.err.startswith("netlab: ")
    assert lab.json("status")["phase"] == "Running"
