"""The programs of iptables and nftables, where Debian has them; an ordinary user's PATH lacks these folders."""

from __future__ import annotations

import os
import shutil

from netlab.errors import MissingCapability

SYSTEM_PATH = "/usr/sbin:/sbin"
PACKAGES = {"nft": "nftables"}
"""By program; all others are in the package iptables."""


def program(name: str) -> str:
    """Where the program is. MissingCapability."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_PATH}")
    if found is None:
        raise MissingCapability(f"the program {name}", f"install the package {PACKAGES.get(name, 'iptables')}")
    return found
