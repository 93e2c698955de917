"""Where a lab process lives: namespaces of its own, so that nothing it does can touch the host.

Root:           network and PID namespace. The mount namespace stays the host's, so that `ip netns` sees the lab's.
Anybody else:   a user namespace too, in which the caller is uid 0, and a mount namespace with a private /run.

Everything after is the same code. Sources: namespaces(7), user_namespaces(7), mount_namespaces(7), KERNEL.md.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from netlab.errors import KernelError, MissingCapability

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000

_libc = ctypes.CDLL(None, use_errno=True)


def isolate(keep: Path) -> None:
    """Leave the host's namespaces; the next child of this process is PID 1 of the lab.

    `keep` is the lab's folder, which stays reachable by its path. The process must be single-threaded.
    MissingCapability tells what the machine does not allow.
    """
    if os.geteuid() == 0:
        _unshare(CLONE_NEWNET | CLONE_NEWPID)
        return
    uid, gid = os.geteuid(), os.getegid()
    _unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID)
    _become_root_of_the_user_namespace(uid, gid)
    _make_run_private(keep)


def _unshare(flags: int) -> None:
    if _libc.unshare(flags) == 0:
        return
    number = ctypes.get_errno()
    if flags & CLONE_NEWUSER:
        raise MissingCapability(
            f"user namespaces ({os.strerror(number)})",
            "run netlab as root, or allow them: "
            "sysctl user.max_user_namespaces=15000 kernel.unprivileged_userns_clone=1",
        )
    raise MissingCapability(
        f"network and PID namespaces ({os.strerror(number)})",
        "run netlab with CAP_SYS_ADMIN (a container needs --privileged)",
    )


def _become_root_of_the_user_namespace(uid: int, gid: int) -> None:
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    except PermissionError as error:
        raise MissingCapability(
            f"user namespaces ({error.strerror})",
            "run netlab as root; on Ubuntu 24.04 or later AppArmor restricts them: "
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ) from error


def _make_run_private(keep: Path) -> None:
    """An empty /run, for /run/netns and the like, in which only `keep` is still where it was."""
    kept = os.open(keep, os.O_PATH | os.O_CLOEXEC)
    try:
        _mount("none", "/", None, MS_REC | MS_PRIVATE)
        _mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV)
        if not keep.exists():
            keep.mkdir(parents=True, mode=0o700)
            _mount(f"/proc/self/fd/{kept}", str(keep), None, MS_BIND)
    except KernelError as error:
        raise MissingCapability(
            f"mounts inside a user namespace ({error})",
            "run netlab as root; on Ubuntu 24.04 or later AppArmor restricts them: "
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ) from error
    finally:
        os.close(kept)


def _mount(source: str, target: str, type_: str | None, flags: int) -> None:
    kind = type_.encode() if type_ else None
    if _libc.mount(source.encode(), target.encode(), kind, flags, None) != 0:
        raise KernelError(f"mount {source} on {target}", "the lab's mount namespace", ctypes.get_errno())
