"""A table of nftables in the current network namespace, as nft(8) lists it."""

from __future__ import annotations

import errno

from netlab.errors import KernelError
from netlab.kernel.iptables_answers import HERE
from netlab.kernel.programs import run
from netlab.model.rules import Family

FAMILIES = {Family.IPV4: "ip", Family.IPV6: "ip6"}
NO_SUCH = "No such file or directory"


def list_table(family: Family, name: str) -> str:
    """The table's text; empty where there is none. MissingCapability: no nft(8). KernelError: it failed."""
    command = ["nft", "list", "table", FAMILIES[family], name]
    done = run(command)
    if done.returncode and NO_SUCH not in done.stderr:
        raise KernelError(" ".join(command), HERE, errno.EINVAL, done.stderr.strip())
    return done.stdout
