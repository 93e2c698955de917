"""Which Service a flow is for."""

from __future__ import annotations

from netlab.model.cluster import ClusterView
from netlab.model.objects import Pod, Service
from netlab.trace.diagnosis.evidence import Evidence
from netlab.trace.foretell import Prediction
from netlab.trace.meaning import service_at
from netlab.trace.no_endpoints import chosen


def service_asked(prediction: Prediction) -> Service | None:
    """The Service that the flow is addressed to, by whichever of its addresses, or by its node port."""
    found = service_at(prediction.view, prediction.destination.address)
    if found is not None or prediction.view.node_at(prediction.destination.address) is None:
        return found
    return by_node_port(prediction.view, prediction.destination.port)


def by_node_port(view: ClusterView, port: int | None) -> Service | None:
    """The Service that has the node port."""
    return next(
        (each for each in view.services if port and any(one.node_port == port for one in each.spec.ports)), None
    )


def unready_pods(evidence: Evidence) -> tuple[Pod, ...]:
    """The Pods that the Service chooses and that do not pass their readiness probes."""
    service = service_asked(evidence.prediction)
    if service is None or not service.spec.selector:
        return ()
    pods = chosen(evidence.view.pods, service.metadata.namespace or "default", service.spec.selector)
    return tuple(pod for pod in pods if not pod.condition("Ready"))
