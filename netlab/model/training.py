"""A training lab: what its lab.yaml says, and the JSON shapes of what becomes of a learner's work (netlab/v1)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from netlab.model.language import Language
from netlab.model.modes import ProxyMode
from netlab.model.objects import KubernetesObject
from netlab.model.status import Row
from netlab.model.topology import Expectation, Setting


class Words(Setting):
    """A sentence in each language."""

    en: str
    ko: str

    def in_(self, language: Language) -> str:
        """The sentence in that language."""
        return self.en if language is Language.EN else self.ko


class FaultEntry(Setting):
    """A fault of the catalogue and its victim, `node/n1` say. Empty `modes`: in every proxy mode."""

    fault: str
    victim: str
    modes: tuple[ProxyMode, ...] = ()


class Draw(Setting):
    """So many faults are drawn from these when the lab starts."""

    count: int = 1
    from_: tuple[FaultEntry, ...] = Field(alias="from")


class PacketCheck(Expectation):
    """An expectation of packets, and what else must hold of them.

    `sees` are the places of which one must be the source that the Pod sees; `same_pod`: all flows reach one and the
    same Pod; `shares` how large a part of the flows each Pod gets, by its name in `reaches`; `size` a packet's bytes.
    """

    sees: tuple[str, ...] = ()
    same_pod: bool = False
    shares: dict[str, float] = Field(default_factory=dict)
    size: int = 0


class RunCheck(Setting):
    """A command that must end with that exit status in a place, and print what the regular expression finds."""

    in_: str = Field(alias="in")
    command: tuple[str, ...]
    status: int = 0
    prints: str = ""


class ObjectCheck(Setting):
    """An object of the API server; `where` gives fields by their paths (`spec.type`)."""

    kind: str
    name: str
    namespace: str = "default"
    where: dict[str, JsonValue] = Field(default_factory=dict)
    absent: bool = False


class ProxyCheck(Setting):
    """A node's kube-proxy: whether it runs, and in which mode its rules are."""

    node: str
    running: bool = True
    mode: ProxyMode | None = None


class HolderCheck(Setting):
    """The places that have an address of a target (`service/web`, `10.96.0.10`) on an interface: these, no others."""

    of: str
    by: tuple[str, ...] = ()


class Way(Setting):
    """Packets from a place to a target."""

    from_: str = Field(alias="from")
    to: str


class Reading(Setting):
    """What a command prints in a place."""

    in_: str = Field(alias="in")
    command: tuple[str, ...]


class AnswerCheck(Setting):
    """The learner's answer to a question; what is right is read from the lab, by the one of these that is set.

    `holders`: the places that have a target's address, or none; `becomes`: an ADDRESS:PORT that packets of a way are
    translated to; `seen`: the source address that the Pod at its end sees; `prints`: what a command prints.
    """

    key: str
    holders: str = ""
    becomes: Way | None = None
    seen: Way | None = None
    prints: Reading | None = None


class Requirement(Setting):
    """Something that must be so in the end. It is met when all of its checks hold, in the modes that it is for."""

    name: str
    says: Words
    modes: tuple[ProxyMode, ...] = ()
    packets: tuple[PacketCheck, ...] = ()
    run: tuple[RunCheck, ...] = ()
    objects: tuple[ObjectCheck, ...] = ()
    proxies: tuple[ProxyCheck, ...] = ()
    holders: tuple[HolderCheck, ...] = ()
    answer: AnswerCheck | None = None

    def is_for(self, mode: ProxyMode) -> bool:
        """Whether it is asked in that mode."""
        return not self.modes or mode in self.modes


class LabSpec(Setting):
    """`minutes` is how long it takes, and for an exam how long one has. The first of `modes` is the lab's own."""

    title: Words
    minutes: int
    exam: bool = False
    modes: tuple[ProxyMode, ...] = (ProxyMode.IPTABLES,)
    makes: tuple[str, ...] = ()
    """What the learner is to make and checks may name: `service/web`, `pod/web-1`."""
    faults: tuple[FaultEntry, ...] = ()
    draw: Draw | None = None
    requirements: tuple[Requirement, ...]


class Lab(KubernetesObject):
    """The document of a lab.yaml."""

    PLURAL = "labs"
    NAMESPACED = False
    API_VERSION = "netlab/v1"
    api_version: Literal["netlab/v1"] = "netlab/v1"
    kind: Literal["Lab"] = "Lab"
    spec: LabSpec


# --- reports


class RequirementResult(Row):
    """Whether a requirement is met, and what was seen; empty where saying so would give an answer away."""

    name: str
    says: str
    met: bool
    observed: str = ""


class LabGrade(Row):
    """How a learner's lab stands. `seconds` is the time since its start, `in_time` false after an exam's end."""

    api_version: Literal["netlab/v1"] = "netlab/v1"
    kind: Literal["LabGrade"] = "LabGrade"
    lab: str
    title: str
    mode: ProxyMode
    seed: int
    passed: bool
    in_time: bool = True
    seconds: float
    requirements: tuple[RequirementResult, ...]


class LabRow(Row):
    """A lab and how far its learner has come; `state` is new, started, tried or solved."""

    name: str
    title: str
    minutes: int
    exam: bool
    modes: tuple[ProxyMode, ...]
    state: str
    checks: int = 0
    hints: int = 0
    solved_in_seconds: float | None = None


class LabCatalogue(Row):
    api_version: Literal["netlab/v1"] = "netlab/v1"
    kind: Literal["LabCatalogue"] = "LabCatalogue"
    labs: tuple[LabRow, ...]


class SubmissionGrade(Row):
    """What somebody handed in for a lab, graded in a fresh one. `reason`: why it could not be, where it could not."""

    learner: str
    lab: str
    passed: bool
    reason: str = ""
    grade: LabGrade | None = None


class ClassGrade(Row):
    api_version: Literal["netlab/v1"] = "netlab/v1"
    kind: Literal["ClassGrade"] = "ClassGrade"
    submissions: tuple[SubmissionGrade, ...]
