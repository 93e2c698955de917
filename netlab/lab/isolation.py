"""Where a lab process lives: namespaces of its own, so that nothing it does can touch the host.

Root:           network and PID namespace. The mount namespace stays the host's, so that `ip netns` sees the lab's.
Anybody else:   a user namespace too, in which the caller is uid 0, and a mount namespace with a private /run.

Everything after is the same code. Sources: namespaces(7), user_namespaces(7), mount_namespaces(7), KERNEL.md.
"""

from __future__ import annotations

import os
from pathlib import Path

from netlab.errors import MissingCapability
from netlab.kernel.syscalls import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    MS_BIND,
    MS_NODEV,
    MS_NOSUID,
    MS_PRIVATE,
    MS_REC,
    mount,
    unshare,
)

APPARMOR = (
    "run netlab as root; on Ubuntu 24.04 or later AppArmor restricts user namespaces: "
    "sysctl kernel.apparmor_restrict_unprivileged_userns=0"
)
PRIVILEGED = "run netlab with CAP_SYS_ADMIN (a container needs --privileged)"


def isolate(keep: Path) -> None:
    """Leave the host's namespaces; the next child of this process is PID 1 of the lab.

    `keep` is the lab's folder, which stays reachable by its path. The process must be single-threaded.
    MissingCapability tells what the machine does not allow.
    """
    if os.geteuid() == 0:
        _leave_as_root()
        return
    uid, gid = os.geteuid(), os.getegid()
    _leave_as_user()
    try:
        _become_root_of_the_user_namespace(uid, gid)
        _make_run_private(keep)
    except OSError as error:
        raise MissingCapability(f"user namespaces ({error})", APPARMOR) from error


def isolate_with_own_run(keep: Path) -> None:
    """As `isolate`, for what nobody else shall see: root too has a private /run, so that names in it are not shared."""
    is_root = os.geteuid() == 0
    isolate(keep)
    if is_root:
        try:
            unshare(CLONE_NEWNS)
            _make_run_private(keep)
        except OSError as error:
            raise MissingCapability(f"mount namespaces ({error})", PRIVILEGED) from error


def _leave_as_root() -> None:
    try:
        unshare(CLONE_NEWNET | CLONE_NEWPID)
    except OSError as error:
        raise MissingCapability(
            f"network and PID namespaces ({error.strerror})",
            PRIVILEGED,
        ) from error


def _leave_as_user() -> None:
    try:
        unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID)
    except OSError as error:
        raise MissingCapability(
            f"user namespaces ({error.strerror})",
            "run netlab as root, or allow them: "
            "sysctl user.max_user_namespaces=15000 kernel.unprivileged_userns_clone=1",
        ) from error


def _become_root_of_the_user_namespace(uid: int, gid: int) -> None:
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def _make_run_private(keep: Path) -> None:
    """An empty /run, for /run/netns and the like, in which only `keep` is still where it was."""
    kept = os.open(keep, os.O_PATH | os.O_CLOEXEC)
    try:
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        mount("tmpfs", "/run", kind="tmpfs", flags=MS_NOSUID | MS_NODEV)
        if not keep.exists():
            keep.mkdir(parents=True, mode=0o700)
            mount(f"/proc/self/fd/{kept}", keep, flags=MS_BIND)
    finally:
        os.close(kept)
