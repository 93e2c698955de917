"""A command run in a place sees that place: its network, name, files, streams, terminal, signals."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from netlab.errors import NotFound
from netlab.kernel.namespaces import DIRECTORY as NETNS_DIRECTORY
from netlab.workload.command import CommandSpec, spawn
from netlab.workload.container import shell_status, spawn_alongside, spawn_container

pytestmark = pytest.mark.root
NAMESPACE = "nlkub-exec"


@pytest.fixture(scope="module", autouse=True)
def namespace() -> Iterator[None]:
    subprocess.run(["ip", "netns", "add", NAMESPACE], check=True)
    yield
    subprocess.run(["ip", "netns", "del", NAMESPACE], check=True)


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    folder = tmp_path / "etc" / NAMESPACE
    folder.mkdir(parents=True)
    (folder / "hosts").write_text("10.9.8.7 here\n")
    (folder / "hostname").write_text("web-1\n")
    (folder / "resolv.conf").write_text("nameserver 10.96.0.10\n")
    return folder


def specification(*argv: str, **fields: object) -> CommandSpec:
    return CommandSpec(argv=argv, **{"namespace": NAMESPACE, "hostname": "web-1", **fields})  # type: ignore[arg-type]


def run(spec: CommandSpec) -> tuple[int, str, str]:
    """Run to the end: exit status, standard output, standard error."""
    return collect(spec, spawn)


def collect(spec: CommandSpec, start) -> tuple[int, str, str]:  # type: ignore[no-untyped-def]
    (out_read, out), (err_read, err) = os.pipe(), os.pipe()
    null = os.open(os.devnull, os.O_RDONLY)
    pid = start(replace(spec, stdin=null, stdout=out, stderr=err))
    for number in (out, err, null):
        os.close(number)
    with os.fdopen(out_read) as output, os.fdopen(err_read) as errors:
        texts = output.read(), errors.read()
    return shell_status(os.waitpid(pid, 0)[1]), *texts


def wait_for(condition, seconds: float = 5.0) -> None:  # type: ignore[no-untyped-def]
    """Until the condition holds; looked at whenever the processor is free, since no event tells of it."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        os.sched_yield()


def test_a_command_sees_only_the_interfaces_of_its_namespace() -> None:
    status, output, _ = run(specification("ls", "/sys/class/net"))
    assert (status, output.split()) == (0, ["lo"])


def test_a_command_has_the_host_name_and_the_files_of_its_place(etc: Path) -> None:
    script = "uname -n; cat /etc/hostname /etc/hosts /etc/resolv.conf"
    status, output, _ = run(specification("sh", "-c", script, etc=etc))
    assert (status, output) == (0, "web-1\nweb-1\n10.9.8.7 here\nnameserver 10.96.0.10\n")


def test_the_machine_keeps_its_own_host_name_and_files(etc: Path) -> None:
    before = (os.uname().nodename, Path("/etc/hosts").read_text(), os.readlink("/etc/alternatives/iptables"))
    assert run(specification("true", etc=etc))[0] == 0
    assert (os.uname().nodename, Path("/etc/hosts").read_text(), os.readlink("/etc/alternatives/iptables")) == before


@pytest.mark.parametrize(
    "program", ["iptables", "/usr/sbin/iptables", "ip6tables", "iptables-save", "ip6tables-restore"]
)
def test_iptables_is_the_legacy_one_whatever_the_machines_default(program: str, etc: Path) -> None:
    status, output, _ = run(specification(program, "--version", etc=etc, env={"PATH": "/bin"}))
    assert status == 0
    assert "(legacy)" in output


def test_other_alternatives_than_iptables_stay_what_they_are(etc: Path) -> None:
    def others(listing: str) -> list[str]:
        return [line for line in listing.splitlines() if "ip6tables" not in line and "iptables" not in line]

    argv = ("find", "/etc/alternatives", "-type", "l", "-printf", "%f %l\n")
    machine = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    _, lab, _ = run(specification(*argv, etc=etc))
    assert sorted(others(lab)) == sorted(others(machine)) != []


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        (("no-such-command",), 127, "netlab: no-such-command: command not found\n"),
        (("/no/such/file",), 127, "netlab: /no/such/file: no such file or directory\n"),
        (("/etc/passwd",), 126, "netlab: /etc/passwd: permission denied\n"),
        (("/tmp",), 126, "netlab: /tmp: permission denied\n"),
    ],
    ids=["not on PATH", "no such file", "a file that is not executable", "a folder"],
)
def test_what_cannot_be_executed_ends_as_in_a_shell(argv: tuple[str, ...], status: int, message: str) -> None:
    assert run(specification(*argv)) == (status, "", message)


def test_a_working_directory_that_is_not_there_is_named() -> None:
    status, _, errors = run(specification("true", cwd="/no/such/folder"))
    assert (status, errors) == (126, "netlab: true: cannot change to /no/such/folder: No such file or directory\n")


@pytest.mark.parametrize("argv", [(), ("",), ("echo", "a\0b")], ids=["nothing", "an empty name", "a zero byte"])
def test_a_command_that_cannot_be_one_is_refused_before_anything_starts(argv: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="command"):
        specification(*argv)


def test_a_namespace_that_is_not_there_is_an_error_of_the_caller() -> None:
    with pytest.raises(NotFound, match="no network namespace nlkub-none"):
        spawn(specification("true", namespace="nlkub-none"))


def test_the_exit_status_is_the_commands() -> None:
    assert run(specification("sh", "-c", "exit 42"))[0] == 42


def test_a_signal_that_ends_the_command_shows_in_the_status() -> None:
    assert run(specification("sh", "-c", "kill -TERM $$"))[0] == 128 + signal.SIGTERM


def test_the_environment_is_what_was_given_and_a_path_with_system_programs() -> None:
    _, output, _ = run(specification("/usr/bin/env", env={"A": "1", "PATH": "/opt/x:/bin"}))
    assert output.split() == ["A=1", "PATH=/opt/x:/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin"]


def test_no_open_file_of_the_caller_is_passed_on_but_the_three_streams() -> None:
    kept_open = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(kept_open, True)
    try:
        _, output, _ = run(specification("sh", "-c", "echo /proc/self/fd/*"))
    finally:
        os.close(kept_open)
    assert {Path(path).name for path in output.split()} <= {"0", "1", "2", "3"}  # 3: the folder that is being listed


def test_signals_that_the_caller_ignores_or_blocks_reach_the_command() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        _, output, _ = run(specification("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"))
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    assert output.split() == ["SigBlk:", "0" * 16, "SigIgn:", "0" * 16]


def test_the_callers_signal_mask_is_as_before() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    run(specification("true"))
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_the_commands_process_group_is_its_own_and_takes_signals() -> None:
    read, write = os.pipe()
    pid = spawn(specification("sh", "-c", "trap 'exit 7' TERM; sh -c 'echo; exec sleep 100' & wait", stdout=write))
    os.close(write)
    assert os.read(read, 1) == b"\n"
    os.killpg(pid, signal.SIGTERM)
    assert os.read(read, 1) == b""  # the sleep, which holds the other end, has gone too
    os.close(read)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def test_a_terminal_is_the_commands_controlling_one() -> None:
    master, slave = pty.openpty()
    spec = specification("sh", "-c", "tty; stty size < /dev/tty; read line; echo got $line", terminal=True)
    pid = spawn(replace(spec, stdin=slave, stdout=slave, stderr=slave))
    name = os.ttyname(slave)
    os.close(slave)
    os.write(master, b"hello\n")
    text = b""
    try:
        while piece := os.read(master, 1000):
            text += piece
    except OSError:  # EIO: the other end is closed
        pass
    os.close(master)
    assert os.waitpid(pid, 0)[1] == 0
    lines = text.decode().splitlines()
    assert name in lines
    assert "0 0" in lines
    assert lines[-1] == "got hello"


def test_control_c_at_the_terminal_interrupts_the_command() -> None:
    master, slave = pty.openpty()
    pid = spawn(replace(specification("yes", terminal=True), stdin=slave, stdout=slave, stderr=slave))
    os.close(slave)
    assert os.read(master, 1) == b"y"
    os.write(master, b"\x03")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGINT
    os.close(master)


def test_a_namespace_deleted_while_a_command_elsewhere_runs_is_gone_at_once() -> None:
    subprocess.run(["ip", "netns", "add", "nlkub-gone"], check=True)
    subprocess.run(["ip", "-n", "nlkub-gone", "link", "add", "nlkub0", "type", "veth", "peer", "name", "p0",
                    "netns", NAMESPACE], check=True)  # fmt: skip
    read, write = os.pipe()
    pid = spawn(specification("sh", "-c", "echo; exec sleep 100", stdout=write))
    os.close(write)
    os.read(read, 1)
    os.close(read)
    try:
        subprocess.run(["ip", "netns", "del", "nlkub-gone"], check=True)
        wait_for(lambda: "p0" not in run(specification("ls", "/sys/class/net"))[1])
    finally:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_containers_exit_status_is_its_commands() -> None:
    assert collect(specification("sh", "-c", "echo out; echo err >&2; exit 3"), spawn_container) == (
        3,
        "out\n",
        "err\n",
    )


def test_a_container_sees_its_own_processes_alone() -> None:
    _, output, _ = collect(specification("sh", "-c", "ls -d /proc/[0-9]*"), spawn_container)
    assert set(output.split()) <= {"/proc/1", "/proc/2", "/proc/3"}


def test_a_container_without_a_handler_ends_on_sigterm() -> None:
    read, write = os.pipe()
    pid = spawn_container(specification("sh", "-c", "echo; exec sleep 100", stdout=write))
    os.close(write)
    os.read(read, 1)
    os.close(read)
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 128 + signal.SIGTERM


def test_nothing_that_a_container_started_outlives_it() -> None:
    read, write = os.pipe()
    script = "setsid sh -c 'trap \"\" TERM HUP; echo; while :; do sleep 100; done' & exit 0"
    pid = spawn_container(specification("sh", "-c", script, stdout=write))
    os.close(write)
    assert os.waitpid(pid, 0)[1] == 0
    while os.read(read, 100):  # ends when nobody holds the other end any more
        pass
    os.close(read)


def test_a_container_ends_with_the_process_that_started_it() -> None:
    read, write = os.pipe()
    parent = os.fork()
    if parent == 0:
        spawn_container(specification("sh", "-c", "echo; sleep 100", stdout=write))
        os.close(write)
        signal.pause()
    os.close(write)
    assert os.read(read, 1) == b"\n"
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    assert os.read(read, 1) == b""
    os.close(read)


def test_a_command_alongside_a_container_sees_its_processes() -> None:
    read, write = os.pipe()
    pid = spawn_container(specification("sh", "-c", "echo; exec sleep 12345", stdout=write))
    os.close(write)
    os.read(read, 1)
    os.close(read)
    container = os.pidfd_open(pid)
    try:
        status, output, _ = collect(specification("pgrep", "-fa", "sleep 123"), lambda s: spawn_alongside(s, container))
        assert (status, output) == (0, "2 sleep 12345\n")
        own = os.stat("/proc/self/ns/pid").st_ino
        assert os.stat("/proc/self/ns/pid_for_children").st_ino == own
    finally:
        os.close(container)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_command_alongside_a_container_that_has_ended_is_an_error() -> None:
    pid = spawn_container(specification("true"))
    container = os.pidfd_open(pid)
    os.waitpid(pid, 0)
    try:
        with pytest.raises(OSError, match="setns"):
            spawn_alongside(specification("true"), container)
    finally:
        os.close(container)


def test_an_ordinary_user_runs_commands_in_a_user_namespace_of_his_own() -> None:
    setup = (
        "mount -t tmpfs none /run; mkdir -p /run/netns /run/etc/nlkub-user; ip netns add nlkub-user;"
        " echo web-9 > /run/etc/nlkub-user/hostname; exec /usr/bin/python3 rootless.py"
    )
    first_ids = int(Path("/proc/self/uid_map").read_text().split()[2])
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if first_ids > 65534 else []
    own_namespaces = ["unshare", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--mount-proc"]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        shutil.copytree(Path(__file__).parents[2] / "netlab", Path(folder) / "netlab")
        (Path(folder) / "rootless.py").write_text(ROOTLESS)
        command = [*nobody, *own_namespaces, "sh", "-c", setup]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert (done.returncode, done.stdout.split()) == (0, ["lo", "web-9", "web-9", "0"]), done.stderr


ROOTLESS = """
import os
from pathlib import Path
from netlab.workload.command import CommandSpec
from netlab.workload.container import spawn_container
spec = CommandSpec(argv=("sh", "-c", "ls /sys/class/net; uname -n; cat /etc/hostname; id -u"),
                   namespace="nlkub-user", hostname="web-9", etc=Path("/run/etc/nlkub-user"))
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(spawn_container(spec), 0)[1]))
"""


def test_no_namespace_of_these_tests_is_where_it_should_not_be() -> None:
    assert sorted(path.name for path in NETNS_DIRECTORY.glob("nlkub-*")) == [NAMESPACE]
