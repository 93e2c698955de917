"""A node's rules as the text that a tool takes: iptables-restore(8) in mode iptables, nft(8) in mode nftables."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from netlab.model.modes import ProxyMode
from netlab.model.rules import Family, IPAddress
from netlab.proxy import iptables, nftables
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.config import ProxyConfig
from netlab.proxy.decide import decide_all
from netlab.proxy.nftables.text import table_text
from netlab.proxy.save_text import save_text

Spell = Callable[[ChangeTracker, ProxyConfig, Family, tuple[IPAddress, ...]], str]
TAKEN_BY: Mapping[ProxyMode, Mapping[Family, str]] = {
    ProxyMode.IPTABLES: {Family.IPV4: "iptables-restore", Family.IPV6: "ip6tables-restore"},
    ProxyMode.NFTABLES: {Family.IPV4: "nft -f", Family.IPV6: "nft -f"},
}
"""The command that takes the text."""


def rules_text(
    known: ChangeTracker, config: ProxyConfig, *, family: Family, local_addresses: tuple[IPAddress, ...] = ()
) -> str:
    """The rules of one family for what is known; `local_addresses` are those that the machine has."""
    config = config.with_service_cidrs(known.service_cidrs)
    return _SPELL[config.mode](known, config, family, local_addresses)


def _iptables(known: ChangeTracker, config: ProxyConfig, family: Family, addresses: tuple[IPAddress, ...]) -> str:
    tables = iptables.spell(
        decide_all(known, config).values(),
        config=config,
        node=known.node,
        family=family,
        endpoint_total=known.endpoint_total(family),
        local_addresses=addresses,
    )
    return save_text(tables)


def _nftables(known: ChangeTracker, config: ProxyConfig, family: Family, addresses: tuple[IPAddress, ...]) -> str:
    routes = decide_all(known, config).values()
    return table_text(nftables.spell(routes, config=config, node=known.node, family=family, local_addresses=addresses))


_SPELL: Mapping[ProxyMode, Spell] = {ProxyMode.IPTABLES: _iptables, ProxyMode.NFTABLES: _nftables}
