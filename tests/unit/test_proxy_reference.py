"""Rule for rule what the real kube-proxy 1.36.2 wrote on node1 for the same objects (tests/golden/reference).

Compared as values, so that the order of words in a line does not matter. What may differ is in TOLERATED.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
from proxy_objects import CASES, documents, tables

from netlab.model.rules import Family, Rule, Table
from netlab.proxy.config import ProxyConfig
from netlab.proxy.save_reader import read_save
from netlab.proxy.save_text import save_text

FILES = {Family.IPV4: "iptables.save", Family.IPV6: "ip6tables.save"}
COUNTED = ("-m", "nfacct", "--nfacct-name")


def without_counter(rule: Rule) -> Rule | None:
    """kube-proxy counts with nfacct objects where the kernel has them; where it has not, one rule is missing wholly.

    netlab makes no nfacct objects: they belong to no network namespace's rules, and no packet can tell.
    """
    if rule.extra[:3] != COUNTED:
        return rule
    return None if rule.extra[3] == "localhost_nps_accepted_pkts" else rule._replace(extra=())


def order_of(chain: str, rules: list[Rule]) -> list[Rule]:
    """Service ports come in the order of a hash map: in shared chains only the last rule has its place."""
    if chain == "KUBE-SERVICES" and rules and rules[-1].destination_local is not None:
        return [*sorted(rules[:-1], key=repr), rules[-1]]
    return sorted(rules, key=repr) if chain in {"KUBE-SERVICES", "KUBE-NODEPORTS"} else rules


TOLERATED = (without_counter, order_of)


def comparable(table: Table) -> tuple[object, ...]:
    chains = {
        chain.name: order_of(chain.name, [kept for rule in chain.rules if (kept := without_counter(rule))])
        for chain in table.chains
    }
    return table.name, chains, table.hooks


def flags_of(case: Path) -> ProxyConfig:
    found = dict(line.split("=", 1) for line in (case / "flags").read_text().splitlines())
    cidrs = found["CIDR"].strip("'").split(",")
    return ProxyConfig(
        node_name="node1",
        cluster_cidrs=tuple(ip_network(cidr) for cidr in cidrs),
        masquerade_all="--masquerade-all" in found["EXTRA"],
    )


def measured() -> Iterator[object]:
    for case in sorted(path for path in CASES.iterdir() if path.is_dir()):
        for family, name in FILES.items():
            if (case / name).exists():
                yield pytest.param(case, family, id=f"{case.name} over {family}")


@pytest.mark.parametrize(("case", "family"), list(measured()))
def test_the_rules_are_those_of_the_real_kube_proxy(case: Path, family: Family) -> None:
    objects = documents(CASES / "node1.yaml") + documents(case / "manifest.yaml")

    ours = read_save(save_text(tables(*objects, config=flags_of(case), family=family)), family=family)

    real = read_save((case / FILES[family]).read_text(), family=family)
    assert [comparable(table) for table in ours] == [comparable(table) for table in real]


def test_the_comparison_sees_a_rule_that_is_missing() -> None:
    case = CASES / "nodeport"
    (_, nat, _) = read_save((case / "iptables.save").read_text(), family=Family.IPV4)
    shortened = replace(nat, chains=(replace(nat.chains[0], rules=nat.chains[0].rules[:-1]), *nat.chains[1:]))
    assert comparable(nat) != comparable(shortened)
