"""What kube-proxy does on a node in mode ipvs beside sets, servers and rules, as commands."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.model.ipvs import DEVICE
from netlab.model.rules import Family, IPAddress
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.config import ProxyConfig
from netlab.proxy.decide import decide_all
from netlab.proxy.ipvs import Spelling
from netlab.proxy.ipvs.settings import settings


def preparation(namespace: str, config: ProxyConfig) -> Iterator[str]:
    """Before anything else, once for both families: settings, and the device that has the Services' addresses."""
    for sysctl in settings(config):
        yield f"ip netns exec {namespace} sysctl -w {sysctl.key.replace('/', '.')}={sysctl.value}"
    yield f"ip -n {namespace} link add {DEVICE} type dummy"


def binding(
    namespace: str, known: ChangeTracker, config: ProxyConfig, *, family: Family, addresses: tuple[IPAddress, ...]
) -> Iterator[str]:
    """At the end: the Services' addresses of one family, on that device."""
    spelling = Spelling(config=config, node=known.node, family=family, node_addresses=addresses)
    spelling.start(decide_all(known, config))
    for address in sorted(spelling.bound, key=str):
        yield f"ip -n {namespace} address add {address}/{address.max_prefixlen} dev {DEVICE}"
