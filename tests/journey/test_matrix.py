"""Every fabric with every kind of Pod link in every family: the same Service network, proved by the same packets."""

from __future__ import annotations

from itertools import product

import pytest
from netlab_command import PREFIX, Caller

CIDRS = {
    "IPv4": {"pod": "10.244.0.0/16", "service": "10.96.0.0/16", "node": "172.18.0.0/24", "vip": "10.96.0.80"},
    "IPv6": {
        "pod": "fd00:10:244::/56",
        "service": "fd00:10:96::/112",
        "node": "fd00:172:18::/64",
        "vip": "fd00:10:96::80",
    },
}
FAMILIES = {"IPv4": ("IPv4",), "IPv6": ("IPv6",), "dual": ("IPv4", "IPv6"), "dual, IPv6 first": ("IPv6", "IPv4")}
MATRIX = [
    (fabric, link, families)
    for fabric, link, families in product(("routed", "vxlan"), ("bridge", "ptp"), FAMILIES)
    if families != "dual, IPv6 first" or (fabric, link) == ("vxlan", "bridge")
]

POD = """---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {app}}}}}
spec:
  nodeName: {node}
  containers: [{{name: web, ports: [{{containerPort: 8080}}, {{containerPort: 8080, protocol: UDP}}]}}]
"""
SERVICES = """---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  type: NodePort
  ipFamilyPolicy: {policy}
  ipFamilies: [{families}]
  clusterIP: "{vip}"
  clusterIPs: [{addresses}]
  selector: {{app: web}}
  ports:
    - {{name: tcp, port: 80, targetPort: 8080, nodePort: 30080}}
    - {{name: udp, port: 80, protocol: UDP, targetPort: 8080, nodePort: 30080}}
---
apiVersion: v1
kind: Service
metadata: {{name: local}}
spec:
  ipFamilies: [{first}]
  selector: {{app: shell}}
  ports: [{{port: 80, targetPort: 8080}}]
---
apiVersion: v1
kind: Service
metadata: {{name: empty}}
spec:
  type: NodePort
  ipFamilyPolicy: {policy}
  ipFamilies: [{families}]
  selector: {{app: nobody}}
  ports:
    - {{name: tcp, port: 80, nodePort: 30081}}
    - {{name: udp, port: 80, protocol: UDP, nodePort: 30081}}
"""


def expectations(families: tuple[str, ...]) -> list[str]:
    """What must hold, in the words of `expect`. Web has a Pod on each node, `shell` is on the first."""
    lines = []
    for family in families:
        vip = CIDRS[family]["vip"]
        vip = f"[{vip}]" if ":" in vip else vip
        for suffix in ("", "/udp"):
            both = "reaches: [pod/web-1, pod/web-2]"  # one on the same node, the other across the wire
            lines += [f'from: {where}, to: "{vip}:80{suffix}", {both}' for where in ("pod/shell", "node/node2")]
            lines += [f'from: pod/web-1, to: "{vip}:80{suffix}", {both}']  # one of them is a hairpin
        lines += [f'from: external/client, to: "{vip}:80", verdict: unreachable']
    for suffix in ("", "/udp"):
        lines += [
            f"from: external/client, to: node/node1:30080{suffix}, reaches: [pod/web-1, pod/web-2]",
            f"from: external/client, to: node/node2:30080{suffix}, reaches: [pod/web-1, pod/web-2]",
            f"from: pod/shell, to: node/node2:30080{suffix}, reaches: [pod/web-1, pod/web-2]",
            f"from: node/node1, to: node/node1:30080{suffix}, reaches: [pod/web-1, pod/web-2]",
            f"from: pod/shell, to: pod/web-1:8080{suffix}, reaches: [pod/web-1]",
            f"from: pod/shell, to: pod/web-2:8080{suffix}, reaches: [pod/web-2]",
            f"from: pod/web-1, to: service/empty:80{suffix}, verdict: refused",
            f"from: node/node2, to: service/empty:80{suffix}, verdict: refused",
            f"from: external/client, to: node/node1:30081{suffix}, verdict: refused",
            f"from: external/client, to: pod/web-1:8080{suffix}, verdict: unreachable",
        ]
    return [
        *lines,
        "from: pod/web-1, to: service/local:80, reaches: [pod/shell]",  # by way of the Service, on the same node
        "from: pod/shell, to: service/local:80, reaches: [pod/shell]",  # nothing but a hairpin
        "from: pod/shell, to: pod/web-2/icmp, reaches: [pod/web-2]",
    ]


def lab_text(name: str, *, fabric: str, link: str, families: tuple[str, ...]) -> str:
    """A lab of two nodes with these properties."""
    ranges = {f"{what}CIDRs": [CIDRS[family][what] for family in families] for what in ("pod", "service", "node")}
    network = ", ".join(f"{key}: {value}" for key, value in ranges.items())
    services = SERVICES.format(
        policy="RequireDualStack" if len(families) == 2 else "SingleStack",
        families=", ".join(families),
        first=families[0],
        vip=CIDRS[families[0]]["vip"],
        addresses=", ".join(f'"{CIDRS[family]["vip"]}"' for family in families),
    )
    return "\n".join(
        [
            "apiVersion: netlab/v1",
            "kind: Topology",
            f"metadata: {{name: {name}}}",
            "spec:",
            f"  network: {{fabric: {fabric}, podLink: {link}, {network}}}",
            "  nodes: [{name: node1}, {name: node2}]",
            "  externals: [{name: client}]",
            "  expect:",
            *(f"    - {{{line}}}" for line in expectations(families)),
            POD.format(name="web-1", app="web", node="node1"),
            POD.format(name="web-2", app="web", node="node2"),
            POD.format(name="shell", app="shell", node="node1"),
            services,
        ]
    )


@pytest.mark.root
@pytest.mark.parametrize(("fabric", "link", "families"), MATRIX)
def test_the_service_network_holds_over_a_fabric_of_any_kind(
    root: Caller, fabric: str, link: str, families: str
) -> None:
    name = f"{PREFIX}-matrix"
    with root.lab(name, lab_text(name, fabric=fabric, link=link, families=FAMILIES[families])) as lab:
        assert lab.failures() == []
