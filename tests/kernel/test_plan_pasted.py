"""What `netlab plan` prints, pasted into a shell of the superuser, is a network that works."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.root

NETLAB = Path(sys.executable).with_name("netlab")
LAB = """\
apiVersion: netlab/v1
kind: Topology
metadata: {name: nlcli}
spec:
  nodes: [{name: node1}, {name: node2}]
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: node2, containers: [{name: web, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: shell}
spec: {nodeName: node1, containers: [{name: shell}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.80, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""
SERVE = (
    "import socket; s = socket.create_server(('', 8080)); print('up', flush=True); s.accept()[0].sendall(b'I am web')"
)
ASK = "import socket; print(socket.create_connection((ADDRESS, 80), timeout=5).recv(99).decode())"


def in_a_network_of_its_own(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script where no name of a namespace and no rule is another's."""
    private = f"mount -t tmpfs tmpfs /run\n{script}"
    command = ["unshare", "--net", "--mount", "--", "sh", "-e", "-c", private]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def planned(tmp_path: Path, *options: str) -> str:
    file = tmp_path / "lab.yaml"
    file.write_text(LAB)
    return subprocess.run([NETLAB, "plan", file, *options], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def question() -> str:
    """Start a server in the Pod web, then ask the Service's address from the Pod shell on the other node."""
    return f"""
mkfifo /run/ready
ip netns exec nlcli.web {sys.executable} -c "{SERVE}" >/run/ready &
read up </run/ready
ip netns exec nlcli.shell {sys.executable} -c "{ASK.replace("ADDRESS", "'10.96.0.80'")}"
"""


def test_a_pasted_plan_carries_a_packet_to_a_clusterip_into_a_pod(tmp_path: Path, question: str) -> None:
    done = in_a_network_of_its_own(planned(tmp_path) + question)
    assert (done.returncode, done.stdout) == (0, "I am web\n"), done.stderr


def test_without_kube_proxy_s_rules_no_packet_reaches_the_pod(tmp_path: Path, question: str) -> None:
    bare, rules, _ = planned(tmp_path).partition("# kube-proxy's rules on node1")
    assert rules
    done = in_a_network_of_its_own(bare + question.replace("&\n", "&\nserver=$!\ntrap 'kill $server' EXIT\n"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "unreachable" in done.stderr or "No route to host" in done.stderr


def test_the_plan_of_one_node_is_about_its_own_namespaces_alone(tmp_path: Path) -> None:
    text = planned(tmp_path, "--node", "node1")
    assert "nlcli.node1" in text
    assert "nlcli.shell" in text
    assert "ip -n nlcli.node2" not in text
    assert "ip netns exec nlcli.node2" not in text
