"""Rules of iptables in both of a kernel's places, found and told."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from own_namespace import own_namespace

from netlab.kernel.both_kinds import rules_in_both_kinds

pytestmark = pytest.mark.root
NAMESPACE = "nlboth.host"


@pytest.fixture(autouse=True)
def namespace() -> Iterator[None]:
    with own_namespace(NAMESPACE):
        yield


def drop(program: str) -> None:
    subprocess.run([program, "-A", "FORWARD", "-s", "192.0.2.1", "-j", "DROP"], check=True)


@pytest.mark.parametrize("program", ["iptables-legacy", "iptables-nft", "ip6tables-legacy"])
def test_one_kind_alone_is_nothing_to_tell(program: str) -> None:
    assert rules_in_both_kinds() is None
    if program == "ip6tables-legacy":
        subprocess.run([program, "-A", "FORWARD", "-s", "2001:db8::1", "-j", "DROP"], check=True)
    else:
        drop(program)
    assert rules_in_both_kinds() is None


def test_both_kinds_are_told_with_how_many_rules_each_has() -> None:
    drop("iptables-legacy")
    for _ in range(2):
        drop("iptables-nft")
    check = rules_in_both_kinds()
    assert check is not None
    assert (check.ok, check.required) == (False, False)
    assert check.detail == "1 rules of iptables-legacy, 2 of iptables-nft"
