"""Which Service a flow is for."""

from __future__ import annotations

from netlab.model.objects import Service
from netlab.trace.foretell import Prediction
from netlab.trace.meaning import service_at


def service_asked(prediction: Prediction) -> Service | None:
    """The Service that the flow is addressed to, by whichever of its addresses, or by its node port."""
    found = service_at(prediction.view, prediction.destination.address)
    return found or (_by_node_port(prediction) if prediction.view.node_at(prediction.destination.address) else None)


def _by_node_port(prediction: Prediction) -> Service | None:
    port = prediction.destination.port
    services = prediction.view.services
    return next((each for each in services if any(one.node_port == port for one in each.spec.ports)), None)
