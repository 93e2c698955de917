"""From a text to checked values: every problem of every kind at once, or the objects."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from netlab.errors import InvalidInput, Problem
from netlab.load.addresses import check_addresses
from netlab.load.capacity import check_capacity
from netlab.load.compose import compose
from netlab.load.documents import CLASSES, Document, Documents, recognised
from netlab.load.expectations import check_expectations
from netlab.load.identities import check_duplicates, check_one_topology, check_places
from netlab.load.pods import check_pods
from netlab.load.ranges import check_ranges, read_ranges
from netlab.load.references import Known, check_references, known
from netlab.load.services import check_services, warn_selectors
from netlab.load.source import printable
from netlab.load.structure import check_structure
from netlab.load.tree import Cursor, Mark, Report, plain
from netlab.model.objects import KubernetesObject
from netlab.model.topology import LabFile, Topology

DEFAULT_NAMESPACE = "default"
START = Mark(1, 1)


@dataclass(frozen=True, slots=True)
class Manifests:
    """The objects of a file, and what is allowed in it but probably not meant."""

    objects: tuple[KubernetesObject, ...]
    warnings: tuple[Problem, ...]


def check_manifests(text: str, *, file: str, namespace: str = DEFAULT_NAMESPACE) -> Manifests:
    """The objects of a text, those that name no namespace being put into `namespace`; raises InvalidInput."""
    report = Report(file)
    documents = _documents(text, report, namespace=namespace)
    _check_objects(documents)
    objects = tuple(_built(document, report) for document in documents.all) if not report.errors else ()
    _raise_errors(report)
    return Manifests(tuple(filter(None, objects)), report.sorted_warnings())


def check_lab(text: str, *, file: str) -> LabFile:
    """The lab that a text describes; raises InvalidInput."""
    report = Report(file)
    documents = _documents(text, report, namespace=DEFAULT_NAMESPACE)
    _check_objects(documents)
    start = Cursor(report, None, "", START)
    topology = check_one_topology(documents, file_start=start)
    if topology:
        _check_whole(topology, documents)
    warn_selectors(documents)
    objects = [_built(document, report) for document in documents.all] if not report.errors else []
    _raise_errors(report)
    found = next(value for value in objects if isinstance(value, Topology))
    others = tuple(value for value in objects if value is not None and value is not found)
    return LabFile(topology=found, objects=others, warnings=report.sorted_warnings())


def names_in(text: str) -> Known:
    """What there is to refer to in a lab's text, which check_lab accepts."""
    documents = _documents(text, Report(""), namespace=DEFAULT_NAMESPACE)
    return known(documents.of("Topology")[0].cursor, documents)


def _documents(text: str, report: Report, *, namespace: str) -> Documents:
    nodes, complete = compose(printable(text.removeprefix("\ufeff"), report), report)
    found: list[Document] = []
    for node in nodes:
        documents, whole = recognised(Cursor(report, node, "", node.mark), namespace=namespace)
        found += documents
        complete = complete and whole
    return Documents(tuple(found), complete)


def _check_objects(documents: Documents) -> None:
    """What can be said about each object without knowing the lab."""
    for document in documents.all:
        check_structure(document.cursor, document.kind)
    check_duplicates(documents)
    check_pods(documents)
    check_services(documents)


def _check_whole(document: Document, documents: Documents) -> None:
    """What can only be said about the objects of a lab together."""
    topology = document.cursor
    ranges = read_ranges(topology)
    check_ranges(topology, ranges)
    check_capacity(topology, documents, ranges)
    check_addresses(topology, documents, ranges)
    check_places(document.name, topology, documents)
    there = known(topology, documents)
    check_references(documents, there)
    check_expectations(topology, there)


def _built(document: Document, report: Report) -> KubernetesObject | None:
    """The object as a value. What only the value's own types refuse is reported at its place too."""
    kind = CLASSES[document.kind]
    try:
        value = kind.model_validate(plain(document.cursor.node) if document.cursor.node else {})
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False, include_input=False):
            report_refusal(document.cursor, detail["loc"], detail["msg"])
        return None
    if document.namespace and not value.metadata.namespace:
        metadata = value.metadata.model_copy(update={"namespace": document.namespace})
        return value.model_copy(update={"metadata": metadata})
    return value


def report_refusal(cursor: Cursor, location: tuple[int | str, ...], message: str) -> None:
    """Report what a value's types refuse of a document, at the field that they name."""
    for part in location:
        below = cursor.items()[part] if isinstance(part, int) and part < len(cursor.items()) else cursor.get(str(part))
        if not below.present:
            break
        cursor = below
    cursor.error(message)


def _raise_errors(report: Report) -> None:
    if report.errors:
        raise InvalidInput(report.sorted_errors())
