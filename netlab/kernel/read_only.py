"""A mount namespace in which the machine's files can be read and not changed. Source: mount_setattr(2), Linux 5.12."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

from netlab.errors import MissingCapability
from netlab.kernel.syscalls import MS_NODEV, MS_NOSUID, mount

MOUNT_SETATTR = 442
"""The system call's number, the same on every architecture."""
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
MOUNT_ATTR_RDONLY = 0x1
_libc = ctypes.CDLL(None, use_errno=True)


def make_files_read_only(*, but: Path) -> None:
    """Make every mount of the process's mount namespace read-only but the one at `but`; /tmp and /proc are new ones.

    The namespace must be the process's own. MissingCapability: the kernel does not do it.
    """
    try:
        _set(Path("/"), flags=AT_RECURSIVE, set_=MOUNT_ATTR_RDONLY)
        _set(but, clear=MOUNT_ATTR_RDONLY)
        mount("tmpfs", "/tmp", kind="tmpfs", flags=MS_NOSUID | MS_NODEV)
        mount("proc", "/proc", kind="proc", flags=MS_NOSUID | MS_NODEV)
    except OSError as error:
        raise MissingCapability(f"a read-only view of the files ({error})", "it takes Linux 5.12 or later") from error


def _set(path: Path, *, flags: int = 0, set_: int = 0, clear: int = 0) -> None:
    """`struct mount_attr`: attr_set, attr_clr, propagation, userns_fd."""
    attributes = struct.pack("=QQQQ", set_, clear, 0, 0)
    where = os.fsencode(path)
    if _libc.syscall(MOUNT_SETATTR, AT_FDCWD, where, flags, attributes, len(attributes)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount_setattr on {path}: {os.strerror(number)}")
