"""The flags of kube-proxy, by its names and in its forms, for `proxy` and `render`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand

from netlab.cli.mistakes import wrong
from netlab.model.ipvs import Scheduler
from netlab.model.modes import BY_PROCESS, ProxyMode
from netlab.model.rules import IPAddress, IPNetwork
from netlab.proxy.addresses import read_address
from netlab.proxy.config import DetectLocalMode, ProxyConfig

if TYPE_CHECKING:
    from typer._click import Context

BOOLEANS = frozenset({"--masquerade-all", "--iptables-localhost-nodeports", "--ipvs-strict-arp", "--once", "--cleanup"})
_TRUE, _FALSE = (
    frozenset({"1", "t", "T", "TRUE", "true", "True"}),
    frozenset({"0", "f", "F", "FALSE", "false", "False"}),
)


class GoFlags(TyperCommand):
    """A command whose switches are written as for Go programs: `--masquerade-all` or `--masquerade-all=false`."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Called by Typer with the words of the command line."""
        return super().parse_args(ctx, [f"{word}=true" if word in BOOLEANS else word for word in args])


Node = Annotated[
    str | None,
    typer.Option("--node", "--hostname-override", metavar="NAME", help="The Node whose rules these are."),
]
BindAddress = Annotated[
    str, typer.Option("--bind-address", metavar="IP", help="The node's own address, if its Node says another.")
]
Mode = Annotated[str, typer.Option("--proxy-mode", metavar="MODE", help="iptables, nftables, ipvs or userspace.")]
ClusterCidr = Annotated[
    str | None, typer.Option("--cluster-cidr", metavar="CIDRS", help="The Pods' range: one, or one a family.")
]
LocalMode = Annotated[
    str, typer.Option("--detect-local-mode", metavar="MODE", help="How to tell this cluster's Pods from others.")
]
BridgeInterface = Annotated[
    str, typer.Option("--pod-bridge-interface", metavar="NAME", help="For the mode BridgeInterface.")
]
InterfacePrefix = Annotated[
    str, typer.Option("--pod-interface-name-prefix", metavar="PREFIX", help="For the mode InterfaceNamePrefix.")
]
MasqueradeAll = Annotated[
    str, typer.Option("--masquerade-all", metavar="BOOL", help="Masquerade all that goes to a ClusterIP.")
]
MasqueradeBit = Annotated[
    int, typer.Option("--iptables-masquerade-bit", metavar="N", help="The bit of the mark.", min=0, max=31)
]
NodeportAddresses = Annotated[
    str, typer.Option("--nodeport-addresses", metavar="CIDRS", help="Where node ports answer; or primary.")
]
IpvsScheduler = Annotated[
    str, typer.Option("--ipvs-scheduler", metavar="NAME", help="How IPVS picks a real server: rr, lc, sh, mh, ...")
]
IpvsStrictArp = Annotated[
    str, typer.Option("--ipvs-strict-arp", metavar="BOOL", help="Tell nobody on a wire of kube-ipvs0's addresses.")
]
IpvsExcludeCidrs = Annotated[
    str, typer.Option("--ipvs-exclude-cidrs", metavar="CIDRS", help="Where virtual servers are never deleted.")
]
LocalhostNodeports = Annotated[
    str, typer.Option("--iptables-localhost-nodeports", metavar="BOOL", help="Whether they answer on 127.0.0.1.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFlags:
    """The flags that change rules, as they were written."""

    node: str | None
    bind_address: str = "0.0.0.0"
    mode: str = ProxyMode.IPTABLES
    cluster_cidr: str | None = None
    local_mode: str = DetectLocalMode.CLUSTER_CIDR
    bridge_interface: str = ""
    interface_prefix: str = ""
    masquerade_all: str = "false"
    masquerade_bit: int = 14
    nodeport_addresses: str = ""
    localhost_nodeports: str = "true"
    ipvs_scheduler: str = ""
    ipvs_strict_arp: str = "false"
    ipvs_exclude_cidrs: str = ""

    def config(self) -> ProxyConfig:
        """The flags as values. InvalidInput."""
        if not self.node:
            raise wrong("--node NAME is missing", "name the Node whose rules are wanted")
        bind_address = _bind_address(self.bind_address)
        primary = self.nodeport_addresses == "primary"
        return ProxyConfig(
            node_name=self.node,
            bind_address=bind_address,
            userspace_on_node_address=bind_address is not None,
            mode=read_mode(self.mode),
            cluster_cidrs=() if self.cluster_cidr is None else _cluster_cidrs(self.cluster_cidr),
            detect_local_mode=self._detect_local_mode(),
            bridge_interface=_interface("--pod-bridge-interface", self.bridge_interface),
            interface_name_prefix=_interface_prefix(self.interface_prefix),
            masquerade_all=boolean("--masquerade-all", self.masquerade_all),
            masquerade_bit=self.masquerade_bit,
            nodeport_primary=primary,
            nodeport_addresses=() if primary else _networks("--nodeport-addresses", self.nodeport_addresses),
            iptables_localhost_nodeports=boolean("--iptables-localhost-nodeports", self.localhost_nodeports),
            ipvs_scheduler=_scheduler(self.ipvs_scheduler),
            ipvs_strict_arp=boolean("--ipvs-strict-arp", self.ipvs_strict_arp),
            ipvs_exclude_cidrs=excluded(self.ipvs_exclude_cidrs),
        )

    def _detect_local_mode(self) -> DetectLocalMode:
        known = {mode.value: mode for mode in DetectLocalMode}
        mode = known.get(self.local_mode or DetectLocalMode.CLUSTER_CIDR)
        if mode is None:
            raise wrong(f"--detect-local-mode: {self.local_mode!r} is no such mode", f"there are {', '.join(known)}")
        if mode is DetectLocalMode.BRIDGE_INTERFACE and not self.bridge_interface:
            raise wrong("--pod-bridge-interface is missing", "the mode BridgeInterface needs it")
        if mode is DetectLocalMode.INTERFACE_NAME_PREFIX and not self.interface_prefix:
            raise wrong("--pod-interface-name-prefix is missing", "the mode InterfaceNamePrefix needs it")
        return mode


def read_mode(text: str) -> ProxyMode:
    """No text is the default. InvalidInput: there is none such."""
    modes = {mode.value: mode for mode in ProxyMode}
    mode = modes.get(text or ProxyMode.IPTABLES)
    if mode is None:
        raise wrong(f"--proxy-mode: {text!r} is no such mode", f"there are {', '.join(modes)}")
    return mode


def need_no_process(mode: ProxyMode, *, why: str) -> None:
    """InvalidInput for a mode of which there is nothing without a kube-proxy process; `why` it is wanted without."""
    if mode in BY_PROCESS:
        raise wrong(
            f"--proxy-mode={mode}: its rules lead to ports that a kube-proxy process chooses and answers on; {why}",
            "run netlab proxy and let it stay, or choose another mode",
        )


def _bind_address(text: str) -> IPAddress | None:
    """An unspecified address is none: the Node's object says which it is. InvalidInput."""
    address = read_address(text)
    if address is None:
        raise wrong(f"--bind-address: {text!r} is no address", "for instance 192.168.50.11")
    return None if address.is_unspecified else address


def _scheduler(text: str) -> Scheduler:
    """No text is the default. InvalidInput: IPVS has none of that name."""
    known = {scheduler.value: scheduler for scheduler in Scheduler}
    if (text or Scheduler.RR) not in known:
        raise wrong(f"--ipvs-scheduler: {text!r} is no such scheduler", f"there are {', '.join(known)}")
    return known[text or Scheduler.RR]


def excluded(text: str) -> tuple[IPNetwork, ...]:
    """What --ipvs-exclude-cidrs says. InvalidInput."""
    return _networks("--ipvs-exclude-cidrs", text)


def boolean(flag: str, text: str) -> bool:
    """A switch, as Go's strconv.ParseBool reads it. InvalidInput."""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise wrong(f"{flag}: {text!r} is neither true nor false")


def _cluster_cidrs(text: str) -> tuple[IPNetwork, ...]:
    """At most one a family. An empty text is an error, as it is to kube-proxy."""
    if not text:
        raise wrong("--cluster-cidr: it is empty", "leave the flag out where nothing tells local traffic")
    found = _networks("--cluster-cidr", text)
    if len({network.version for network in found}) != len(found):
        raise wrong(f"--cluster-cidr: {text!r} has two ranges of one family", "one, or one a family")
    return found


def _networks(flag: str, text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    found = []
    for part in text.split(",") if text else ():
        try:
            if "/" not in part:
                raise ValueError("it has no prefix length")
            found.append(ip_network(part.strip(), strict=False))
        except ValueError as error:
            raise wrong(f"{flag}: {part!r} is not a CIDR", "for instance 10.244.0.0/16") from error
    return tuple(found)


def _interface(flag: str, text: str) -> str:
    """A name that an interface can have: at most 15 characters (IFNAMSIZ), no slash, no space."""
    if text and not re.fullmatch(r"[^\s/+!]{1,15}", text):
        raise wrong(f"{flag}: {text!r} is no interface's name")
    return text


def _interface_prefix(text: str) -> str:
    """14 characters at most: with the `+` that stands for the rest they must fit where a name does."""
    flag = "--pod-interface-name-prefix"
    if len(text) > 14:
        raise wrong(f"{flag}: {text!r} is longer than 14 characters")
    return _interface(flag, text)
