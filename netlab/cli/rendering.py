"""Objects to the text of rules, without looking at any kernel."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from netlab.cli.proxy_objects import ProxyObjects
from netlab.model.rules import Family
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.complaints import Complaint
from netlab.proxy.config import ProxyConfig
from netlab.proxy.node_text import ToolText, node_text

LOOPBACKS = (IPv4Address("127.0.0.1"), IPv6Address("::1"))


@dataclass(frozen=True, slots=True)
class Rendered:
    """The texts for the tools that take them, by family in the order of loading, and what is not served."""

    by_family: dict[Family, tuple[ToolText, ...]]
    complaints: tuple[Complaint, ...]


def rendered(config: ProxyConfig, given: ProxyObjects, *, family: Family | None = None) -> Rendered:
    """The rules of the node that `config` names: of that family, or of each that a Service has; IPv4 where none has.

    Which addresses the machine itself has cannot be known here: with --nodeport-addresses those of the Node object, and
    127.0.0.1, stand for them.
    """
    tracker = ChangeTracker(node_name=config.node_name, bind_address=config.bind_address)
    for each in given.objects:
        tracker.put(each)
    tracker.collect()
    addresses = (*LOOPBACKS, *tracker.node.addresses)
    texts = {
        family: node_text(tracker, config, family=family, local_addresses=addresses)
        for family in _families(tracker, family)
    }
    return Rendered(texts, (*given.refused, *tracker.complaints))


def _families(tracker: ChangeTracker, wanted: Family | None) -> tuple[Family, ...]:
    used = {key.family for key in tracker.ports} or {Family.IPV4}
    return (wanted,) if wanted else tuple(family for family in Family if family in used)
