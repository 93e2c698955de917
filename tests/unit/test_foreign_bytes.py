"""Whatever a server sends: an object, a named complaint, or one of two errors; nothing else ever ends a proxy."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.api.foreign import Garbage, Malformed, MalformedChange, read_change, read_object, read_page
from netlab.api.statuses import Refusal
from netlab.model.objects import EndpointSlice, KubernetesObject, Node, Service
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.complaints import Complaint

KINDS = (Node, Service, EndpointSlice)
NAMES = ["metadata", "name", "namespace", "resourceVersion", "labels", "spec", "status", "ports", "port", "clusterIP"]
WORDS = st.sampled_from(
    [*NAMES, "items", "type", "object", "ADDED", "ERROR", "BOOKMARK", "DELETED", "addressType", "IPv4"]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | WORDS
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=5),
    max_leaves=25,
)
LINES = st.binary(max_size=60) | DOCUMENTS.map(lambda document: json.dumps(document).encode())
kinds = st.sampled_from(KINDS)


@given(kind=kinds, document=DOCUMENTS)
def test_a_document_is_an_object_or_what_is_wrong_with_it(kind: type[KubernetesObject], document: object) -> None:
    found = read_object(kind, document)  # type: ignore[arg-type]
    if isinstance(found, Malformed):
        assert isinstance(found.complaint(), Complaint)
        ChangeTracker(node_name="node1").remove(found.tombstone())
    else:
        tracker = ChangeTracker(node_name="node1")
        tracker.put(found)
        tracker.collect()


@given(kind=kinds, line=LINES)
def test_a_line_of_a_watch_is_an_event_or_one_of_two_errors(kind: type[KubernetesObject], line: bytes) -> None:
    with contextlib.suppress(Garbage, Refusal):
        change = read_change(kind, line)
        assert change.object is not None or change.type == "BOOKMARK"


@given(kind=kinds, body=LINES)
def test_a_list_is_a_page_or_garbage(kind: type[KubernetesObject], body: bytes) -> None:
    with contextlib.suppress(Garbage):
        page = read_page(kind, body)
        assert all(isinstance(each, kind) for each in page.objects)


def test_objects_nested_without_end_are_named_and_harm_nothing() -> None:
    deep = b'{"type":"ADDED","object":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001
    with pytest.raises(Garbage):
        read_change(Service, deep)


def test_a_malformed_event_keeps_the_name_of_its_object() -> None:
    line = b'{"type":"MODIFIED","object":{"metadata":{"name":"web","namespace":"a","resourceVersion":"7"},"spec":1}}'
    change = read_change(Service, line)
    assert isinstance(change, MalformedChange)
    assert (change.object.key, change.version, change.object.path) == ("a/web", "7", "spec")


def test_halves_of_characters_can_be_told_on() -> None:
    line = b'{"type":"ADDED","object":{"metadata":{"name":"a\\ud800","namespace":"b","labels":{"\\udfff":1}}}}'
    change = read_change(Service, line)
    assert isinstance(change, MalformedChange)
    assert json.loads(json.dumps(str(change.object)).encode()) == str(change.object)
    assert str(change.object).encode()
