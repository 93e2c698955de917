"""What a file that is right becomes, and what the doors say to what is no such file."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from netlab.errors import InvalidInput
from netlab.load import load_lab, load_manifests, load_objects, parse_lab
from netlab.load.compose import COPY_LIMIT, DEPTH_LIMIT, compose
from netlab.load.scalars import resolve
from netlab.load.source import SIZE_LIMIT
from netlab.load.tree import Plain, Report, plain
from netlab.model.modes import ProxyMode
from netlab.model.objects import Deployment, Pod, Service
from netlab.model.topology import Expectation, Fabric, PodLink

TOPOLOGIES = sorted((Path(__file__).parents[2] / "topologies").glob("*.yaml"))
SMALLEST = """\
apiVersion: netlab/v1
kind: Topology
metadata: {name: small}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: web, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""
TOPOLOGY, POD, SERVICE = SMALLEST.split("---\n")
PASTED = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
  creationTimestamp: null
  annotations: {"deployment.kubernetes.io/revision": "1"}
spec:
  replicas: 3
  revisionHistoryLimit: 10
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 0}}
  selector:
    matchLabels: {app: shop}
    matchExpressions: [{key: tier, operator: In, values: [front, back]}]
  template:
    metadata: {labels: {app: shop, tier: front}}
    spec:
      serviceAccountName: shop
      securityContext: {runAsUser: 1000, sysctls: [{name: net.core.somaxconn, value: "1024"}]}
      tolerations: [{key: dedicated, operator: Exists, effect: NoSchedule}]
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            - {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: shop}}}
      volumes:
        - {name: config, configMap: {name: shop, defaultMode: 0644}}
        - {name: scratch, emptyDir: {sizeLimit: 500Mi}}
      initContainers: [{name: wait, image: busybox, command: [sh, -c, "true"]}]
      containers:
        - name: shop
          image: example.org/shop:1.2
          imagePullPolicy: IfNotPresent
          resources: {limits: {cpu: 0.5, memory: 64Mi}, requests: {cpu: 100m, memory: 64}}
          env:
            - {name: MODE, value: "on"}
            - {name: WHO, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
          volumeMounts: [{name: config, mountPath: /etc/shop, readOnly: true}]
          livenessProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 5}
          readinessProbe: {grpc: {port: 9000}}
          lifecycle: {preStop: {sleep: {seconds: 5}}}
          ports: [{name: http, containerPort: 8080}, {name: grpc, containerPort: 9000}]
"""


def values(text: str) -> tuple[list[Plain], list[str]]:
    """What a text says as plain values, and what is wrong with it."""
    report = Report("text.yaml")
    nodes, _ = compose(text, report)
    return [plain(node) for node in nodes], [str(problem) for problem in report.errors]


def problems_of(path: Path) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        load_lab(path)
    return [str(problem).replace(str(path), "FILE") for problem in caught.value.problems]


@pytest.mark.parametrize("path", TOPOLOGIES, ids=[path.stem for path in TOPOLOGIES])
def test_each_topology_is_valid_tells_what_one_learns_and_proves_itself(path: Path) -> None:
    lab = load_lab(path)
    header = path.read_text().split("apiVersion")[0]
    assert lab.topology.metadata.name == path.stem
    assert lab.topology.spec.expect
    assert "# You learn: " in header
    assert "# Try:" in header


def test_no_topology_warns_except_those_that_show_services_without_pods() -> None:
    warned = {path.stem: [problem.path for problem in load_lab(path).warnings] for path in TOPOLOGIES}
    assert {name: paths for name, paths in warned.items() if paths} == {
        "nftables": ["spec.selector"],
        "no-endpoints": ["spec.selector"],
    }


def test_the_topologies_between_them_use_every_fabric_and_every_pod_link() -> None:
    networks = [load_lab(path).topology.spec.network for path in TOPOLOGIES]
    assert ({n.fabric for n in networks}, {n.pod_link for n in networks}) == (set(Fabric), set(PodLink))


def test_the_smallest_lab_is_a_name_a_pod_and_a_service_and_has_two_nodes() -> None:
    lab = parse_lab(SMALLEST, file="small.yaml")
    pod, service = lab.objects
    assert [node.name for node in lab.topology.spec.nodes] == ["node1", "node2"]
    assert lab.topology.spec.proxy.mode is ProxyMode.IPTABLES
    assert isinstance(pod, Pod)
    assert isinstance(service, Service)
    assert (pod.key, service.key) == ("default/web", "default/web")
    assert service.spec.ports[0].target_port == 8080
    assert lab.warnings == ()


def test_a_pasted_manifest_loses_nothing() -> None:
    (deployment,) = load_objects(PASTED, "shop.yaml", namespace="prod")
    (written,), _ = values(PASTED)
    assert isinstance(deployment, Deployment)
    assert isinstance(written, dict)
    assert isinstance(written["metadata"], dict)
    expected = written | {"metadata": written["metadata"] | {"namespace": "prod"}}
    assert deployment.model_dump(mode="json", by_alias=True, exclude_unset=True) == expected


def test_a_namespace_in_the_manifest_wins_over_the_one_asked_for() -> None:
    text = POD.replace("name: web,", "name: web, namespace: shop,", 1)
    assert [each.key for each in load_objects(text, "pod.yaml", namespace="prod")] == ["shop/web"]


def test_null_means_absent() -> None:
    text = SERVICE.replace("spec: {", "status: null\nspec: {clusterIP: ~, type: null, ")
    (service,) = load_objects(text, "service.yaml")
    assert isinstance(service, Service)
    assert (service.spec.type, service.spec.cluster_ip) == (None, None)


@pytest.mark.parametrize("kind", ["List", "ServiceList"])
def test_a_list_of_objects_is_the_objects_in_it(kind: str) -> None:
    first, second = (SERVICE.replace("name: web}", f"name: {name}}}") for name in ("one", "two"))
    items = "".join("- " + text.replace("\n", "\n  ").rstrip() + "\n" for text in (first, second))
    objects = load_objects(f"apiVersion: v1\nkind: {kind}\nitems:\n{items}", "list.yaml")
    assert [each.metadata.name for each in objects] == ["one", "two"]


def test_json_is_read_as_well_as_yaml() -> None:
    metadata = '{"name": "shop", "annotations": {"a": "\\u00e9\\/"}}'
    text = f'{{\n\t"apiVersion": "v1", "kind": "Namespace",\n\t"metadata": {metadata}}}'
    (namespace,) = load_objects(text, "namespace.json")
    assert namespace.metadata.annotations == {"a": "é/"}


def test_kinds_that_steer_no_packets_are_left_out_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_text(POD + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: b}\n")
    manifests = load_manifests(path)
    assert [each.kind for each in manifests.objects] == ["Pod"]
    assert [(w.line, w.message) for w in manifests.warnings] == [
        (7, "is left out: netlab has no ConfigMap, which plays no part in the Service network")
    ]


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        (
            ("selector: {app: web}", "selector: {app: wob}"),
            "spec.selector",
            "no Pod of the file has the labels app=wob",
        ),
        (("targetPort: 8080", "targetPort: 9090"), "spec.ports[0].targetPort", "declares containerPort 9090 over TCP"),
        (("targetPort: 8080", "targetPort: http"), "spec.ports[0].targetPort", 'has a port called "http"'),
        (("spec: {containers", "spec: {nodeSelector: {disk: ssd}, containers"), "spec.nodeSelector", "disk=ssd"),
    ],
    ids=[
        "a selector that chooses no Pod",
        "a target port that no chosen Pod declares",
        "a target port by a name that no chosen Pod gives",
        "a node selector that chooses no node",
    ],
)
def test_a_warning_is_given_and_the_lab_is_valid_for(change: tuple[str, str], path: str, message: str) -> None:
    lab = parse_lab(SMALLEST.replace(*change), file="small.yaml")
    assert [(warning.path, message in warning.message) for warning in lab.warnings] == [(path, True)]


def test_a_pod_with_a_command_of_its_own_may_listen_on_ports_it_does_not_declare() -> None:
    text = SMALLEST.replace("targetPort: 8080", "targetPort: 9090").replace(
        "{name: web, ports", "{name: web, command: [nc], ports"
    )
    assert parse_lab(text, file="small.yaml").warnings == ()


def test_an_expectation_may_name_a_deployment_and_what_lives_in_another_namespace() -> None:
    expect = "spec: {expect: [{from: node/node1, to: service/shop/web:80, reaches: [deployment/shop/web]}]}\n"
    deployment = PASTED.replace("name: shop\n", "name: web\n  namespace: shop\n", 1).replace("app: shop", "app: web")
    service = SERVICE.replace("name: web}", "name: web, namespace: shop}")
    namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
    text = "---\n".join([TOPOLOGY + expect, namespace, deployment, service])
    lab = parse_lab(text, file="shop.yaml")
    assert lab.topology.spec.expect[0] == Expectation(
        from_="node/node1", to="service/shop/web:80", reaches=("deployment/shop/web",)
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("80", 80), ("-1", -1), ("+5", 5), ("0", 0), ("0644", 420), ("0o17", 15), ("0x1F", 31), ("0b11", 3),
        ("1_000", 1000), ("18446744073709551615", 2**64 - 1), ("18446744073709551616", float(2**64)), ("1.5", 1.5),
        ("1e3", 1000.0),
        ("08", 8.0), ("1.", 1.0), (".5", 0.5), ("yes", True), ("Off", False), ("y", True), ("null", None), ("~", None),
        ("", None), ("22:22", "22:22"), ("2024-01-01", "2024-01-01"), ("1.2.3", "1.2.3"), ("0x", "0x"), ("-", "-"),
        ("100m", "100m"), ("1__", 1), ("٣", "٣"),
    ],
)  # fmt: skip
def test_an_unquoted_word_means_what_kubectl_takes_it_for(text: str, value: object) -> None:
    assert (resolve(text), type(resolve(text))) == (value, type(value))


def test_a_merged_mapping_gives_way_to_what_is_written() -> None:
    text = "base: &base {a: 1, b: 2}\nother: &other {b: 3, c: 4}\nboth: {<<: [*base, *other], c: 5}\n"
    ((written,), errors) = values(text)
    assert isinstance(written, dict)
    assert (written["both"], errors) == ({"a": 1, "b": 2, "c": 5}, [])


def test_everything_up_to_the_next_document_is_lost_with_a_mistake_of_syntax_and_no_more() -> None:
    found, errors = values("a: 1\n---\nb: [\n---\nc: 3\n---\n}\n---\nd: 4\n")
    assert found == [{"a": 1}, {"c": 3}, {"d": 4}]
    assert [error.split(": ")[0] for error in errors] == ["text.yaml:4:1", "text.yaml:7:1"]


def test_nesting_without_end_is_one_problem() -> None:
    assert values("[" * 100_000) == (
        [],
        [f"text.yaml:1:{DEPTH_LIMIT + 1}: more than {DEPTH_LIMIT} mappings and lists inside one another"],
    )


def test_aliases_of_aliases_cannot_grow_without_end() -> None:
    lines = ["a0: &a0 [" + ",".join(["x"] * 10) + "]"]
    lines += [f"a{n}: &a{n} [" + ",".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 12)]
    found, errors = values("\n".join(lines))
    assert (found, len(errors)) == ([], 1)
    assert f"aliases (*name) make more than {COPY_LIMIT} values" in errors[0]


def test_a_missing_file_a_folder_and_a_file_in_a_file_are_problems_without_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert problems_of(tmp_path / "missing.yaml") == ["FILE: there is no such file"]
    assert problems_of(tmp_path) == ["FILE: is a directory (name the file in it)"]
    assert problems_of(tmp_path / "file" / "below") == ["FILE: cannot be read: Not a directory"]
    assert problems_of(Path("nul\0.yaml")) == ["FILE: cannot be read: embedded null byte"]


def test_a_file_that_is_not_utf8_is_told_where(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(SMALLEST.replace("small", "schön").encode("latin-1"))
    assert problems_of(path) == ["FILE:3:21: is not UTF-8 text: byte 0xf6 (save the file as UTF-8)"]


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SMALLEST.replace("\n", "\r\n").encode())
    assert load_lab(path).topology.metadata.name == "small"


def test_a_file_without_end_is_too_large() -> None:
    assert problems_of(Path("/dev/zero")) == [f"FILE: is larger than {SIZE_LIMIT // 1024 // 1024} MiB"]


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=(SMALLEST,))
    writer.start()
    assert load_lab(path).topology.metadata.name == "small"
    writer.join()


def test_a_dash_is_standard_input() -> None:
    program = (
        "from pathlib import Path; from netlab.load import load_lab; print(load_lab(Path('-')).topology.metadata.name)"
    )
    run = subprocess.run([sys.executable, "-c", program], input=SMALLEST, capture_output=True, text=True, check=True)
    assert run.stdout == "small\n"
