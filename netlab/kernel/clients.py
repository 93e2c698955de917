"""Whom a node remembers as whose client, for Services with sessionAffinity: lists of xt_recent, sets of nftables."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from netlab.kernel.nft_chains import base_chain_hooks
from netlab.kernel.nft_read import FAMILIES, list_table
from netlab.kernel.programs import output_of
from netlab.model.rules import Family
from netlab.proxy.nftables.names import TABLE

RECENT = Path("/proc/thread-self/net/xt_recent")
"""A file a list."""
EMPTY_LIST = "/\n"
SET = re.compile(r"^\s*set (affinity-\S+) \{$", re.MULTILINE)


def forget_clients() -> None:
    """All clients that the current network namespace remembers. KernelError, MissingCapability (no nft).

    An ordinary user may not write lists of xt_recent: they belong to the machine's root.
    """
    for clients in RECENT.glob("*") if RECENT.is_dir() else ():
        with suppress(PermissionError):
            clients.write_text(EMPTY_LIST)
    for family in Family:
        if any(table == TABLE for table, _ in base_chain_hooks(family)):
            _flush_sets(family)


def _flush_sets(family: Family) -> None:
    names = SET.findall(list_table(family, TABLE))
    commands = "".join(f"flush set {FAMILIES[family]} {TABLE} {name}\n" for name in names)
    if commands:
        output_of(["nft", "-f", "-"], text=commands)
