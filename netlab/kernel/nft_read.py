"""A table of nftables in the current network namespace, as nft(8) lists it."""

from __future__ import annotations

import errno
import subprocess

from netlab.errors import KernelError
from netlab.kernel.iptables_answers import HERE
from netlab.kernel.programs import program
from netlab.model.rules import Family

FAMILIES = {Family.IPV4: "ip", Family.IPV6: "ip6"}
NO_SUCH = "No such file or directory"


def list_table(family: Family, name: str) -> str:
    """The table's text; empty where there is none. MissingCapability: no nft(8). KernelError: it failed."""
    command = [program("nft"), "list", "table", FAMILIES[family], name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and NO_SUCH in done.stderr:
        return ""
    if done.returncode:
        raise KernelError(" ".join(command[1:]), HERE, errno.EINVAL, done.stderr.strip())
    return done.stdout
