"""The real `netlab` command, typed by root or by an ordinary user, and what a lab must not leave behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import leaks

TOPOLOGIES = Path(__file__).parents[1] / "topologies"
NETLAB = str(Path(sys.executable).with_name("netlab"))
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PREFIX = f"nljny{os.getpid()}"
"""What the names of this run's labs start with: another run on the same machine has others."""
NOBODY = 65534
SYNC_PERIOD = 30.0
"""Seconds after which a kube-proxy looks at everything anyway (its --iptables-sync-period)."""
BY_WATCH = SYNC_PERIOD / 3
"""Seconds: what has come about by then was not found by looking."""


def can_become_another_user() -> bool:
    """In a user namespace that maps one user id alone there is nobody else."""
    mapped = sum(int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text().splitlines())
    return os.geteuid() == 0 and mapped > NOBODY


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended: its exit status (128 and the signal's number where one ended it), and what it printed."""

    status: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who types commands: the user who runs the tests, or the one with the id `uid`. `home` is theirs to write in."""

    home: Path
    uid: int | None = None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def is_root(self) -> bool:
        return self.uid is None and os.geteuid() == 0

    @property
    def runtime(self) -> Path:
        """The folder of this caller's labs."""
        return Path("/run/netlab") if self.is_root else self.home / "run" / "netlab"

    def start(self, *arguments: str, program: str = NETLAB, **options: Any) -> subprocess.Popen[Any]:
        """Start `netlab ARGUMENTS`, or another program, and return at once."""
        identity = {} if self.uid is None else {"user": self.uid, "group": self.uid, "extra_groups": []}
        environment = {
            "PATH": SYSTEM_PATH,
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            leaks.TAG: os.environ[leaks.TAG],
            **self.environment,
        }
        return subprocess.Popen([program, *arguments], env=environment, **{"cwd": "/", **identity, **options})

    def run(self, *arguments: str, text: str = "", seconds: float = 90, **options: Any) -> Done:
        """Run `netlab ARGUMENTS` with `text` as its standard input, to its end."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with self.start(*arguments, **{"text": True, **pipes, **options}) as process:
            try:
                out, err = process.communicate(text or None, timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Done(process.returncode if process.returncode >= 0 else 128 - process.returncode, out, err)

    def ok(self, *arguments: str, text: str = "", seconds: float = 90) -> str:
        """What a command that must succeed prints."""
        done = self.run(*arguments, text=text, seconds=seconds)
        assert done.status == 0, f"netlab {' '.join(arguments)}: exit {done.status}\n{done.out}{done.err}"
        return done.out

    def json(self, *arguments: str) -> Any:
        """The document that a command prints with `-o json`."""
        return json.loads(self.ok(*arguments, "-o", "json"))

    def file(self, name: str, text: str) -> Path:
        """A file of this caller's."""
        path = self.home / name
        path.write_text(text)
        path.chmod(0o644)
        return path

    @contextmanager
    def lab(self, name: str, text: str) -> Iterator[Lab]:
        """A lab that is up inside the block and gone after it."""
        lab = Lab(self, name, self.file(f"{name}.yaml", text))
        try:
            lab.up()
            yield lab
        finally:
            down = self.run("down", name)
        assert down.status == 0, down.err
        assert lab.leftovers() == []


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab by name, and the commands that go to it."""

    caller: Caller
    name: str
    file: Path

    @property
    def directory(self) -> Path:
        return self.caller.runtime / self.name

    def up(self, text: str | None = None) -> Done:
        """`netlab up`, with another text in the file if one is given; it must succeed."""
        if text is not None:
            self.file.write_text(text)
        done = self.caller.run("up", str(self.file))
        assert done.status == 0, f"exit {done.status}: {done.out}{done.err}"
        return done

    def run(self, command: str, *arguments: str, **options: Any) -> Done:
        """`netlab COMMAND -l LAB ARGUMENTS`."""
        return self.caller.run(command, "-l", self.name, *arguments, **options)

    def ok(self, command: str, *arguments: str, text: str = "") -> str:
        return self.caller.ok(command, "-l", self.name, *arguments, text=text)

    def json(self, command: str, *arguments: str) -> Any:
        return self.caller.json(command, "-l", self.name, *arguments)

    def failures(self) -> list[tuple[str, str]]:
        """The expectations of the lab's file that do not hold, and what was seen instead."""
        results = json.loads(self.caller.run("check", self.name, "-o", "json").out)["results"]
        assert results, "the file expects nothing"
        return [(each["expectation"], each["observed"]) for each in results if not each["passed"]]

    def verdicts(self, from_: str, to: str, *, count: int = 1) -> dict[str, int]:
        """How many of `count` packets had which verdict."""
        done = self.run("probe", from_, to, "--count", str(count), "-o", "json")
        verdicts: dict[str, int] = json.loads(done.out)["summary"]["verdicts"]
        return verdicts

    def answering(self, from_: str, to: str, *, count: int = 20) -> set[str]:
        """The Pods that answered at least one of `count` packets, none of which may be lost."""
        summary = json.loads(self.run("probe", from_, to, "--count", str(count), "-o", "json").out)["summary"]
        assert summary["verdicts"] == {"reached": count}
        return set(summary["pods"])

    def rules(self, node: str) -> str:
        """The NAT rules of a node, as iptables-save prints them, without counters, sorted."""
        saved = self.ok("exec", f"node/{node}", "--", "iptables-save", "-t", "nat")
        return "\n".join(sorted(re.sub(r"^#.*\n|\[\d+:\d+\]", "", saved, flags=re.MULTILINE).splitlines()))

    def processes(self) -> dict[str, int]:
        """The living processes that have the lab's lock open, by the names that ps(1) shows."""
        return {_name(pid): pid for pid in _with_open_file(str(self.directory / "lock"))}

    def leftovers(self) -> list[str]:
        """What is still there of the lab: named namespaces, mounts, files, processes with a file of it open."""
        namespaces = [f"namespace {n}" for n in leaks.named_namespaces() if n.startswith(f"{self.name}.")]
        mounts = [
            f"mount {line}"
            for line in Path("/proc/self/mountinfo").read_text().splitlines()
            if f"/{self.name}." in line or f"/{self.name}/" in line
        ]
        files = [str(self.directory)] if self.directory.exists() else []
        holders = [f"process {pid} {_name(pid)}" for pid in _with_open_file(f"{self.directory}/")]
        return namespaces + mounts + files + holders


def topology(file: str, *, name: str) -> str:
    """The text of a file of topologies/ under another lab name."""
    text = (TOPOLOGIES / f"{file}.yaml").read_text()
    return text.replace(f"metadata: {{name: {file}}}", f"metadata: {{name: {name}}}", 1)


def comes_true(condition: Callable[[], bool], *, within: float = BY_WATCH) -> bool:
    """Whether it becomes so in time: asked again and again, each time by commands, which take theirs."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
    return True


def pid_namespaces() -> dict[int, int]:
    """The PID namespaces, but for this process's own, in which processes live that these tests started: number to one
    of its processes."""
    own = _pid_namespace(os.getpid())
    found = {_pid_namespace(pid): pid for pid in leaks.descendants()}
    return {number: pid for number, pid in found.items() if number not in (None, own)}


@contextmanager
def held_pid_namespaces() -> Iterator[set[int]]:
    """The numbers of `pid_namespaces`, which mean no other one meanwhile: the kernel gives a dead one's number to the
    next that anybody makes, as the labs of tests that run beside this one, unless somebody has it open."""
    with ExitStack() as stack:
        held = set[int]()
        for pid in pid_namespaces().values():
            with suppress(OSError):
                descriptor = os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY)
                stack.callback(os.close, descriptor)
                held.add(os.fstat(descriptor).st_ino)
        yield held


def alive_in(namespaces: set[int]) -> dict[int, str]:
    """The processes that live in one of these PID namespaces: process id to name."""
    pids = (int(entry) for entry in os.listdir("/proc") if entry.isdigit())
    return {pid: _name(pid) for pid in pids if _pid_namespace(pid) in namespaces}


@contextmanager
def caller(uid: int | None = None) -> Iterator[Caller]:
    """Somebody with a home of their own, which is gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="nl-", dir="/tmp"))  # short: a socket's path has a limit
    try:
        (home / "run").mkdir(mode=0o700)
        for folder in (home, home / "run") if uid is not None else ():
            os.chown(folder, uid, uid)
        yield Caller(home, uid)
    finally:
        shutil.rmtree(home)


def _pid_namespace(pid: int) -> int | None:
    try:
        return os.stat(f"/proc/{pid}/ns/pid").st_ino
    except OSError:
        return None


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "gone"


def _with_open_file(path: str) -> list[int]:
    """The processes that have this file open; with a slash at its end, a file in that folder."""
    return [
        pid
        for pid in (int(entry) for entry in os.listdir("/proc") if entry.isdigit())
        if pid != os.getpid()
        and any(name == path or (path[-1] == "/" and name.startswith(path)) for name in _open(pid))
    ]


def _open(pid: int) -> Iterator[str]:
    try:
        descriptors = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return
    for descriptor in descriptors:
        try:
            yield os.readlink(f"/proc/{pid}/fd/{descriptor}").removesuffix(" (deleted)")
        except OSError:
            continue
