"""The pytest plugin's door: all of it that a run without labs imports. What it does is in `netlab.testing`."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from netlab.python import Lab
    from netlab.testing.factory import LabFactory
    from netlab.testing.labs import Labs

LABS: pytest.StashKey[Labs] = pytest.StashKey()
MARKER = (
    'netlab(source, *, mode=None, scope="module", requires=()): the lab of fixture `lab`. '
    "source: a topology file beside the test, or below rootdir; mode: a proxy mode or a list of them, a test each; "
    "scope: function, module or session; requires: capabilities without which the test is skipped, by the words of "
    "`netlab doctor`, `root` or `command:NAME`"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("netlab", "labs (netlab)")
    group.addoption(
        "--netlab-mode",
        metavar="MODE,...",
        help="run tests that have a lab in these proxy modes, each a test of its own",
    )
    group.addoption("--netlab-keep", action="store_true", help="leave the labs of failed tests up, as they are then")
    group.addoption(
        "--netlab-artifacts", metavar="DIR", help="of a failed test: rules, conntrack, routes, logs, packets, a report"
    )
    group.addoption(
        "--netlab-strict", action="store_true", help="a test that would be skipped for want of a capability fails"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "netlab_mode" in metafunc.fixturenames:
        from netlab.testing.choices import parametrize_modes  # noqa: PLC0415 - by first use

        parametrize_modes(metafunc)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Where a test has a lab, have what starts it get ready beside all else that happens until then."""
    wanted = any("netlab_labs" in getattr(item, "fixturenames", ()) for item in session.items)
    if wanted and not session.config.getoption("collectonly"):
        from netlab.lab.nursery import nursery  # noqa: PLC0415 - by first use

        nursery()


@pytest.fixture(scope="session")
def netlab_labs(request: pytest.FixtureRequest) -> Iterator[Labs]:
    """The labs of this run, or of this worker of it."""
    from netlab.testing.labs import Labs  # noqa: PLC0415

    labs = request.config.stash[LABS] = Labs(request.config)
    yield labs
    labs.close()


@pytest.fixture(scope="session")
def netlab_mode(request: pytest.FixtureRequest) -> str | None:
    """The proxy mode that the test's labs get; None for what their files say."""
    mode: str | None = getattr(request, "param", None)
    return mode


@pytest.fixture
def lab(request: pytest.FixtureRequest, netlab_labs: Labs, netlab_mode: str | None) -> Lab:
    """The lab of the test's marker `netlab`; one for all tests of its scope, reset after each."""
    return netlab_labs.of_marker(request.node, netlab_mode)


@pytest.fixture
def netlab(request: pytest.FixtureRequest, netlab_labs: Labs, netlab_mode: str | None) -> Iterator[LabFactory]:
    """Makes labs that end with the test: `netlab("topology.yaml", mode="nftables")`."""
    from netlab.testing.factory import LabFactory  # noqa: PLC0415

    with LabFactory(netlab_labs, request.path.parent, netlab_mode) as factory:
        yield factory


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    if labs := item.config.stash.get(LABS, None):
        labs.forget_test()
    yield
    if labs := item.config.stash.get(LABS, None):
        labs.begin(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if labs := item.config.stash.get(LABS, None):
        labs.note_report(item, report, call.excinfo)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, None, None]:
    if labs := item.config.stash.get(LABS, None):
        labs.end_capture()
    yield
    if labs := item.config.stash.get(LABS, None):
        labs.end(item, nextitem)
