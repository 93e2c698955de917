"""Writing nftables from a test: by netlab's own netlink, and by nft(8)."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import closing

from netlab.kernel.nft_batch import make
from netlab.kernel.nft_socket import NftSocket
from netlab.model.nft_tables import Change
from netlab.model.rules import Family
from netlab.proxy.nftables.names import TABLE


def by_netlink(changes: Sequence[Change], family: Family) -> int:
    with closing(NftSocket()) as by:
        return make(changes, family=family, table=TABLE, by=by)


def by_nft(*commands: str) -> None:
    text = "\n".join((*commands, ""))
    subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True, capture_output=True)


def flush() -> None:
    subprocess.run(["nft", "flush", "ruleset"], check=True)
