"""The Services chapter of a CKA study guide, typed into kubectl, against a lab."""

from __future__ import annotations

import fcntl
import json
import os
import re
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kubectl_lab import Kubectl, kubectl_program
from netlab_command import PREFIX, Caller, Lab
from waiting import until

pytestmark = pytest.mark.root

NAME = f"{PREFIX}-cka"
TOPOLOGY = f"""
apiVersion: netlab/v1
kind: Topology
metadata: {{name: {NAME}}}
spec:
  nodes: [{{name: node1}}, {{name: node2}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: client}}
spec: {{containers: [{{name: client, image: any}}]}}
"""
SHOP = """
apiVersion: v1
kind: Service
metadata: {name: shop, labels: {tier: front}}
spec:
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: 80}
  - {name: alt, port: 8080, targetPort: 80}
"""


@pytest.fixture(scope="module")
def lab(user: Caller) -> Iterator[Lab]:
    with user.lab(NAME, TOPOLOGY) as up:
        yield up


@pytest.fixture(scope="module")
def kubectl(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """kubectl, and the Deployment `web` and its Service that the chapter is about."""
    home = tmp_path_factory.mktemp("kubectl")
    config = home / "config"
    config.write_text(lab.ok("kubeconfig"))
    config.chmod(0o600)
    kubectl = Kubectl(kubectl_program(), config, home)
    assert kubectl("create deployment web --image=nginx --replicas=3 --port=80") == "deployment.apps/web created\n"
    kubectl("rollout status deployment/web --timeout=30s")
    assert kubectl("expose deployment web --port=80 --target-port=80") == "service/web exposed\n"
    return kubectl


def answers(kubectl: Kubectl, target: str, *, count: int = 5) -> set[str]:
    """Who answers to the Pod `client`, asked so often."""
    script = f"for i in $(seq {count}); do curl -s --max-time 5 http://{target}/hostname; echo; done"
    return set(kubectl.do("exec", "client", "--", "sh", "-c", script).split())


def pod_names(kubectl: Kubectl) -> set[str]:
    return set(kubectl("get pods -l app=web -o jsonpath={.items[*].metadata.name}").split())


def test_the_cluster_says_what_it_is(kubectl: Kubectl) -> None:
    assert re.search(r"Server Version: .*v?1\.36", kubectl("version").replace('GitVersion:"', ""))
    resources = kubectl("api-resources --namespaced=true")
    assert re.search(r"(?m)^services +svc +v1 +true +Service", resources)
    assert re.search(r"(?m)^endpointslices +discovery.k8s.io/v1 +true", resources)
    explained = kubectl("explain service.spec.ports.targetPort")
    assert "Number or name of the port to access on the pods" in explained
    assert "maxSurge" in kubectl("explain deployment.spec.strategy.rollingUpdate")
    nodes = kubectl("get nodes")
    assert re.search(r"(?m)^node1 +Ready +\S+ +\S+ +v1\.36", nodes)


def test_a_service_is_shown_and_described(kubectl: Kubectl) -> None:
    lines = kubectl("get service web").splitlines()
    assert lines[0].split() == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert re.match(r"web +ClusterIP +10\.\d+\.\d+\.\d+ +<none> +80/TCP ", lines[1])
    assert "app=web" in kubectl("get svc web -o wide")
    described = kubectl("describe service web")
    assert re.search(r"Selector: +app=web", described)
    assert len(re.search(r"Endpoints: +(\S+)", described)[1].split(",")) == 3  # type: ignore[index]
    assert re.search(r"NewReplicaSet: +web-\w+ \(3/3 replicas created\)", kubectl("describe deployment web"))
    assert "Scaled up replica set" in kubectl("get events")


def test_endpoints_and_endpointslices_are_the_pods_addresses(kubectl: Kubectl) -> None:
    pods = set(kubectl("get pods -l app=web -o jsonpath={.items[*].status.podIP}").split())
    slices = json.loads(kubectl("get endpointslices -l kubernetes.io/service-name=web -o json"))
    assert {endpoint["addresses"][0] for item in slices["items"] for endpoint in item["endpoints"]} == pods
    assert set(kubectl("get endpoints web -o jsonpath={.subsets[*].addresses[*].ip}").split()) == pods


def test_the_service_answers_by_address_and_by_name(kubectl: Kubectl) -> None:
    address = kubectl("get svc web -o jsonpath={.spec.clusterIP}")
    assert answers(kubectl, address, count=40) == pod_names(kubectl)
    assert answers(kubectl, "web.default.svc.cluster.local") <= pod_names(kubectl)
    assert address in kubectl("exec client -- getent hosts web")
    assert kubectl.run("exec", "client", "--", "getent", "hosts", "nothing").status == 2


def test_scaling_is_followed_by_the_endpoints(kubectl: Kubectl) -> None:
    assert kubectl("scale deployment web --replicas=5") == "deployment.apps/web scaled\n"
    assert "successfully rolled out" in kubectl("rollout status deployment/web --timeout=30s")
    assert len(kubectl("get endpoints web -o jsonpath={.subsets[*].addresses[*].ip}").split()) == 5
    kubectl("scale deployment/web --replicas=2")
    until(lambda: len(pod_names(kubectl)) == 2)
    assert answers(kubectl, "web") <= pod_names(kubectl)


def test_a_service_is_edited_into_a_node_port_and_back(kubectl: Kubectl) -> None:
    edited = kubectl.do("edit", "service", "web", KUBE_EDITOR="sed -i s/ClusterIP$/NodePort/")
    assert edited == "service/web edited\n"
    patch = '{"spec":{"ports":[{"port":80,"nodePort":30080}]}}'
    assert kubectl.do("patch", "svc", "web", "-p", patch) == "service/web patched\n"
    assert "80:30080/TCP" in kubectl("get svc web")
    node = kubectl.do("get", "node", "node2", "-o", 'jsonpath={.status.addresses[?(@.type=="InternalIP")].address}')
    assert answers(kubectl, f"{node}:30080") <= pod_names(kubectl)
    back = '[{"op":"replace","path":"/spec/type","value":"ClusterIP"},{"op":"remove","path":"/spec/ports/0/nodePort"}]'
    kubectl.do("patch", "svc", "web", "--type=json", "-p", back)
    assert kubectl("get svc web -o jsonpath={.spec.type}") == "ClusterIP"
    assert kubectl.run("patch", "svc", "web", "--type=merge", "-p", '{"spec":{"type":"Nonsense"}}').status == 1


def test_labels_and_annotations_come_and_go(kubectl: Kubectl) -> None:
    assert kubectl("label service web tier=front") == "service/web labeled\n"
    assert "web" in kubectl("get svc -l tier=front --no-headers")
    assert "already has a value" in kubectl.run("label", "service", "web", "tier=back").err
    kubectl("label service web tier-")
    assert kubectl("get svc -l tier=front -o name") == ""
    kubectl("annotate service web note=seen")
    assert kubectl("get svc web -o jsonpath={.metadata.annotations.note}") == "seen"


def test_a_manifest_is_applied_changed_compared_and_deleted(kubectl: Kubectl, tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(SHOP)
    assert kubectl(f"apply -f {file}") == "service/shop created\n"
    assert kubectl(f"apply -f {file}") == "service/shop unchanged\n"
    assert answers(kubectl, "shop:8080") <= pod_names(kubectl)
    file.write_text(SHOP.replace("  - {name: alt, port: 8080, targetPort: 80}\n", ""))
    difference = kubectl.run("diff", "-f", str(file))
    assert (difference.status, "-  - name: alt" in difference.out) == (1, True)
    assert kubectl(f"apply -f {file}") == "service/shop configured\n"
    assert kubectl("get svc shop -o jsonpath={.spec.ports[*].name}") == "http"
    assert re.match(r'service "shop" deleted', kubectl(f"delete -f {file}"))
    assert "NotFound" in kubectl.run("get", "svc", "shop").err


def test_mistakes_in_a_manifest_are_told(kubectl: Kubectl) -> None:
    wrong = kubectl.run("apply", "-f", "-", text=SHOP.replace("targetPort", "targetport"))
    assert wrong.status == 1
    assert "targetport" in wrong.err
    wrong = kubectl.run("apply", "-f", "-", text=SHOP.replace("port: 8080", "port: 80800"))
    assert "must be between 1 and 65535, inclusive" in wrong.err
    assert kubectl("get svc -o name") == "service/kubernetes\nservice/web\n"


def test_server_side_apply_tells_of_conflicts(kubectl: Kubectl) -> None:
    kubectl("apply --server-side --field-manager=first -f -", text=SHOP)
    other = SHOP.replace("targetPort: 80}", "targetPort: 81}")
    refused = kubectl.run("apply", "--server-side", "--field-manager=second", "-f", "-", text=other)
    assert (refused.status, "conflict" in refused.err, '"first"' in refused.err) == (1, True, True)
    kubectl("apply --server-side --field-manager=second --force-conflicts -f -", text=other)
    assert kubectl("get svc shop -o jsonpath={.spec.ports[*].targetPort}") == "81 81"
    kubectl("delete svc shop")


def test_services_of_every_type_are_created(kubectl: Kubectl) -> None:
    kubectl("create namespace more")
    kubectl("-n more create service clusterip plain --tcp=5678:8080")
    kubectl("-n more create service clusterip none --clusterip=None")
    kubectl("-n more create service nodeport outside --tcp=80:80 --node-port=30081")
    kubectl("-n more create service loadbalancer balanced --tcp=80:80")
    kubectl("-n more create service externalname elsewhere --external-name=example.com")
    types = kubectl("-n more get svc -o jsonpath={.items[*].spec.type}")
    assert sorted(types.split()) == ["ClusterIP", "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
    kubectl("-n more create configmap settings --from-literal=a=1")
    assert "settings" in kubectl("-n more get cm")
    assert len(kubectl("get ipaddresses -o name").split()) == len(
        [line for line in kubectl("get svc -A --no-headers").splitlines() if " 10." in line]
    )
    assert "10.96.0.0/12" in kubectl("get servicecidr kubernetes")
    kubectl("delete namespace more --timeout=30s")
    assert "NotFound" in kubectl.run("get", "ns", "more").err


def test_a_rollout_goes_on_pauses_and_is_undone(kubectl: Kubectl) -> None:
    first = pod_names(kubectl)
    kubectl("set image deployment/web nginx=nginx:2")
    kubectl("rollout status deployment/web --timeout=30s")
    until(lambda: not pod_names(kubectl) & first)  # the last of them may be on its way out
    assert len(re.findall(r"(?m)^\d+ ", kubectl("rollout history deployment/web"))) == 2
    kubectl("rollout undo deployment/web")
    kubectl("rollout status deployment/web --timeout=30s")
    assert kubectl("get deploy web -o jsonpath={.spec.template.spec.containers[0].image}") == "nginx"
    assert len(kubectl("get rs -l app=web -o name").split()) == 2
    kubectl("rollout restart deployment/web")
    kubectl("wait --for=condition=Available deployment/web --timeout=30s")
    kubectl("rollout status deployment/web --timeout=30s")


def test_a_pod_that_a_rollout_replaces_has_its_time_to_end_and_its_endpoint_says_so(kubectl: Kubectl) -> None:
    lingering = {"name": "nginx", "lifecycle": {"preStop": {"sleep": {"seconds": 2}}}}
    patch = {"spec": {"template": {"spec": {"containers": [lingering]}}}}
    kubectl.do("patch", "deployment", "web", "-p", json.dumps(patch))
    kubectl("rollout status deployment/web --timeout=30s")
    with kubectl.start("get", "endpointslices", "-l", "kubernetes.io/service-name=web", "-o", "json", "-w",
                       stdout=subprocess.PIPE) as watching:  # fmt: skip
        assert watching.stdout is not None
        kubectl("scale deployment/web --replicas=1")
        seen = set[tuple[bool, bool, bool]]()
        decoder, text = json.JSONDecoder(), ""
        while (False, True, True) not in seen:
            text += watching.stdout.readline()
            with suppress(ValueError):
                value, end = decoder.raw_decode(text)
                text = text[end:].lstrip()
                seen |= {tuple(e["conditions"][name] for name in ("ready", "serving", "terminating"))
                         for e in value.get("endpoints") or ()}  # fmt: skip
        watching.terminate()
    assert "Terminating" in kubectl("get pods -l app=web")
    assert kubectl("get deployment web -o jsonpath={.status.replicas}") == "1"
    until(lambda: len(pod_names(kubectl)) == 1)
    kubectl("scale deployment/web --replicas=2")
    kubectl("rollout status deployment/web --timeout=30s")


def test_a_rollout_waits_for_pods_to_be_ready_for_long_and_gives_up_at_its_deadline(kubectl: Kubectl) -> None:
    kubectl("create deployment slow --image=nginx --replicas=0 --port=80")
    kubectl.do("patch", "deployment", "slow", "-p", '{"spec":{"minReadySeconds":2,"progressDeadlineSeconds":4}}')
    began = time.monotonic()
    kubectl("scale deployment/slow --replicas=1")
    kubectl("rollout status deployment/slow --timeout=30s")
    kubectl("wait --for=condition=Available deployment/slow --timeout=30s")
    assert time.monotonic() - began > 1
    never = {"name": "nginx", "readinessProbe": {"exec": {"command": ["false"]}}}
    kubectl.do(
        "patch", "deployment", "slow", "-p", json.dumps({"spec": {"template": {"spec": {"containers": [never]}}}})
    )
    late = kubectl.run("rollout", "status", "deployment/slow", "--timeout=30s")
    assert (late.status, 'deployment "slow" exceeded its progress deadline' in late.err) == (1, True)
    kubectl("rollout undo deployment/slow")
    kubectl("rollout status deployment/slow --timeout=30s")
    kubectl("delete deployment slow")


def test_commands_run_in_pods_and_end_with_their_status(kubectl: Kubectl) -> None:
    (pod, *_) = sorted(pod_names(kubectl))
    assert kubectl(f"exec {pod} -- hostname") == f"{pod}\n"
    assert kubectl(f"exec -i {pod} -- cat", text="over\nand out\n") == "over\nand out\n"
    assert kubectl.run("exec", pod, "--", "sh", "-c", "echo told >&2; exit 7").status == 7
    assert len(kubectl.do("exec", pod, "--", "sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x")) == 3_000_000
    assert kubectl.run("exec", "nobody", "--", "true").status == 1
    assert "answering on TCP port 80" in kubectl(f"logs {pod}")
    assert kubectl(f"logs --tail=1 {pod}").count("\n") == 1


def test_a_throw_away_pod_says_what_its_command_does_and_is_gone(kubectl: Kubectl) -> None:
    name = kubectl.do("run", "once", "--image=busybox", "--rm", "-i", "--restart=Never", "--", "getent", "hosts", "web")
    assert "web.default.svc.cluster.local" in name
    assert "NotFound" in kubectl.run("get", "pod", "once").err
    slow = "sleep 2; echo late; exit 3"
    done = kubectl.run("run", "slow", "--image=busybox", "--rm", "-i", "--restart=Never", "--", "sh", "-c", slow)
    assert "late" in done.out
    assert "NotFound" in kubectl.run("get", "pod", "slow").err


RUN = ("--image=busybox", "--rm", "--restart=Never")


def test_what_is_piped_into_a_throw_away_pod_is_read_there_and_its_end_is_kubectl_s(kubectl: Kubectl) -> None:
    script = "getent hosts web >/dev/null && echo found\necho no >&2\nwc -c <<END\nhere\nEND\nexit 5\n"
    done = kubectl.run("run", "tmp", "-i", *RUN, "--", "sh", text=script)
    assert (done.out.splitlines()[:2], done.status) == (["found", "5"], 5)
    assert done.out.count("found") == 1
    assert "no\n" in done.err
    assert "couldn't attach" not in done.err
    assert "NotFound" in kubectl.run("get", "pod", "tmp").err
    large = "x" * 79 + "\n"
    counted = kubectl.run("run", "tmp", "-i", *RUN, "--", "sh", "-c", "cat; cat | wc -l", text=large * 50_000)
    assert (counted.out.count(large), counted.status) == (50_000, 0)
    page = kubectl.run("run", "tmp", "-i", *RUN, "--", "wget", "-qO-", "http://web/hostname")
    assert (page.out.splitlines()[0] in pod_names(kubectl), page.status) == (True, 0)


def test_a_shell_is_typed_into_at_a_terminal(kubectl: Kubectl) -> None:
    master, slave = os.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 111, 0, 0))
    arguments = ("run", "tmp", "-it", *RUN, "--", "sh")
    with kubectl.start(*arguments, stdin=slave, stdout=slave, stderr=slave, start_new_session=True) as shell:
        os.close(slave)
        wait = b"for i in $(seq 200); do stty size | grep '33 111' && break; sleep 0.05; done; "
        typed = wait + b"curl -s http://web/hostname; tty; exit 4\n"
        seen = b""
        os.write(master, typed)
        with suppress(OSError):  # EIO: kubectl has ended
            while data := os.read(master, 65536):
                seen += data
        os.close(master)
        assert shell.wait(30) == 4, seen
    assert b"33 111\r\n" in seen
    assert any(name.encode() in seen for name in pod_names(kubectl))
    assert b"/dev/pts/" in seen
    assert "NotFound" in kubectl.run("get", "pod", "tmp").err


def test_input_that_is_for_more_than_one_client_goes_on_after_the_first(kubectl: Kubectl) -> None:
    container = {"name": "main", "image": "busybox", "stdin": True, "command": ["sh"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "asks"}, "spec": {"containers": [container]}}
    kubectl("apply -f -", text=json.dumps(pod))
    kubectl("wait --for=condition=Ready pod/asks --timeout=30s")
    for word in ("first", "second"):
        with kubectl.start("attach", "-i", "asks", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as attached:
            assert attached.stdin is not None
            assert attached.stdout is not None
            attached.stdin.write(f"echo {word}\n")
            attached.stdin.flush()
            while attached.stdout.readline() != f"{word}\n":
                pass
            attached.terminate()
    assert kubectl("logs asks") == "first\nsecond\n"
    until(lambda: "second" in kubectl("logs asks"))
    with kubectl.start("attach", "-i", "asks", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as attached:
        attached.communicate("echo once more; exit 3\n", timeout=30)
    until(lambda: kubectl("get pod asks -o jsonpath={.status.containerStatuses[0].restartCount}") == "1")
    assert kubectl("logs asks --previous") == "first\nsecond\nonce more\n"
    assert kubectl("logs asks") == ""
    kubectl("delete pod asks --grace-period=1")


def test_lines_of_a_log_have_their_times(kubectl: Kubectl) -> None:
    kubectl("exec client -- true")
    lines = kubectl("logs deploy/web --timestamps").splitlines()
    times = [datetime.fromisoformat(line.split()[0]) for line in lines]
    assert times == sorted(times)
    assert abs((datetime.now(UTC) - times[0]).total_seconds()) < 600
    assert [line.partition(" ")[2] for line in lines] == kubectl("logs deploy/web").splitlines()
    since = lines[-1][: len("2026-01-01T00:00:00")]  # kubectl sends whole seconds
    shown = kubectl(f"logs deploy/web --timestamps --since-time={since}Z").splitlines()
    assert shown == [line for line in lines if line >= since]
    assert kubectl("logs deploy/web --since-time=2100-01-01T00:00:00Z") == ""
    assert kubectl("logs deploy/web --since=1h --tail=1 --limit-bytes=5") == "".join(lines[-1].partition(" ")[2])[:5]
    refused = kubectl.run("logs", "client", "--previous")
    assert 'previous terminated container "client" in pod "client" not found' in refused.err


def test_who_has_a_certificate_may_do_everything_and_is_told_who_it_is(kubectl: Kubectl) -> None:
    for question in ("create pods", "delete services --all-namespaces", "get /healthz", "get pods --subresource=log"):
        assert kubectl(f"auth can-i {question}") == "yes\n"
    assert re.search(r"(?m)^\*\.\* +\[\] +\[\] +\[\*\]", kubectl("auth can-i --list"))
    who = kubectl.run("auth", "whoami")
    if "unknown command" not in who.err:  # it came with kubectl 1.27
        assert re.search(r"Username +kubernetes-admin\nGroups +\[system:masters system:authenticated\]", who.out)


def test_a_log_is_followed_until_its_pod_is_gone(kubectl: Kubectl) -> None:
    script = "echo first; while read line; do echo $line; done < /dev/null; exec sleep 600"
    kubectl.do("run", "talker", "--image=any", "--restart=Never", "--command", "--", "sh", "-c", script)
    kubectl("wait --for=condition=Ready pod/talker --timeout=30s")
    with kubectl.start("logs", "-f", "talker", stdout=subprocess.PIPE) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "first\n"
        kubectl("delete pod talker --grace-period=1 --wait=false")
        assert following.wait(30) == 0


def test_what_is_not_there_is_told_in_kubectl_s_words(kubectl: Kubectl) -> None:
    for line, words in (
        ("get secrets", 'the server doesn\'t have a resource type "secrets"'),
        ("top nodes", "Metrics API not available"),
        ("debug client --image=busybox", "ephemeral containers are disabled for this cluster"),
    ):
        refused = kubectl.run(*line.split())
        assert (refused.status, words in refused.err) == (1, True), refused.err
    assert "0001" not in kubectl("describe node node1").partition("Ready ")[2].partition("\n")[0]


def test_a_port_is_forwarded(kubectl: Kubectl) -> None:
    (pod, *_) = sorted(pod_names(kubectl))
    with kubectl.start("port-forward", f"pod/{pod}", ":80", stdout=subprocess.PIPE) as forwarding:
        assert forwarding.stdout is not None
        port = re.search(r"127\.0\.0\.1:(\d+)", forwarding.stdout.readline())
        assert port is not None
        try:
            url = f"http://127.0.0.1:{port[1]}/hostname"
            for _ in range(5):
                answer = subprocess.run(
                    ["curl", "-s", "--max-time", "5", url], capture_output=True, text=True, check=True
                )
                assert answer.stdout.strip() == pod
        finally:
            forwarding.terminate()


def test_a_watch_shows_what_happens_in_columns(kubectl: Kubectl) -> None:
    with kubectl.start("get", "svc", "-w", stdout=subprocess.PIPE) as watching:
        assert watching.stdout is not None
        try:
            assert watching.stdout.readline().split()[:2] == ["NAME", "TYPE"]
            assert [watching.stdout.readline().split()[0] for _ in range(2)] == ["kubernetes", "web"]
            kubectl("create service clusterip late --tcp=80")
            assert re.match(r"late +ClusterIP ", watching.stdout.readline())
        finally:
            watching.terminate()
    kubectl("delete svc late")


def test_what_the_chapter_made_is_deleted(kubectl: Kubectl) -> None:
    kubectl("delete service web")
    kubectl("delete deployment web --cascade=foreground --timeout=30s")
    until(lambda: kubectl("get all -l app=web -o name") == "")
    assert kubectl("get endpointslices -l kubernetes.io/service-name=web -o name") == ""
