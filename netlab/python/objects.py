"""The Kubernetes objects of a lab, from Python."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar, overload

from netlab.api.encoding import Json
from netlab.api.kind_names import kind_named
from netlab.errors import TimedOut
from netlab.lab import readiness
from netlab.lab.resetting import say_nothing
from netlab.model.objects import Deployment, KubernetesObject
from netlab.python.explaining import last_doubted
from netlab.python.handle import Handle
from netlab.python.sources import Source, manifest

K = TypeVar("K", bound=KubernetesObject)
T = TypeVar("T")
LOOK_AGAIN_SECONDS = 0.05
"""Most conditions send packets: what becomes of those, nobody announces."""


class LabObjects(Handle):
    """Objects: apply, get, change, delete, and waiting for what follows from them."""

    def apply(self, source: Source, *, namespace: str = "default", wait: bool = True) -> tuple[KubernetesObject, ...]:
        """Create or change objects, as `kubectl apply`; the objects as they are then.

        `source` is a path, a text with a line break in it, or objects as dictionaries. With `wait` it returns when
        their Pods serve and every kube-proxy has followed. InvalidInput, ApiError, Incomplete.
        """
        wanted = manifest(source, namespace=namespace)
        with self._client() as client:
            applied = tuple(client.apply(each).object for each in wanted)
        if wait:
            self.settle()
        return applied

    def delete(self, what: Source, name: str | None = None, *, namespace: str = "default", wait: bool = True) -> None:
        """Delete an object by kind and name (`lab.delete("service", "web")`), or those of a manifest. NotFound."""
        if name is not None:
            doomed = [(kind_named(str(what)), name, namespace)]
        else:
            found = manifest(what, namespace=namespace)
            doomed = [(type(each), each.metadata.name, each.metadata.namespace or namespace) for each in found]
        with self._client() as client:
            for kind, each, place in doomed:
                client.delete(kind, each, namespace=place)
        if wait:
            self.settle()

    @overload
    def get(self, kind: type[K], name: str, *, namespace: str = "default") -> K: ...
    @overload
    def get(self, kind: str, name: str, *, namespace: str = "default") -> KubernetesObject: ...
    def get(self, kind: type[KubernetesObject] | str, name: str, *, namespace: str = "default") -> KubernetesObject:
        """One object; `kind` is a class of netlab.objects or any name that kubectl has for it. NotFound."""
        with self._client() as client:
            return client.get(_kind(kind), name, namespace=namespace)

    @overload
    def list(self, kind: type[K], *, namespace: str | None = "default", selector: str = "") -> tuple[K, ...]: ...
    @overload
    def list(
        self, kind: str, *, namespace: str | None = "default", selector: str = ""
    ) -> tuple[KubernetesObject, ...]: ...
    def list(
        self, kind: type[KubernetesObject] | str, *, namespace: str | None = "default", selector: str = ""
    ) -> tuple[KubernetesObject, ...]:
        """Objects of a kind with these labels (`app=web,tier!=db`); `namespace` None means of every namespace."""
        class_ = _kind(kind)
        with self._client() as client:
            return client.list(class_, namespace=namespace if class_.NAMESPACED else None, label_selector=selector)[0]

    def patch(
        self, kind: str, name: str, patch: Mapping[str, Json], *, namespace: str = "default", wait: bool = True
    ) -> KubernetesObject:
        """Change an object by a JSON merge patch."""
        with self._client() as client:
            patched = client.patch(kind_named(kind), name, patch, namespace=namespace)
        if wait:
            self.settle()
        return patched

    def scale(self, deployment: str, replicas: int, *, namespace: str = "default", wait: bool = True) -> None:
        """Set how many Pods a Deployment has."""
        with self._client() as client:
            client.patch(Deployment, deployment, {"spec": {"replicas": replicas}}, namespace=namespace)
        if wait:
            self.settle()

    def settle(self) -> None:
        """Return when all Pods that can serve do, and every running kube-proxy has followed. Incomplete."""
        with self._client() as client:
            readiness.wait(self._paths, client, say_nothing)

    def wait_for(self, condition: Callable[[], T], *, timeout: float = 10.0, what: str = "") -> T:
        """Ask again and again until the answer is true; that answer.

        `timeout` is seconds, `what` words for the message. TimedOut says what the last answer was.
        """
        deadline = time.monotonic() + timeout
        while not (answer := condition()):
            if time.monotonic() > deadline:
                wanted = what or getattr(condition, "__name__", "a condition")
                doubted = last_doubted()
                last = answer if doubted is None else doubted
                raise TimedOut(f"lab {self.name}: waited {timeout:g} s for {wanted}; the last answer was {last!r}")
            time.sleep(LOOK_AGAIN_SECONDS)
        return answer


def _kind(kind: type[K] | str) -> type[K] | type[KubernetesObject]:
    return kind_named(kind) if isinstance(kind, str) else kind
