"""What holds for every test: who may run it, and that it leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import leaks
import pytest
from hypothesis import HealthCheck, settings

from netlab.errors import MissingCapability, NetlabError
from netlab.kernel.ipsets import require_sets
from netlab.kernel.ipvs import require_ipvs
from netlab.kernel.modules import load_bridge_netfilter
from netlab.model.ipvs import SetKind
from netlab.model.rules import Family

HERE = Path(__file__).parent
collect_ignore = ["outside_project"]
TOUCH_THE_KERNEL = (HERE / "kernel", HERE / "journey")
NEEDED = {12: "CAP_NET_ADMIN", 21: "CAP_SYS_ADMIN"}
"""By their bits in /proc/self/status; capabilities(7)."""
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)
GRACE_SECONDS = 3.0
"""How long a process that a test stopped may take to be gone."""

# A checkout may be read-only for who runs the tests; without a data base every run tries the same examples. On an
# emulated processor these take long: that says nothing of netlab.
SLOW = (HealthCheck.too_slow,)
settings.register_profile("netlab", database=None, derandomize=True, deadline=None, suppress_health_check=SLOW)
settings.load_profile("netlab")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("netlab")
    group.addoption("--no-skips", action="store_true", help="a test that would be skipped fails instead")
    group.addoption(
        "--shared-machine",
        action="store_true",
        default="NETLAB_SHARED_MACHINE" in os.environ,
        help="others make namespaces here meanwhile: do not compare lists of them (NETLAB_SHARED_MACHINE=1)",
    )


def pytest_configure() -> None:
    leaks.tag_this_process()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background a shell has it ignored, children too


def missing_capability() -> str | None:
    """What this process lacks to make namespaces and rules, or None."""
    status = Path("/proc/self/status").read_text()
    held = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    missing = [name for bit, name in NEEDED.items() if not held >> bit & 1]
    return f"needs {' and '.join(missing)}: run scripts/test as root or with user namespaces" if missing else None


def missing_for_ipvs() -> str | None:
    """What this kernel lacks for mode ipvs, or None. Asking changes nothing."""
    try:
        require_ipvs()
        require_sets(SetKind, Family.IPV4)
    except NetlabError as error:
        return str(error)
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = missing_capability()
    for item in items:
        if missing and item.get_closest_marker("root"):
            item.add_marker(pytest.mark.skip(reason=missing))
    of_ipvs = [item for item in items if item.get_closest_marker("ipvs")]
    if of_ipvs and not missing and (lacking := missing_for_ipvs()):
        for item in of_ipvs:
            item.add_marker(pytest.mark.skip(reason=lacking))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Load what the first lab of a machine loads; tests of one part write settings that come with these modules."""
    if missing_capability() or not any(item.get_closest_marker("root") for item in session.items):
        return
    with contextlib.suppress(MissingCapability):
        load_bridge_netfilter()
    with contextlib.suppress(FileNotFoundError):
        environment = os.environ | {"PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
        subprocess.run(["modprobe", "-q", "nf_conntrack"], check=False, capture_output=True, env=environment)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _refuse_skip((yield), item.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _refuse_skip((yield), collector.config)


def _refuse_skip(report: Report, config: pytest.Config) -> Report:
    if report.skipped and not hasattr(report, "wasxfail") and config.getoption("--no-skips"):
        report.outcome = "failed"
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.longrepr = f"{report.nodeid}: no skip is allowed in this run, but: {reason}"
    return report


@pytest.fixture(scope="session")
def host_network_unchanged(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails at the end of the session if the network of the host is not what it was, or a namespace has come."""
    before, namespaces = leaks.host_network(), leaks.named_namespaces()
    yield
    if not request.config.getoption("--shared-machine"):
        left = leaks.named_namespaces() - namespaces
        assert not left, f"namespaces left behind: {sorted(left)}"
    changed = leaks.differences(before, leaks.host_network())
    assert not changed, "the host's network changed:\n" + "\n".join(changed)


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test of tests/kernel or tests/journey that leaves a named namespace or a process behind."""
    if not any(folder in request.path.parents for folder in TOUCH_THE_KERNEL) or missing_capability():
        yield
        return
    request.getfixturevalue("host_network_unchanged")
    namespaces, processes = leaks.named_namespaces(), leaks.descendants()
    yield
    extra = leaks.descendants().keys() - processes.keys()
    left = leaks.remaining(extra, timeout=GRACE_SECONDS)
    assert not left, f"processes left behind: {[leaks.descendants().get(pid, pid) for pid in left]}"
    if not request.config.getoption("--shared-machine"):
        changed = leaks.unexplained(namespaces, leaks.named_namespaces())
        assert not changed, f"the list of network namespaces changed: {sorted(changed)}"
