"""Proxy modes: every topology in each, nodes of different modes side by side, and changing it while packets flow."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest
from netlab_command import PREFIX, TOPOLOGIES, Caller, Lab, comes_true, topology

from netlab.api.encoding import Json
from netlab.api.sync_client import SyncClient
from netlab.model.modes import ProxyMode
from netlab.model.topology import NodeEntry, Topology

FILES = sorted(path.stem for path in TOPOLOGIES.glob("*.yaml") if "\n  proxy:" not in path.read_text())
"""Those that are not about a mode of their own."""
MIXED = f"{PREFIX}-mixed"
DIFFERENT = {
    "no-endpoints": {
        "pod/client -> service/sleepy:81 is unreachable": "3 flows: 3 refused; every flow should be unreachable",
        "pod/client -> 10.96.200.200:80 is unreachable": "3 flows: 3 dropped; every flow should be unreachable",
    }
}
"""What mode nftables does otherwise: it refuses ports that a ClusterIP does not have, and drops what nobody has."""
IN_USERSPACE = {
    "the node accepts a connection itself, before it chooses a Pod": (
        r".* reaches .*",
        r"10 flows: 10 reached; it was no Pod of this lab that answered",
    ),
    "it accepts it where there is no endpoint too, and knows no policy Local": (
        r".* is (refused|dropped)",
        r"3 flows: 3 reached; every flow should be (refused|dropped)",
    ),
    "a datagram to a Service without endpoints meets silence": (
        r".*/udp is refused",
        r"3 flows: 3 dropped; every flow should be refused",
    ),
    "a load balancer's address with source ranges is not served": (
        r".* -> 172\.18\.255\.3:80 .*",
        r"\d+ flows: \d+ unreachable; every flow should be .*",
    ),
}
"""What fares otherwise in mode userspace: an expectation, and what is seen instead."""
IN_IPVS = {
    "no-endpoints": {
        "pod/client -> service/sleepy:81 is unreachable": "3 flows: 3 refused; every flow should be unreachable",
    },
    "load-balancer": {
        f"{client} -> 172.18.255.2:80 reaches pod/web-1, pod/web-2": "52 flows: 52 reached (web-2 52); web-1 got none"
        for client in ("pod/web-2", "node/node2")
    },
}
"""What mode ipvs does otherwise. The node has the ClusterIP itself, and refuses ports that the Service does not have. A
virtual server has one list of endpoints: under the policy Local this node's, for its Pods and the node itself too."""
KEEPS_ASKING = """
import http.client, sys
connection = http.client.HTTPConnection("10.96.0.80", 80, timeout=10)
for _ in sys.stdin:
    connection.request("GET", "/hostname")
    print(connection.getresponse().read().decode().strip(), flush=True)
"""


def in_mode(text: str, mode: ProxyMode) -> str:
    """The topology's text with that proxy mode; it must not name one itself."""
    assert "proxy:" not in text
    return text.replace("\nspec:\n", f"\nspec:\n  proxy: {{mode: {mode}}}\n", 1)


@pytest.mark.root
@pytest.mark.parametrize("file", FILES)
def test_a_topology_holds_what_it_says_in_mode_nftables_too(root: Caller, file: str) -> None:
    name = f"{PREFIX}-{file}"
    with root.lab(name, in_mode(topology(file, name=name), ProxyMode.NFTABLES)) as lab:
        assert dict(lab.failures()) == DIFFERENT.get(file, {})
        assert {node["proxyMode"] for node in lab.json("status")["nodes"]} == {"nftables"}


@pytest.mark.root
@pytest.mark.parametrize("file", FILES)
def test_a_topology_differs_in_mode_userspace_only_as_that_mode_must(root: Caller, file: str) -> None:
    name = f"{PREFIX}-{file}"
    with root.lab(name, in_mode(topology(file, name=name), ProxyMode.USERSPACE)) as lab:
        failures = lab.failures()
    assert failures
    assert [failed for failed in failures if not any(_is_of(failed, each) for each in IN_USERSPACE.values())] == []


@pytest.mark.root
@pytest.mark.ipvs
@pytest.mark.parametrize("file", FILES)
def test_a_topology_differs_in_mode_ipvs_only_as_that_mode_must(root: Caller, file: str) -> None:
    name = f"{PREFIX}-{file}"
    with root.lab(name, in_mode(topology(file, name=name), ProxyMode.IPVS)) as lab:
        assert dict(lab.failures()) == IN_IPVS.get(file, {})
        assert {node["proxyMode"] for node in lab.json("status")["nodes"]} == {"ipvs"}


def _is_of(failed: tuple[str, str], difference: tuple[str, str]) -> bool:
    return all(re.fullmatch(pattern, text) for pattern, text in zip(difference, failed, strict=True))


@pytest.fixture(scope="module")
def mixed(root: Caller) -> Iterator[Lab]:
    """Two nodes: the first in mode nftables."""
    text = topology("two-nodes", name=MIXED)
    assert "- {name: node1" in text or "[{name: node1}" in text
    with root.lab(MIXED, text.replace("{name: node1", "{proxyMode: nftables, name: node1", 1)) as lab:
        yield lab


def held(lab: Lab, node: str) -> dict[str, bool]:
    """Which modes' rules a node has."""
    tables = lab.ok("exec", f"node/{node}", "--", "nft", "list", "tables")
    chains = lab.ok("exec", f"node/{node}", "--", "iptables-save")
    return {"nftables": "kube-proxy" in tables, "iptables": "KUBE-SVC-" in chains}


ONLY = {mode: {each: each == mode for each in ("nftables", "iptables")} for mode in ("nftables", "iptables")}


@pytest.mark.root
def test_nodes_of_different_modes_serve_the_same_services(mixed: Lab) -> None:
    assert mixed.failures() == []
    assert [node["proxyMode"] for node in mixed.json("status")["nodes"]] == ["nftables", "iptables"]
    assert (held(mixed, "node1"), held(mixed, "node2")) == (ONLY["nftables"], ONLY["iptables"])


@pytest.mark.root
def test_a_connection_goes_on_while_the_mode_changes(mixed: Lab) -> None:
    """Through one node in either mode: what conntrack knows is translated as before."""
    client = ["exec", "-l", mixed.name, "pod/shell", "--", "python3", "-c", KEEPS_ASKING]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with mixed.caller.start(*client, **pipes) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        pods = []
        for mode in ("iptables", "nftables", "iptables", "nftables"):
            mixed.ok("set-mode", mode, "--on", "node1")
            process.stdin.write("ask\n")
            process.stdin.flush()
            pods.append(process.stdout.readline())
        process.stdin.close()
        assert process.wait(10) == 0
    assert pods[0].startswith("web-")
    assert pods == [pods[0]] * 4


@pytest.mark.root
def test_the_mode_changes_by_command_and_the_rules_of_the_other_one_go(mixed: Lab) -> None:
    mixed.ok("set-mode", "iptables", "--on", "node1")
    assert held(mixed, "node1") == ONLY["iptables"]
    assert mixed.failures() == []

    mixed.ok("set-mode", "nftables")
    assert (held(mixed, "node1"), held(mixed, "node2")) == (ONLY["nftables"], ONLY["nftables"])
    assert mixed.failures() == []


@pytest.mark.root
def test_up_brings_the_mode_of_the_file_back(mixed: Lab) -> None:
    mixed.ok("set-mode", "nftables")
    mixed.up()
    assert (held(mixed, "node1"), held(mixed, "node2")) == (ONLY["nftables"], ONLY["iptables"])


@pytest.mark.root
def test_a_mode_or_a_node_that_there_is_none_of_changes_nothing(mixed: Lab) -> None:
    assert mixed.run("set-mode", "ebpf").status == 2
    assert mixed.run("set-mode", "iptables", "--on", "node9").status == 4
    assert (held(mixed, "node1"), held(mixed, "node2")) == (ONLY["nftables"], ONLY["iptables"])


@pytest.mark.root
def test_a_mode_that_the_kernel_cannot_do_is_told_by_event_and_status_and_the_node_waits_for_another(
    mixed: Lab,
) -> None:
    """Asked for past `up` and `set-mode`, which refuse it with exit status 3."""
    if "ip_vs" not in mixed.run("set-mode", "ipvs").err:
        pytest.skip("this kernel has ip_vs: there is no mode that it cannot do")
    with SyncClient(mixed.directory / "api.sock") as client:
        first, *others = client.get(Topology, mixed.name).spec.nodes
        first = first.model_copy(update={"proxy_mode": ProxyMode.IPVS})
        client.patch(Topology, mixed.name, {"spec": {"nodes": [_document(each) for each in (first, *others)]}})

    def told() -> bool:
        proxy = mixed.json("status")["nodes"][0]["proxy"]
        return not proxy["synced"] and any("ip_vs" in each for each in proxy["complaints"])

    assert comes_true(told)
    assert comes_true(lambda: "ip_vs" in mixed.ok("get", "events"))
    mixed.up()
    assert mixed.failures() == []


def _document(node: NodeEntry) -> dict[str, Json]:
    found: dict[str, Json] = node.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)
    return found
