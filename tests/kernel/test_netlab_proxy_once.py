"""`netlab proxy --once`: what is in a network namespace after it, and what it leaves alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from netlab_command import NOBODY, can_become_another_user
from own_namespace import own_namespace
from proxy_objects import CASES, documents
from proxy_reference import cases, comparable, flags_of, measured

from netlab.agents.kube_proxy.core import Proxier
from netlab.agents.kube_proxy.once import once as put_in_place
from netlab.errors import InvalidInput
from netlab.model.modes import ProxyMode
from netlab.model.rules import Family
from netlab.proxy.config import ProxyConfig
from netlab.proxy.save_reader import read_save

pytestmark = pytest.mark.root
NETLAB = str(Path(sys.executable).with_name("netlab"))
NODE1 = (CASES / "node1.yaml").read_text()
SAVE = {Family.IPV4: "iptables-legacy-save", Family.IPV6: "ip6tables-legacy-save"}
NAMESPACE = "nlpxc.once"
OTHERS = (
    "iptables-legacy -t nat -N DOCKER",
    "iptables-legacy -t nat -A DOCKER -p tcp --dport 8080 -j DNAT --to-destination 192.0.2.7:80",
    "iptables-legacy -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
    "iptables-legacy -A FORWARD -s 192.0.2.0/24 -j DROP",
    "iptables-legacy -P FORWARD DROP",
    "nft add table inet mine",
)


@pytest.fixture(autouse=True)
def namespace() -> Iterator[None]:
    """The test itself is in a namespace of its own."""
    with own_namespace(NAMESPACE):
        yield


def run(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [NETLAB, "proxy", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)


def once(text: str, *arguments: str) -> dict[str, object]:
    """What `proxy --once` says it did."""
    done = run("--node", "node1", "-f", "-", "--once", "-o", "json", *arguments, text=text)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    result: dict[str, object] = json.loads(done.stdout)
    return result


def saved(family: Family = Family.IPV4) -> str:
    return subprocess.run([SAVE[family]], check=True, capture_output=True, text=True).stdout


def rules(family: Family = Family.IPV4) -> list[str]:
    """Every chain and rule, without counters and dates."""
    lines = saved(family).splitlines()
    return [line.split(" [")[0] for line in lines if line.startswith(("-A", ":", "*"))]


def service(name: str, ip: str, *, port: int = 80) -> str:
    spec = f"spec: {{clusterIP: {ip}, ports: [{{port: {port}, targetPort: 8080}}]}}"
    slice_ = (
        f"metadata: {{name: {name}-1, labels: {{kubernetes.io/service-name: {name}}}}}\naddressType: IPv4\n"
        'ports: [{name: "", port: 8080, protocol: TCP}]\nendpoints: [{addresses: [10.244.1.5], nodeName: node1}]\n'
    )
    return (
        f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n{spec}\n"
        f"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n{slice_}"
    )


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in cases()])
def test_the_kernel_holds_what_the_real_kube_proxy_wrote_for_the_same_objects(case: Path) -> None:
    once(f"{NODE1}---\n{(case / 'manifest.yaml').read_text()}", *flags_of(case).arguments)

    for family, real in measured(case):
        held = [comparable(table) for table in read_save(saved(family), family=family)]
        wanted = [comparable(table) for table in read_save(real, family=family)]
        assert sorted(held, key=repr) == sorted(wanted, key=repr)


def test_it_says_what_it_put_in_place() -> None:
    result = once(NODE1 + service("web", "10.96.0.10"))

    count = {
        table: sum(1 for rule in rules_of(table) if rule.startswith("-A")) for table in ("mangle", "nat", "filter")
    }
    assert result["rules"]["IPv4"] == count  # type: ignore[index]
    assert result["sysctls"]["net/ipv4/conf/all/route_localnet"] == "1"  # type: ignore[index]
    assert (result["kind"], result["node"], result["mode"], result["changed"]) == (
        "ProxyResult",
        "node1",
        "iptables",
        True,
    )
    assert Path("/proc/thread-self/net/ip_tables_names").exists()
    assert Path("/proc/sys/net/ipv4/conf/all/route_localnet").read_text() == "1\n"


def rules_of(table: str) -> list[str]:
    return subprocess.run([SAVE[Family.IPV4], "-t", table], check=True, capture_output=True, text=True).stdout.split(
        "\n"
    )


def test_without_json_it_prints_one_line() -> None:
    done = run("--node=node1", "-f", "-", "--once", text=NODE1)
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)


def test_the_same_objects_again_change_nothing_and_other_objects_replace_them() -> None:
    assert once(NODE1 + service("web", "10.96.0.10"))["changed"] is True
    assert once(NODE1 + service("web", "10.96.0.10"))["changed"] is False

    assert once(NODE1 + service("db", "10.96.0.11"))["changed"] is True

    text = "\n".join(rules())
    assert "default/db" in text
    assert "10.96.0.11/32" in text
    assert "default/web" not in text
    assert "10.96.0.10/32" not in text


def test_other_peoples_rules_stay_through_writing_and_cleanup() -> None:
    for command in OTHERS:
        subprocess.run(command.split(), check=True)
    before = rules()

    once(NODE1 + service("web", "10.96.0.10"))
    during = rules()
    cleaned = run("--cleanup")

    assert set(before) <= set(during)
    assert cleaned.returncode == 0, cleaned.stderr
    left = [line for line in rules() if line not in before and not line.startswith("*")]
    assert all("KUBE-FIREWALL" in line or line.endswith("ACCEPT") for line in left), left
    assert (
        "table inet mine"
        in subprocess.run(["nft", "list", "tables"], check=True, capture_output=True, text=True).stdout
    )


def test_cleanup_leaves_nothing_but_the_firewall_and_can_be_repeated() -> None:
    for case in ("nodeport", "lb-sourceranges", "dual-stack"):
        once(f"{NODE1}---\n{(CASES / case / 'manifest.yaml').read_text()}")
    for _ in range(2):
        assert run("--cleanup").returncode == 0
        for family in Family:
            names = {word for line in rules(family) for word in line.replace(":", "").split() if "KUBE" in word}
            assert names == {"KUBE-FIREWALL"}


def test_the_nftables_table_of_another_mode_goes_and_other_tables_stay() -> None:
    commands = "add table ip kube-proxy; add chain ip kube-proxy services; add rule ip kube-proxy services accept\n"
    subprocess.run(
        ["nft", "-f", "-"], input=commands + "add table ip mine; add table ip6 kube-proxy\n", text=True, check=True
    )

    once(NODE1)

    listed = subprocess.run(["nft", "list", "tables"], check=True, capture_output=True, text=True).stdout
    assert "table ip mine" in listed
    assert "kube-proxy" not in listed


def test_what_ipvs_mode_left_goes() -> None:
    for command in (
        "ip link add kube-ipvs0 type bridge",
        "ip address add 10.96.0.10/32 dev kube-ipvs0",
        "iptables-legacy -N KUBE-IPVS-FILTER",
        "iptables-legacy -A INPUT -m comment --comment ipvs -j ACCEPT",
    ):
        subprocess.run(command.split(), check=True)
    hook = ["-A", "INPUT", "-m", "comment", "--comment", "kubernetes ipvs access filter", "-j", "KUBE-IPVS-FILTER"]
    subprocess.run(["iptables-legacy", *hook], check=True)

    once(NODE1)

    assert "kube-ipvs0" not in Path("/proc/thread-self/net/dev").read_text()
    text = "\n".join(rules())
    assert "KUBE-IPVS" not in text
    assert "--comment ipvs -j ACCEPT" in text


def test_what_cannot_be_served_is_named_and_everything_else_is_served() -> None:
    absurd = {
        "absurd": "{clusterIP: 10.96.0.66, ports: [{port: 99999}]}",
        "'x; reboot'": "{clusterIP: 10.96.0.67, ports: [{port: 80}]}",
        "loop": "{clusterIP: 127.0.0.1, ports: [{port: 80}]}",
    }
    broken = "---\napiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: agent}\n" + "".join(
        f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        for name, spec in absurd.items()
    )
    result = once(NODE1 + broken + service("web", "10.96.0.10"))

    named = {(found["name"], found["path"]) for found in result["complaints"]}  # type: ignore[attr-defined]
    assert named == {
        ("default/absurd", "spec.ports[0].port"),
        ("default/x; reboot", "metadata.name"),
        ("default/loop", "spec.clusterIPs[0]"),
    }
    text = "\n".join(rules())
    assert "default/web" in text
    assert "absurd" not in text
    assert "reboot" not in text


def test_objects_without_status_or_namespace_are_served_and_without_a_node_too() -> None:
    once(service("web", "10.96.0.10").removeprefix("---\n"))
    assert any("default/web cluster IP" in line for line in rules())


def test_node_ports_and_local_traffic_follow_the_flags() -> None:
    subprocess.run("ip link set lo up", shell=True, check=True)
    once(
        f"{NODE1}---\n{(CASES / 'nodeport' / 'manifest.yaml').read_text()}",
        "--detect-local-mode=BridgeInterface",
        "--pod-bridge-interface=cni0",
        "--nodeport-addresses=127.0.0.0/8",
        "--iptables-localhost-nodeports=true",
        "--masquerade-all=false",
    )
    text = "\n".join(rules())
    assert "-A KUBE-SERVICES -d 127.0.0.1/32 " in text
    assert "! -i cni0 " in text
    assert "ADDRTYPE" not in text.upper().split("KUBE-NODEPORTS")[0]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--node=node1", "-f", "-", "--once", "--cluster-cidr="), 2, "--cluster-cidr"),
        (("--node=node1", "-f", "-", "--once", "--cluster-cidr=10.0.0.0/8,10.1.0.0/16"), 2, "--cluster-cidr"),
        (("--node=node1", "-f", "-", "--once", "--nodeport-addresses=10.0.0.1"), 2, "10.0.0.1"),
        (("--node=node1", "-f", "-", "--once", "--masquerade-all=perhaps"), 2, "perhaps"),
        (("--node=node1", "-f", "-", "--once", "--detect-local-mode=BridgeInterface"), 2, "--pod-bridge-interface"),
        (("--node=node1", "-f", "-", "--once", "--detect-local-mode=Guess"), 2, "Guess"),
        (("--node=node1", "-f", "-", "--once", "--proxy-mode=quantum"), 2, "quantum"),
        (("--node=node1", "-f", "-", "--once", "--proxy-mode=ipvs", "--ipvs-scheduler=best"), 2, "best"),
        (("--node=node1", "-f", "-", "--once", "--ipvs-strict-arp=rather"), 2, "--ipvs-strict-arp: 'rather'"),
        (("--node=node1", "-f", "-", "--once", "--ipvs-exclude-cidrs=192.0.2.1"), 2, "--ipvs-exclude-cidrs"),
        (("--cleanup", "--ipvs-exclude-cidrs=192.0.2.0/24,x"), 2, "--ipvs-exclude-cidrs: 'x'"),
        (("--node=node1", "-f", "-", "--once", "--proxy-mode=userspace"), 2, "with --once there would be nobody"),
        (("--node=node1", "--once"), 2, "--kubeconfig"),
        (("-f", "-", "--once"), 2, "--node"),
    ],
    ids=lambda value: " ".join(value[1:]) if isinstance(value, tuple) else str(value),
)
def test_wrong_flags_are_refused_by_name_and_change_nothing(arguments: tuple[str, ...], status: int, said: str) -> None:
    done = run(*arguments, text=NODE1)
    assert (done.returncode, said in done.stderr, done.stdout) == (status, True, "")
    assert not [line for line in rules() if "KUBE" in line]


def test_mode_ipvs_without_ip_vs_in_the_kernel_says_what_is_missing_and_changes_nothing() -> None:
    if Path("/proc/net/ip_vs").exists():
        pytest.skip("this kernel has ip_vs")
    done = run("--node=node1", "-f", "-", "--once", "--proxy-mode=ipvs", text=NODE1)
    assert (done.returncode, done.stdout) == (3, "")
    assert "ip_vs" in done.stderr
    assert "modprobe" in done.stderr
    assert not [line for line in rules() if "KUBE" in line]
    assert "kube-ipvs0" not in Path("/proc/thread-self/net/dev").read_text()


def by_an_ordinary_user(*command: str, text: str) -> subprocess.CompletedProcess[str]:
    """Run it as the throw-away user, or where there is no other as who runs the tests: nobody, outside."""
    identity: dict[str, Any] = {}
    if can_become_another_user():
        identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60, **identity)


@pytest.mark.parametrize("flags", [("--node=node1", "-f", "-", "--once"), ("--cleanup",)], ids=lambda flags: flags[-1])
def test_without_rights_it_says_what_is_missing_and_what_to_do(flags: tuple[str, ...]) -> None:
    elsewhere = ("unshare", "--user")  # in a user namespace that this network namespace does not belong to
    done = by_an_ordinary_user(*elsewhere, NETLAB, "proxy", *flags, text=NODE1)
    assert (done.returncode, "CAP_NET_ADMIN" in done.stderr, "run as root" in done.stderr) == (3, True, True)


def test_the_owner_of_a_user_namespace_may() -> None:
    command = f"{NETLAB} proxy --node=node1 -f - --once -o json"
    inside = f"{command} && iptables-legacy-save -t nat && {NETLAB} proxy --cleanup && iptables-legacy-save -t nat"
    unshare = ("unshare", "--user", "--map-root-user", "--net", "--mount")
    text = NODE1 + service("web", "10.96.0.10")
    done = by_an_ordinary_user(*unshare, "env", "XTABLES_LOCKFILE=/dev/null", "sh", "-c", inside, text=text)
    assert done.returncode == 0, done.stderr
    written, cleaned = done.stdout.split("COMMIT\n")[:2]
    assert "default/web cluster IP" in written
    assert "default/web" not in cleaned


def test_an_address_that_the_node_gets_later_answers_node_ports_after_the_next_full_sync() -> None:
    config = ProxyConfig(node_name="node1", nodeport_addresses=(ip_network("192.0.2.0/24"),))
    proxier = Proxier(config)
    for found in documents(CASES / "node1.yaml") + documents(CASES / "nodeport" / "manifest.yaml"):
        proxier.put(found)
    proxier.sync()
    assert "-d 192.0.2.5/32" not in saved()

    subprocess.run(["ip", "address", "add", "192.0.2.5/24", "dev", "lo"], check=True)
    proxier.sync(full=True)

    assert "-A KUBE-SERVICES -d 192.0.2.5/32 " in saved()


def test_a_mode_in_which_nobody_would_answer_is_not_put_in_place_once() -> None:
    with pytest.raises(InvalidInput, match="without the process nobody answers"):
        put_in_place(ProxyConfig(node_name="node1", mode=ProxyMode.USERSPACE), ())

    assert not [line for line in rules() if "KUBE" in line]


@pytest.mark.parametrize("backend", ["legacy", "nft"])
@pytest.mark.parametrize("family", list(Family))
def test_what_render_prints_the_tools_take_as_it_is(family: Family, backend: str) -> None:
    text = f"{NODE1}---\n{(CASES / 'dual-stack' / 'manifest.yaml').read_text()}"
    command = [NETLAB, "render", "--node=node1", "-f", "-", f"--family={family}", "--cluster-cidr=10.244.0.0/16"]
    printed = subprocess.run(command, input=text, check=True, capture_output=True, text=True).stdout

    tool = f"{'ip' if family is Family.IPV4 else 'ip6'}tables-{backend}-restore"
    done = subprocess.run([tool, "--test"], input=printed, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert "KUBE-SVC-" in printed
