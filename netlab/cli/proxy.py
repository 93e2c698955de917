"""proxy: kube-proxy alone, in the network namespace that it is started in."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netlab.cli import proxy_flags as flags
from netlab.cli.mistakes import wrong
from netlab.cli.options import Format, Output
from netlab.cli.output import emit, say, write
from netlab.cli.proxy_flags import RuleFlags
from netlab.cli.proxy_process_flags import AgentFlags
from netlab.model.modes import ProxyMode

if TYPE_CHECKING:
    from netlab.agents.kube_proxy import AgentOptions
    from netlab.model.access import ServerAccess
    from netlab.model.rules import IPNetwork
    from netlab.model.status import ProxyResult
    from netlab.proxy.config import ProxyConfig

SOURCES = "--server, --kubeconfig or -f"


def proxy(
    *,
    node: flags.Node = None,
    server: Annotated[
        str | None, typer.Option("--server", metavar="URL|unix:PATH", help="The API server to follow.")
    ] = None,
    kubeconfig: Annotated[
        Path | None, typer.Option("--kubeconfig", metavar="FILE", help="How to reach the API server.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--filename", "-f", metavar="FILE", help="Node, Service and EndpointSlice.")
    ] = None,
    once: Annotated[
        str, typer.Option("--once", metavar="BOOL", help="Put all in place, say what, and exit.")
    ] = "false",
    cleanup: Annotated[
        str, typer.Option("--cleanup", metavar="BOOL", help="Take kube-proxy's rules away, and exit.")
    ] = "false",
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
    ipvs_strict_arp: flags.IpvsStrictArp = "false",
    ipvs_exclude_cidrs: flags.IpvsExcludeCidrs = "",
    iptables_sync_period: Annotated[
        str, typer.Option("--iptables-sync-period", metavar="DURATION", help="Compare all rules this often.")
    ] = "30s",
    iptables_min_sync_period: Annotated[
        str, typer.Option("--iptables-min-sync-period", metavar="DURATION", help="Write at most this often.")
    ] = "10ms",
    metrics_bind_address: Annotated[
        str, typer.Option("--metrics-bind-address", metavar="IP:PORT", help="/metrics, /proxyMode; empty: none.")
    ] = "127.0.0.1:10249",
    healthz_bind_address: Annotated[
        str, typer.Option("--healthz-bind-address", metavar="IP:PORT", help="/healthz, /livez; empty: none.")
    ] = "0.0.0.0:10256",
    output: Output = Format.TABLE,
) -> None:
    """Be the kube-proxy of a node, in this network namespace.

    Follows any Kubernetes API server, or serves the objects of a file, until it is ended; the rules stay. Needs to be
    root, or the owner of the namespace.
    """
    rules = RuleFlags(
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
        ipvs_strict_arp=ipvs_strict_arp,
        ipvs_exclude_cidrs=ipvs_exclude_cidrs,
    )
    _log_to_standard_error()
    if flags.boolean("--cleanup", cleanup):
        _clean_up(flags.excluded(ipvs_exclude_cidrs))
        return
    config = rules.config()
    if [server, kubeconfig, file].count(None) != 2:
        raise wrong(f"say where the objects are, in one way: {SOURCES}")
    options = AgentFlags(
        sync_period=iptables_sync_period,
        min_sync_period=iptables_min_sync_period,
        metrics=metrics_bind_address,
        healthz=healthz_bind_address,
    ).options()
    if flags.boolean("--once", once):
        flags.need_no_process(config.mode, why="with --once there would be nobody")
        _say_result(_once(config, server=server, kubeconfig=kubeconfig, file=file), output)
    else:
        _stay(config, options, server=server, kubeconfig=kubeconfig, file=file)


def _once(config: ProxyConfig, *, server: str | None, kubeconfig: Path | None, file: Path | None) -> ProxyResult:
    from netlab.agents.kube_proxy.once import once
    from netlab.agents.kube_proxy.process import once_from
    from netlab.cli.proxy_objects import read_proxy_objects

    if file is None:
        return once_from(_access(server, kubeconfig), config)
    given = read_proxy_objects(file, node=config.node_name)
    return once(config, given.objects, given.refused)


def _stay(
    config: ProxyConfig, options: AgentOptions, *, server: str | None, kubeconfig: Path | None, file: Path | None
) -> None:
    from netlab.agents.kube_proxy.process import serve, serve_objects
    from netlab.cli.proxy_objects import read_proxy_objects

    if file is None:
        serve(_access(server, kubeconfig), config, options)
    else:
        given = read_proxy_objects(file, node=config.node_name)
        serve_objects(given.objects, given.refused, config, options)


def _access(server: str | None, kubeconfig: Path | None) -> ServerAccess:
    from netlab.load.kubeconfig import load_kubeconfig
    from netlab.model.access import ServerAccess

    if kubeconfig is not None:
        return load_kubeconfig(kubeconfig)
    try:
        return ServerAccess.at(server or "")
    except ValueError as error:
        raise wrong(f"--server: {error}") from error


def _clean_up(spared: tuple[IPNetwork, ...]) -> None:
    from netlab.agents.kube_proxy.once import cleanup

    cleanup(spared=spared)
    say("kube-proxy's rules are gone; KUBE-FIREWALL stays, as a kubelet may need it")


def _say_result(result: ProxyResult, output: Format) -> None:
    document = result.model_dump(mode="json", by_alias=True)
    if output is Format.JSON:
        write(json.dumps(document, ensure_ascii=False) + "\n")
    else:
        emit(document, output, lambda: _line(result))


def _line(result: ProxyResult) -> str:
    counts = ", ".join(
        f"{family} {' '.join(f'{table} {count}' for table, count in tables.items() if count)}"
        for family, tables in result.rules.items()
    )
    parts = [
        f"{result.node}: {result.mode} rules {'written' if result.changed else 'were in place'} ({counts})",
        *(f"{key.replace('/', '.')}={value}" for key, value in result.sysctls.items()),
        f"{len(result.complaints)} complaints" if result.complaints else "",
        f"{1000 * result.seconds:.0f} ms",
    ]
    return "; ".join(filter(None, parts)) + "\n"


def _log_to_standard_error() -> None:
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
