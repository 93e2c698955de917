"""Kubernetes' client libraries for Python against a lab, as a user has them: `kubernetes` and `lightkube`."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_asking import Server
from netlab_command import PREFIX, Caller, Lab
from waiting import until

kubernetes = pytest.importorskip("kubernetes", reason="needs the package kubernetes: scripts/install --test")
lightkube = pytest.importorskip("lightkube", reason="needs the package lightkube: scripts/install --test")

from kubernetes import client, config, informer, stream, watch  # noqa: E402
from lightkube.models.autoscaling_v1 import ScaleSpec  # noqa: E402
from lightkube.models.core_v1 import ServicePort, ServiceSpec  # noqa: E402
from lightkube.models.meta_v1 import ObjectMeta  # noqa: E402
from lightkube.resources.apps_v1 import Deployment  # noqa: E402
from lightkube.resources.core_v1 import ConfigMap, Pod, Service  # noqa: E402
from lightkube.types import PatchType  # noqa: E402

from netlab.api.openapi.definitions import definitions, name_of, referred  # noqa: E402
from netlab.api.openapi.resources import RESOURCES  # noqa: E402
from netlab.api.registry import collection_path  # noqa: E402

pytestmark = pytest.mark.root

NAME = f"{PREFIX}-clients"
TOPOLOGY = f"""
apiVersion: netlab/v1
kind: Topology
metadata: {{name: {NAME}}}
spec:
  nodes: [{{name: node1}}, {{name: node2}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: web, image: any, ports: [{{containerPort: 80}}]}}]}}
"""


@pytest.fixture(scope="module")
def lab(user: Caller) -> Iterator[Lab]:
    with user.lab(NAME, TOPOLOGY) as up:
        yield up


@pytest.fixture(scope="module")
def kubeconfig(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("clients") / "config"
    file.write_text(lab.ok("kubeconfig"))
    file.chmod(0o600)
    return file


@pytest.fixture
def api(kubeconfig: Path) -> Iterator[Any]:
    """The official client."""
    with config.new_client_from_config(str(kubeconfig)) as api:
        yield api


@pytest.fixture
def light(kubeconfig: Path) -> Iterator[Any]:
    with lightkube.Client(config=lightkube.KubeConfig.from_file(kubeconfig)) as light:
        yield light


def a_pod(core: Any) -> str:
    return str(min(pod.metadata.name for pod in core.list_namespaced_pod("default", label_selector="app=web").items))


def own_program(text: str, kubeconfig: Path, pod: str) -> str:
    """What a program prints that is given the kubeconfig and a Pod's name; its open files end with it."""
    command = [sys.executable, "-c", text, str(kubeconfig), pod]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- both


def test_every_object_of_a_lab_has_the_fields_that_kubernetes_requires(lab: Lab) -> None:
    """Clients with types refuse an object that lacks one."""
    lacking = []
    for resource in (each for each in RESOURCES if "list" in each.verbs):
        answer = Server(lab.directory / "api.sock").ok("GET", collection_path(resource.kind))
        shape = name_of(resource.kind.API_VERSION, resource.kind.__name__)
        for item in answer["items"]:
            lacking += missing_fields(item, {"$ref": f"#/definitions/{shape}"}, resource.kind.__name__)
    assert not lacking


def missing_fields(value: Any, schema: Any, path: str) -> Iterator[str]:
    """The paths of fields that a schema requires and the value lacks."""
    schema = definitions()[name] if (name := referred(schema)) else schema
    if isinstance(value, dict):
        yield from (f"{path}.{name}" for name in schema.get("required", ()) if name not in value)
        for key, each in value.items():
            inner = schema.get("properties", {}).get(key) or schema.get("additionalProperties")
            if inner:
                yield from missing_fields(each, inner, f"{path}.{key}")
    elif isinstance(value, list) and "items" in schema:
        for each in value:
            yield from missing_fields(each, schema["items"], f"{path}[]")


# --- kubernetes


def test_the_official_client_creates_lists_patches_and_deletes(api: Any) -> None:
    core = client.CoreV1Api(api)
    port = client.V1ServicePort(port=80, target_port=8080)
    service = client.V1Service(
        metadata=client.V1ObjectMeta(name="shop"), spec=client.V1ServiceSpec(ports=[port], selector={"app": "web"})
    )
    made = core.create_namespaced_service("default", service)
    assert made.spec.cluster_ip.startswith("10.")
    assert "shop" in {each.metadata.name for each in core.list_service_for_all_namespaces().items}
    patched = core.patch_namespaced_service("shop", "default", {"spec": {"ports": [{"port": 80, "targetPort": 9090}]}})
    assert patched.spec.ports[0].target_port == 9090
    made.spec.type = "NodePort"
    with pytest.raises(client.ApiException, match="Conflict"):
        core.replace_namespaced_service("shop", "default", made)
    core.delete_namespaced_service("shop", "default")
    with pytest.raises(client.ApiException, match="NotFound"):
        core.read_namespaced_service("shop", "default")


def test_the_official_client_lists_in_pages(api: Any) -> None:
    core = client.CoreV1Api(api)
    first = core.list_pod_for_all_namespaces(limit=1)
    rest = core.list_pod_for_all_namespaces(limit=100, _continue=first.metadata._continue)
    names = [pod.metadata.name for pod in (*first.items, *rest.items)]
    assert len(names) == len(set(names)) == len(core.list_pod_for_all_namespaces().items)


def test_the_official_client_watches(api: Any) -> None:
    core, watching = client.CoreV1Api(api), watch.Watch()
    seen = []
    version = core.list_namespaced_config_map("default").metadata.resource_version
    for value in ("1", "2"):
        body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="watched"), data={"a": value})
        if value == "1":
            core.create_namespaced_config_map("default", body)
        else:
            core.patch_namespaced_config_map("watched", "default", body)
    core.delete_namespaced_config_map("watched", "default")
    for event in watching.stream(
        core.list_namespaced_config_map, "default", resource_version=version, timeout_seconds=20
    ):
        seen.append((event["type"], event["object"].data["a"]))
        if event["type"] == "DELETED":
            watching.stop()
    assert seen == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]


def test_the_official_client_s_informer_follows(api: Any) -> None:
    core = client.CoreV1Api(api)
    events: list[str] = []
    follower = informer.SharedInformer(core.list_namespaced_config_map, namespace="default")
    follower.add_event_handler(informer.ADDED, lambda value: events.append(f"+{value.metadata.name}"))
    follower.add_event_handler(informer.DELETED, lambda value: events.append(f"-{value.metadata.name}"))
    follower.start()
    try:
        core.create_namespaced_config_map("default", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="informed")))
        until(lambda: "+informed" in events)
        core.delete_namespaced_config_map("informed", "default")
        until(lambda: "-informed" in events)
    finally:
        # It ends with its watch, which an event wakes.
        stopping = threading.Thread(target=follower.stop)
        stopping.start()
        core.create_namespaced_config_map("default", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="last")))
        stopping.join(20)
        core.delete_namespaced_config_map("last", "default")


def test_the_official_client_scales_and_sees_the_rollout(api: Any) -> None:
    apps = client.AppsV1Api(api)
    apps.patch_namespaced_deployment_scale("web", "default", {"spec": {"replicas": 3}})

    def rolled_out() -> bool:
        status = apps.read_namespaced_deployment_status("web", "default").status
        return bool(status.available_replicas == status.updated_replicas == 3)

    until(rolled_out)
    apps.patch_namespaced_deployment_scale("web", "default", {"spec": {"replicas": 2}})


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_official_client_runs_commands_and_reads_logs(api: Any) -> None:
    """It leaves the sockets of its commands to the garbage collector, which is called before the next test."""
    core = client.CoreV1Api(api)
    pod = a_pod(core)
    run = core.connect_get_namespaced_pod_exec
    said = stream.stream(run, pod, "default", command=["hostname"], stderr=True, stdin=False, stdout=True, tty=False)
    assert said.strip() == pod
    shell = stream.stream(
        run, pod, "default", command=["sh", "-c", "read x; echo got $x; exit 5"],
        stderr=True, stdin=True, stdout=True, tty=False, _preload_content=False,
    )  # fmt: skip
    shell.write_stdin("it\n")
    shell.run_forever(timeout=20)
    assert (shell.read_stdout().strip(), shell.returncode) == ("got it", 5)
    shell.close()
    assert "answering on TCP port 80" in core.read_namespaced_pod_log(pod, "default")
    del shell
    gc.collect()


FORWARDING = """
import sys
from kubernetes import client, config, stream
config.load_kube_config(sys.argv[1])
core = client.CoreV1Api()
forward = stream.portforward(core.connect_get_namespaced_pod_portforward, sys.argv[2], "default", ports="80")
connection = forward.socket(80)
connection.settimeout(20)
connection.sendall(b"GET /hostname HTTP/1.1\\r\\nHost: web\\r\\nConnection: close\\r\\n\\r\\n")
while part := connection.recv(4096):
    sys.stdout.write(part.decode())
"""
"""A program of its own: the client's forwarding closes nothing that it has opened."""


def test_the_official_client_forwards_a_port(api: Any, kubeconfig: Path) -> None:
    pod = a_pod(client.CoreV1Api(api))
    answer = own_program(FORWARDING, kubeconfig, pod)
    assert answer.startswith("HTTP/1.1 200")
    assert answer.rstrip().endswith(pod)


# --- lightkube


def a_service(name: str, port: int) -> Any:
    spec = ServiceSpec(ports=[ServicePort(port=port)], selector={"app": "web"})
    return Service(metadata=ObjectMeta(name=name), spec=spec)


def test_lightkube_applies_and_is_told_of_conflicts(light: Any) -> None:
    light.apply(a_service("light", 80), field_manager="first")
    light.apply(a_service("light", 81), field_manager="first")
    assert [port.port for port in light.get(Service, "light").spec.ports] == [81]
    other = a_service("light", 81)
    other.spec.selector = {"app": "other"}
    with pytest.raises(lightkube.ApiError, match='conflict with "first"') as refused:
        light.apply(other, field_manager="second")
    assert refused.value.status.code == 409
    light.apply(other, field_manager="second", force=True)
    assert light.get(Service, "light").spec.selector == {"app": "other"}
    light.delete(Service, "light")


def test_lightkube_lists_watches_and_waits(light: Any) -> None:
    light.wait(Deployment, "web", for_conditions=("Available",))
    names = [pod.metadata.name for pod in light.list(Pod, labels={"app": "web"}, chunk_size=1)]
    assert len(names) >= 2
    events = light.watch(ConfigMap)
    light.create(ConfigMap(metadata=ObjectMeta(name="seen"), data={"a": "1"}))
    kind, value = next(event for event in events if event[1].metadata.name == "seen")
    assert (kind, value.data) == ("ADDED", {"a": "1"})
    events.close()
    light.patch(ConfigMap, "seen", [{"op": "add", "path": "/data/b", "value": "2"}], patch_type=PatchType.JSON)
    assert light.get(ConfigMap, "seen").data == {"a": "1", "b": "2"}
    light.deletecollection(ConfigMap)
    assert [each.metadata.name for each in light.list(ConfigMap)] == []


LIGHT_EXEC = """
import sys, lightkube
client = lightkube.Client(config=lightkube.KubeConfig.from_file(sys.argv[1]))
command = ["sh", "-c", "cat; echo no >&2; exit 3"]
answer = client.exec(sys.argv[2], command=command, stdin="in", stdout=True, stderr=True)
print(answer.stdout, answer.stderr.strip(), answer.exit_code, sep="\\n")
"""
"""A program of its own: a thread of the client's goes on reading a connection that the client has closed."""


def test_lightkube_scales_runs_and_reads_logs(light: Any, kubeconfig: Path) -> None:
    scale = Deployment.Scale(metadata=ObjectMeta(name="web", namespace="default"), spec=ScaleSpec(replicas=2))
    light.replace(scale)
    assert light.get(Deployment, "web").spec.replicas == 2
    pod = min(each.metadata.name for each in light.list(Pod, labels={"app": "web"}))
    assert own_program(LIGHT_EXEC, kubeconfig, pod).split("\n") == ["in", "no", "3", ""]
    assert "answering on TCP port 80" in "".join(light.log(pod))
