"""Have nft(8) carry out commands in the current network namespace, all of them or none."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence

from netlab.errors import KernelError, MissingCapability
from netlab.kernel.iptables_answers import HERE
from netlab.kernel.nft_chains import generation

SYSTEM_PATH = "/usr/sbin:/sbin"
PIECE = 250
"""Commands that fit a socket's buffer of 208 KB, which only the machine's root may widen."""
TOO_LONG = "Message too long"
WORDS_AT_MOST = 600


def require_nftables() -> None:
    """MissingCapability where this kernel has no nftables, this process no rights, or this machine no nft(8)."""
    _program()
    try:
        generation()
    except KernelError as error:
        if error.number in (errno.EPERM, errno.EACCES):
            raise MissingCapability(
                "CAP_NET_ADMIN in this network namespace", "run as root, or as the namespace's owner"
            ) from error
        raise MissingCapability("this kernel has no nftables", "use a kernel with CONFIG_NF_TABLES") from error


def run(commands: Sequence[str]) -> int:
    """Carry out commands as one transaction; how many transactions it took.

    It takes several only where the process is not the machine's root and they are too many for its netlink socket: the
    commands must be such that each piece of them, in their order, leaves nothing that leads nowhere.
    KernelError: refused, in nft's words.
    """
    done = _nft(commands)
    if done.returncode and TOO_LONG in done.stderr and len(commands) > PIECE:
        return sum(run(piece) for piece in _pieces(commands))
    if done.returncode:
        raise KernelError("nft -f", HERE, errno.EINVAL, done.stderr.strip()[:WORDS_AT_MOST])
    return 1


def _pieces(commands: Sequence[str]) -> Iterator[Sequence[str]]:
    return (commands[at : at + PIECE] for at in range(0, len(commands), PIECE))


def _nft(commands: Sequence[str]) -> subprocess.CompletedProcess[str]:
    script = "\n".join((*commands, ""))
    return subprocess.run([_program(), "-f", "-"], input=script, capture_output=True, text=True, check=False)


def _program() -> str:
    found = shutil.which("nft", path=f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_PATH}")
    if found is None:
        raise MissingCapability("the program nft", "install the package nftables")
    return found
