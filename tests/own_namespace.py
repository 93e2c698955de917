"""A network namespace for one test, and the test's thread in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from netlab.kernel.namespaces import Namespaces


@contextmanager
def own_namespace(name: str) -> Iterator[None]:
    """Nothing is in it, not even an interface that is up; it is gone afterwards."""
    with Namespaces() as namespaces:
        namespaces.create(name)
        namespaces.enter(name)
        try:
            yield
        finally:
            namespaces.delete(name)
