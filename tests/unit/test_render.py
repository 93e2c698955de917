"""`netlab render`: the rules as text, for anybody, without a kernel."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from proxy_objects import CASES
from proxy_reference import cases, comparable, flags_of, measured

from netlab.model.rules import Family
from netlab.proxy.save_reader import read_save

NETLAB = str(Path(sys.executable).with_name("netlab"))
NODE1 = (CASES / "node1.yaml").read_text()
WEB = """---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.10, ports: [{port: 80}]}
"""


def run(*arguments: str, text: str) -> subprocess.CompletedProcess[str]:
    """As an ordinary user where root runs the tests: render needs no rights."""
    nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    command = [NETLAB, "render", "-f", "-", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60, **nobody)  # type: ignore[call-overload,no-any-return]


def rendered(*arguments: str, text: str) -> str:
    done = run("--node", "node1", *arguments, text=text)
    assert done.returncode == 0, done.stderr
    return done.stdout  # type: ignore[no-any-return]


def each() -> Iterator[object]:
    for case in cases():
        for family, real in measured(case):
            yield pytest.param(case, family, real, id=f"{case.name} over {family}")


@pytest.mark.parametrize(("case", "family", "real"), list(each()))
def test_it_prints_what_the_real_kube_proxy_wrote(case: Path, family: Family, real: str) -> None:
    manifest = f"{NODE1}---\n{(case / 'manifest.yaml').read_text()}"
    text = rendered(f"--family={family}", *flags_of(case).arguments, text=manifest)

    ours = [comparable(table) for table in read_save(text, family=family)]
    assert ours == [comparable(table) for table in read_save(real, family=family)]


def test_each_family_that_a_service_has_stands_under_its_own_heading() -> None:
    one = rendered(text=NODE1 + WEB)
    two = rendered(text=NODE1 + WEB.replace("clusterIP: 10.96.0.10", "clusterIPs: [10.96.0.10, 'fd00:10:96::10']"))

    assert [line for line in one.splitlines() if line.startswith("#")] == ["# IPv4: for iptables-restore"]
    four, six = two.split("# IPv6: for ip6tables-restore\n")
    assert ("10.96.0.10/32" in four, "fd00" in four) == (True, False)
    assert ("10.96.0.10/32" in six, "fd00:10:96::10/128" in six) == (False, True)


def test_as_json_the_families_are_apart_and_what_is_not_served_is_named() -> None:
    broken = WEB.replace("web", "broken").replace("port: 80", "port: 0")
    document = json.loads(rendered("-o", "json", text=NODE1 + WEB + broken))

    assert list(document["rules"]) == ["IPv4"]
    assert document["rules"]["IPv4"].startswith("*mangle\n")
    assert "default/broken" in document["complaints"][0]


def test_the_flags_change_the_rules() -> None:
    plain = rendered(text=NODE1 + WEB)
    changed = rendered("--masquerade-all", "--iptables-masquerade-bit=15", text=NODE1 + WEB)
    no_loopback = rendered("--iptables-localhost-nodeports=false", text=NODE1 + WEB)

    assert ("0x4000/0x4000" in plain, "0x8000/0x8000" in plain) == (True, False)
    assert ("0x4000/0x4000" in changed, "0x8000/0x8000" in changed) == (False, True)
    assert ("! -d 127.0.0.0/8" in plain, "! -d 127.0.0.0/8" in no_loopback) == (False, True)


@pytest.mark.parametrize(
    ("flags", "addresses"),
    [
        ((), {"192.168.50.11", "fd00:50::11"}),
        (("--bind-address=0.0.0.0",), {"192.168.50.11", "fd00:50::11"}),
        (("--bind-address=192.0.2.7",), {"192.0.2.7", "fd00:50::11"}),
        (("--bind-address=2001:db8::7",), {"192.168.50.11", "2001:db8::7"}),
    ],
    ids=lambda value: " ".join(value) or "as the Node says" if isinstance(value, tuple) else "",
)
def test_bind_address_is_the_node_s_own_address_of_its_family(flags: tuple[str, ...], addresses: set[str]) -> None:
    spec = "{type: NodePort, clusterIPs: [10.96.0.10, 'fd00:10:96::10'], ports: [{port: 80, nodePort: 30080}]}"
    web = f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {spec}\n"
    text = rendered("--proxy-mode=nftables", *flags, text=NODE1 + web)
    assert set(re.findall(r"set nodeport-ips .*?elements = {\s*(.*?)\s*}", text, re.DOTALL)) == addresses


def test_mode_ipvs_has_a_text_for_each_of_its_three_tools() -> None:
    text = rendered("--proxy-mode=ipvs", "--ipvs-scheduler=lc", text=NODE1 + WEB)
    parts = dict(part.split("\n", 1) for part in text.removeprefix("# ").split("\n# "))

    assert list(parts) == ["IPv4: for ipset restore", "IPv4: for ipvsadm --restore", "IPv4: for iptables-restore"]
    assert "add KUBE-CLUSTER-IP 10.96.0.10,tcp:80\n" in parts["IPv4: for ipset restore"]
    assert parts["IPv4: for ipvsadm --restore"] == "-A -t 10.96.0.10:80 -s lc\n"
    assert "--match-set KUBE-CLUSTER-IP dst,dst" in parts["IPv4: for iptables-restore"]

    document = json.loads(rendered("--proxy-mode=ipvs", "-o", "json", text=NODE1 + WEB))
    assert document["virtualServers"] == {"IPv4": "-A -t 10.96.0.10:80 -s rr\n"}
    assert document["addressSets"]["IPv4"].startswith("create KUBE-LOOP-BACK ")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ((), 2, "--node"),
        (("--node=node1", "--proxy-mode=ipvs", "--ipvs-scheduler=fair"), 2, "fair"),
        (("--node=node1", "--bind-address=node1"), 2, "--bind-address: 'node1' is no address"),
        (("--node=node1", "--cluster-cidr="), 2, "--cluster-cidr"),
        (("--node=node1", "--proxy-mode=userspace"), 2, "ports that a kube-proxy process chooses"),
        (("--node=node1", "--family=IPX"), 2, "IPX"),
    ],
    ids=[
        "no node",
        "a scheduler that is none",
        "a name where the node's own address belongs",
        "an empty range",
        "a mode of which nothing is known before it runs",
        "a family that is none",
    ],
)
def test_wrong_flags_are_refused_by_name(arguments: tuple[str, ...], status: int, said: str) -> None:
    done = run(*arguments, text=NODE1 + WEB)
    assert (done.returncode, said in done.stderr, done.stdout) == (status, True, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [", "standard input:"), ("- 1\n", "is no Kubernetes object"), ("", "there is no object in it")],
    ids=["no YAML", "a list", "nothing"],
)
def test_a_file_that_holds_no_objects_is_refused_with_the_place(text: str, said: str) -> None:
    done = run("--node=node1", text=text)
    assert (done.returncode, said in done.stderr, done.stdout) == (2, True, "")


def test_a_list_as_kubectl_prints_it_is_taken_apart() -> None:
    items = {
        "kind": "ServiceList",
        "apiVersion": "v1",
        "items": [{"metadata": {"name": "web"}, "spec": {"clusterIP": "10.96.0.10", "ports": [{"port": 80}]}}],
    }
    assert "default/web has no endpoints" in rendered(text=f"{NODE1}---\n{json.dumps(items)}")


def test_what_it_imports_is_light() -> None:
    script = (
        "import sys; from netlab.cli.main import run\n"
        f"run(['render', '--node', 'node1', '-f', {str(CASES / 'node1.yaml')!r}])\n"
        "print([name for name in ('iptc', 'pyroute2', 'scapy', 'aiohttp') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
