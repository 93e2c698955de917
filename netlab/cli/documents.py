"""Files that the command line was given; what is allowed in them but probably not meant is said on standard error."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from netlab.cli.output import say
from netlab.errors import Problem
from netlab.load import load_lab, load_manifests
from netlab.model.objects import KubernetesObject
from netlab.model.topology import LabFile


def read_topology(path: Path) -> LabFile:
    """The lab that a file describes; InvalidInput with every problem in it."""
    file = load_lab(path)
    _warn(file.warnings)
    return file


def read_manifest(path: Path, *, namespace: str) -> tuple[KubernetesObject, ...]:
    """The Kubernetes objects of a file, those that name no namespace put into `namespace`; InvalidInput."""
    manifests = load_manifests(path, namespace=namespace)
    _warn(manifests.warnings)
    return manifests.objects


def _warn(problems: Iterable[Problem]) -> None:
    for problem in problems:
        say(f"warning: {problem}")
