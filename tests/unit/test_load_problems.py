"""Every mistake, with the place, the field, what is wrong and what would be right.

In these texts an arrow stands before each place that a problem must name; it is taken out before the text is read.
Where a place has two problems there are two arrows. The problems must be exactly these, in the order of the text.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import pytest

from netlab.errors import InvalidInput, Problem
from netlab.load import load_objects, parse_lab

TOPOLOGY = "apiVersion: netlab/v1\nkind: Topology\nmetadata: {name: lab}\n"
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers: [{name: web, ports: [{name: http, containerPort: 8080}]}]
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
"""


@dataclass(frozen=True)
class Wrong:
    """What one problem must say: the whole path, and parts of the message and of the suggestion."""

    path: str
    message: str
    suggestion: str = ""


def documents(*texts: str) -> str:
    return "---\n".join(textwrap.dedent(text).lstrip("\n") for text in texts)


def lab(spec: str, *others: str) -> str:
    """A Topology with this spec (indented as one likes) and other documents, by default a Pod and a Service."""
    body = TOPOLOGY + "spec:\n" + textwrap.indent(textwrap.dedent(spec).strip("\n"), "  ") + "\n"
    return documents(body, *(others or (POD, SERVICE)))


def pod(spec: str, *, name: str = "other") -> str:
    return f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def service(spec: str, *, name: str = "other") -> str:
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def places(marked: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without its arrows, and where they stood (line, column)."""
    found: list[tuple[int, int]] = []
    lines = []
    for number, line in enumerate(marked.split("\n"), start=1):
        before, *after = line.split("→")
        for part in after:
            found.append((number, len(before) + 1))
            before += part
        lines.append(before)
    return "\n".join(lines), found


def check(problems: tuple[Problem, ...], spots: list[tuple[int, int]], expected: list[Wrong]) -> None:
    seen = [(problem.line, problem.column, problem.path) for problem in problems]
    listing = "\n".join(map(str, problems))
    assert seen == [(*spot, wrong.path) for spot, wrong in zip(spots, expected, strict=True)], listing
    for problem, wrong in zip(problems, expected, strict=True):
        assert wrong.message in problem.message, listing
        assert wrong.suggestion in problem.suggestion, listing


SYNTAX = {
    "a bracket that never closes is told with the line where it opens, and the next document is read too": (
        documents("a: [1,\nb: 2\n", TOPOLOGY + "→spek: {}\n").replace("---", "→---", 1),
        [
            Wrong(
                "", "is not YAML: did not find expected ',' or ']', while parsing a flow sequence that begins in line 1"
            ),
            Wrong("spek", 'unknown field "spek"', 'did you mean "spec"?'),
        ],
    ),
    "a tab in the indentation is told as such": (
        TOPOLOGY + "spec:\n→\tnodes: []\n",
        [Wrong("", "found character that cannot start any token", "YAML indents with spaces")],
    ),
    "a key written twice is told with the line of the first": (
        TOPOLOGY + "spec: {}\n→spec: {nodes: [{name: a}]}\n",
        [Wrong("spec", "the key 'spec' is here a second time", "the first is in line 4")],
    ),
    "an alias of nothing is told": (
        TOPOLOGY + "spec: →*nothing\n",
        [Wrong("", "there is no &nothing before *nothing")],
    ),
    "an alias inside itself is told": (TOPOLOGY + "spec: &a [→*a]\n", [Wrong("", "*a stands inside what it names")]),
    "a tag that would run code is told": (
        lab("proxy: {mode: →!!python/object:os.system iptables}"),
        [Wrong("", "the tag !!python/object:os.system does not fit", "take it out")],
    ),
    "NUL in a text is told": (
        lab('nodes: [{name: →→"a\\0"}]'),
        [
            Wrong("", "may not hold the character NUL"),
            Wrong("spec.nodes[0].name", "a lowercase RFC 1123 subdomain must consist of"),
        ],
    ),
    "a control character is told by its number": (
        documents(TOPOLOGY + "# →\x07\n", POD),
        [Wrong("", "the character U+0007 may not stand in a file")],
    ),
    "an unquoted yes as a key is told": (
        lab("nodes: [{name: a, labels: {→yes: x}}]"),
        [Wrong("yes", "the key 'yes' reads as true", 'write "yes"')],
    ),
    "a number that JSON cannot hold is told": (
        lab("", POD, service("{ports: [{port: →→.inf}]}")),
        [Wrong("", ".inf is not a number that JSON can hold"), Wrong("spec.ports[0].port", "must be a whole number")],
    ),
}

KINDS = {
    "a file without a Topology is told how to begin": (
        "→" + documents(POD, SERVICE),
        [Wrong("", "there is no document of kind Topology", "begin the file with apiVersion: netlab/v1")],
    ),
    "an empty file is told how to begin": ("→", [Wrong("", "there is no document of kind Topology")]),
    "a second Topology is told with the line of the first": (
        documents(TOPOLOGY, TOPOLOGY.replace("kind: ", "kind: →")),
        [Wrong("kind", "a file has one Topology", "the first is in line 2")],
    ),
    "a misspelt kind is guessed and the rest of its document is checked": (
        documents(TOPOLOGY, POD, SERVICE.replace("Service", "→Servce").replace("80,", "→80000,")),
        [
            Wrong("kind", '"Servce" is no kind of object', "did you mean Service?"),
            Wrong("spec.ports[0].port", "80000: must be between 1 and 65535, inclusive"),
        ],
    ),
    "a kind unlike any other gets the list of those that there are": (
        documents(TOPOLOGY, POD.replace("Pod", "→Whale")),
        [Wrong("kind", '"Whale" is no kind of object', "known are Topology, Namespace, Node, Pod, Service")],
    ),
    "a kind of another API group gets the right one": (
        documents(TOPOLOGY, POD.replace("v1", "→apps/v1")),
        [Wrong("apiVersion", '"apps/v1" has no Pod', "write v1")],
    ),
    "a kind that Kubernetes has and netlab does not is told so": (
        documents(TOPOLOGY, "apiVersion: apps/v1\nkind: →StatefulSet\nmetadata: {name: db}\n"),
        [Wrong("kind", "netlab has no StatefulSet", "it has Topology")],
    ),
    "a document without a kind is told": (documents(TOPOLOGY, "→a: 1\n"), [Wrong("kind", "is missing", "add kind:")]),
    "a document that is a list is told": (
        documents(TOPOLOGY, "→- 1\n"),
        [Wrong("", "a document must be a mapping with apiVersion, kind and metadata")],
    ),
    "an object of a List is told by its place in the list": (
        documents(TOPOLOGY, POD, "apiVersion: v1\nkind: List\nitems:\n- " + textwrap.indent(SERVICE, "  ")[2:]).replace(
            "port: 80", "port: →0"
        ),
        [Wrong("items[0].spec.ports[0].port", "0: must be between 1 and 65535, inclusive")],
    ),
    "an object without a name is told": (
        documents(TOPOLOGY, POD.replace("{name: web, labels", "→{labels")),
        [Wrong("metadata.name", "is missing", "add name:")],
    ),
    "an object without metadata is told": (
        documents(TOPOLOGY, "→apiVersion: v1\nkind: Namespace\n"),
        [Wrong("metadata", "is missing", "add metadata:")],
    ),
}

FIELDS = {
    "an unknown field of the topology gets the one that is meant": (
        lab("network: {→fabrik: vxlan}"),
        [Wrong("spec.network.fabrik", 'unknown field "fabrik"', 'did you mean "fabric"?')],
    ),
    "an unknown field of a Service gets the one that is meant, whatever its case": (
        documents(TOPOLOGY, POD, SERVICE.replace("targetPort", "→targetport")),
        [Wrong("spec.ports[0].targetport", "unknown field", 'did you mean "targetPort"?')],
    ),
    "a field one level too high is told where it belongs": (
        documents(TOPOLOGY, POD, "→containers: []\n" + POD.replace("name: web,", "name: two,", 1)),
        [Wrong("containers", 'unknown field "containers"', "it belongs into spec")],
    ),
    "a field of a list's elements is told where it belongs": (
        lab("", POD, service("{→targetPort: 80, ports: [{port: 80}]}")),
        [Wrong("spec.targetPort", "unknown field", "it belongs into ports[]")],
    ),
    "a port number in quotes is told to lose them": (
        documents(TOPOLOGY, POD, SERVICE.replace("port: 80", 'port: →"80"')),
        [Wrong("spec.ports[0].port", "must be a whole number, not a text", "write 80 without quotes")],
    ),
    "a target port in quotes is told to lose them": (
        documents(TOPOLOGY, POD, SERVICE.replace("8080", '→"8080"')),
        [Wrong("spec.ports[0].targetPort", "must be a port number without quotes", "write 8080 without quotes")],
    ),
    "a label that reads as true is told to be quoted": (
        documents(TOPOLOGY, POD, SERVICE.replace("{name: web}", "{name: web, labels: {ready: →yes}}")),
        [Wrong("metadata.labels[ready]", "must be a text, not true or false", 'write "yes"')],
    ),
    "a label that is a number is told to be quoted": (
        documents(TOPOLOGY, POD, SERVICE.replace("{name: web}", "{name: web, labels: {version: →1.5}}")),
        [Wrong("metadata.labels[version]", "must be a text, not a number", 'write "1.5"')],
    ),
    "a label value with a blank is refused in Kubernetes' words": (
        documents(TOPOLOGY, POD, SERVICE.replace("{name: web}", "{name: web, labels: {a: →b c}}")),
        [Wrong("metadata.labels[a]", "a valid label must be an empty string or consist of alphanumeric characters")],
    ),
    "a label key with two slashes is refused in Kubernetes' words": (
        lab("nodes: [{name: node1, labels: {→a/b/c: x}}]"),
        [Wrong("spec.nodes[0].labels[a/b/c]", "prefix part a lowercase RFC 1123 subdomain must consist of")],
    ),
    "a mapping instead of a list is told to begin with a dash": (
        lab("", pod("{containers: →{name: a}}")),
        [Wrong("spec.containers", "must be a list, not a mapping", "begin each element with a dash")],
    ),
    "a command in one word is told to be a list": (
        lab("", pod("{containers: [{name: a, command: →sleep}]}")),
        [Wrong("spec.containers[0].command", 'must be a list, not a text ("sleep")', "write [sleep]")],
    ),
    "a list instead of a mapping is told to lose its dash": (
        lab("network: →[{fabric: vxlan}]"),
        [Wrong("spec.network", "must be a mapping, not a list", "take the dash out")],
    ),
    "true in a text is told": (
        lab("", pod("{containers: [{name: a}], nodeName: →true}")),
        [Wrong("spec.nodeName", "must be a text, not true or false", 'write "true"')],
    ),
    "a whole number out of 64 bits is told": (
        lab("", service("{ports: [{port: →99999999999999999999999}]}")),
        [Wrong("spec.ports[0].port", "must be a whole number, not a number")],
    ),
    "a missing container port is told": (
        lab("", pod("{containers: [{name: a, ports: [→{name: x}]}]}")),
        [Wrong("spec.containers[0].ports[0].containerPort", "is missing", "add containerPort:")],
    ),
    "a Pod without a spec, and a template without one, are told": (
        lab(
            "",
            "→apiVersion: v1\nkind: Pod\nmetadata: {name: other}\n",
            """
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: shop}
            spec:
              selector: {matchLabels: {app: shop}}
              template: →{metadata: {labels: {app: shop}}}
            """,
        ),
        [
            Wrong("spec", "is missing", "add spec: {...}"),
            Wrong("spec.template.spec", "is missing", "add spec: {...}"),
        ],
    ),
    "clusterIPs without clusterIP are told": (
        lab("", service("→{clusterIPs: [10.96.0.9], ports: [{port: 80}]}")),
        [Wrong("spec.clusterIP", "is missing", "the first of clusterIPs is clusterIP: write 10.96.0.9")],
    ),
    "a protocol in small letters gets the right one": (
        lab("", service("{ports: [{port: 80, protocol: →tcp}]}")),
        [
            Wrong(
                "spec.ports[0].protocol", '"tcp" is not supported: supported values: "TCP", "UDP", "SCTP"', "mean TCP?"
            )
        ],
    ),
    "a scheduler that IPVS has not gets those that it has": (
        lab("proxy: {mode: ipvs, ipvs: {scheduler: →wr}}"),
        [
            Wrong(
                "spec.proxy.ipvs.scheduler",
                '"wr" is not supported: supported values: "rr", "wrr", "lc", "wlc", ',
                "mean rr?",
            )
        ],
    ),
    "strict ARP is on or off, and excluded ranges are ranges": (
        lab("proxy: {mode: ipvs, ipvs: {strictARP: →strictly, excludeCIDRs: [→192.0.2.1]}}"),
        [
            Wrong("spec.proxy.ipvs.strictARP", 'must be true or false, not the text "strictly"'),
            Wrong(
                "spec.proxy.ipvs.excludeCIDRs[0]",
                '"192.0.2.1" is an address, not a range',
                "write 192.0.2.1/32 for that one alone",
            ),
        ],
    ),
    "a proxy mode that is none gets those that there are": (
        lab("proxy: {mode: →ebpf}"),
        [
            Wrong(
                "spec.proxy.mode",
                '"ebpf" is not supported: supported values: "iptables", "nftables", "ipvs", "userspace"',
            )
        ],
    ),
    "a name with capitals is refused in Kubernetes' words and gets a valid one": (
        documents(TOPOLOGY.replace("lab}", "→My_Lab}"), POD, SERVICE),
        [Wrong("metadata.name", '"My_Lab": a lowercase RFC 1123 label must consist of', "for instance my-lab")],
    ),
    "a lab name with a dot is refused": (
        documents(TOPOLOGY.replace("lab}", "→my.lab}"), POD, SERVICE),
        [Wrong("metadata.name", "a lowercase RFC 1123 label must consist of", "for instance my-lab")],
    ),
    "a name that is too long is told its limit": (
        documents(TOPOLOGY.replace("lab}", "→" + "a" * 64 + "}"), POD, SERVICE),
        [Wrong("metadata.name", "must be no more than 63 characters")],
    ),
    "a name in a namespace for what lives in none is told": (
        documents(TOPOLOGY, "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, namespace: →b}\n"),
        [Wrong("metadata.namespace", "a Namespace lives in no namespace", "take it out")],
    ),
}

RANGES = {
    "the classic accident: the Pod range 10.0.0.0/8 swallows the default Service range": (
        lab("network: {podCIDRs: [→10.0.0.0/8]}"),
        [
            Wrong(
                "spec.network.podCIDRs[0]",
                "10.0.0.0/8 overlaps the Service range 10.96.0.0/12 (the default): "
                "a Pod could get an address that kube-proxy takes for a Service's",
                "10.244.0.0/16 is free, for instance",
            )
        ],
    ),
    "Pod and node ranges that overlap are both named": (
        lab("network: {podCIDRs: [→10.1.0.0/16], nodeCIDRs: [10.1.2.0/24]}"),
        [Wrong("spec.network.podCIDRs[0]", "10.1.0.0/16 overlaps the node range 10.1.2.0/24: packets for a node")],
    ),
    "Service and node ranges that overlap are both named, in IPv6 too": (
        lab("""
            network:
              podCIDRs: ["fd00:1::/56"]
              serviceCIDRs: [→"fd00:2::/112"]
              nodeCIDRs: ["fd00:2::/64"]
            """),
        [Wrong("spec.network.serviceCIDRs[0]", "fd00:2::/112 overlaps the node range fd00:2::/64", "fd00:10:96::/112")],
    ),
    "a range with bits behind its length gets the range that is meant": (
        lab("network: {podCIDRs: [→10.244.1.0/16]}"),
        [Wrong("spec.network.podCIDRs[0]", "has bits set behind its length", "write 10.244.0.0/16")],
    ),
    "an address instead of a range is told": (
        lab("network: {podCIDRs: [→10.244.0.0]}"),
        [Wrong("spec.network.podCIDRs[0]", "is an address, not a range", "write 10.244.0.0/32")],
    ),
    "two ranges of one family are told": (
        lab("network: {podCIDRs: [10.244.0.0/16, →10.245.0.0/16]}"),
        [Wrong("spec.network.podCIDRs[1]", "10.245.0.0/16 is a second IPv4 range beside 10.244.0.0/16", "at most one")],
    ),
    "IPv6 Pods on IPv4 nodes are told what is missing": (
        lab('network: {podCIDRs: [10.244.0.0/16, →"fd00:1::/56"]}'),
        [Wrong("spec.network.podCIDRs[1]", "is IPv6, and there is no IPv6 node range", "to spec.network.nodeCIDRs")],
    ),
    "IPv6 Services without IPv6 Pods are told what is missing": (
        lab('network: {serviceCIDRs: [10.96.0.0/16, →"fd00:1::/112"]}'),
        [Wrong("spec.network.serviceCIDRs[1]", "is IPv6, and there is no IPv6 Pod range", "to spec.network.podCIDRs")],
    ),
    "loopback as a Pod range is told": (
        lab("network: {podCIDRs: [→127.0.0.0/16]}"),
        [Wrong("spec.network.podCIDRs[0]", "127.0.0.0/16 overlaps 127.0.0.0/8, which is loopback")],
    ),
    "an empty list of ranges is told": (
        lab("network: {nodeCIDRs: →[]}"),
        [Wrong("spec.network.nodeCIDRs", "holds no range", "write for instance [172.18.0.0/24]")],
    ),
    "more nodes than the Pod range has parts are told": (
        lab("network: {podCIDRs: [→10.244.0.0/23]}\nnodes: [{name: a}, {name: b}, {name: c}]"),
        [
            Wrong(
                "spec.network.podCIDRs[0]",
                "3 nodes take a /24 each of the Pod range 10.244.0.0/23: it has 2",
                "length /22",
            )
        ],
    ),
    "more machines than the node range has addresses are told": (
        lab(
            "network: {nodeCIDRs: [→172.18.0.0/29]}\nnodes: [{name: a}, {name: b}, {name: c}]\n"
            "externals: [{name: d}, {name: e}, {name: f}]"
        ),
        [Wrong("spec.network.nodeCIDRs[0]", "6 nodes and externals do not fit", "length /28 would do")],
    ),
    "more Pods than all nodes have addresses for are told": (
        lab(
            "nodes: [{name: a}, {name: b}]",
            """
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: →many}
            spec:
              replicas: 507
              selector: {matchLabels: {app: many}}
              template: {metadata: {labels: {app: many}}, spec: {containers: [{name: a}]}}
            """,
        ),
        [Wrong("metadata.name", "507 Pods so far, and the nodes have room for 506", "add nodes")],
    ),
    "more Pods on one node than its bridge has ports are told": (
        lab(
            "nodes: [{name: a, podCIDRs: [10.244.0.0/20]}]",
            """
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: many}
            spec:
              replicas: 1024
              selector: {matchLabels: {app: many}}
              template: {metadata: {labels: {app: many}}, spec: {nodeName: →a, containers: [{name: a}]}}
            """,
        ),
        [Wrong("spec.template.spec.nodeName", "1024 Pods on a, which has room for 1023")],
    ),
}

ADDRESSES = {
    "node addresses outside, special or taken are told": (
        lab("""
            nodes:
              - {name: a, addresses: [→10.0.0.1]}
              - {name: b, addresses: [→172.18.0.1]}
              - {name: c, addresses: [172.18.0.9]}
            externals:
              - {name: d, addresses: [→172.18.0.9]}
              - {name: e, addresses: [172.18.0.10, →172.18.0.11]}
            """),
        [
            Wrong("spec.nodes[0].addresses[0]", "10.0.0.1 is not in the node range 172.18.0.0/24 (the default)"),
            Wrong("spec.nodes[1].addresses[0]", "172.18.0.1 is the router's address"),
            Wrong("spec.externals[0].addresses[0]", "172.18.0.9 is taken already", "c has it, in line 8"),
            Wrong("spec.externals[1].addresses[1]", "is a second IPv4 address of this machine"),
        ],
    ),
    "nodes' Pod ranges outside or overlapping are told": (
        lab("""
            nodes:
              - {name: a, podCIDRs: [10.244.0.0/23]}
              - {name: b, podCIDRs: [→10.244.1.0/24]}
              - {name: c, podCIDRs: [→10.245.0.0/24]}
            """),
        [
            Wrong("spec.nodes[1].podCIDRs[0]", "10.244.1.0/24 overlaps 10.244.0.0/23", "in line 6"),
            Wrong("spec.nodes[2].podCIDRs[0]", "10.245.0.0/24 is not in the Pod range 10.244.0.0/16"),
        ],
    ),
    "a ClusterIP outside the Service range is told": (
        documents(TOPOLOGY, POD, SERVICE, service("{clusterIP: →10.244.0.9, ports: [{port: 80}]}")),
        [Wrong("spec.clusterIP", "10.244.0.9 is not in the Service range 10.96.0.0/12 (the default)", "leave it out")],
    ),
    "a ClusterIP that another Service has is told with its line": (
        documents(
            TOPOLOGY,
            POD,
            service("{clusterIP: 10.96.0.9, ports: [{port: 80}]}", name="one"),
            service("{clusterIP: →10.96.0.9, ports: [{port: 80}]}", name="two"),
        ),
        [Wrong("spec.clusterIP", "10.96.0.9 is taken already", "Service one has it, in line 14")],
    ),
    "a ClusterIP that is the API server's is told": (
        documents(TOPOLOGY, POD, service("{clusterIP: →10.96.0.1, ports: [{port: 80}]}")),
        [Wrong("spec.clusterIP", "10.96.0.1 is taken already", "the API server has it, as the Service default/kuber")],
    ),
    "a ClusterIP that is no address is told": (
        documents(TOPOLOGY, POD, service("{clusterIP: →10.96.0.300, ports: [{port: 80}]}")),
        [Wrong("spec.clusterIP", "must be a valid IP address")],
    ),
    "a NodePort outside the range, and one that is taken, are told": (
        documents(
            TOPOLOGY,
            POD,
            service("{type: NodePort, ports: [{port: 80, nodePort: →8080}]}", name="one"),
            service("{type: NodePort, ports: [{port: 80, nodePort: 30080}]}", name="two"),
            service("{type: NodePort, ports: [{port: 80, nodePort: →30080}]}", name="three"),
        ),
        [
            Wrong("spec.ports[0].nodePort", "8080 is not in the range of NodePorts 30000-32767", "leave it out"),
            Wrong("spec.ports[0].nodePort", "port 30080 is taken already", "Service two has it"),
        ],
    ),
    "a Service whose addresses, families and policy do not go together is told": (
        lab(
            """
            network:
              podCIDRs: [10.244.0.0/16, "fd00:1::/56"]
              serviceCIDRs: [10.96.0.0/16, "fd00:2::/112"]
              nodeCIDRs: [172.18.0.0/24, "fd00:3::/64"]
            """,
            POD,
            service(
                "{ipFamilyPolicy: →SingleStack, ipFamilies: [IPv6, IPv4], clusterIP: 10.96.0.9, "
                'clusterIPs: [→10.96.0.9, →"fd00:2::9"], ports: [{port: 80}]}',
            ),
        ),
        [
            Wrong("spec.ipFamilyPolicy", "SingleStack has one family, and here are two", "write RequireDualStack"),
            Wrong("spec.clusterIPs[0]", "10.96.0.9 is not an IPv6 address, which ipFamilies puts here"),
            Wrong("spec.clusterIPs[1]", "fd00:2::9 is not an IPv4 address"),
        ],
    ),
    "a dual-stack Service in a lab of one family is told": (
        documents(
            TOPOLOGY,
            POD,
            service("{ipFamilyPolicy: →RequireDualStack, ipFamilies: [IPv4, →IPv6], ports: [{port: 80}]}"),
        ),
        [
            Wrong("spec.ipFamilyPolicy", "this lab is not dual-stack: its Service range is IPv4", "PreferDualStack"),
            Wrong("spec.ipFamilies[1]", "this lab has no IPv6 Service range"),
        ],
    ),
}

NAMES = {
    "two objects of one kind and name are told with the line of the first": (
        documents(TOPOLOGY, POD, SERVICE, SERVICE.replace("{name: web}", "{name: →web}")),
        [Wrong("metadata.name", "Service web is here a second time", "the first is in line 13")],
    ),
    "two Pods of one name are told once": (
        documents(TOPOLOGY, POD, POD.replace("{name: web,", "{name: →web,", 1)),
        [Wrong("metadata.name", "Pod web is here a second time", "the first is in line 7")],
    ),
    "two nodes of one name are told": (
        lab("nodes: [{name: a}, {name: →a}]"),
        [Wrong("spec.nodes[1].name", "node/a is here a second time", "the first is in line 5")],
    ),
    "a node and an external of one name are told": (
        lab("nodes: [{name: a}]\nexternals: [{name: →a}]"),
        [Wrong("spec.externals[0].name", "node/a (line 5) and external/a would be the same network namespace lab.a")],
    ),
    "a Pod and a node of one name are told": (
        lab("nodes: [{name: web}]", POD.replace("{name: web,", "{name: →web,", 1)),
        [Wrong("metadata.name", "node/web (line 5) and pod/web would be the same network namespace lab.web", "rename")],
    ),
    "a Pod whose namespace makes it sound like a node is told": (
        lab(
            "nodes: [{name: a.b}]",
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: →a, namespace: b}\nspec: {containers: [{name: a}]}\n",
        ),
        [Wrong("metadata.name", "node/a.b (line 5) and pod/b/a would be the same network namespace lab.a.b")],
    ),
    "a Pod that is called like the wire is told": (
        lab("", pod("{containers: [{name: a}]}", name="→fabric")),
        [Wrong("metadata.name", '"fabric" is the name of the wire between the nodes', "choose another name")],
    ),
    "a name too long for a network namespace is told": (
        lab("", pod("{containers: [{name: a}]}", name="→" + "a" * 253)),
        [Wrong("metadata.name", "its network namespace would have a name of 257 characters, beyond 255")],
    ),
}

REFERENCES = {
    "a Pod on a node that is not there gets the one that is meant": (
        lab("nodes: [{name: node1}]", pod("{nodeName: →nod1, containers: [{name: a}]}")),
        [Wrong("spec.nodeName", 'there is no node "nod1"', "did you mean node1?")],
    ),
    "an object in a Kubernetes namespace that is not there is told to add it": (
        documents(TOPOLOGY, POD, SERVICE.replace("{name: web}", "{name: web, namespace: →shop}")),
        [Wrong("metadata.namespace", 'there is no Namespace "shop"', "add a document apiVersion: v1, kind: Namespace")],
    ),
    "a Node document is told where nodes are written": (
        documents(TOPOLOGY, "apiVersion: v1\nkind: Node\nmetadata: {name: →node1}\n"),
        [Wrong("metadata.name", "a lab's nodes are those of its Topology", "into spec.nodes there")],
    ),
    "expectations that name what is not there are told, each with what is near": (
        lab("""
            externals: [{name: client}]
            expect:
              - {from: →pod/wep, to: service/web:80, verdict: reached}
              - {from: →node/node3, to: →service/wob:80, reaches: [→pod/web-1]}
              - {from: →external/clyent, to: →node/node9:30080, verdict: refused}
              - {from: pod/web, to: →pod/web:grpc, reaches: [→deployment/web]}
              - {from: pod/web, to: →service/web:81, reaches: [pod/web]}
              - {from: pod/web, to: →service/web:80/udp, reaches: [pod/web]}
              - {from: pod/web, to: service/web:81, verdict: unreachable}
            """),
        [
            Wrong("spec.expect[0].from", 'there is no Pod "wep"', "did you mean web?"),
            Wrong("spec.expect[1].from", 'there is no node "node3"', "did you mean node1?"),
            Wrong("spec.expect[1].to", 'there is no Service "wob"', "did you mean web?"),
            Wrong("spec.expect[1].reaches[0]", 'there is no Pod "web-1"', "there are web"),
            Wrong("spec.expect[2].from", 'there is no external "clyent"', "did you mean client?"),
            Wrong("spec.expect[2].to", 'there is no node "node9"', "did you mean node1?"),
            Wrong("spec.expect[3].to", 'there is no port "grpc"', "there are http"),
            Wrong("spec.expect[3].reaches[0]", 'there is no Deployment "web"', "the file has no Deployment"),
            Wrong("spec.expect[4].to", "Service web has no port 81", "it has 80/tcp (http)"),
            Wrong("spec.expect[5].to", "has port 80 over tcp, not over udp", "write service/web:80/tcp"),
        ],
    ),
    "expectations that cannot be read are told how to write them": (
        lab("""
            expect:
              - {from: →web, to: →web, verdict: reached}
              - {from: pod/web, to: →service/web, reaches: [→web]}
              - →{from: pod/web, to: service/web:80}
              - {from: pod/web, to: service/web:80, reaches: [pod/web], verdict: →refused}
              - {from: pod/web, to: service/web:80, reaches: →[]}
            """),
        [
            Wrong("spec.expect[0].from", "'web' is not a place: write pod/NAME, node/NAME or external/NAME"),
            Wrong("spec.expect[0].to", "'web' names no port: write service/NAME:PORT"),
            Wrong("spec.expect[1].to", "'service/web' names no port"),
            Wrong("spec.expect[1].reaches[0]", "'web' names no Pods: write pod/NAME or deployment/NAME"),
            Wrong("spec.expect[2]", "says neither reaches nor verdict", "add reaches: [pod/NAME]"),
            Wrong("spec.expect[3].verdict", "a packet that is refused reaches no Pod"),
            Wrong("spec.expect[4].reaches", "names no Pods"),
        ],
    ),
    "a Pod of a Deployment cannot be named and the Deployment is proposed": (
        lab(
            "expect: [{from: →pod/shop-1, to: node/node1:80, verdict: refused}]",
            """
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: shop}
            spec:
              selector: {matchLabels: {app: shop}}
              template: {metadata: {labels: {app: shop}}, spec: {containers: [{name: a}]}}
            """,
        ),
        [Wrong("spec.expect[0].from", 'there is no Pod "shop-1"', "write deployment/shop under reaches")],
    ),
    "nothing is called missing where a document could not be read": (
        lab("expect: [{from: pod/gone, to: service/gone:80, verdict: reached}]", "a: [\n→", POD),
        [Wrong("", "is not YAML")],
    ),
}

OBJECTS = {
    "a Service without ports is told": (
        documents(TOPOLOGY, "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: →{type: ClusterIP}\n"),
        [Wrong("spec.ports", "is missing", "add - port: 80")],
    ),
    "several ports without names, and twice the same port, are told": (
        lab("", service("{ports: [→{port: 80}, {name: a, port: →80}]}")),
        [
            Wrong("spec.ports[0].name", "each port of a Service with several has a name"),
            Wrong("spec.ports[1].port", "port 80 over TCP is here a second time"),
        ],
    ),
    "a NodePort in a ClusterIP Service is told": (
        lab("", service("{ports: [{port: 80, nodePort: →30080}]}")),
        [Wrong("spec.ports[0].nodePort", "may not be used when type is ClusterIP", "write type: NodePort")],
    ),
    "a headless NodePort Service is told": (
        lab("", service("{type: NodePort, clusterIP: →None, ports: [{port: 80}]}")),
        [Wrong("spec.clusterIP", 'may not be "None" (headless) for type NodePort')],
    ),
    "an external traffic policy on a Service that nobody outside reaches is told": (
        lab("", service("{externalTrafficPolicy: →Local, ports: [{port: 80}]}")),
        [Wrong("spec.externalTrafficPolicy", "may only be set for a Service that can be reached from outside")],
    ),
    "a Deployment whose selector does not choose its own Pods is told": (
        lab(
            "",
            """
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: shop}
            spec:
              selector: →{matchLabels: {app: shop}}
              template: {metadata: {labels: {app: chop}}, spec: {containers: [{name: a}]}}
            """,
        ),
        [Wrong("spec.selector", "does not choose the labels of spec.template.metadata")],
    ),
    "a Pod without containers is told": (
        lab("", pod("{containers: →[]}")),
        [Wrong("spec.containers", "a Pod needs a container")],
    ),
    "two containers or ports of one name are told": (
        lab(
            "",
            pod(
                "{containers: [{name: a, ports: [{name: x, containerPort: 1}]}, "
                "{name: →a, ports: [{name: →x, containerPort: 2}]}]}"
            ),
        ),
        [
            Wrong("spec.containers[1].name", 'two containers are called "a"'),
            Wrong("spec.containers[1].ports[0].name", 'two ports of this Pod are called "x"'),
        ],
    ),
    "a probe without a way to probe, one with two, and one of an unknown port are told": (
        lab(
            "",
            pod("{containers: [{name: a, readinessProbe: →{periodSeconds: 1}}]}", name="one"),
            pod(
                "{containers: [{name: a, readinessProbe: {httpGet: {port: 80}, tcpSocket: →{port: →http}}}]}",
                name="two",
            ),
        ),
        [
            Wrong("spec.containers[0].readinessProbe", "says no way to probe", "httpGet, tcpSocket, exec"),
            Wrong("spec.containers[0].readinessProbe.tcpSocket", "may not stand beside httpGet"),
            Wrong("spec.containers[0].readinessProbe.tcpSocket.port", 'no port of this Pod is called "http"'),
        ],
    ),
    "an endpoint of the wrong family is told": (
        documents(
            TOPOLOGY,
            """
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata: {name: web-1}
            addressType: IPv6
            endpoints: [{addresses: [→10.244.0.1]}]
            """,
        ),
        [Wrong("endpoints[0].addresses[0]", '"10.244.0.1" is not an IPv6 address')],
    ),
}

CASES = SYNTAX | KINDS | FIELDS | RANGES | ADDRESSES | NAMES | REFERENCES | OBJECTS


@pytest.mark.parametrize(("marked", "expected"), CASES.values(), ids=CASES.keys())
def test_a_lab_file_where(marked: str, expected: list[Wrong]) -> None:
    text, spots = places(marked)
    with pytest.raises(InvalidInput) as caught:
        parse_lab(text, file="lab.yaml")
    check(caught.value.problems, spots, expected)
    assert {problem.file for problem in caught.value.problems} == {"lab.yaml"}


def test_manifests_have_the_same_checks_without_those_that_need_the_lab() -> None:
    marked = documents(
        SERVICE.replace("port: 80", "port: →0"),
        SERVICE.replace("{name: web}", "{name: →web}").replace("port: 80", "port: 443, →nodeport: 5"),
        pod("{nodeName: anywhere, containers: [{name: a}]}"),
    )
    text, spots = places(marked)
    with pytest.raises(InvalidInput) as caught:
        load_objects(text, "manifest.yaml")
    expected = [
        Wrong("spec.ports[0].port", "0: must be between 1 and 65535"),
        Wrong("metadata.name", "Service web is here a second time"),
        Wrong("spec.ports[0].nodeport", "unknown field", 'did you mean "nodePort"?'),
    ]
    check(caught.value.problems, spots, expected)


def test_a_manifest_in_json_has_its_mistakes_at_their_lines_and_columns() -> None:
    marked = """{
\t"apiVersion": "v1",
\t"kind": "Service",
\t"metadata": {"name": "web"},
\t"spec": {"ports": [{"port": →"80"}]}
}"""
    text, spots = places(marked)
    with pytest.raises(InvalidInput) as caught:
        load_objects(text, "manifest.json")
    check(caught.value.problems, spots, [Wrong("spec.ports[0].port", "must be a whole number, not a text")])
