"""Any deeds of users and controllers, one by one: the kernel holds what a kube-proxy that starts then would write."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from nft_reference import read_listing
from proxy_deeds import STEPS, Deed, Known, after
from proxy_objects import CONFIG, node, tracker

from netlab.agents.kube_proxy.core import Proxier
from netlab.kernel import iptables
from netlab.kernel.namespaces import Namespaces
from netlab.model.modes import ProxyMode
from netlab.model.rules import Backend, Family
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.decide import decide_all
from netlab.proxy.iptables import Spelling

pytestmark = pytest.mark.root
KEPT, FRESH = "nldeeds.kept", "nldeeds.fresh"
ADDRESSES = ("192.168.50.11/24", "fd00:50::11/64")
SERVICE_CIDRS = (ip_network("10.96.0.0/16"), ip_network("fd00:10:96::/112"))
MODES = (ProxyMode.IPTABLES, ProxyMode.NFTABLES, ProxyMode.USERSPACE)
EXAMPLES = 8
"""Orders of deeds for each mode, of eight steps at most."""
IN_ANY_ORDER = re.compile(
    r"-A KUBE-(?!SVC-|SVL-|SEP-|EXT-|FW-|POSTROUTING|FORWARD)\S+ (?!.*this must be the last rule)"
)
"""Lines of chains that Services share: which Service comes first does not matter."""
LISTENER = re.compile(r"(?<=--to-ports )\d+|(?<=--dport )[3-6]\d{4}(?= -j ACCEPT)|(?<=:)[3-6]\d{4}$")
"""A port that the kernel chose for a socket of mode userspace."""


@pytest.fixture(autouse=True)
def namespaces() -> Iterator[Namespaces]:
    """Two with node1's addresses: in one a kube-proxy goes on from step to step."""
    with Namespaces() as found:
        for name in (KEPT, FRESH):
            found.create(name)
            found.enter(name)
            for address in ADDRESSES:
                subprocess.run(["ip", "address", "add", address, "dev", "lo"], check=True)
        try:
            yield found
        finally:
            for name in (KEPT, FRESH):
                found.delete(name)


@pytest.mark.parametrize("mode", MODES)
def test_any_deeds_leave_what_a_fresh_start_writes(mode: ProxyMode, namespaces: Namespaces) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
    @given(STEPS)
    def follow(steps: list[list[Deed]]) -> None:
        asyncio.run(followed(steps, mode=mode, namespaces=namespaces))

    follow()


async def followed(steps: list[list[Deed]], *, mode: ProxyMode, namespaces: Namespaces) -> None:
    """One kube-proxy goes on from step to step; after each another one starts in the second namespace."""
    objects: Known = {}
    namespaces.enter(KEPT)
    async with proxier(mode) as kept:
        for deeds in ([Deed(node())], *steps):
            for deed in deeds:
                deed.do(kept)
            kept.sync()
            held, rules = listing(mode), kept.rule_counts()
            objects = after(deeds, objects)
            namespaces.enter(FRESH)
            async with proxier(mode) as fresh:
                for each in objects.values():
                    fresh.put(each)
                fresh.sync()
                assert held == listing(mode)
                assert rules == fresh.rule_counts()
                assert set(kept.complaints) == set(fresh.complaints)
                assert kept.health_checks == fresh.health_checks
            namespaces.enter(KEPT)
            assert kept.sync(full=True).changed is False


def test_any_deeds_leave_what_whole_tables_are_by_iptables_nft(namespaces: Namespaces) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
    @given(STEPS)
    def follow(steps: list[list[Deed]]) -> None:
        namespaces.enter(KEPT)
        known = tracker(node())
        spelling = Spelling(config=CONFIG, node=known.node, family=Family.IPV4)
        spelling.start({}, endpoint_total=0)
        for table in spelling.tables():
            iptables.apply(table, backend=Backend.NFT)
        for deeds in steps:
            patched(deeds, known, spelling)
        kept = [saved("iptables-nft", table.name) for table in spelling.tables()]
        namespaces.enter(FRESH)
        for table in spelling.tables():
            iptables.apply(table, backend=Backend.NFT)
        assert kept == [saved("iptables-nft", table.name) for table in spelling.tables()]

    follow()


def patched(deeds: list[Deed], known: ChangeTracker, spelling: Spelling) -> None:
    """Have the kernel follow; it then holds the whole tables."""
    for deed in deeds:
        deed.do(known)
    keys, routes = known.collect().ports, decide_all(known, CONFIG)
    changed = {key: routes.get(key) for key in keys}
    for patch in spelling.update(changed, endpoint_total=known.endpoint_total(Family.IPV4)):
        iptables.apply_patch(patch, backend=Backend.NFT)
    assert not [table.name for table in spelling.tables() if iptables.apply(table, backend=Backend.NFT).changed]


@asynccontextmanager
async def proxier(mode: ProxyMode) -> AsyncIterator[Proxier]:
    """A kube-proxy of node1 that has not synced yet; in mode userspace its sockets are closed at the end."""
    with closing(Proxier(replace(CONFIG, mode=mode, service_cidrs=SERVICE_CIDRS))) as proxy:
        worker = asyncio.create_task(proxy.work())
        await asyncio.wait({worker}, timeout=0)
        try:
            yield proxy
        finally:
            worker.cancel()
            await asyncio.wait({worker})


def listing(mode: ProxyMode) -> object:
    """All rules of this namespace, those sorted whose order does not matter."""
    if mode is ProxyMode.NFTABLES:
        return read_listing(output("nft", "list", "ruleset"))
    return [saved(program, table) for program in ("iptables-legacy", "ip6tables-legacy") for table in ("nat", "filter")]


def saved(program: str, table: str) -> tuple[list[str], list[str]]:
    text = output(f"{program}-save", "-t", table)
    lines = [LISTENER.sub("LISTENER", line) for line in text.splitlines() if line.startswith("-A")]
    shared = [line for line in lines if IN_ANY_ORDER.match(line)]
    return sorted(shared), sorted((line for line in lines if line not in shared), key=lambda line: line.split()[1])


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
