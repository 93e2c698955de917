"""What a test must leave as it found it: namespaces, processes, and the network of the host.

A process that a test started, however far it detached itself, still carries the environment it inherited: `TAG` in it.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path

TAG = "NETLAB_TEST_SESSION"
NAMED_NAMESPACES = Path("/run/netns")
NO_LAB = ""
VOLATILE_SYSCTL = re.compile(r"nf_conntrack_count$|/route/(gc_elasticity|flush)$|/neigh/.*_ms$")
"""Readings, triggers, and second spellings of a value in other units."""


def tag_this_process() -> None:
    """Mark the processes that this one will start."""
    os.environ[TAG] = str(os.getpid())


def named_namespaces() -> frozenset[str]:
    """The network namespaces that `ip netns` lists."""
    return frozenset(os.listdir(NAMED_NAMESPACES)) if NAMED_NAMESPACES.is_dir() else frozenset()


def unexplained(before: Set[str], after: Set[str]) -> frozenset[str]:
    """The names that came or went, but for those of labs (LAB.NAME) that stood before and stand still.

    A lab that several tests share changes when it likes: a Deployment makes a Pod in place of one that a test ended.
    """
    standing = ({_lab(name) for name in before} & {_lab(name) for name in after}) - {NO_LAB}
    return frozenset(name for name in before ^ after if _lab(name) not in standing)


def descendants() -> dict[int, str]:
    """Living processes that this one started, directly or through others: process id to command line."""
    mark = f"{TAG}={os.getpid()}".encode()
    return {pid: command for pid, command in _processes() if pid != os.getpid() and mark in _environment(pid)}


def remaining(pids: Iterable[int], *, timeout: float) -> list[int]:
    """Those of `pids` that still live after at most `timeout` seconds of waiting for their ends."""
    deadline = time.monotonic() + timeout
    return [pid for pid in pids if not _ends(pid, timeout=max(0.0, deadline - time.monotonic()))]


def host_network() -> dict[str, str]:
    """The links, addresses, routes, rules, sysctls and netfilter rules of this network namespace, a text a command."""
    commands = (
        "ip -details -oneline link",
        "ip -oneline address",
        "ip -4 route show table all",
        "ip -6 route show table all",
        "ip -4 rule",
        "ip -6 rule",
        "iptables-legacy-save",
        "ip6tables-legacy-save",
        "nft --stateless list ruleset",
    )
    return {command: _output(command) for command in commands} | {"sysctl": "\n".join(_sysctls())}


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The lines that only one of two snapshots has, as a reader of a diff expects them."""
    return [
        f"{name}: {sign} {line}"
        for name, text in before.items()
        for sign, one, other in (("-", text, after[name]), ("+", after[name], text))
        for line in one.splitlines()
        if line not in set(other.splitlines())
    ]


def _lab(namespace: str) -> str:
    lab, dot, _ = namespace.partition(".")
    return lab if dot else NO_LAB


def _output(command: str) -> str:
    program, *arguments = command.split()
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        return f"no {program} here"
    done = subprocess.run([found, *arguments], capture_output=True, text=True, check=False)
    text = re.sub(r"^#.*\n|\[\d+:\d+\]| (valid|preferred)_lft \S+| expires \S+", "", done.stdout, flags=re.MULTILINE)
    return f"exit {done.returncode}\n{text}"


DEFAULT_LOGGER = "nf_log_"
"""How the loggers are called that every namespace has once their module (nf_log_syslog) was loaded by its first use."""


def _sysctls() -> Iterator[str]:
    for directory, _, names in sorted(os.walk("/proc/sys/net")):
        for name in sorted(names):
            path = f"{directory}/{name}"
            if not VOLATILE_SYSCTL.search(path):
                value = _read(path).decode(errors="replace").strip()
                yield f"{path} = {'NONE' if value.startswith(DEFAULT_LOGGER) else value}"


def _processes() -> Iterator[tuple[int, str]]:
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (command := _read(f"/proc/{entry}/cmdline")):
            yield int(entry), command.replace(b"\0", b" ").decode(errors="replace").strip()


def _environment(pid: int) -> list[bytes]:
    return _read(f"/proc/{pid}/environ").split(b"\0")


def _read(path: str) -> bytes:
    """The file, or nothing where the kernel refuses: it went away, it is another user's, it can only be written."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _ends(pid: int, *, timeout: float) -> bool:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], timeout)[0])
    finally:
        os.close(descriptor)
