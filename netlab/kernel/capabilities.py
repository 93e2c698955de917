"""What the kernel and the tools of this machine can do, found by trying: a module list says nothing of built-in code.

Everything here changes the network namespace that it runs in, which must be one to throw away.
"""

from __future__ import annotations

import resource
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from netlab.errors import KernelError, MissingCapability
from netlab.kernel import sysctls
from netlab.kernel.iptables import require_tables
from netlab.kernel.ipvs_capabilities import try_ipvs
from netlab.kernel.modules import bridge_netfilter_is_loadable
from netlab.kernel.nft_chains import require_nftables
from netlab.kernel.programs import find_program
from netlab.model.machine import Check
from netlab.model.rules import Backend, Family

ETH_P_ALL = 0x0003
FILES_FOR_A_HUNDRED_PODS = 4096
LINKS = {
    "veth pairs": ("v0 type veth peer name v1", "CONFIG_VETH"),
    "bridges": ("br0 type bridge", "CONFIG_BRIDGE"),
    "VXLAN (fabric: vxlan)": ("vx0 type vxlan id 1 dstport 4789 local 192.0.2.1", "CONFIG_VXLAN"),
}
BRIDGE_NETFILTER = "net/bridge/bridge-nf-call-iptables"
WHERE = {Backend.LEGACY: "legacy tables", Backend.NFT: "no legacy tables: rules are written by iptables-nft"}
OPTIONAL = "VXLAN (fabric: vxlan)"


def try_everything() -> Iterator[Check]:
    """Try each thing that a lab is made of, in the order of the packet's journey."""
    yield _sysctls()
    yield from _links()
    yield _bridge_netfilter()
    yield _ipv6()
    yield from (_tables(family) for family in Family)
    yield _packet_sockets()
    yield _nftables()
    yield from try_ipvs()
    yield _open_files()


def _links() -> Iterator[Check]:
    ip = find_program("ip")
    if ip is None:
        yield Check(name="ip(8)", ok=False, detail="not found", remedy="install the package iproute2")
        return
    for name, (arguments, option) in LINKS.items():
        done = subprocess.run([ip, "link", "add", *arguments.split()], capture_output=True, text=True, check=False)
        yield Check(
            name=name,
            ok=done.returncode == 0,
            required=name != OPTIONAL,
            detail=done.stderr.strip(),
            remedy="" if done.returncode == 0 else f"use a kernel with {option}",
        )


def _tables(family: Family) -> Check:
    """IPv6 is asked for by dual-stack labs alone."""
    name, required = f"iptables, {family}", family is Family.IPV4
    try:
        backend = require_tables(family)
    except MissingCapability as error:
        return Check(name=name, ok=False, required=required, detail=error.capability, remedy=error.remedy)
    except KernelError as error:
        return Check(name=name, ok=False, required=required, detail=str(error))
    return Check(name=name, ok=True, required=required, detail=WHERE[backend])


def _packet_sockets() -> Check:
    name = "packet sockets (probe)"
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)).close()
    except OSError as error:
        return Check(name=name, ok=False, detail=str(error.strerror), remedy="CAP_NET_RAW and CONFIG_PACKET are needed")
    return Check(name=name, ok=True)


def _sysctls() -> Check:
    name, file = "sysctls of a namespace", Path("/proc/sys/net/ipv4/ip_forward")
    try:
        file.write_text("1")
    except OSError as error:
        remedy = "a container needs /proc/sys writable (--privileged)"
        return Check(name=name, ok=False, detail=f"{file}: {error.strerror}", remedy=remedy)
    return Check(name=name, ok=True)


def _bridge_netfilter() -> Check:
    """A namespace has it if the module br_netfilter is loaded, which nothing but modprobe(8) does: `up`, as root."""
    name = "bridged packets through iptables"
    if sysctls.read(BRIDGE_NETFILTER) is not None:
        return Check(name=name, ok=True)
    if bridge_netfilter_is_loadable():
        return Check(name=name, ok=True, detail="the first lab will load br_netfilter")
    return Check(name=name, ok=False, detail="no module", remedy="sudo modprobe br_netfilter")


def _ipv6() -> Check:
    there = sysctls.read("net/ipv6/conf/all/accept_dad") is not None
    remedy = "" if there else "boot without ipv6.disable=1, with CONFIG_IPV6"
    return Check(name="IPv6 (dual-stack labs)", ok=there, required=False, remedy=remedy)


def _nftables() -> Check:
    """Rules are written without nft(8); people look at them with it."""
    name = "nftables (mode: nftables)"
    try:
        require_nftables()
    except MissingCapability as error:
        return Check(name=name, ok=False, required=False, detail=error.capability, remedy=error.remedy)
    if find_program("nft") is None:
        return Check(name=name, ok=True, required=False, detail="nft(8), which shows rules, is in the package nftables")
    return Check(name=name, ok=True, required=False)


def _open_files() -> Check:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = hard in (resource.RLIM_INFINITY,) or hard >= FILES_FOR_A_HUNDRED_PODS
    remedy = "" if enough else "labs of more than a few dozen Pods: ulimit -Hn 65536"
    return Check(name="open files", ok=enough, required=False, detail=f"at most {hard}", remedy=remedy)
