"""Which client came to which endpoint, and when: what session affinity remembers, in each proxy mode's own place."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol

import pytest
from proxy_tables import Last
from proxy_tables.case import AFFINITY_SECONDS
from proxy_wire import Flow

from netlab.kernel.netlink import NLM_F_DUMP
from netlab.kernel.nft_chains import ask
from netlab.model.modes import ProxyMode
from netlab.model.rules import Family
from netlab.proxy.iptables.names import endpoint_chain
from netlab.proxy.nftables.names import TABLE, endpoint_name
from netlab.proxy.nftables.rule_text import WORDS
from netlab.proxy.ports import PortKey, ServiceName
from netlab.proxy.slices import Endpoint

RECENT = Path("/proc/thread-self/net/xt_recent")
GET_SETS, SET_TABLE, SET_NAME = 10 << 8 | 10, 1, 2


class ClientMemory(Protocol):
    """What rules of the current namespace remember of clients."""

    def is_kept(self) -> bool:
        """Whether any rule keeps clients."""
        ...

    def only(self, flow: Flow, last: Last | None) -> None:
        """Know when the client last came, and nothing else. What is too long ago is not there."""
        ...


class RecentLists:
    """Of mode iptables: the lists of the match `recent`.

    They belong to the machine's user ip_list_uid (xt_recent's parameter) in every namespace, whoever owns that.
    """

    def is_kept(self) -> bool:
        return any(self._lists())

    def only(self, flow: Flow, last: Last | None) -> None:
        for known in self._lists():
            if not os.access(known, os.W_OK):
                pytest.skip("needs the machine's root: xt_recent's lists of clients belong to it")
            known.write_text("/")
        if last and last.seconds_ago < AFFINITY_SECONDS:
            known = RECENT / endpoint_chain("default/web", flow.protocol, last.endpoint)
            if known.exists():
                known.write_text(f"+{flow.source}")

    def _lists(self) -> Iterator[Path]:
        return RECENT.iterdir() if RECENT.exists() else iter(())


class AffinitySets:
    """Of mode nftables: a set an endpoint, whose elements have a time to live."""

    def is_kept(self) -> bool:
        return any(self._sets())

    def only(self, flow: Flow, last: Last | None) -> None:
        sets = list(self._sets())
        commands = [f"flush set {WORDS[family].ip} {TABLE} {name}" for family, name in sets]
        if last and last.seconds_ago < AFFINITY_SECONDS:
            address, _, port = last.endpoint.rpartition(":")
            family = Family(f"IPv{flow.source.version}")
            key = PortKey(ServiceName("default", "web"), "", flow.protocol, family)
            endpoint = Endpoint(ip_address(address.strip("[]")), int(port), last.endpoint, local=False)
            name = f"affinity-{endpoint_name(key, endpoint)}"
            if (family, name) in sets:
                left = AFFINITY_SECONDS - last.seconds_ago
                commands.append(f"add element {WORDS[family].ip} {TABLE} {name} {{ {flow.source} expires {left}s }}")
        if commands:
            subprocess.run(["nft", "-f", "-"], input="\n".join(commands) + "\n", text=True, check=True)

    def _sets(self) -> Iterator[tuple[Family, str]]:
        for family, number in ((Family.IPV4, 2), (Family.IPV6, 10)):
            for found in ask(GET_SETS, NLM_F_DUMP, family=number):
                name = found[SET_NAME].rstrip(b"\0").decode()
                if found[SET_TABLE].rstrip(b"\0").decode() == TABLE and name.startswith("affinity-"):
                    yield family, name


class NobodyCanWrite:
    """Of mode ipvs: the kernel remembers clients by itself."""

    def is_kept(self) -> bool:
        return False

    def only(self, flow: Flow, last: Last | None) -> None:
        raise AssertionError(f"nothing is kept that could be told of {flow}, {last}")


MEMORIES: dict[ProxyMode, type[ClientMemory]] = {
    ProxyMode.IPTABLES: RecentLists,
    ProxyMode.NFTABLES: AffinitySets,
}
