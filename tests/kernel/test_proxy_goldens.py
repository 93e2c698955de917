"""The kernel takes the rules of every reference case, twice, and holds exactly what they say."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from proxy_objects import CASES, CONFIG, documents, endpoint, endpoint_slice, node, service, tables

from netlab.model.objects import KubernetesObject
from netlab.model.rules import Family, Table
from netlab.proxy.save_reader import read_save
from netlab.proxy.save_text import save_text

pytestmark = pytest.mark.root

SECOND = "# the second time"
ROUND = '"$1-restore" "$2" && "$1-save" && echo "$3" && "$1-restore" "$2" && "$1-save"'
TOOLS = {Family.IPV4: "iptables", Family.IPV6: "ip6tables"}
EVERYTHING = (
    node(),
    service(
        spec={
            "type": "LoadBalancer",
            "clusterIPs": ["10.96.0.10", "fd00:10:96::10"],
            "ports": [{"name": "a", "port": 80, "nodePort": 30080}, {"name": "b", "port": 53, "protocol": "SCTP"}],
            "externalIPs": ["203.0.113.20", "2001:db8::20"],
            "externalTrafficPolicy": "Local",
            "internalTrafficPolicy": "Local",
            "healthCheckNodePort": 31000,
            "loadBalancerSourceRanges": ["192.168.0.0/16", "fd00:50::/32"],
            "sessionAffinity": "ClientIP",
        },
        status={"loadBalancer": {"ingress": [{"ip": "203.0.113.10"}, {"ip": "2001:db8::10"}]}},
    ),
    endpoint_slice(
        *(endpoint(f"10.244.{i}.{i}") for i in range(1, 8)),
        ports=[{"name": "a", "port": 8080}, {"name": "b", "port": 53, "protocol": "SCTP"}],
    ),
    endpoint_slice(
        *(endpoint(f"fd00:10:244::{i}", node=f"node{i}") for i in range(2, 9)),
        name="web-6",
        ports=[{"name": "a", "port": 8080}, {"name": "b", "port": 53, "protocol": "SCTP"}],
        family="IPv6",
    ),
)


def held_by_the_kernel(text: str, *, tool: str, folder: Path) -> list[str]:
    """What the tool saves after it loaded the text, and again after it loaded the same once more."""
    rules = folder / "rules"
    rules.write_text(text)
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", ROUND, "sh", tool, str(rules), SECOND],
        env={**os.environ, "XTABLES_LOCKFILE": str(folder / "lock")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split(SECOND)


def in_any_order(tables: tuple[Table, ...]) -> dict[str, object]:
    """The kernel lists tables and chains in an order of its own, and hooks chain by chain."""
    return {
        table.name: (
            {chain.name: chain.rules for chain in table.chains},
            {hook.chain: [other.rule for other in table.hooks if other.chain == hook.chain] for hook in table.hooks},
        )
        for table in tables
    }


def case_objects() -> dict[str, list[KubernetesObject]]:
    cases = sorted(path for path in CASES.iterdir() if path.is_dir())
    node_objects = documents(CASES / "node1.yaml")
    return {case.name: node_objects + documents(case / "manifest.yaml") for case in cases} | {
        "everything at once": list(EVERYTHING)
    }


@pytest.mark.parametrize("backend", ["legacy", "nft"])
@pytest.mark.parametrize("family", list(Family))
@pytest.mark.parametrize("objects", [pytest.param(found, id=name) for name, found in case_objects().items()])
def test_the_kernel_holds_what_was_spelled(
    objects: list[KubernetesObject], family: Family, backend: str, tmp_path: Path
) -> None:
    wanted = tables(*objects, family=family)
    for held in held_by_the_kernel(save_text(wanted), tool=f"{TOOLS[family]}-{backend}", folder=tmp_path):
        assert in_any_order(read_save(held, family=family)) == in_any_order(wanted)


def test_a_comment_of_any_characters_reaches_the_kernel_as_one_comment(tmp_path: Path) -> None:
    comment = 'it\'s "quoted" \\ and $(reboot) `x` ; -j ACCEPT ü ' + "x" * 300
    (mangle, nat, filter_) = tables(config=replace(CONFIG, random_fully=False))
    spoken = replace(nat.hooks[0], rule=nat.hooks[0].rule._replace(comment=comment))
    text = save_text((mangle, replace(nat, hooks=(spoken, *nat.hooks[1:])), filter_))
    for held in held_by_the_kernel(text, tool="iptables-legacy", folder=tmp_path):
        (back,) = (table for table in read_save(held, family=Family.IPV4) if table.name == "nat")
        (kept,) = (hook.rule.comment for hook in back.hooks if hook.chain == "OUTPUT")
        assert kept == comment.encode()[:255].decode()
