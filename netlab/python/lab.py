"""A lab from Python: up, used, reset, down.

with Lab.up("topology.yaml") as lab:
    assert lab.pod("shell").probe("service/web:80", count=20).reached
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from netlab.errors import NetlabError, NotFound
from netlab.lab import baseline, find, resetting
from netlab.lab.down import down
from netlab.lab.lock import is_running
from netlab.lab.nursery import nursery, start_by_nursery
from netlab.lab.resetting import Reset, say_nothing
from netlab.lab.up import up
from netlab.model.names import Place, PlaceKind
from netlab.model.objects import Node, Pod
from netlab.model.paths import LabPaths
from netlab.model.topology import LabFile
from netlab.python.handle import note_end, note_start
from netlab.python.insight import LabInsight
from netlab.python.objects import LabObjects
from netlab.python.places import Spot
from netlab.python.sources import Source, in_mode, lab_file, named
from netlab.python.traffic import LabTraffic


class Lab(LabObjects, LabTraffic, LabInsight):
    """A lab that is up. As a context manager it goes down at the end, whatever happened."""

    def __init__(self, paths: LabPaths, *, file: LabFile | None = None) -> None:
        super().__init__(paths)
        self._file = file

    @classmethod
    def up(
        cls,
        source: Source,
        *,
        name: str | None = None,
        mode: str | None = None,
        progress: Callable[[str], None] = say_nothing,
    ) -> Lab:
        """Start a lab and return when its Pods serve and its kube-proxies have followed.

        `source` is the path of a topology file, its text, or objects as dictionaries; without `name` the lab gets one
        that no other has. `mode` is a proxy mode for all nodes, in place of what the file says. `progress` is told each
        step. InvalidInput, MissingCapability, ApiError, Incomplete, LabBusy; nothing is left of the lab then, unless it
        was up before under that name.
        """
        nursery()  # it gets ready while the file is read
        file = in_mode(named(lab_file(source), name), mode)
        paths = LabPaths.of(file.topology.metadata.name)
        was_up = is_running(paths)
        try:
            up(file, progress=progress, starter=start_by_nursery)
        except NetlabError:
            if not was_up:
                with suppress(NotFound):
                    down(paths.lab)
            raise
        note_start(paths.lab)
        lab = cls(paths, file=file)
        lab.remember()
        return lab

    @classmethod
    def attach(cls, name: str | None = None) -> Lab:
        """The running lab of that name, or the only one there is; it is as it was for `reset`. NotFound."""
        return cls(find.find(name))

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def __repr__(self) -> str:
        return f"<lab {self.name}>"

    def pod(self, name: str, *, namespace: str = "default") -> Spot:
        """A Pod to act from. That it is there is found out by acting."""
        return self._spot(Place(PlaceKind.POD, name, namespace))

    def node(self, name: str) -> Spot:
        """A node to act from."""
        return self._spot(Place(PlaceKind.NODE, name))

    def external(self, name: str) -> Spot:
        """A machine outside the cluster to act from."""
        return self._spot(Place(PlaceKind.EXTERNAL, name))

    def pods(self, selector: str = "", *, namespace: str | None = "default") -> tuple[Spot, ...]:
        """The Pods with these labels, as places."""
        found = self.list(Pod, namespace=namespace, selector=selector)
        return tuple(self.pod(pod.metadata.name, namespace=pod.metadata.namespace or "default") for pod in found)

    def nodes(self) -> tuple[Spot, ...]:
        """All nodes, as places."""
        return tuple(self.node(node.metadata.name) for node in self.list(Node))

    def remember(self) -> None:
        """From now on `reset` brings the lab back to what it is at this moment. `up` has done it once."""
        file = self._file or baseline.read(self._paths).lab_file()
        baseline.remember(self._paths, file)

    def reset(self) -> Reset:
        """Bring the lab back to what was remembered: objects, faults, modes, agents, rules, links, connections.

        It costs what there is to do: some 50 ms where nothing is. What cannot be put right from here has the lab made
        anew, with other addresses; `Reset.anew` says why. NotFound: nothing was remembered.
        """
        return resetting.reset(self._paths, starter=start_by_nursery)

    def down(self) -> None:
        """End the lab and leave nothing behind. NotFound: there is none any more."""
        note_end(self.name)
        down(self.name)

    def _spot(self, place: Place) -> Spot:
        return Spot(self, self, place)
