"""Steps: what a fault does, as values that say what takes it back. They are JSON too, since a lab remembers them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, IPvAnyAddress, JsonValue

from netlab.model.names import Place
from netlab.model.objects import KubernetesObject


class _Step(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Patch(_Step):
    """Change an object by a JSON merge patch (RFC 7396); `undo` is the patch that makes it what it was."""

    do: Literal["patch"] = "patch"
    kind: str
    name: str
    namespace: str = "default"
    patch: dict[str, JsonValue]
    undo: dict[str, JsonValue]

    def __str__(self) -> str:
        return self._spelled(self.patch)

    @property
    def undoing(self) -> str:
        """How the step is taken back."""
        return self._spelled(self.undo)

    def _spelled(self, patch: Mapping[str, JsonValue]) -> str:
        where = "" if self.namespace == "default" else f" -n {self.namespace}"
        return f"kubectl patch {self.kind.lower()} {self.name}{where} --type=merge -p {shlex.quote(json.dumps(patch))}"


class Stop(_Step):
    """Stop an agent of a node (`kube-proxy`, `kubelet`); undone, it is started."""

    do: Literal["stop"] = "stop"
    agent: str
    node: str

    def __str__(self) -> str:
        return f"stop {self.agent} on node/{self.node}"

    @property
    def undoing(self) -> str:
        """How the step is taken back."""
        return f"start {self.agent} on node/{self.node}"


class Command(_Step):
    """Run a command in a place; `undo` is the command that takes it back, empty where another step's undoing does."""

    do: Literal["command"] = "command"
    place: str
    argv: tuple[str, ...]
    undo: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self._spelled(self.argv)

    @property
    def undoing(self) -> str:
        """How the step is taken back."""
        return self._spelled(self.undo) if self.undo else ""

    def _spelled(self, argv: tuple[str, ...]) -> str:
        return f"netlab exec {self.place} -- {shlex.join(argv)}"


class Write(_Step):
    """Write a file that a place has as /etc/NAME; `was` is what it said before, known once the step is made."""

    do: Literal["write"] = "write"
    place: str
    file: str
    text: str
    was: str = ""

    def __str__(self) -> str:
        return self._spelled(self.text)

    @property
    def undoing(self) -> str:
        """How the step is taken back."""
        return self._spelled(self.was) if self.was else ""

    def _spelled(self, text: str) -> str:
        return f"/etc/{self.file} of {self.place} says {json.dumps(text)}"


class Create(_Step):
    """Create an object of a namespace; undone, it is deleted."""

    do: Literal["create"] = "create"
    manifest: dict[str, JsonValue]
    kind: str
    name: str
    namespace: str = "default"

    def __str__(self) -> str:
        return f"kubectl create -f - <<<{shlex.quote(json.dumps(self.manifest))}"

    @property
    def undoing(self) -> str:
        """How the step is taken back."""
        return f"kubectl delete {self.kind.lower()} {self.name} -n {self.namespace}"


class Cut(_Step):
    """A node's kube-proxy is started anew where no API server answers it; undone, where it does."""

    do: Literal["cut"] = "cut"
    node: str

    def __str__(self) -> str:
        return f"cut kube-proxy of node/{self.node} off the API server"

    @property
    def undoing(self) -> str:
        """How the step is taken back."""
        return f"let kube-proxy of node/{self.node} reach the API server again"


class Remember(_Step):
    """Have a node's connection tracking know a UDP flow, with what its destination became; undone, it is forgotten."""

    do: Literal["remember"] = "remember"
    node: str
    source: IPvAnyAddress
    source_port: int
    destination: IPvAnyAddress
    port: int
    became: IPvAnyAddress
    became_port: int
    seconds: int = 24 * 3600

    def __str__(self) -> str:
        became = f"--dst-nat {self.became}:{self.became_port} -t {self.seconds} -u SEEN_REPLY,ASSURED,FIXED_TIMEOUT"
        return self._spelled("-I", became)

    @property
    def undoing(self) -> str:
        """How the step is taken back."""
        return self._spelled("-D", "").rstrip()

    def _spelled(self, verb: str, more: str) -> str:
        flow = f"-s {self.source} --sport {self.source_port} -d {self.destination} --dport {self.port}"
        return f"netlab exec node/{self.node} -- conntrack {verb} -p udp {flow} {more}"


Step = Patch | Stop | Command | Write | Create | Cut | Remember
Steps = tuple[Step, ...]


def patching(value: KubernetesObject, patch: dict[str, JsonValue]) -> Patch:
    """The step that applies `patch` to an object as it is now."""
    now = value.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)
    return Patch(
        kind=value.kind,
        name=value.metadata.name,
        namespace=value.metadata.namespace or "default",
        patch=patch,
        undo=reverse(now, patch),
    )


def reverse(value: Mapping[str, JsonValue], patch: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The merge patch that makes of `value`, once `patch` was applied to it, what it was. `value` has no nulls."""
    undo: dict[str, JsonValue] = {}
    for key, new in patch.items():
        old = value.get(key)
        undo[key] = reverse(old, new) if isinstance(old, dict) and isinstance(new, dict) else old
    return undo


def command(place: Place, argv: str, *, undo: str = "") -> Command:
    """A command and its undoing, written as in a shell."""
    return Command(place=str(place), argv=tuple(shlex.split(argv)), undo=tuple(shlex.split(undo)))


def setting(place: Place, key: str, value: int, *, was: int) -> Command:
    """A kernel setting of a place, as sysctl(8) spells it."""
    return command(place, f"sysctl -w {key}={value}", undo=f"sysctl -w {key}={was}")
