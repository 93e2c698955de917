"""What the tests of leftovers rely on: a PID namespace that they look at is not taken for another."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack

import pytest
from netlab_command import alive_in, held_pid_namespaces, pid_namespaces

MANY = 300
"""Namespaces at once after which the kernel has given every number that is free, unless somebody was faster."""


def new_pid_namespace() -> subprocess.Popen[bytes]:
    """A process that is the first of a PID namespace of its own until its input ends."""
    command = ["unshare", "--pid", "--fork", "cat"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert process.stdin
    assert process.stdout
    process.stdin.write(b"there")
    assert process.stdout.read(5) == b"there"
    return process


def is_given_again(number: int) -> bool:
    """Whether one of many namespaces made now gets this number."""
    with ExitStack() as stack:
        for made in range(MANY):
            process = stack.enter_context(new_pid_namespace())
            stack.callback(process.communicate)
            if made % 20 == 0 and number in pid_namespaces():
                return True
        return number in pid_namespaces()


@pytest.mark.root
def test_a_pid_namespace_that_ended_is_not_mistaken_for_one_made_afterwards() -> None:
    with new_pid_namespace() as process, held_pid_namespaces() as held:
        (number,) = held
        assert list(alive_in(held).values()) == ["cat"]
        process.communicate()
        assert alive_in(held) == {}
        assert not is_given_again(number)
