"""Have nft(8) carry out commands in the current network namespace, all of them or none."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence

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
    nft_program()
    try:
        generation()
    except KernelError as error:
        if error.number in (errno.EPERM, errno.EACCES):
            raise MissingCapability(
                "CAP_NET_ADMIN in this network namespace", "run as root, or as the namespace's owner"
            ) from error
        raise MissingCapability("this kernel has no nftables", "use a kernel with CONFIG_NF_TABLES") from error


def run(commands: Sequence[str], *, in_pieces: Callable[[], Sequence[str]] | None = None) -> int:
    """Carry out commands as one transaction; how many transactions it took.

    It takes several only where the process is not the machine's root and they are too many for its netlink socket: then
    those of `in_pieces`, which do the same (else the same ones), are cut into pieces. They must be such that each
    piece, in their order, leaves nothing that leads nowhere. KernelError: refused, in nft's words.
    """
    try:
        _nft(commands)
    except _TooLongError:
        pieces = _pieces(in_pieces() if in_pieces else commands)
        for piece in pieces:
            _nft(piece)
        return len(pieces)
    return 1


class _TooLongError(KernelError):
    """The transaction does not fit the socket's buffer."""


def _pieces(commands: Sequence[str]) -> list[Sequence[str]]:
    return [commands[at : at + PIECE] for at in range(0, len(commands), PIECE)]


def _nft(commands: Sequence[str]) -> None:
    script = "\n".join((*commands, ""))
    done = subprocess.run([nft_program(), "-f", "-"], input=script, capture_output=True, text=True, check=False)
    if done.returncode:
        error = _TooLongError if TOO_LONG in done.stderr else KernelError
        raise error("nft -f", HERE, errno.EINVAL, done.stderr.strip()[:WORDS_AT_MOST])


def nft_program() -> str:
    """Where nft(8) is; MissingCapability."""
    found = shutil.which("nft", path=f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_PATH}")
    if found is None:
        raise MissingCapability("the program nft", "install the package nftables")
    return found
