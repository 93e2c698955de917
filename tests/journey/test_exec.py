"""`netlab exec` and `shell`: as if one sat at the machine, whoever runs the lab."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address

import leaks
import pytest
from netlab_command import NETLAB, PREFIX, Caller, Done, Lab, topology

NAME = f"{PREFIX}-exec"
WITHIN = 20.0
WAITING = 'import signal; signal.signal(2, signal.SIG_DFL); print("going", flush=True); signal.pause()'
"""For Python: unlike dash, it may be interrupted at any moment after its first word."""


@pytest.fixture(scope="module")
def lab(user: Caller) -> Iterator[Lab]:
    """The dual-stack lab of an ordinary user: what works for them works for root."""
    with user.lab(NAME, topology("dual-stack", name=NAME)) as up:
        yield up


@pytest.fixture(scope="module")
def roots_lab(root: Caller) -> Iterator[Lab]:
    with root.lab(NAME, topology("dual-stack", name=NAME)) as up:
        yield up


def run(lab: Lab, where: str, *command: str, text: str = "") -> Done:
    return lab.run("exec", where, "--", *command, text=text)


def sh(lab: Lab, where: str, script: str, *, text: str = "") -> Done:
    return run(lab, where, "/bin/sh", "-c", script, text=text)


@pytest.mark.parametrize("where", ["pod/web-1", "node/node2", "external/client-outside", "web-1"])
def test_a_command_sees_the_place_it_is_in(lab: Lab, where: str) -> None:
    name = where.rpartition("/")[2]
    assert run(lab, where, "hostname") == Done(0, f"{name}\n", "")
    assert run(lab, where, "cat", "/etc/hostname") == Done(0, f"{name}\n", "")
    assert re.search(rf"(?m)^\S+\s.*\b{name}\b", run(lab, where, "cat", "/etc/hosts").out)
    links = run(lab, where, "ls", "/sys/class/net").out.split()
    assert "lo" in links
    assert "eth0" in links
    assert links == sorted(re.findall(r"^\d+: ([^@:]+)", run(lab, where, "ip", "-o", "link").out, re.MULTILINE))


@pytest.mark.parametrize("where", ["pod/web-1", "node/node1", "external/client-outside"])
def test_every_line_of_hosts_begins_with_an_address(lab: Lab, where: str) -> None:
    lines = run(lab, where, "cat", "/etc/hosts").out.splitlines()
    assert all(line.startswith("#") or ip_address(line.split()[0]) for line in lines)


def test_a_pods_resolver_is_the_clusters(lab: Lab) -> None:
    assert "svc.cluster.local" in run(lab, "pod/client", "cat", "/etc/resolv.conf").out


def test_a_pod_reaches_a_service_from_its_own_address(lab: Lab) -> None:
    address = next(pod["address"] for pod in lab.json("status")["pods"] if pod["name"] == "client").split(", ")[0]
    answer = run(lab, "pod/client", "curl", "-s", "--max-time", "5", "10.96.0.80/clientip")
    assert address in answer.out


@pytest.mark.parametrize("status", [0, 1, 7, 125, 255])
def test_a_commands_exit_status_is_netlabs(lab: Lab, status: int) -> None:
    assert sh(lab, "pod/web-1", f"exit {status}") == Done(status, "", "")


@pytest.mark.parametrize(("command", "status"), [("/no/such/thing", 127), ("no-such-thing", 127), ("/etc/passwd", 126)])
def test_a_command_that_cannot_be_run_ends_as_a_shell_would_say(lab: Lab, command: str, status: int) -> None:
    done = run(lab, "node/node1", command)
    assert (done.status, done.out) == (status, "")
    assert command in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_a_command_that_a_signal_ends_gives_128_and_its_number(lab: Lab, number: signal.Signals) -> None:
    assert sh(lab, "pod/web-1", f"kill -{number} $$").status == 128 + number


def test_a_place_that_there_is_not_is_said(lab: Lab) -> None:
    done = run(lab, "pod/nobody", "true")
    assert (done.status, done.out) == (4, "")
    assert "nobody" in done.err


def test_what_is_piped_in_comes_out_on_the_right_stream_unchanged(lab: Lab) -> None:
    done = sh(lab, "pod/web-1", "cat; echo wrong >&2; exit 3", text="one\ntwo without an end")
    assert done == Done(3, "one\ntwo without an end", "wrong\n")


def test_large_output_and_input_arrive_whole(lab: Lab) -> None:
    data = os.urandom(5_000_000)
    with lab.caller.start(
        "exec", "-l", NAME, "pod/web-1", "--", "cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        out, _ = process.communicate(data, timeout=60)
    assert hashlib.sha256(out).digest() == hashlib.sha256(data).digest()
    assert process.returncode == 0


def test_a_reader_that_has_had_enough_ends_the_command(lab: Lab) -> None:
    with lab.caller.start("exec", "-l", NAME, "pod/web-1", "--", "yes", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(2) == b"y\n"
        process.stdout.close()
        assert process.wait(timeout=WITHIN) in (128 + signal.SIGPIPE, 1)


def test_standard_input_may_be_closed_and_output_too(lab: Lab) -> None:
    shell = (
        '"$0" exec -l "$1" pod/web-1 -- sh -c "cat; exit 5" <&-; echo $?; "$0" exec -l "$1" pod/web-1 -- true >&- 2>&-'
    )
    with lab.caller.start("-c", shell, NETLAB, NAME, program="/bin/sh", stdout=subprocess.PIPE, text=True) as process:
        out, _ = process.communicate(timeout=WITHIN)
    assert out == "5\n"
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_goes_to_the_command(lab: Lab, number: signal.Signals) -> None:
    with start_and_wait(lab, "echo going; exec sleep 600") as process:
        process.send_signal(number)
        assert process.wait(timeout=WITHIN) == 128 + number


def test_a_signal_that_the_command_handles_is_its_own_business(lab: Lab) -> None:
    with start_and_wait(lab, "trap 'echo caught; exit 9' INT; echo going; while :; do sleep 0.1; done") as process:
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=WITHIN)[0] == "caught\n"
        assert process.returncode == 9


def start_and_wait(lab: Lab, script: str) -> subprocess.Popen[str]:
    """A script in a Pod that has said `going`."""
    process = lab.caller.start(
        "exec", "-l", NAME, "pod/web-1", "--", "/bin/sh", "-c", script, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "going\n"
    return process


def living(command: str) -> list[int]:
    """The processes with exactly this command line."""
    wanted = command.encode().replace(b" ", b"\0") + b"\0"
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    if file.read() == wanted:
                        found.append(int(entry))
            except OSError:
                continue
    return found


def appearing(command: str, *, count: int = 1) -> list[int]:
    """So many processes with exactly this command line, as soon as they are there."""
    deadline = time.monotonic() + WITHIN
    while len(found := living(command)) < count:
        assert time.monotonic() < deadline
    return found


@pytest.mark.root
def test_a_client_that_is_killed_leaves_no_process_in_the_lab(roots_lab: Lab) -> None:
    with start_and_wait(roots_lab, "echo going; sleep 54321 & exec sleep 54321") as process:
        left = appearing("sleep 54321", count=2)
        process.kill()
        assert leaks.remaining(left, timeout=WITHIN) == []


@pytest.mark.parametrize("tool", ["iptables", "ip6tables"])
def test_a_nodes_iptables_shows_kube_proxys_rules_whatever_the_machines_default(lab: Lab, tool: str) -> None:
    assert "KUBE-SERVICES" in run(lab, "node/node1", tool, "-t", "nat", "-L", "-n").out
    assert "-A KUBE-SERVICES" in run(lab, "node/node1", f"{tool}-save").out
    assert "legacy" in run(lab, "node/node1", tool, "--version").out
    assert "KUBE" not in run(lab, "pod/web-1", f"{tool}-save").out


@pytest.mark.root
def test_roots_node_shows_kube_proxys_rules_too(roots_lab: Lab) -> None:
    assert "KUBE-SERVICES" in run(roots_lab, "node/node1", "iptables", "-t", "nat", "-L", "-n").out
    assert "-A KUBE-SERVICES" in run(roots_lab, "node/node2", "ip6tables-save", "-t", "nat").out


@pytest.mark.root
def test_commands_of_one_place_do_not_see_the_machines_processes(roots_lab: Lab) -> None:
    with start_and_wait(roots_lab, "echo going; exec sleep 600") as process:
        pids = [int(pid) for pid in sh(roots_lab, "pod/web-1", "ls /proc | grep '^[0-9]*$'").out.split()]
        assert 1 in pids
        assert len(pids) < 40
        process.kill()


@dataclass(slots=True)
class Typist:
    """Somebody who sits at a terminal in which `netlab` runs."""

    master: int
    process: subprocess.Popen[bytes]
    seen: str = field(default="")

    def types(self, text: str) -> None:
        os.write(self.master, text.encode())

    def sees(self, pattern: str) -> re.Match[str]:
        """What matches on the screen, now or soon, behind what was seen before."""
        deadline = time.monotonic() + WITHIN
        while (match := re.search(pattern, self.seen)) is None:
            ready, _, _ = select.select([self.master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"no {pattern!r} in {self.seen!r}"
            self.seen += os.read(self.master, 65536).decode(errors="replace")
        self.seen = self.seen[match.end() :]
        return match

    def resize(self, rows: int, columns: int) -> None:
        """As a terminal's window does it: the kernel tells the foreground process group (SIGWINCH)."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@pytest.fixture
def typist(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Typist]:
    """At a terminal of 33 rows and 101 columns, in `netlab shell` or what the test asks for."""
    master, slave = pty.openpty()
    command = getattr(request, "param", ("shell", "-l", NAME, "pod/web-1"))
    process = lab.caller.start(
        *command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    someone = Typist(master, process)
    someone.resize(33, 101)
    try:
        yield someone
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_a_shell_has_a_terminal_of_the_callers_size_and_follows_it(typist: Typist) -> None:
    typist.types("PS1='> '; tty; stty size; hostname\n")
    typist.sees(r"/dev/pts/\d+\r\n33 101\r\nweb-1\r\n")
    typist.resize(44, 120)
    typist.types("stty size\n")
    typist.sees("44 120\r\n")
    typist.types("exit 6\n")
    assert typist.process.wait(timeout=WITHIN) == 6


def test_a_program_is_told_when_the_window_changes(typist: Typist) -> None:
    typist.types("exec /bin/bash --norc -c 'trap \"stty size\" WINCH; echo read''y; while :; do sleep 0.05; done'\n")
    typist.sees("ready\r\n")
    typist.resize(20, 60)
    typist.sees("20 60\r\n")


def test_control_c_reaches_the_foreground_process_and_the_shell_stays(typist: Typist) -> None:
    typist.types("PS1='> '\n")
    typist.types(f"{sys.executable} -c '{WAITING}'\n")
    typist.sees("going\r\n")
    typist.types("\x03")
    typist.types("echo status $?\n")
    typist.sees("status 130\r\n")
    typist.types("\x04")
    assert typist.process.wait(timeout=WITHIN) == 0


def test_job_control_works(typist: Typist) -> None:
    typist.types("PS1='> '; set -m; sh -c 'echo g''oing; exec sleep 600'\n")
    typist.sees("going\r\n")
    typist.types("\x1a")
    typist.sees("Stopped")
    typist.types("jobs; kill %1; fg; echo status $?\n")
    typist.sees(r"status (143|1)\b")
    typist.types("exit 0\n")
    assert typist.process.wait(timeout=WITHIN) == 0


@pytest.mark.parametrize(
    "typist",
    [("exec", "-l", NAME, "node/node1", "--", sys.executable, "-c", "import os; print(os.ttyname(0))")],
    indirect=True,
)
def test_a_command_at_a_terminal_gets_one_and_the_callers_is_as_before(typist: Typist) -> None:
    before = termios.tcgetattr(typist.master)[:4]
    typist.sees(r"/dev/pts/\d+\r\n")
    assert typist.process.wait(timeout=WITHIN) == 0
    assert termios.tcgetattr(typist.master)[:4] == before


@pytest.mark.parametrize("typist", [("exec", "-l", NAME, "node/node1", "--", "seq", "200000")], indirect=True)
def test_all_that_a_command_prints_on_a_terminal_arrives_before_netlab_ends(typist: Typist) -> None:
    for number in (1, 50_000, 199_999, 200_000):
        typist.sees(rf"\b{number}\r\n")
    assert typist.process.wait(timeout=WITHIN) == 0


def test_a_terminal_that_hangs_up_ends_the_shell_inside(lab: Lab) -> None:
    master, slave = pty.openpty()
    process = lab.caller.start(
        "shell",
        "-l",
        NAME,
        "pod/web-2",
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    someone = Typist(master, process)
    someone.types("PS1='> '; echo in''side; exec sleep 65432\n")
    someone.sees("inside\r\n")
    inside = appearing("sleep 65432")
    os.close(master)
    process.wait(timeout=WITHIN)
    assert leaks.remaining(inside, timeout=WITHIN) == []
