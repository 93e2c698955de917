"""Mode ipvs for root and for an ordinary user: what `doctor` says of it, and what a lab without root is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from netlab_command import PREFIX, Caller, topology

from netlab.model.ipvs import Scheduler

SERVERS, RULES = "virtual servers (mode: ipvs)", "rules about sets and virtual servers (mode: ipvs)"
WHOLE = {SERVERS, RULES, "dummy interfaces (mode: ipvs)", "address sets (mode: ipvs)"}


def checks(caller: Caller) -> dict[str, dict[str, object]]:
    """What `doctor` says of mode ipvs, none of which a lab needs."""
    found = {each["name"]: each for each in caller.json("doctor")["checks"] if "(mode: ipvs)" in each["name"]}
    assert not any(each["required"] for each in found.values())
    return found


@pytest.mark.root
@pytest.mark.ipvs
def test_doctor_finds_all_that_mode_ipvs_takes_and_every_scheduler_for_root(root: Caller) -> None:
    found = checks(root)
    assert {name for name, each in found.items() if each["ok"]} == WHOLE
    assert found[SERVERS]["detail"] == f"schedulers {', '.join(Scheduler)}"


@pytest.mark.ipvs
def test_an_ordinary_user_is_told_that_mode_ipvs_takes_root(user: Caller) -> None:
    servers = checks(user)[SERVERS]
    assert (servers["ok"], servers["remedy"]) == (False, "run it as root")
    name = f"{PREFIX}-mine"
    refused = user.run("up", str(user.file(f"{name}.yaml", topology("ipvs", name=name))))
    assert (refused.status, refused.out) == (3, "")
    assert "proxy mode ipvs: the settings net.ipv4.vs, which the kernel keeps from user namespaces" in refused.err
    assert name not in user.ok("ls")


def test_doctor_names_what_the_kernel_lacks_for_mode_ipvs_and_what_to_do(user: Caller) -> None:
    if Path("/proc/net/ip_vs").exists():
        pytest.skip("this kernel has ip_vs")
    found = checks(user)
    assert not found[SERVERS]["ok"]
    assert "ip_vs" in str(found[SERVERS]["detail"])
    assert "modprobe ip_vs" in str(found[SERVERS]["remedy"])
    assert RULES not in found
