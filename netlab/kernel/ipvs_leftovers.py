"""What kube-proxy's ipvs mode leaves in a network namespace beside its rules."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess

from netlab.errors import KernelError
from netlab.kernel.netlink import Request, RouteSocket, attribute
from netlab.kernel.netlink_requests import IFINFOMSG, IFLA_IFNAME, RTM_DELLINK

HERE = "this network namespace"
DEVICE = "kube-ipvs0"
"""The interface that has every ClusterIP in ipvs mode. No other program makes one of that name."""
SETS = "KUBE-"
SYSTEM_PATH = "/usr/sbin:/sbin"


def ipvs_was_here() -> bool:
    """Whether a kube-proxy in ipvs mode has worked in this network namespace."""
    with RouteSocket(HERE) as route:
        try:
            return route.index(DEVICE) > 0
        except KernelError as error:
            if error.number == errno.ENODEV:
                return False
            raise


def remove_device_and_sets() -> None:
    """Take away kube-ipvs0, the virtual servers, and the address sets, which no rule may use any more.

    The last two need ipvsadm(8) and ipset(8): where they are not installed nobody has made any of theirs here.
    """
    with RouteSocket(HERE) as route:
        route.send(
            [Request(RTM_DELLINK, 0, IFINFOMSG.pack(0, 0, 0, 0, 0) + attribute(IFLA_IFNAME, DEVICE.encode() + b"\0"))]
        )
    _run("ipvsadm", "--clear")
    for name in _run("ipset", "list", "-n").splitlines():
        if name.startswith(SETS):
            _run("ipset", "destroy", name)


def _run(program: str, *arguments: str) -> str:
    found = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_PATH}")
    if found is None:
        return ""
    return subprocess.run([found, *arguments], capture_output=True, text=True, check=False).stdout
