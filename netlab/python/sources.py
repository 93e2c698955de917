"""Labs and manifests as a program has them: a file, a text, or objects as dictionaries."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from netlab.errors import InvalidInput, Problem
from netlab.load import load_lab, load_manifests, load_objects, parse_lab
from netlab.model.modes import ProxyMode
from netlab.model.names import DNS_LABEL
from netlab.model.objects import KubernetesObject
from netlab.model.topology import LabFile

Document = Mapping[str, object]
Source = str | os.PathLike[str] | Document | Sequence[Document]
"""A path; a text, which has a line break in it; or objects as dictionaries."""
TEXT, OBJECTS = "<text>", "<objects>"
"""What problems call what is no file."""
SUFFIX_BYTES = 2
LONGEST_NAME = 40


def lab_file(source: Source) -> LabFile:
    """The lab that it describes; InvalidInput with every problem. Objects without a Topology get one of two nodes."""
    if isinstance(source, str) and "\n" in source:
        return parse_lab(source, file=TEXT)
    if isinstance(source, str | os.PathLike):
        return load_lab(Path(source))
    documents = _documents(source)
    if not any(each.get("kind") == "Topology" for each in documents):
        documents = [{"apiVersion": "netlab/v1", "kind": "Topology", "metadata": {"name": "lab"}}, *documents]
    return parse_lab(_spelled(documents), file=OBJECTS)


def manifest(source: Source, *, namespace: str) -> tuple[KubernetesObject, ...]:
    """The objects that it describes, those that name no namespace put into `namespace`; InvalidInput."""
    if isinstance(source, str) and "\n" in source:
        return load_objects(source, TEXT, namespace=namespace)
    if isinstance(source, str | os.PathLike):
        return load_manifests(Path(source), namespace=namespace).objects
    return load_objects(_spelled(_documents(source)), OBJECTS, namespace=namespace)


def _documents(source: Document | Sequence[Document]) -> list[Document]:
    return [source] if isinstance(source, Mapping) else list(source)


def _spelled(documents: Sequence[Document]) -> str:
    """Every JSON text is YAML."""
    return "\n---\n".join(json.dumps(dict(each)) for each in documents)


def named(file: LabFile, name: str | None) -> LabFile:
    """The same lab under that name; with None under one that no other lab has. InvalidInput: it is no name."""
    name = name or unique(file.topology.metadata.name)
    if not DNS_LABEL.fullmatch(name):
        message = f"{name!r} is no lab's name: lower case letters, digits and hyphens, at most 63"
        raise InvalidInput([Problem("argument", 0, 0, "", message)])
    metadata = file.topology.metadata.model_copy(update={"name": name})
    return file.model_copy(update={"topology": file.topology.model_copy(update={"metadata": metadata})})


def unique(name: str) -> str:
    """The name, with what makes it this process's and this call's."""
    return f"{name[:LONGEST_NAME].rstrip('-')}-{os.getpid():x}-{secrets.token_hex(SUFFIX_BYTES)}"


def in_mode(file: LabFile, mode: str | None) -> LabFile:
    """The same lab with every node in that proxy mode; InvalidInput: there is no such mode."""
    if mode is None:
        return file
    spec = file.topology.spec
    nodes = tuple(entry.model_copy(update={"proxy_mode": None}) for entry in spec.nodes)
    proxy = spec.proxy.model_copy(update={"mode": proxy_mode(mode)})
    spec = spec.model_copy(update={"nodes": nodes, "proxy": proxy})
    return file.model_copy(update={"topology": file.topology.model_copy(update={"spec": spec})})


def proxy_mode(text: str) -> ProxyMode:
    """The proxy mode of that name; InvalidInput."""
    try:
        return ProxyMode(text)
    except ValueError as error:
        message = f"{text!r} is no proxy mode: there are {', '.join(ProxyMode)}"
        raise InvalidInput([Problem("argument", 0, 0, "", message)]) from error
