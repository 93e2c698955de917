"""What a lab was like at a moment to come back to: its file, its objects, and fingerprints of its namespaces."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, JsonValue

from netlab.api.encoding import as_json, decode_trusted
from netlab.api.registry import SERVED
from netlab.api.sync_client import SyncClient
from netlab.errors import NotFound
from netlab.lab import control
from netlab.lab.messages import TaskName
from netlab.model.objects import Event, IPAddress, KubernetesObject, Pod
from netlab.model.paths import LabPaths
from netlab.model.topology import LabFile, Topology

KIND_BY_NAME = {kind.__name__: kind for kind in SERVED}
COMPARED = tuple(kind for kind in SERVED if kind not in (Event, IPAddress))
"""Events only tell, and an IPAddress comes and goes with its Service."""
MANAGED = "endpoints.kubernetes.io/managed-by"
Document = dict[str, JsonValue]
"""An object as JSON."""
Fingerprints = dict[str, dict[str, str]]
"""By network namespace and part of it."""


class Baseline(BaseModel):
    """`file` and `objects` are objects as JSON; `kernel` is of Pods of which `pods` has uid and node by key."""

    model_config = ConfigDict(frozen=True)

    file: tuple[Document, ...]
    objects: tuple[Document, ...]
    pods: dict[str, tuple[str, str]] = {}
    kernel: Fingerprints = {}

    def with_pods(self, live: Iterable[KubernetesObject], kernel: Fingerprints) -> Baseline:
        """The same with the Pods that there are now, some of them made anew, and all else that controllers make."""
        known = tuple(live)
        kept = tuple(document for document in self.objects if not is_derived(from_json(document)))
        derived = tuple(as_json(value) for value in known if is_derived(value))
        return self.model_copy(update={"objects": kept + derived, "pods": pods_of(known), "kernel": kernel})

    def lab_file(self) -> LabFile:
        """The file that the lab was made from."""
        topology, *objects = map(from_json, self.file)
        if not isinstance(topology, Topology):
            raise TypeError(topology)
        return LabFile(topology=topology, objects=tuple(objects))


def from_json(document: Document) -> KubernetesObject:
    """The object in a document that this module wrote."""
    return decode_trusted(KIND_BY_NAME[str(document["kind"])], json.dumps(document).encode())


def remember(paths: LabPaths, file: LabFile) -> Baseline:
    """Remember the lab as it is now, and that it was made from that file, for `reset`."""
    with SyncClient(paths.api_socket) as client:
        objects = listed(client)
    baseline = Baseline(
        file=tuple(as_json(value) for value in (file.topology, *file.objects)),
        objects=tuple(as_json(value) for value in objects),
        pods=pods_of(objects),
        kernel=json.loads(control.run_task(paths, TaskName.FINGERPRINTS)),
    )
    write(paths, baseline)
    return baseline


def is_derived(value: KubernetesObject) -> bool:
    """Whether a controller makes the object from another one: a Deployment's Pods, a Service's slices and Endpoints."""
    return bool(value.metadata.owner_references) or MANAGED in value.metadata.labels


def listed(client: SyncClient) -> tuple[KubernetesObject, ...]:
    """Every object of the kinds that are compared."""
    return tuple(value for kind in COMPARED for value in client.list(kind)[0])


def pods_of(objects: Iterable[KubernetesObject]) -> dict[str, tuple[str, str]]:
    """The uids and nodes of the Pods among the objects, by key."""
    return {
        value.key: (value.metadata.uid or "", value.spec.node_name or "") for value in objects if isinstance(value, Pod)
    }


def read(paths: LabPaths) -> Baseline:
    """What was remembered. NotFound: nothing was."""
    try:
        return Baseline.model_validate_json(paths.baseline.read_bytes())
    except FileNotFoundError as error:
        raise NotFound(f"lab {paths.lab} has no state to go back to: none was remembered when it came up") from error


def write(paths: LabPaths, baseline: Baseline) -> None:
    """A reader finds the old text or the new one."""
    fresh = paths.baseline.with_suffix(".new")
    fresh.write_text(baseline.model_dump_json())
    os.replace(fresh, paths.baseline)
