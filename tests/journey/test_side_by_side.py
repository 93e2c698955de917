"""Labs beside one another, commands at once on one lab, and users who must not reach each other's."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from netlab_command import PREFIX, Caller, Lab, topology

CONNECT = """
import socket, sys
for name, kind in (("control", socket.SOCK_SEQPACKET), ("api", socket.SOCK_STREAM)):
    try:
        socket.socket(socket.AF_UNIX, kind).connect(f"{sys.argv[1]}/{name}.sock")
    except OSError as error:
        print(type(error).__name__)
    else:
        print("connected")
"""
PYTHON = "/usr/bin/python3"


def test_two_labs_with_the_same_addresses_do_not_notice_each_other(user: Caller) -> None:
    one, two = f"{PREFIX}-one", f"{PREFIX}-two"
    with user.lab(one, topology("two-nodes", name=one)) as first:
        before = first.json("status")["pods"]
        with user.lab(two, topology("two-nodes", name=two)) as second:
            assert [pod["address"] for pod in before] == [p["address"] for p in second.json("status")["pods"]]
            second.ok("delete", "pod", "web-1")
            assert second.answering("pod/shell", "service/web:80") == {"web-2"}
            assert first.failures() == []
            unsaid = user.run("status")
            assert unsaid.status == 4
            assert f"{one}, {two}" in unsaid.err
        assert first.json("status")["pods"] == before


@pytest.mark.root
def test_two_labs_of_root_with_the_same_addresses_do_not_notice_each_other(root: Caller) -> None:
    one, two = f"{PREFIX}-one", f"{PREFIX}-two"
    with root.lab(one, topology("minimal", name=one)) as first, root.lab(two, topology("minimal", name=two)) as second:
        first.ok("delete", "service", "web")
        assert second.failures() == []
        assert first.verdicts("node/node1", "pod/web:8080") == {"reached": 1}


def start_up(lab: Lab) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return lab.caller.start("up", str(lab.file), stdout=pipe, stderr=pipe, stdin=subprocess.DEVNULL, text=True)


def test_of_several_ups_of_one_lab_at_once_one_wins_and_the_others_say_so(user: Caller) -> None:
    name = f"{PREFIX}-once"
    lab = Lab(user, name, user.file(f"{name}.yaml", topology("minimal", name=name)))
    ups = [start_up(lab) for _ in range(3)]
    ends = [(up.wait(60), up.communicate()[1]) for up in ups]
    try:
        assert sorted(status for status, _ in ends) == [0, 2, 2]
        for status, said in ends:
            assert "Traceback" not in said
            assert status == 0 or said == (
                f"netlab: lab {name}: another netlab up or down is at work on it; wait for it, then try again\n"
            )
        assert lab.failures() == []
    finally:
        assert user.run("down", name).status == 0
    assert lab.leftovers() == []


def test_of_several_downs_of_one_lab_at_once_one_ends_it_and_none_fails(user: Caller) -> None:
    name = f"{PREFIX}-once"
    lab = Lab(user, name, user.file(f"{name}.yaml", topology("minimal", name=name)))
    for _ in range(2):
        lab.up()
        pipe = subprocess.PIPE
        downs = [user.start("down", name, stderr=pipe, stdout=pipe, text=True) for _ in range(6)]
        ends = [(down.wait(60), down.communicate()[1]) for down in downs]
        assert [said for status, said in ends if status == 0] == [f"lab {name} is gone\n"]
        for status, said in ends:
            assert status == 0 or "is at work on it" in said or "there is no lab" in said
        assert lab.leftovers() == []


def test_down_while_up_is_at_work_says_so_and_leaves_up_alone(user: Caller) -> None:
    name = f"{PREFIX}-once"
    lab = Lab(user, name, user.file(f"{name}.yaml", topology("minimal", name=name)))
    with start_up(lab) as up:
        assert up.stderr is not None
        assert up.stderr.readline() == "starting the lab process\n"
        down = user.run("down", name)
        up.communicate(timeout=60)
    try:
        assert up.returncode == 0
        assert (down.status, "is at work on it" in down.err) in ((2, True), (0, False))
        assert down.status == 0 or lab.failures() == []
    finally:
        user.run("down", name)
    assert lab.leftovers() == []


def reached(whose: Lab, *, by: Caller) -> list[str]:
    """What somebody gets who connects to a lab's sockets."""
    with by.start("-c", CONNECT, str(whose.directory), program=PYTHON, stdout=subprocess.PIPE, text=True) as process:
        return process.communicate()[0].split()


def modes(lab: Lab) -> dict[str, str]:
    return {
        path.name: stat.filemode(path.lstat().st_mode)
        for path in (lab.directory, lab.directory / "control.sock", lab.directory / "api.sock")
    }


PRIVATE = {"control.sock": "srw-------", "api.sock": "srw-------"}


def test_a_users_lab_is_out_of_reach_for_another_user(user: Caller, stranger: Caller) -> None:
    name = f"{PREFIX}-mine"
    with user.lab(name, topology("minimal", name=name)) as lab:
        assert modes(lab) == {name: "drwx------", **PRIVATE}
        assert reached(lab, by=user) == ["connected"] * 2
        assert reached(lab, by=stranger) == ["PermissionError"] * 2
        os.chmod(lab.caller.home / "run", 0o755)  # as XDG_RUNTIME_DIR must not be, but may
        assert reached(lab, by=stranger) == ["PermissionError"] * 2
        os.chmod(lab.caller.home / "run", 0o700)
        assert all(each["name"] != name for each in stranger.json("ls")["labs"])
        assert stranger.run("exec", "-l", name, "node/node1", "--", "id").status == 4
        assert stranger.run("down", name).status == 4
        assert lab.failures() == []


@pytest.mark.root
def test_roots_lab_is_out_of_reach_for_an_ordinary_user(root: Caller, stranger: Caller) -> None:
    name = f"{PREFIX}-mine"
    with root.lab(name, topology("minimal", name=name)) as lab:
        assert modes(lab) == {name: "drwx------", **PRIVATE}
        assert reached(lab, by=root) == ["connected"] * 2
        assert reached(lab, by=stranger) == ["PermissionError"] * 2
        assert all(each["name"] != name for each in stranger.json("ls")["labs"])
        assert stranger.run("down", name).status == 4
        assert lab.failures() == []


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_a_lab_is_private_and_works_whatever_the_umask(user: Caller, mask: int) -> None:
    name = f"{PREFIX}-umask"
    lab = Lab(user, name, user.file(f"{name}.yaml", topology("minimal", name=name)))
    done = user.run("up", str(lab.file), umask=mask)
    try:
        assert done.status == 0, done.err
        assert modes(lab) == {name: "drwx------", **PRIVATE}
        assert lab.failures() == []
        assert lab.run("exec", "pod/web", "--", "cat", "/etc/hostname").out == "web\n"
    finally:
        user.run("down", name)


def test_what_lies_in_a_labs_folder_without_a_lab_is_cleared_away(user: Caller) -> None:
    name = f"{PREFIX}-relic"
    lab = Lab(user, name, user.file(f"{name}.yaml", topology("minimal", name=name)))
    relic: Path = lab.directory / "etc" / "old"
    user.ok("up", str(lab.file))
    user.ok("down", name)
    made = subprocess.run(
        ["/bin/sh", "-c", f"mkdir -p {relic} && touch {lab.directory}/control.sock {lab.directory}/objects.db"],
        check=True,
        **({} if user.uid is None else {"user": user.uid, "group": user.uid, "extra_groups": []}),
    )
    assert made.returncode == 0
    try:
        lab.up()
        assert lab.failures() == []
        assert stat.S_ISSOCK((lab.directory / "control.sock").stat().st_mode)
    finally:
        user.run("down", name)
    assert lab.leftovers() == []
