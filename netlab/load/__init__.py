"""YAML to values: every problem with its file, line, column and field, all of them at once."""

from __future__ import annotations

from pathlib import Path

from netlab.load.check import Manifests, check_lab, check_manifests
from netlab.load.source import read_text
from netlab.model.objects import KubernetesObject
from netlab.model.topology import LabFile

__all__ = ["Manifests", "load_lab", "load_manifests", "load_objects", "parse_lab"]


def load_lab(path: Path) -> LabFile:
    """The lab that a file describes; `-` is standard input. Raises InvalidInput with every problem of the file."""
    text, name = read_text(path)
    return check_lab(text, file=name)


def parse_lab(text: str, *, file: str) -> LabFile:
    """The lab that a text describes; `file` is its name in problems. Raises InvalidInput."""
    return check_lab(text, file=file)


def load_manifests(path: Path, *, namespace: str = "default") -> Manifests:
    """The Kubernetes objects of a file (YAML or JSON; `-` is standard input) and warnings. Raises InvalidInput."""
    text, name = read_text(path)
    return check_manifests(text, file=name, namespace=namespace)


def load_objects(text: str, file: str, *, namespace: str = "default") -> tuple[KubernetesObject, ...]:
    """The Kubernetes objects of a text (YAML or JSON), those without a namespace put into `namespace`.

    `file` is the text's name in problems. Raises InvalidInput with every problem.
    """
    return check_manifests(text, file=file, namespace=namespace).objects
