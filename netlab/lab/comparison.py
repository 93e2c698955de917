"""What `netlab modes` finds: each proxy mode tried as a lab's kube-proxy would, counted, and measured where asked."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence

from pydantic import TypeAdapter

from netlab.agents.kube_proxy.modes.choice import MODES
from netlab.errors import KernelError, MissingCapability
from netlab.lab.measuring import EFFORT, Effort, measure
from netlab.lab.throwaway import in_throwaway_namespaces
from netlab.model.comparison import Measurement, ModeComparison, ModeRow
from netlab.model.modes import ProxyMode
from netlab.model.rules import Family
from netlab.proxy.behaviours import BEHAVIOURS
from netlab.proxy.costs import cost_of

_rows: TypeAdapter[tuple[ModeRow, ...]] = TypeAdapter(tuple[ModeRow, ...])
NOT_BUILT = "this version of netlab does not have it"
ANOTHER_MODE = "use another mode"


def compare() -> ModeComparison:
    """Every mode, and whether it works here for the calling user, who gets told what is missing otherwise.

    The process must be single-threaded; nothing of the host changes.
    """
    try:
        return _comparison(_rows.validate_json(in_throwaway_namespaces(_tried)))
    except MissingCapability as error:
        return _comparison(tuple(_row(mode, error) for mode in ProxyMode))


def compare_measured(
    services: Sequence[int], *, effort: Effort = EFFORT, progress: Callable[[str], None]
) -> ModeComparison:
    """The same, and each mode that works here measured among so many Services.

    MissingCapability: this user gets no namespaces to measure in.
    """
    measured = in_throwaway_namespaces(lambda: _measured(services, effort, progress))
    return _comparison(_rows.validate_json(measured))


def _comparison(rows: tuple[ModeRow, ...]) -> ModeComparison:
    kernel = f"{platform.system()} {platform.release()}"
    return ModeComparison(kernel=kernel, rootless=os.geteuid() != 0, modes=rows)


def _tried() -> bytes:
    return _rows.dump_json(tuple(map(_try, ProxyMode)))


def _measured(services: Sequence[int], effort: Effort, progress: Callable[[str], None]) -> bytes:
    rows = tuple(map(_try, ProxyMode))
    usable = [row.mode for row in rows if row.usable]
    found: dict[ProxyMode, list[Measurement]] = {mode: [] for mode in ProxyMode}
    # Of one count all modes, so that what is compared lies close together.
    cases = [(mode, count) for count in services for mode in usable]
    for at, (mode, count) in enumerate(cases, start=1):
        progress(f"{at} of {len(cases)}, each some seconds: mode {mode} among {count} Services")
        found[mode].append(measure(mode, count, effort))
    return _rows.dump_json(tuple(row.model_copy(update={"measurements": tuple(found[row.mode])}) for row in rows))


def _try(mode: ProxyMode) -> ModeRow:
    """The mode as its kube-proxy asks for what it needs, in this network namespace."""
    if mode not in MODES:
        return _row(mode, MissingCapability(NOT_BUILT, ANOTHER_MODE))
    try:
        MODES[mode]().require(Family.IPV4)
    except MissingCapability as error:
        return _row(mode, error)
    except KernelError as error:
        return _row(mode, MissingCapability(str(error), ANOTHER_MODE))
    return _row(mode)


def _row(mode: ProxyMode, lacks: MissingCapability | None = None) -> ModeRow:
    return ModeRow(
        mode=mode,
        usable=lacks is None,
        missing=lacks.capability if lacks else "",
        remedy=lacks.remedy if lacks else "",
        cost=cost_of(mode),
        behaviour=BEHAVIOURS[mode],
    )
