"""The one kernel module that a lab needs and that the kernel does not load by itself when it is first used."""

from __future__ import annotations

import contextlib
import os
import subprocess

from netlab.errors import MissingCapability
from netlab.kernel import sysctls
from netlab.model.state import Sysctl

SYSTEM_PATH = "/usr/sbin:/sbin"
HOST_BRIDGES = ("net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables")


def load_bridge_netfilter() -> None:
    """Load br_netfilter, if it is not there: by it bridged packets meet a node's Service rules.

    To be called in the host's own network namespace before a lab's are made. With the module comes a setting by which
    the bridges of the host, too, would be filtered from now on: that is taken back. MissingCapability: it cannot be
    loaded, because the user may not or the kernel has none.
    """
    if sysctls.read(HOST_BRIDGES[0]) is not None:
        return
    environment = os.environ | {"PATH": f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"}
    with contextlib.suppress(FileNotFoundError):
        subprocess.run(["modprobe", "br_netfilter"], check=False, capture_output=True, env=environment)
    if sysctls.read(HOST_BRIDGES[0]) is None:
        raise MissingCapability("bridged packets cannot pass iptables", "run `sudo modprobe br_netfilter` once")
    for key in HOST_BRIDGES:
        sysctls.write(Sysctl(key, "0"), where="the host")
