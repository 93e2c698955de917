"""Objects to the text of rules, without looking at any kernel."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from netlab.cli.proxy_objects import ProxyObjects
from netlab.model.modes import ProxyMode
from netlab.model.rules import Family
from netlab.proxy import ipvs
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.complaints import Complaint
from netlab.proxy.config import ProxyConfig
from netlab.proxy.decide import decide_all
from netlab.proxy.iptables import spell
from netlab.proxy.ipvs.text import servers_text, sets_text
from netlab.proxy.save_text import save_text

LOOPBACKS = (IPv4Address("127.0.0.1"), IPv6Address("::1"))


@dataclass(frozen=True, slots=True)
class Rendered:
    """The text for iptables-restore or ip6tables-restore by family, and what is not served.

    In mode ipvs there are `sets` for ipset(8) and `servers` for ipvsadm(8) too.
    """

    by_family: dict[Family, str]
    complaints: tuple[Complaint, ...]
    sets: dict[Family, str] = field(default_factory=dict)
    servers: dict[Family, str] = field(default_factory=dict)


def rendered(config: ProxyConfig, given: ProxyObjects, *, family: Family | None = None) -> Rendered:
    """The rules of the node that `config` names: of that family, or of each that a Service has; IPv4 where none has.

    Which addresses the machine itself has cannot be known here: with --nodeport-addresses those of the Node object, and
    127.0.0.1, stand for them.
    """
    tracker = ChangeTracker(node_name=config.node_name)
    for each in given.objects:
        tracker.put(each)
    tracker.collect()
    rendering = Rendered({}, (*given.refused, *tracker.complaints))
    render = _render_ipvs if config.mode is ProxyMode.IPVS else _render_iptables
    for chosen in _families(tracker, family):
        render(rendering, tracker, config, chosen)
    return rendering


def _render_iptables(rendering: Rendered, tracker: ChangeTracker, config: ProxyConfig, family: Family) -> None:
    tables = spell(
        decide_all(tracker, config).values(),
        config=config,
        node=tracker.node,
        family=family,
        endpoint_total=tracker.endpoint_total(family),
        local_addresses=(*LOOPBACKS, *tracker.node.addresses),
    )
    rendering.by_family[family] = save_text(tables)


def _render_ipvs(rendering: Rendered, tracker: ChangeTracker, config: ProxyConfig, family: Family) -> None:
    spelling = ipvs.Spelling(
        config=config, node=tracker.node, family=family, node_addresses=(*LOOPBACKS, *tracker.node.addresses)
    )
    spelling.start(decide_all(tracker, config))
    rendering.by_family[family] = save_text(spelling.tables())
    rendering.sets[family] = sets_text(spelling.sets)
    rendering.servers[family] = servers_text(spelling.servers.values())


def _families(tracker: ChangeTracker, wanted: Family | None) -> tuple[Family, ...]:
    used = {key.family for key in tracker.ports} or {Family.IPV4}
    return (wanted,) if wanted else tuple(family for family in Family if family in used)
