"""Kernel settings of the network namespace that the calling thread is in: /proc/sys/net shows each thread its own."""

from __future__ import annotations

import os

from netlab.errors import KernelError
from netlab.model.state import Sysctl

ROOT = "/proc/sys/"
BRIDGE_NETFILTER = "net/bridge/"
"""There once the module br_netfilter is loaded, which nothing but modprobe(8) does."""


def read(key: str) -> str | None:
    """The setting's value; None where the kernel has no such setting (a module that is not loaded, no IPv6)."""
    try:
        descriptor = os.open(ROOT + key, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return os.read(descriptor, 256).decode().strip()
    finally:
        os.close(descriptor)


def write(sysctl: Sysctl, *, where: str) -> None:
    """Write the setting; `where` is the namespace's name, for errors. KernelError: not there, or refused.

    A kernel without IPv6 has nothing to turn off: that is no error.
    """
    try:
        descriptor = os.open(ROOT + sysctl.key, os.O_WRONLY)
        try:
            os.write(descriptor, sysctl.value.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and sysctl.key.endswith("/disable_ipv6"):
            return
        words = f"sysctl -w {sysctl.key}={sysctl.value}"
        raise KernelError(words, where, error.errno or 0, _remedy(sysctl.key)) from error


def _remedy(key: str) -> str:
    """What may help where the setting is not there."""
    missing = key.startswith(BRIDGE_NETFILTER) and not os.path.exists(ROOT + BRIDGE_NETFILTER)
    return "load the module: modprobe br_netfilter" if missing else ""
