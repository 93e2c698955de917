"""How a lab looks otherwise than by packets of a probe: each a function of the lab, and what it sees in a few words."""

from __future__ import annotations

import itertools
import json
import sys

from netlab_command import Lab, comes_true

SOON = 1.0
"""Seconds: what one kube-proxy has followed, any other follows by then."""
numbers = itertools.count(1)
RESOLVE = "import socket; print(socket.gethostbyname('lone.default.svc.cluster.local.') and 'resolved')"
HEARD = """
def heard(client, seconds=1):
    client.settimeout(seconds)
    try:
        return "answered" if client.recv(12) else "wrong"
    except OSError:
        return "silence"
"""
"""Whether there is an answer; what was asked before, side by side, has had its time when the first was waited for."""
SEND_MUCH = f"""
import socket, sys
{HEARD}
asked = {{}}
for name, size in (("little", 10), ("a segment", 1300), ("more", 4000)):
    asked[name] = socket.create_connection((sys.argv[1], 8080), timeout=2)
    head = b"GET / HTTP/1.1\\r\\nHost: lone\\r\\nPadding: " + b"x" * size
    asked[name].sendall(head + b"\\r\\nConnection: close\\r\\n\\r\\n")
print(", ".join(f"{{name}} {{heard(client)}}" for name, client in asked.items()))
"""


def python(lab: Lab, place: str, program: str, *arguments: str) -> str:
    """The last line that a program prints in a place, its error's if it ends with one."""
    done = lab.run("exec", place, "--", sys.executable, "-c", program, *arguments)
    return (done.out or done.err).splitlines()[-1]


def resolving(lab: Lab) -> str:
    return "resolved" if python(lab, "pod/shell", RESOLVE) == "resolved" else "no such name"


def sending_much(lab: Lab) -> str:
    address = json.loads(lab.ok("get", "pod", "lone", "-o", "json"))["status"]["podIP"]
    return python(lab, "pod/shell", SEND_MUCH, address)


ASK_BY_UDP = f"""
import socket
{HEARD}
asked = {{}}
for port in (40053, 40054):
    asked[port] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asked[port].bind(("", port))
    asked[port].connect(("10.96.0.90", 9000))
    asked[port].send(b"hello")
print(", ".join(f"{{port}} {{heard(client)}}" for port, client in asked.items()))
"""


def asking_by_udp(lab: Lab) -> str:
    return python(lab, "pod/shell", ASK_BY_UDP)


MANY = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: many}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: many}}}}
  template:
    metadata: {{labels: {{app: many}}}}
    spec: {{containers: [{{name: many, ports: [{{containerPort: 8080}}]}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: many}}
spec: {{selector: {{app: many}}, ports: [{{port: 80, targetPort: 8080}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: {later}}}
spec: {{selector: {{app: many}}, ports: [{{port: 80, targetPort: 8080}}]}}
"""


def following(lab: Lab) -> str:
    """What node n1 knows of a Deployment that is scaled up by one Pod, and of a Service that is made, once n2 does."""
    replicas = next(numbers)
    later = f"later-{replicas}"
    lab.ok("apply", "-f", "-", text=MANY.format(replicas=replicas, later=later))
    for service in (later, "many"):
        assert comes_true(lambda name=service: answering(lab, "n2", name) == replicas), "n2 follows"
    all_ = comes_true(lambda: answering(lab, "n1", "many") == replicas, within=SOON)
    return f"{'all' if all_ else 'some'} Pods, {', '.join(lab.verdicts('node/n1', f'service/{later}:80'))}"


def answering(lab: Lab, node: str, service: str) -> int:
    """How many Pods answer to 50 packets, all of them answered; 0 where one is not."""
    done = lab.run("probe", f"node/{node}", f"service/{service}:80", "--count", "50", "--timeout", "0.3", "-o", "json")
    summary = json.loads(done.out)["summary"]
    return len(summary["pods"]) if list(summary["verdicts"]) == ["reached"] else 0


def following_while_it_runs(lab: Lab) -> str:
    """The same, and what `netlab status` says of the kube-proxy."""
    proxy = next(node["proxy"] for node in lab.json("status")["nodes"] if node["name"] == "n1")
    known = "in sync" if proxy["synced"] else "behind"
    return f"{following(lab)}, {'running' if proxy['running'] else 'stopped'} and {known}"


def ready_pods(lab: Lab) -> str:
    line = next(line for line in lab.ok("get", "pods").splitlines() if line.startswith("web-1 "))
    return line.split()[1]


def filter_rules(lab: Lab) -> str:
    """Whether one of the two programs shows a rule that drops what is for Pods."""
    shown = {name: lab.ok("exec", "node/n1", "--", name, "-S", "FORWARD") for name in ("iptables", "iptables-nft")}
    return ", ".join(name for name, text in shown.items() if "left-over" in text) or "none"
