"""The same in a user namespace, where an ordinary user's lab lives: uid 0 inside, nobody outside, a private /run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.root

TESTS = Path(__file__).parents[1]
SCRIPT = """\
import sys
sys.path.insert(0, sys.argv[1])
from fabric_lab import DUAL_STACK, LAB, WEB, Lab
from netlab.kernel import links, namespaces, readback
from netlab.model.topology import Fabric
from netlab.plan.diff import diff

lab = Lab(families=DUAL_STACK, fabric=Fabric.VXLAN)
for pods in (WEB, {**WEB, "web-3": "node2"}, WEB):
    wanted = lab.state(pods).namespaces
    for _ in "once", "and what the kernel was still deleting":
        links.apply(diff(readback.read(LAB), wanted))
    left = diff(readback.read(LAB), wanted)
    print(len(readback.read(LAB)), "namespaces,", len(left), "steps left")
namespaces.delete_lab(LAB)
print(len(readback.read(LAB)), "namespaces")
"""


def test_a_user_namespace_s_root_makes_changes_and_deletes_a_lab() -> None:
    inside = f"mount -t tmpfs tmpfs /run && exec {sys.executable} - {TESTS}"
    command = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--", "sh", "-c", inside]
    done = subprocess.run(command, input=SCRIPT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "6 namespaces, 0 steps left",
        "7 namespaces, 0 steps left",
        "6 namespaces, 0 steps left",
        "0 namespaces",
    ]
