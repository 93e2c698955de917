"""What commands print with `-o json`, and how they end: tools and lessons are written against it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from netlab_command import PREFIX, Caller, Lab, topology

NAME = f"{PREFIX}-reports"
ADDRESS_AND_PORT = re.compile(r"\d+\.\d+\.\d+\.\d+:\d+")


@pytest.fixture(scope="module")
def lab(user: Caller) -> Iterator[Lab]:
    with user.lab(NAME, topology("two-nodes", name=NAME)) as up:
        yield up


def problem_of(text: str) -> dict[str, object]:
    """The one problem that standard error tells as JSON."""
    document = json.loads(text)
    assert document["apiVersion"] == "netlab/v1"
    assert document["kind"] == "Error"
    (problem,) = document["problems"]
    assert set(problem) == {"file", "line", "column", "path", "message", "suggestion"}
    found: dict[str, object] = problem
    return found


def test_a_probe_that_reaches_says_who_answered_and_what_became_of_the_packet(lab: Lab) -> None:
    result = lab.json("probe", "pod/shell", "service/web:80", "--count", "20")
    assert result.keys() >= {"apiVersion", "kind", "from", "to", "flows", "summary"}
    assert (result["apiVersion"], result["kind"]) == ("netlab/v1", "ProbeResult")
    assert (result["from"], result["to"]) == ("pod/shell", "service/web:80")
    pods = {pod["name"]: pod["address"] for pod in lab.json("status")["pods"]}
    assert len(result["flows"]) == 20
    for flow in result["flows"]:
        assert flow.keys() == {"verdict", "pod", "sourceSeen", "milliseconds", "translated"}
        assert flow["verdict"] == "reached"
        assert flow["sourceSeen"] == pods["shell"]
        assert 0 < flow["milliseconds"] < 1000
        assert flow["translated"] == {"from": "10.96.0.80:80", "to": f"{pods[flow['pod']]}:8080"}
    assert result["summary"].keys() == {"verdicts", "pods"}
    assert result["summary"]["verdicts"] == {"reached": 20}
    assert result["summary"]["pods"].keys() == {"web-1", "web-2"}
    assert sum(result["summary"]["pods"].values()) == 20


def test_a_probe_from_outside_tells_the_address_that_the_pod_saw(lab: Lab) -> None:
    own = lab.ok("exec", "external/client", "--", "hostname", "-I").split()
    result = lab.json("probe", "external/client", "node/node1:30080", "--count", "20")
    seen = {flow["sourceSeen"] for flow in result["flows"]}
    assert seen
    assert seen.isdisjoint(own), "the node masquerades who comes from outside"
    assert all(ADDRESS_AND_PORT.fullmatch(flow["translated"]["to"]) for flow in result["flows"])


@pytest.mark.parametrize(
    ("target", "verdict", "pod"),
    [
        ("pod/web-1:9", "refused", "web-1"),
        ("10.96.0.80:81", "unreachable", None),
        ("203.0.113.9:80", "unreachable", None),
        ("pod/web-2:8080/udp", "refused", "web-2"),
    ],
)
def test_a_probe_that_reaches_nobody_ends_with_1_and_says_how(
    lab: Lab, target: str, verdict: str, pod: str | None
) -> None:
    done = lab.run("probe", "pod/shell", target, "-o", "json")
    (flow,) = json.loads(done.out)["flows"]
    assert (done.status, flow["verdict"], flow["pod"]) == (1, verdict, pod)
    expected = lab.run("probe", "pod/shell", target, "--expect", verdict)
    assert (expected.status, verdict in expected.out) == (0, True)
    assert lab.run("probe", "pod/shell", target, "--expect", "dropped").status == 1


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("pod/nobody", "service/web:80"), 4),
        (("pod/shell", "service/nothing:80"), 4),
        (("pod/shell", "pod/nothing:80"), 4),
        (("node/node9", "service/web:80"), 4),
        (("external/nobody", "service/web:80"), 4),
        (("pod/shell", "service/web"), 2),
        (("pod/shell", "service/web:http"), 4),
        (("pod/shell", "service/web:99999"), 2),
        (("machine/shell", "service/web:80"), 2),
        (("pod/shell", "10.96.0.80"), 2),
        (("pod/shell", "service/web:80", "--count", "0"), 2),
        (("pod/shell",), 2),
    ],
)
def test_a_probe_of_what_there_is_not_tells_its_problem_as_json(
    lab: Lab, arguments: tuple[str, ...], status: int
) -> None:
    done = lab.run("probe", *arguments, "-o", "json")
    assert (done.status, done.out) == (status, "")
    assert problem_of(done.err)["message"]


def test_a_check_says_each_expectation_and_ends_with_1_if_one_does_not_hold(lab: Lab) -> None:
    done = lab.caller.run("check", NAME, "-o", "json")
    result = json.loads(done.out)
    assert (done.status, done.err) == (0, "")
    assert result.keys() == {"apiVersion", "kind", "lab", "passed", "results"}
    assert (result["kind"], result["lab"], result["passed"]) == ("CheckResult", NAME, True)
    assert all(each.keys() == {"expectation", "passed", "observed"} for each in result["results"])
    lab.ok("delete", "service", "web-outside")
    try:
        failed = lab.caller.run("check", NAME, "-o", "json")
        assert failed.status == 1
        assert {each["expectation"] for each in json.loads(failed.out)["results"] if not each["passed"]} == {
            f"external/client -> node/node{number}:30080 reaches pod/web-1, pod/web-2" for number in (1, 2)
        }
        assert "FAILED   external/client" in lab.caller.run("check", NAME).out
    finally:
        lab.up()


def test_status_tells_of_nodes_proxies_pods_and_services(lab: Lab) -> None:
    status = lab.json("status")
    assert status.keys() >= {"apiVersion", "kind", "lab", "phase", "rootless", "nodes", "pods", "services"}
    assert (status["kind"], status["lab"], status["phase"]) == ("LabStatus", NAME, "Running")
    assert status["rootless"] is not lab.caller.is_root
    for node in status["nodes"]:
        assert node.keys() >= {"name", "address", "podCIDR", "proxyMode", "proxy"}
        assert node["proxyMode"] == "iptables"
        assert node["proxy"].keys() >= {"synced", "rules", "lastSyncSeconds"}
        assert node["proxy"]["synced"] is True
        assert node["proxy"]["rules"] > 10
    assert all(pod.keys() >= {"name", "namespace", "node", "address", "ready"} for pod in status["pods"])
    assert {pod["name"]: pod["node"] for pod in status["pods"] if pod["namespace"] == "default"} == {
        "shell": "node1",
        "web-1": "node1",
        "web-2": "node2",
    }
    web = next(service for service in status["services"] if service["name"] == "web")
    assert (web["clusterIP"], web["ports"], web["endpoints"]) == ("10.96.0.80", ["80/TCP"], 2)


def test_ls_names_the_lab_its_phase_and_its_folder(lab: Lab) -> None:
    listed = lab.caller.json("ls")
    assert (listed["apiVersion"], listed["kind"]) == ("netlab/v1", "LabList")
    own = [each for each in listed["labs"] if each["name"] == NAME]
    assert own == [{"name": NAME, "phase": "Running", "directory": str(lab.directory)}]


@pytest.mark.parametrize(
    ("spellings", "kind", "names"),
    [
        (("nodes", "node", "no"), "Node", {"node1", "node2"}),
        (("pods", "pod", "po", "Pods"), "Pod", {"shell", "web-1", "web-2"}),
        (("services", "service", "svc"), "Service", {"web", "web-outside"}),
        (("namespaces", "ns"), "Namespace", {"default"}),
        (("topologies", "topology"), "Topology", {NAME}),
        (("deployments", "deploy"), "Deployment", set()),
    ],
)
def test_get_lists_objects_of_a_kind_as_kubernetes_does(
    lab: Lab, spellings: tuple[str, ...], kind: str, names: set[str]
) -> None:
    for spelling in spellings:
        document = lab.json("get", spelling)
        assert (document["apiVersion"], document["kind"]) == ("v1", "List")
        assert {item["kind"] for item in document["items"]} <= {kind}
        assert {item["metadata"]["name"] for item in document["items"]} >= names
        for item in document["items"]:
            assert item.keys() >= {"apiVersion", "kind", "metadata"}
            assert item["metadata"].keys() >= {"name", "uid", "resourceVersion", "creationTimestamp"}


def test_get_of_a_services_slices_shows_where_its_pods_are(lab: Lab) -> None:
    items = lab.json("get", "endpointslices", "--selector", "kubernetes.io/service-name=web")["items"]
    addresses = {address for item in items for endpoint in item["endpoints"] for address in endpoint["addresses"]}
    assert addresses == {p["address"] for p in lab.json("status")["pods"] if p["name"].startswith("web-")}
    assert {item["apiVersion"] for item in items} == {"discovery.k8s.io/v1"}


def test_what_get_prints_can_be_applied_again(lab: Lab) -> None:
    before = lab.json("get", "service", "web")
    assert lab.ok("apply", "-f", "-", text=json.dumps(before)).startswith("service/web ")
    after = lab.json("get", "service", "web")
    assert after["spec"] == before["spec"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("get", "pod", "nobody"), 4, "nobody"),
        (("get", "gadgets"), 2, "there is no kind 'gadgets'"),
        (("get", "servics"), 2, "there is no kind 'servics'"),
        (("status", "-l", "nljny-nowhere"), 4, "nljny-nowhere"),
        (("up", "/no/such/file.yaml"), 2, "there is no such file"),
        (("validate", "/no/such/file.yaml"), 2, "there is no such file"),
        (("frobnicate",), 2, "frobnicate"),
        (("ls", "--frobnicate"), 2, "--frobnicate"),
    ],
)
def test_an_error_is_json_on_standard_error_alone_where_json_is_asked_for(
    lab: Lab, arguments: tuple[str, ...], status: int, said: str
) -> None:
    chosen = ("-l", NAME) if arguments[0] == "get" else ()
    done = lab.caller.run(*arguments, *chosen, "-o", "json")
    assert (done.status, done.out) == (status, "")
    assert said in str(problem_of(done.err)["message"])


def test_every_problem_of_a_file_is_told_with_its_place_and_nothing_is_started(user: Caller) -> None:
    bad = topology("two-nodes", name=f"{PREFIX}-bad").replace("nodeName: node2", "nodeName: node7")
    bad = bad.replace("nodePort: 30080", "nodePort: 80", 1)
    file = user.file("bad.yaml", bad)
    done = user.run("up", str(file), "-o", "json")
    problems = json.loads(done.err)["problems"]
    assert (done.status, done.out) == (2, "")
    assert {problem["path"] for problem in problems} == {"spec.nodeName", "spec.ports[0].nodePort"}
    for problem in problems:
        line = bad.splitlines()[problem["line"] - 1]
        assert problem["file"] == str(file)
        assert line[problem["column"] - 1 :].startswith(("node7", "80"))
    assert not (user.runtime / f"{PREFIX}-bad").exists()


def test_json_is_the_only_thing_on_standard_output_of_up_and_progress_is_on_the_other(user: Caller) -> None:
    name = f"{PREFIX}-json"
    done = user.run("up", "-", "-o", "json", text=topology("minimal", name=name))
    try:
        assert json.loads(done.out)["kind"] == "LabStatus"
        assert "starting the lab process\n" in done.err
    finally:
        user.run("down", name)
