"""Rule for rule what the real kube-proxy 1.36.2 wrote on node1 for the same objects (tests/golden/reference)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from proxy_objects import CASES, documents, tables
from proxy_reference import cases, comparable, flags_of, measured

from netlab.model.rules import Family
from netlab.proxy.save_reader import read_save
from netlab.proxy.save_text import save_text


def each() -> Iterator[object]:
    for case in cases():
        for family, real in measured(case):
            yield pytest.param(case, family, real, id=f"{case.name} over {family}")


@pytest.mark.parametrize(("case", "family", "real"), list(each()))
def test_the_rules_are_those_of_the_real_kube_proxy(case: Path, family: Family, real: str) -> None:
    objects = documents(CASES / "node1.yaml") + documents(case / "manifest.yaml")
    ours = save_text(tables(*objects, config=flags_of(case).config, family=family))

    assert [comparable(table) for table in read_save(ours, family=family)] == [
        comparable(table) for table in read_save(real, family=family)
    ]


def test_the_comparison_sees_a_rule_that_is_missing() -> None:
    case = CASES / "nodeport"
    (_, nat, _) = read_save((case / "iptables.save").read_text(), family=Family.IPV4)
    shortened = replace(nat, chains=(replace(nat.chains[0], rules=nat.chains[0].rules[:-1]), *nat.chains[1:]))
    assert comparable(nat) != comparable(shortened)
