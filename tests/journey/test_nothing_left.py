"""Whatever is killed and whenever: `netlab down` leaves nothing, and the host's own network is never touched."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable

import leaks
import pytest
from netlab_command import PREFIX, Caller, Lab, alive_in, held_pid_namespaces, topology

SEED = 2
ROUNDS, ROUNDS_OF_A_USER = 40, 10
NAME = f"{PREFIX}-killed"
GRACE_SECONDS = 3.0


@pytest.fixture(scope="module")
def lab(root: Caller) -> Lab:
    """A lab that no test finds up."""
    return Lab(root, NAME, root.file(f"{NAME}.yaml", topology("two-nodes", name=NAME)))


@pytest.fixture(scope="module")
def length_of_up(lab: Lab) -> float:
    """Seconds that `up` takes here and now."""
    start = time.monotonic()
    lab.up()
    seconds = time.monotonic() - start
    lab.caller.ok("down", NAME)
    return seconds


def start_up(lab: Lab) -> subprocess.Popen[bytes]:
    null = subprocess.DEVNULL
    return lab.caller.start("up", str(lab.file), stdin=null, stdout=null, stderr=null)


def wait_for_end(pid: int, *, seconds: float) -> bool:
    """Wait that long for a process to end; whether it did."""
    return leaks.remaining([pid], timeout=seconds) == []


def all_have_ended(namespaces: set[int]) -> None:
    """The last processes in these PID namespaces have ended, or do so in a moment."""
    alive = alive_in(namespaces)
    assert [alive[pid] for pid in leaks.remaining(alive, timeout=GRACE_SECONDS)] == []


def down_leaves_nothing(lab: Lab) -> None:
    """`netlab down` ends the lab, or says that there is none; either way nothing is there any more."""
    processes = leaks.descendants()
    with held_pid_namespaces() as namespaces:
        done = lab.caller.run("down", lab.name)
        assert (done.status, done.err) in (
            (0, f"lab {lab.name} is gone\n"),
            (4, f"netlab: there is no lab {lab.name}\n"),
        )
        assert done.out == ""
        assert lab.leftovers() == []
        assert leaks.remaining(processes, timeout=GRACE_SECONDS) == []
        all_have_ended(namespaces)
    assert leaks.descendants() == {}


def kill_up_itself(_lab: Lab, up: subprocess.Popen[bytes], _chance: random.Random) -> None:
    up.kill()


def kill_any_process(lab: Lab, up: subprocess.Popen[bytes], chance: random.Random) -> None:
    """Any that has the lab's lock, `up` being one of them at the beginning."""
    processes = sorted(lab.processes().values())
    if processes:
        kill(chance.choice(processes))
    up.wait(timeout=60)


def kill_the_lab_process(lab: Lab, up: subprocess.Popen[bytes], _chance: random.Random) -> None:
    processes = lab.processes()
    if "netlab" in processes:
        kill(processes["netlab"])
    up.wait(timeout=60)


def kill_everything_at_once(lab: Lab, up: subprocess.Popen[bytes], chance: random.Random) -> None:
    pids = sorted({*lab.processes().values(), up.pid})
    chance.shuffle(pids)
    for pid in pids:
        kill(pid)


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


KILLS: list[Callable[[Lab, subprocess.Popen[bytes], random.Random], None]] = [
    kill_up_itself,
    kill_up_itself,
    kill_any_process,
    kill_the_lab_process,
    kill_everything_at_once,
]


def bring_up_and_kill(lab: Lab, *, number: int, rounds: int, length: float) -> None:
    """Start `up` and, at a moment that comes later from round to round, kill something; `up` has ended afterwards."""
    chance = random.Random(SEED * 1000 + number)
    with start_up(lab) as up:
        wait_for_end(up.pid, seconds=length * 1.1 * (number + chance.random()) / rounds)
        KILLS[number % len(KILLS)](lab, up, chance)
        up.wait(timeout=60)


@pytest.mark.root
@pytest.mark.parametrize("number", range(ROUNDS))
def test_whatever_is_killed_while_a_lab_comes_up_down_leaves_nothing(
    lab: Lab, length_of_up: float, number: int
) -> None:
    host = leaks.host_network()
    bring_up_and_kill(lab, number=number, rounds=ROUNDS, length=length_of_up)
    during = leaks.host_network()
    down_leaves_nothing(lab)
    assert leaks.differences(host, during) == []
    assert leaks.differences(host, leaks.host_network()) == []


@pytest.mark.parametrize("number", range(ROUNDS_OF_A_USER))
def test_an_ordinary_users_lab_is_cleared_away_too_whatever_was_killed(user: Caller, number: int) -> None:
    lab = Lab(user, NAME, user.file(f"{NAME}.yaml", topology("two-nodes", name=NAME)))
    bring_up_and_kill(lab, number=number, rounds=ROUNDS_OF_A_USER, length=1.5)
    down_leaves_nothing(lab)


@pytest.mark.root
@pytest.mark.parametrize("number", range(4))
def test_a_down_that_is_killed_is_finished_by_the_next(lab: Lab, number: int) -> None:
    lab.up()
    with lab.caller.start("down", NAME, stderr=subprocess.DEVNULL) as down:
        wait_for_end(down.pid, seconds=0.15 + number * 0.06)
        down.kill()
    down_leaves_nothing(lab)


@pytest.mark.root
def test_a_lab_whose_process_is_killed_is_dead_as_a_whole_and_up_starts_it_anew(lab: Lab) -> None:
    lab.up()
    with held_pid_namespaces() as namespaces:
        assert namespaces
        kill(lab.processes()["netlab"])
        all_have_ended(namespaces)
    assert [(each["name"], each["phase"]) for each in lab.caller.json("ls")["labs"] if each["name"] == NAME] == [
        (NAME, "Dead")
    ]
    refused = lab.run("probe", "pod/shell", "service/web:80")
    assert refused.status == 4
    assert refused.err.startswith(f"netlab: lab {NAME} is dead")
    assert "netlab up" in refused.err
    lab.up()
    assert lab.failures() == []
    down_leaves_nothing(lab)


@pytest.mark.root
def test_an_up_that_was_killed_half_way_is_completed_by_the_next(lab: Lab, length_of_up: float) -> None:
    for share in (0.3, 0.5, 0.7, 0.9):
        with start_up(lab) as up:
            wait_for_end(up.pid, seconds=length_of_up * share)
            up.kill()
    lab.up()
    assert lab.failures() == []
    down_leaves_nothing(lab)


@pytest.mark.root
def test_the_hosts_network_is_the_same_before_during_and_after_a_lab(root: Caller) -> None:
    before = leaks.host_network()
    assert len(before["sysctl"].splitlines()) > 100
    with root.lab(NAME, topology("dual-stack", name=NAME)) as lab:
        assert lab.failures() == []
        during = leaks.host_network()
    assert leaks.differences(before, during) == []
    assert leaks.differences(before, leaks.host_network()) == []


def test_down_of_a_lab_that_there_is_not_says_so_and_leaves_no_folder(user: Caller) -> None:
    done = user.run("down", f"{PREFIX}-never")
    assert (done.status, done.out, done.err) == (4, "", f"netlab: there is no lab {PREFIX}-never\n")
    assert not (user.runtime / f"{PREFIX}-never").exists()
