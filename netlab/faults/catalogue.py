"""All faults."""

from __future__ import annotations

from collections.abc import Mapping

from netlab.faults.fault import Fault
from netlab.faults.firewall import FIREWALL_FAULTS
from netlab.faults.names import FaultName
from netlab.faults.nodes import NODE_FAULTS
from netlab.faults.pods import POD_FAULTS
from netlab.faults.services import SERVICE_FAULTS

_ALL: tuple[Fault, ...] = (*SERVICE_FAULTS, *NODE_FAULTS, *FIREWALL_FAULTS, *POD_FAULTS)
CATALOGUE: Mapping[FaultName, Fault] = {name: next(fault for fault in _ALL if fault.name is name) for name in FaultName}
"""Every fault by its name, in the order of the names."""
