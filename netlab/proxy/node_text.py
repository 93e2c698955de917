"""A node's rules as texts for the tools that load them, in any proxy mode whose rules do not need a process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from netlab.model.modes import ProxyMode
from netlab.model.rules import Family, IPAddress
from netlab.proxy import iptables, ipvs, nftables
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.config import ProxyConfig
from netlab.proxy.decide import decide_all
from netlab.proxy.ipvs.text import servers_text, sets_text
from netlab.proxy.nftables.text import table_text
from netlab.proxy.save_text import save_text

RESTORE = {Family.IPV4: "iptables-restore", Family.IPV6: "ip6tables-restore"}
NFT = "nft -f"
RESTORE_SETS, RESTORE_SERVERS = "ipset restore", "ipvsadm --restore"


class ToolText(NamedTuple):
    """A text, and the command that takes it."""

    tool: str
    text: str


Spell = Callable[[ChangeTracker, ProxyConfig, Family, tuple[IPAddress, ...]], tuple[ToolText, ...]]


def node_text(
    known: ChangeTracker, config: ProxyConfig, *, family: Family, local_addresses: tuple[IPAddress, ...] = ()
) -> tuple[ToolText, ...]:
    """All of one family for what is known, in the order of loading; the rules are the last.

    `local_addresses` are those that the machine has.
    """
    config = config.with_service_cidrs(known.service_cidrs)
    return _SPELL[config.mode](known, config, family, local_addresses)


def _iptables(
    known: ChangeTracker, config: ProxyConfig, family: Family, addresses: tuple[IPAddress, ...]
) -> tuple[ToolText, ...]:
    tables = iptables.spell(
        decide_all(known, config).values(),
        config=config,
        node=known.node,
        family=family,
        endpoint_total=known.endpoint_total(family),
        local_addresses=addresses,
    )
    return (ToolText(RESTORE[family], save_text(tables)),)


def _nftables(
    known: ChangeTracker, config: ProxyConfig, family: Family, addresses: tuple[IPAddress, ...]
) -> tuple[ToolText, ...]:
    routes = decide_all(known, config).values()
    table = nftables.spell(routes, config=config, node=known.node, family=family, local_addresses=addresses)
    return (ToolText(NFT, table_text(table)),)


def _ipvs(
    known: ChangeTracker, config: ProxyConfig, family: Family, addresses: tuple[IPAddress, ...]
) -> tuple[ToolText, ...]:
    spelling = ipvs.Spelling(config=config, node=known.node, family=family, node_addresses=addresses)
    spelling.start(decide_all(known, config))
    return (
        ToolText(RESTORE_SETS, sets_text(spelling.sets)),
        ToolText(RESTORE_SERVERS, servers_text(spelling.servers.values())),
        ToolText(RESTORE[family], save_text(spelling.tables())),
    )


_SPELL: Mapping[ProxyMode, Spell] = {
    ProxyMode.IPTABLES: _iptables,
    ProxyMode.NFTABLES: _nftables,
    ProxyMode.IPVS: _ipvs,
}
