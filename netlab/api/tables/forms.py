"""The forms in which objects can be had."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Form(StrEnum):
    """What `as=` names."""

    OBJECT = ""
    TABLE = "Table"
    METADATA = "PartialObjectMetadata"
    METADATA_LIST = "PartialObjectMetadataList"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A form, and the version of meta.k8s.io that it is of."""

    form: Form = Form.OBJECT
    version: str = "v1"


PLAIN = Wanted()


class Included(StrEnum):
    """How much of its object a row of a table carries along (`includeObject`)."""

    NONE = "None"
    METADATA = "Metadata"
    OBJECT = "Object"
