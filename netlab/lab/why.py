"""`netlab why`: gather what a diagnosis needs, each part by the task that finds it out; judging is not done here."""

from __future__ import annotations

from dataclasses import replace

from netlab.api.sync_client import SyncClient
from netlab.lab import control
from netlab.lab.status import proxy_statuses
from netlab.lab.view import running_view
from netlab.model.diagnosis import Diagnosis
from netlab.model.journey import ProbeResult
from netlab.model.names import Place
from netlab.model.paths import LabPaths
from netlab.model.status import ProxyStatus
from netlab.model.targets import Target
from netlab.trace import Prediction, TracedLab, foretell
from netlab.trace.diagnosis import Evidence, diagnose

FLOWS_EACH = 6
"""Flows for each endpoint: that one of two gets none of them happens once in 4000 times."""
MOST_FLOWS = 60


def why(paths: LabPaths, from_: Place, to: Target, *, timeout: float) -> Diagnosis:
    """Why flows fare as they do. `timeout` is seconds until a flow counts as dropped; NotFound."""
    prediction = foretell(TracedLab(running_view(paths)), from_, to)
    evidence = Evidence.of(prediction, _probed(paths, prediction, timeout=timeout))
    return diagnose(replace(evidence, proxies=_proxies(paths)))


def _probed(paths: LabPaths, prediction: Prediction, *, timeout: float) -> ProbeResult:
    count = min(MOST_FLOWS, FLOWS_EACH * len(prediction.ways))
    return control.probe(paths, prediction.from_, prediction.to, count=count, timeout=timeout)


def _proxies(paths: LabPaths) -> dict[str, ProxyStatus]:
    running = {agent.name for agent in control.agents(paths) if agent.running}
    with SyncClient(paths.api_socket) as client:
        return proxy_statuses(paths, client, running)
