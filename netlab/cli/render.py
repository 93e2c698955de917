"""render: the rules that a node would have, as text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netlab.cli import proxy_flags as flags
from netlab.cli.options import Format, Output
from netlab.cli.output import Json, emit, say
from netlab.cli.proxy_flags import RuleFlags
from netlab.model.modes import ProxyMode
from netlab.model.rules import Family

if TYPE_CHECKING:
    from netlab.cli.rendering import Rendered


BESIDE = {"ipset restore": "addressSets", "ipvsadm --restore": "virtualServers"}
"""What mode ipvs has beside rules, by the tool that takes it."""


def render(
    *,
    file: Annotated[Path, typer.Option("--filename", "-f", metavar="FILE", help="Node, Service and EndpointSlice.")],
    node: flags.Node = None,
    family: Annotated[
        Family | None, typer.Option("--family", help="This one alone, with or without Services.", case_sensitive=False)
    ] = None,
    bind_address: flags.BindAddress = "0.0.0.0",
    proxy_mode: flags.Mode = ProxyMode.IPTABLES,
    cluster_cidr: flags.ClusterCidr = None,
    detect_local_mode: flags.LocalMode = "ClusterCIDR",
    pod_bridge_interface: flags.BridgeInterface = "",
    pod_interface_name_prefix: flags.InterfacePrefix = "",
    masquerade_all: flags.MasqueradeAll = "false",
    iptables_masquerade_bit: flags.MasqueradeBit = 14,
    nodeport_addresses: flags.NodeportAddresses = "",
    iptables_localhost_nodeports: flags.LocalhostNodeports = "true",
    ipvs_scheduler: flags.IpvsScheduler = "",
    output: Output = Format.TABLE,
) -> None:
    """Print the rules that kube-proxy would write on a node.

    For iptables-restore or nft -f, in mode ipvs for ipset and ipvsadm too; without root, and nothing is changed. Each
    family that a Service has, under a heading.
    """
    from netlab.cli.proxy_objects import read_proxy_objects
    from netlab.cli.rendering import rendered

    config = RuleFlags(
        node=node,
        bind_address=bind_address,
        mode=proxy_mode,
        cluster_cidr=cluster_cidr,
        local_mode=detect_local_mode,
        bridge_interface=pod_bridge_interface,
        interface_prefix=pod_interface_name_prefix,
        masquerade_all=masquerade_all,
        masquerade_bit=iptables_masquerade_bit,
        nodeport_addresses=nodeport_addresses,
        localhost_nodeports=iptables_localhost_nodeports,
        ipvs_scheduler=ipvs_scheduler,
    ).config()
    flags.need_no_process(config.mode, why="before it runs there are none to print")
    given = read_proxy_objects(file, node=config.node_name)
    texts = rendered(config, given, family=family)
    for complaint in texts.complaints:
        say(f"warning: {complaint}")
    document: dict[str, Json] = {
        "apiVersion": "netlab/v1",
        "kind": "Rules",
        "node": config.node_name,
        "rules": {each.value: parts[-1].text for each, parts in texts.by_family.items()},
        **_beside(texts),
        "complaints": [str(complaint) for complaint in texts.complaints],
    }
    emit(document, output, lambda: _together(texts))


def _beside(texts: Rendered) -> dict[str, Json]:
    """What some modes have beside rules."""
    found: dict[str, dict[str, Json]] = {}
    for family, parts in texts.by_family.items():
        for each in parts[:-1]:
            found.setdefault(BESIDE[each.tool], {})[family.value] = each.text
    return dict(found)


def _together(texts: Rendered) -> str:
    """The order is that of loading: rules name sets."""
    parts = [(family, each) for family, found in texts.by_family.items() for each in found]
    return "\n".join(f"# {family}: for {each.tool}\n{each.text}" for family, each in parts)
