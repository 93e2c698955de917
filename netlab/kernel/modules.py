"""The one kernel module that a lab needs and that the kernel does not load by itself when it is first used."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from netlab.errors import MissingCapability
from netlab.kernel import sysctls
from netlab.kernel.programs import find_program
from netlab.model.state import Sysctl

HOST_BRIDGES = ("net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables")


EVERY_USER = ["0", "0", "4294967295"]
"""What /proc/self/uid_map holds outside of user namespaces; user_namespaces(7)."""


def load_bridge_netfilter() -> None:
    """Load br_netfilter, if it is not there: by it bridged packets meet a node's Service rules.

    To be called in the host's own network namespace before a lab's are made. With the module comes a setting by which
    the bridges of the host, too, would be filtered from now on: that is taken back. MissingCapability: it cannot be
    loaded, because the user may not or the kernel has none.
    """
    if sysctls.read(HOST_BRIDGES[0]) is not None:
        return
    _modprobe("br_netfilter")
    if sysctls.read(HOST_BRIDGES[0]) is None:
        raise MissingCapability("bridged packets cannot pass iptables", "run `sudo modprobe br_netfilter` once")
    for key in HOST_BRIDGES:
        sysctls.write(Sysctl(key, "0"), where="the host")


def bridge_netfilter_is_loadable() -> bool:
    """Whether `load_bridge_netfilter` would succeed where it is not loaded: who calls may load it, and there is one."""
    root = os.geteuid() == 0 and Path("/proc/self/uid_map").read_text().split() == EVERY_USER
    return root and _modprobe("--dry-run", "br_netfilter")


def is_known(module: str) -> bool:
    """Whether modprobe(8) would find that module, or knows it to be built in; nothing is loaded. It may know less."""
    return _modprobe("--dry-run", "--quiet", module)


def _modprobe(*arguments: str) -> bool:
    found = find_program("modprobe")
    return found is not None and subprocess.run([found, *arguments], check=False, capture_output=True).returncode == 0
