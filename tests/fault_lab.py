"""A lab in which every fault of the catalogue can be seen, and how its packets fare, in a few words a way."""

from __future__ import annotations

import re

from netlab_command import Lab

from netlab.model.modes import ProxyMode

FILE = """
apiVersion: netlab/v1
kind: Topology
metadata: {{name: {name}}}
spec:
  network: {{fabric: vxlan}}
  proxy: {{mode: {mode}}}
  nodes: [{{name: n1}}, {{name: n2}}]
  externals: [{{name: client}}]
  expect:
    - {{from: pod/shell, to: "service/web:80", reaches: [pod/web-1, pod/web-2]}}
    - {{from: pod/shell, to: "service/one:80", reaches: [pod/web-1]}}
    - {{from: pod/shell, to: "service/lone:80", reaches: [pod/lone]}}
    - {{from: pod/shell, to: "pod/web-1:8080", reaches: [pod/web-1]}}
    - {{from: pod/shell, to: "pod/lone:8080", reaches: [pod/lone]}}
    - {{from: pod/web-1, to: "service/one:80", reaches: [pod/web-1]}}
    - {{from: pod/lone, to: "service/one:80", reaches: [pod/web-1]}}
    - {{from: pod/lone, to: "pod/web-1:8080", reaches: [pod/web-1]}}
    - {{from: node/n1, to: "service/one:80", reaches: [pod/web-1]}}
    - {{from: node/n1, to: "service/lone:80", reaches: [pod/lone]}}
    - {{from: node/n2, to: "service/one:80", reaches: [pod/web-1]}}
    - {{from: external/client, to: "node/n1:30080", reaches: [pod/lone]}}
    - {{from: external/client, to: "node/n2:30080", reaches: [pod/lone]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: shell, labels: {{team: blue}}}}
spec: {{nodeName: n1, containers: [{{name: shell, command: [sleep, infinity]}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: web-1, labels: {{app: web, number: one}}}}
spec:
  nodeName: n1
  containers:
    - name: web
      ports: [{{containerPort: 8080}}]
      readinessProbe: {{httpGet: {{path: /readyz, port: 8080}}, periodSeconds: 1, failureThreshold: 1}}
---
apiVersion: v1
kind: Pod
metadata: {{name: web-2, labels: {{app: web, number: two}}}}
spec:
  nodeName: n2
  containers:
    - name: web
      ports: [{{containerPort: 8080}}]
      readinessProbe: {{httpGet: {{path: /readyz, port: 8080}}, periodSeconds: 1, failureThreshold: 1}}
---
apiVersion: v1
kind: Pod
metadata: {{name: lone, labels: {{app: lone, team: blue}}}}
spec:
  nodeName: n2
  containers: [{{name: lone, ports: [{{containerPort: 8080}}, {{containerPort: 9000, protocol: UDP}}]}}]
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: one}}
spec: {{selector: {{app: web, number: one}}, ports: [{{port: 80, targetPort: 8080}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: lone}}
spec: {{type: NodePort, selector: {{app: lone}}, ports: [{{port: 80, targetPort: 8080, nodePort: 30080}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: echo}}
spec: {{clusterIP: 10.96.0.90, selector: {{app: lone}}, ports: [{{port: 9000, protocol: UDP}}]}}
"""


IN_DATAGRAMS = (
    (':80"', ':80/udp"'),
    (':8080"', ':8080/udp"'),
    (':30080"', ':30080/udp"'),
    ("{containerPort: 8080}", "{containerPort: 8080}, {containerPort: 8080, protocol: UDP}"),
    ("port: 80,", "port: 80, protocol: UDP,"),
)


def text(name: str, mode: str) -> str:
    """The lab's file. In mode userspace all is asked in datagrams: who answers a SYN there is the node, whatever comes.

    Ways have the same names in all modes.
    """
    written = FILE.format(name=name, mode=mode)
    for tcp, udp in IN_DATAGRAMS if mode == ProxyMode.USERSPACE else ():
        written = written.replace(tcp, udp)
    return written


def target(to: str, mode: str) -> str:
    """What is asked in that mode for a way's target, `service/one:80`."""
    return f"{to}/udp" if mode == ProxyMode.USERSPACE and not to.endswith("/udp") else to


def fares(lab: Lab) -> dict[str, str]:
    """Of every way that the lab's file expects something of and that is otherwise: how its packets fare.

    `pod/shell -> service/one:80` and `dropped`, say; or `reached web-2` where others answer.
    """
    return {_way(expectation): _words(observed) for expectation, observed in lab.failures()}


def _way(expectation: str) -> str:
    return expectation.partition(" reaches ")[0].removesuffix("/udp")


def _words(observed: str) -> str:
    """Verdicts without their numbers: `10 flows: 8 reached (web-1 8), 2 dropped; ...` is `reached web-1, dropped`."""
    told = observed.partition(": ")[2].partition(";")[0]
    return re.sub(r"\b\d+ (?=[a-z])| \d+(?=[,)])|[()]", "", told)
