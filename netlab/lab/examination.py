"""What `doctor` finds: everything is tried as a lab does it, in namespaces that end with the process that tried."""

from __future__ import annotations

import os
import platform

from pydantic import TypeAdapter

from netlab.errors import MissingCapability, NetlabError
from netlab.kernel.both_kinds import rules_in_both_kinds
from netlab.kernel.capabilities import try_everything
from netlab.lab.throwaway import in_throwaway_namespaces
from netlab.model.machine import Check, MachineReport

_checks: TypeAdapter[tuple[Check, ...]] = TypeAdapter(tuple[Check, ...])
NAMESPACES = "namespaces of its own"


def examine() -> MachineReport:
    """Try what a lab needs, for the calling user. The process must be single-threaded; nothing of the host changes."""
    found, host = _checked(), rules_in_both_kinds()
    found = (*found, host) if host else found
    rootless = os.geteuid() != 0
    return MachineReport(kernel=f"{platform.system()} {platform.release()}", rootless=rootless, checks=found)


def _checked() -> tuple[Check, ...]:
    try:
        return _checks.validate_json(in_throwaway_namespaces(_try))
    except MissingCapability as error:
        return (Check(name=NAMESPACES, ok=False, detail=error.capability, remedy=error.remedy),)
    except NetlabError:
        return (Check(name="the examination", ok=False, detail="ended early (its words are above)"),)


def _try() -> bytes:
    return _checks.dump_json((Check(name=NAMESPACES, ok=True), *try_everything()))
