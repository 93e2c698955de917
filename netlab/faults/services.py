"""Faults of Services: what their objects say is wrong, and everything else does what it is told."""

from __future__ import annotations

from netlab.faults.fault import ServiceFault, unfit
from netlab.faults.names import FaultName
from netlab.faults.steps import Steps, patching
from netlab.model.cluster import ClusterView
from netlab.model.objects import Service


def _nothing_selected(_view: ClusterView, service: Service) -> Steps:
    """A label more that no Pod has: what a typing error in a selector comes to."""
    if not service.spec.selector:
        raise unfit("it has no selector")
    return (patching(service, {"spec": {"selector": {"netlab/fault": FaultName.SELECTOR_MATCHES_NOTHING.value}}}),)


SERVICE_FAULTS = (
    ServiceFault(
        name=FaultName.SELECTOR_MATCHES_NOTHING,
        summary="The Service's selector asks for a label that no Pod has.",
        evidence="Every packet to the Service is refused at once (ICMP port unreachable), its EndpointSlice is empty, "
        "and the Pods themselves answer as ever.",
        steps=_nothing_selected,
    ),
)
