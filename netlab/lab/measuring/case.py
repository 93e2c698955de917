"""How long packets take through a Service in one mode, beside the same packets without one, in turns.

To be called in namespaces that are thrown away (`netlab.lab.throwaway`).
"""

from __future__ import annotations

import os
import select
import signal
import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from netlab.errors import NetlabError
from netlab.kernel import links
from netlab.kernel.namespaces import delete, inside
from netlab.kernel.syscalls import die_with_parent
from netlab.lab.children import fork
from netlab.lab.measuring import traffic
from netlab.lab.measuring.proxy import be_proxy, greeters, sink
from netlab.lab.measuring.stage import CLIENT, DIRECT, SERVER, stage
from netlab.lab.measuring.traffic import GREETER_PORT, SINK_PORT
from netlab.model.comparison import Measurement, Paired
from netlab.model.modes import ProxyMode
from netlab.plan.diff import diff

SYNC_WITHIN_SECONDS = 180.0
WARMING_UP = 50
"""Connections that do not count: neighbours are asked for, code is loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is measured: so many connections in so many rounds, so many transfers of so many bytes.

    Each round, each transfer, is once through Services and once directly; what is told is the median of the rounds.
    """

    connections: int = 3000
    rounds: int = 20
    transfers: int = 41
    transfer_bytes: int = 32_000_000


EFFORT = Effort()
"""What `netlab modes --measure` takes: some seconds a case."""


def measure(mode: ProxyMode, services: int, effort: Effort) -> Measurement:
    """One mode among so many Services. What goes wrong is the measurement's `problem`."""
    with ExitStack() as open_:
        try:
            open_.enter_context(_staged())
            open_.enter_context(_serving())
            synced = open_.enter_context(_proxied(mode, services))
            if synced.problem:
                return synced
            with inside(CLIENT):
                return synced.model_copy(update=_asked(services, effort))
        except (OSError, NetlabError) as error:
            return Measurement(services=services, problem=str(error))


# --- what is there


@contextmanager
def _staged() -> Iterator[None]:
    wanted = stage()
    links.apply(diff((), wanted))
    try:
        yield
    finally:
        delete(state.name for state in wanted)


@contextmanager
def _serving() -> Iterator[None]:
    """Somebody behind both ports of the server."""
    with inside(SERVER):
        greeter, taker = traffic.listen(GREETER_PORT), traffic.listen(SINK_PORT)
    with greeter, taker, _process(lambda: traffic.greet(greeter)), _process(lambda: traffic.take(taker)):
        yield


@contextmanager
def _proxied(mode: ProxyMode, services: int) -> Iterator[Measurement]:
    """A kube-proxy that has written its rules, and what that took."""
    read, write = os.pipe()
    with os.fdopen(read, "rb") as pipe, _process(lambda: be_proxy(mode, services, write)):
        os.close(write)
        if not select.select([pipe], [], [], SYNC_WITHIN_SECONDS)[0]:
            raise NetlabError(f"no rules within {SYNC_WITHIN_SECONDS:g} seconds")
        said = pipe.readline()
        if not said:
            raise NetlabError("the kube-proxy ended early (its words are above)")
        yield Measurement.model_validate_json(said)


@contextmanager
def _process(body: Callable[[], None]) -> Iterator[None]:
    """A process that does that until the block ends, or this process does."""

    def bound() -> None:
        die_with_parent(signal.SIGKILL)
        body()

    pid = fork(bound)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


# --- what is asked


def _asked(services: int, effort: Effort) -> dict[str, Paired]:
    asked, directly = greeters(services), [(DIRECT, GREETER_PORT)]
    each = max(1, effort.connections // effort.rounds)
    for targets in (asked, directly):
        traffic.connections(targets, WARMING_UP)
    connection = _paired(
        lambda: statistics.median(traffic.connections(asked, each)),
        lambda: statistics.median(traffic.connections(directly, each)),
        rounds=effort.rounds,
    )
    transfer = _paired(
        lambda: traffic.transfer(sink(services), effort.transfer_bytes),
        lambda: traffic.transfer((DIRECT, SINK_PORT), effort.transfer_bytes),
        rounds=effort.transfers,
    )
    return {"connection": connection, "transfer": transfer}


def _paired(through: Callable[[], float], direct: Callable[[], float], *, rounds: int) -> Paired:
    """Medians; the ratio is that of the rounds' own ratios, since what else a machine does changes between rounds."""
    found = [(through(), direct()) for _ in range(rounds)]
    return Paired(
        service=round(statistics.median(one for one, _ in found), 1),
        direct=round(statistics.median(other for _, other in found), 1),
        ratio=round(statistics.median(one / other for one, other in found), 3),
    )
