"""Names, labels and annotations.

Source: kube-apiserver's messages for RFC 1123 names and for label syntax.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from netlab.api.admission.causes import Causes, required, too_long, wrong
from netlab.model.names import DNS_LABEL, DNS_SUBDOMAIN
from netlab.model.objects import KubernetesObject, ObjectMeta

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_WORD = "[A-Za-z0-9][-A-Za-z0-9_.]*"
LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    f"an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_LABEL}(\\.{_LABEL})*')"
)
LABEL_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
NAME_PART_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_LABEL_VALUE = re.compile(rf"(({_WORD})?[A-Za-z0-9])?")
_NAME_PART = re.compile(rf"({_WORD})?[A-Za-z0-9]")
ANNOTATIONS_LIMIT = 256 * 1024
"""Bytes of all annotations of an object together."""
_LABEL_NAMED = {"services", "namespaces", "topologies"}
"""Kinds whose names are a single DNS label; the others' may have dots."""


def label_problem(name: str) -> str:
    """What is wrong with a DNS label; "" for nothing."""
    if len(name) > 63:
        return "must be no more than 63 bytes"
    return "" if DNS_LABEL.fullmatch(name) else LABEL_RULE


def subdomain_problem(name: str) -> str:
    """What is wrong with a DNS subdomain; "" for nothing."""
    if len(name) > 253:
        return "must be no more than 253 bytes"
    return "" if DNS_SUBDOMAIN.fullmatch(name) else SUBDOMAIN_RULE


def check_metadata(value: KubernetesObject) -> Causes:
    """The causes for which Kubernetes would refuse an object's metadata."""
    metadata = value.metadata
    problem = label_problem if value.PLURAL in _LABEL_NAMED else subdomain_problem
    if not metadata.name:
        yield required("metadata.name", "name or generateName is required")
    elif why := problem(metadata.name):
        yield wrong("metadata.name", metadata.name, why)
    yield from check_labels("metadata.labels", metadata.labels)
    yield from _check_annotations(metadata)


def check_labels(field: str, labels: Mapping[str, str]) -> Causes:
    """The causes against keys and values of labels."""
    for key, value in labels.items():
        if why := key_problem(key):
            yield wrong(field, key, why)
        if why := label_value_problem(value):
            yield wrong(field, value, why)


def label_value_problem(value: str) -> str:
    """What is wrong with the value of a label; "" for nothing."""
    if len(value) > 63:
        return "must be no more than 63 bytes"
    return "" if _LABEL_VALUE.fullmatch(value) else LABEL_VALUE_RULE


def key_problem(key: str) -> str:
    """What is wrong with the key of a label or annotation, NAME or PREFIX/NAME; "" for nothing."""
    prefix, slash, name = key.rpartition("/")
    if slash and not prefix:
        return "prefix part must be non-empty"
    if slash and (why := subdomain_problem(prefix)):
        return f"prefix part {why}"
    if not name:
        return "name part must be non-empty"
    if len(name) > 63:
        return "name part must be no more than 63 bytes"
    return "" if _NAME_PART.fullmatch(name) else NAME_PART_RULE


def _check_annotations(metadata: ObjectMeta) -> Causes:
    for key in metadata.annotations:
        if why := key_problem(key.lower()):
            yield wrong("metadata.annotations", key, why)
    size = sum(len(key.encode()) + len(value.encode()) for key, value in metadata.annotations.items())
    if size > ANNOTATIONS_LIMIT:
        yield too_long("metadata.annotations", limit=ANNOTATIONS_LIMIT)


def port_name_problem(name: str) -> str:
    """What is wrong with a port's name (IANA service name, RFC 6335); "" for nothing."""
    if len(name) > 15:
        return "must be no more than 15 characters"
    if not re.fullmatch("[-a-z0-9]+", name):
        return "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    if not re.search("[a-z]", name):
        return "must contain at least one letter (a-z)"
    if "--" in name:
        return "must not contain consecutive hyphens"
    return "must not begin or end with a hyphen" if name.startswith("-") or name.endswith("-") else ""
