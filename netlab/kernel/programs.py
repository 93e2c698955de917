"""The programs of iptables and nftables, where Debian has them; an ordinary user's PATH lacks these folders."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Sequence

from netlab.errors import KernelError, MissingCapability
from netlab.kernel.iptables_answers import HERE

SYSTEM_PATH = "/usr/sbin:/sbin"
PACKAGES = {"nft": "nftables"}
"""By program; all others are in the package iptables."""
PATIENCE_SECONDS = 120.0
"""Ten times what the largest table takes."""


def find_program(name: str) -> str | None:
    """Where the program is; None where it is not installed."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_PATH}")


def program(name: str) -> str:
    """Where the program is. MissingCapability."""
    if (found := find_program(name)) is None:
        raise MissingCapability(f"{name} is not installed", f"install the package {PACKAGES.get(name, 'iptables')}")
    return found


def run(argv: Sequence[str], *, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program to its end, `text` its input. MissingCapability: not installed. KernelError: it does not end."""
    command = [program(argv[0]), *argv[1:]]
    try:
        return subprocess.run(
            command, input=text, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise KernelError(" ".join(argv), HERE, errno.ETIMEDOUT) from error


def output_of(argv: Sequence[str], *, text: str = "") -> str:
    """What a program prints. MissingCapability: not installed. KernelError: it failed."""
    done = run(argv, text=text)
    if done.returncode:
        raise KernelError(" ".join(argv), HERE, 0, done.stderr.strip())
    return done.stdout
