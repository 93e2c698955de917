"""What a kube-proxy of another mode has left here would go on translating packets: it goes first."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from netlab.agents.kube_proxy.modes import mode_of, others
from netlab.agents.kube_proxy.modes.choice import MODES
from netlab.agents.kube_proxy.modes.mode import Networks
from netlab.errors import KernelError
from netlab.model.modes import ProxyMode
from netlab.model.rules import Family

log = logging.getLogger(__name__)


def remove_other_modes(mode: ProxyMode, *, spared: Networks = ()) -> None:
    """Take away what kube-proxies of other modes than that have left here. What cannot be is said in the log.

    `spared` is what --ipvs-exclude-cidrs says.
    """
    for other in others(mode):
        _remove(other.name, partial(other.remove, tuple(Family), spared=spared))


def remove_every_mode(*, spared: Networks = ()) -> None:
    """Take away what kube-proxies of any mode have left here. KernelError: something is still there."""
    for name in MODES:
        mode_of(name).remove(tuple(Family), spared=spared)


def _remove(mode: ProxyMode, remove: Callable[[], bool]) -> None:
    try:
        if remove():
            log.info("deleted what mode %s had left", mode)
    except KernelError as error:
        log.warning("what mode %s left is still here: %s", mode, error)
