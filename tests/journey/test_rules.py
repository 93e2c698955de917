"""`netlab rules`: what it shows is what the kernel has, in packet order, counted, and compared with what should be."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from netlab_command import PREFIX, Caller, Lab, comes_true, topology

NAME = f"{PREFIX}-rules"
NODE_2 = "- {name: node2, "


@pytest.fixture(scope="module")
def lab(user: Caller) -> Iterator[Lab]:
    """Of an ordinary user; node1 in mode iptables, node2 in mode nftables."""
    text = topology("two-nodes", name=NAME)
    assert NODE_2 in text
    with user.lab(NAME, text.replace(NODE_2, f"{NODE_2}proxyMode: nftables, ")) as up:
        yield up


@pytest.fixture(scope="module")
def broken(user: Caller) -> Iterator[Lab]:
    """Such a lab with kube-proxies that mend nothing; at last they do."""
    name = f"{NAME}-broken"
    with user.lab(name, topology("two-nodes", name=name).replace(NODE_2, f"{NODE_2}proxyMode: nftables, ")) as up:
        for node in ("node1", "node2"):
            up.ok("break", "kube-proxy-stopped", "--on", node)
        assert comes_true(lambda: not [each for each in up.processes() if each.startswith("kube-proxy")])
        yield up
        for node in ("node1", "node2"):
            up.ok("heal", "kube-proxy-stopped", "--on", node)
            assert comes_true(lambda node=node: up.run("rules", node, "--diff").status == 0)  # type: ignore[misc]


def tables(lab: Lab, *arguments: str) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Chains with their rules, by table; of IPv4."""
    document = lab.json("rules", *arguments)
    assert document.keys() == {"apiVersion", "kind", "node", "mode", "service", "tables"}
    return {
        table["name"]: {chain["name"]: chain["rules"] for chain in table["chains"]}
        for table in document["tables"]
        if table["family"] == "IPv4"
    }


def sh(lab: Lab, node: str, *command: str) -> None:
    lab.ok("exec", f"node/{node}", "--", *command)


def test_every_rule_of_iptables_save_is_there_as_it_prints_it(lab: Lab) -> None:
    saved = lab.ok("exec", "node/node1", "--", "iptables-save", "-t", "nat")
    lines = sorted(line for line in saved.splitlines() if line.startswith("-A "))
    shown = sorted(rule["rule"] for chain in tables(lab, "node1")["nat"].values() for rule in chain)
    assert shown == lines


def test_a_services_rules_count_its_packets_and_another_services_are_not_there(lab: Lab) -> None:
    before = tables(lab, "node1", "--service", "web")["nat"]
    lab.answering("pod/shell", "service/web:80", count=8)
    after = tables(lab, "node1", "--service", "web")["nat"]
    assert list(after) == list(before)
    assert list(after)[:2] == ["PREROUTING", "KUBE-SERVICES"]
    assert not [rule for chain in after.values() for rule in chain if "web-outside" in rule["rule"]]
    translations = [(name, i) for name, rules in after.items() for i, r in enumerate(rules) if "-j DNAT" in r["rule"]]
    assert len(translations) == 2
    assert sum(after[name][i]["packets"] - before[name][i]["packets"] for name, i in translations) == 8
    assert all(rule["explanation"] and rule.keys() == {"rule", "comment", "packets", "bytes", "explanation"}
               for chain in after.values() for rule in chain)  # fmt: skip


def test_it_explains_on_demand(lab: Lab) -> None:
    explained = lab.ok("rules", "node1", "--service", "web", "--explain")
    assert "= packets to 10.96.0.80 tcp port 80: go on in KUBE-SVC-" in explained
    assert "the destination becomes 10.244.1.2:8080" in explained
    assert "= packets" not in lab.ok("rules", "node/node1", "--service", "service/web")


def test_in_mode_nftables_it_shows_chains_and_maps(lab: Lab) -> None:
    found = tables(lab, "node2", "--service", "web")["kube-proxy"]
    assert next(iter(found)) == "nat-prerouting"
    elements = [rule["rule"] for rule in found["map service-ips"]]
    assert len(elements) == 1
    assert elements[0].startswith("10.96.0.80 . tcp . 80 : goto service-")
    chain = elements[0].rpartition(" ")[2]
    assert [rule["rule"] for rule in found[chain]] == ["goto endpoints"]
    look, _ = found["endpoints"]
    assert look["rule"].endswith(" numgen random mod 2 map @endpoints-2")
    endpoints = {rule["rule"].partition(" : ")[2] for rule in found["map endpoints-2"]}
    assert endpoints == {"10.244.0.2 . 8080", "10.244.1.2 . 8080"}


def test_nothing_differs_as_long_as_nobody_touches_the_rules(lab: Lab) -> None:
    for node in ("node1", "node2"):
        done = lab.run("rules", node, "--diff", "-o", "json")
        assert (done.status, json.loads(done.out)["differences"]) == (0, [])


def test_what_somebody_took_away_or_put_in_is_told(broken: Lab) -> None:
    sh(broken, "node1", "iptables", "-t", "nat", "-D", "KUBE-POSTROUTING", "1")
    sh(broken, "node1", "iptables", "-t", "nat", "-A", "KUBE-MARK-MASQ", "-j", "RETURN")
    sh(broken, "node1", "iptables", "-t", "nat", "-N", "MINE")
    done = broken.run("rules", "node1", "--diff", "-o", "json")
    found = {each["chain"]: (each["missing"], each["unwanted"]) for each in json.loads(done.out)["differences"]}
    assert done.status == 1
    assert found == {
        "KUBE-MARK-MASQ": ([], ["-A KUBE-MARK-MASQ -j RETURN"]),
        "KUBE-POSTROUTING": (["-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN"], []),
    }
    sh(broken, "node1", "iptables", "-t", "nat", "-X", "MINE")


def test_in_mode_nftables_too(broken: Lab) -> None:
    sh(broken, "node2", "nft", "flush", "chain", "ip", "kube-proxy", "services")
    sh(broken, "node2", "nft", "add", "element", "ip", "kube-proxy", "cluster-ips", "{ 10.96.9.9 }")
    done = broken.run("rules", "node2", "--diff")
    assert done.status == 1
    assert "IPv4 kube-proxy services\n  missing   ip daddr @cluster-ips" in done.out
    assert "unwanted  10.96.9.9" in done.out


def test_a_change_that_a_stopped_kube_proxy_missed_is_a_difference(broken: Lab) -> None:
    broken.ok("delete", "service", "web-outside")
    try:
        done = broken.run("rules", "node1", "--diff")
        assert done.status == 1
        assert 'unwanted  -A KUBE-NODEPORTS -p tcp -m comment --comment "default/web-outside"' in done.out
    finally:
        broken.up()


def test_watching_tells_what_was_counted_since_and_ends_by_an_interrupt(lab: Lab) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    watch = lab.caller.start("rules", "-l", lab.name, "node1", "-s", "web", "--watch", "--count", "3", **pipes)
    assert watch.stdout
    assert watch.stderr
    assert watch.stderr.readline().startswith("watching ")
    lab.answering("pod/shell", "service/web:80", count=6)
    line = watch.stdout.readline()
    assert line.endswith(
        '+6 packets  nat -A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES\n'
    )
    translations = [each for each in iter(watch.stdout.readline, "") if "-j DNAT" in each or "KUBE-FORWARD" in each]
    watch.wait(timeout=20)
    assert (watch.returncode, watch.stderr.read()) == (0, "")
    assert sum("-j DNAT" in each for each in translations) in (1, 2)
    watch.stdout.close()
    watch.stderr.close()


def test_an_interrupt_ends_the_watching(lab: Lab) -> None:
    watch = lab.caller.start("rules", "-l", lab.name, "node1", "--watch", stderr=subprocess.PIPE, text=True)
    assert watch.stderr
    assert watch.stderr.readline().startswith("watching ")
    watch.send_signal(signal.SIGINT)
    _, err = watch.communicate(timeout=20)
    assert (watch.returncode, err) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("node9",), 4, "node/node9"),
        (("node1", "--service", "nothing"), 4, "there is no service nothing: there are default/kubernetes, "),
        (("node1", "--diff", "--watch"), 2, "--diff"),
        (("node1", "--count", "3"), 2, "--watch"),
    ],
)
def test_what_there_is_not_is_said(lab: Lab, arguments: tuple[str, ...], status: int, said: str) -> None:
    done = lab.run("rules", *arguments)
    assert (done.status, done.out) == (status, "")
    assert said in done.err


def test_in_mode_userspace_there_is_nothing_to_compare_with(user: Caller) -> None:
    name = f"{PREFIX}-rules-us"
    with user.lab(name, topology("userspace", name=name)) as lab:
        redirected = [rule["rule"] for chain in tables(lab, "node1", "-s", "web")["nat"].values() for rule in chain]
        assert any("-d 10.96.0.80/32" in rule and "REDIRECT" in rule for rule in redirected)
        done = lab.run("rules", "node1", "--diff")
        assert done.status == 2
        assert "only the kube-proxy process knows its ports" in done.err
