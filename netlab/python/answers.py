"""What places of a lab answer: to probes, to HTTP requests, to commands."""

from __future__ import annotations

import base64
import json
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from netlab.model.journey import Flow, PacketVerdict, ProbeResult
from netlab.python.explaining import note_doubt

SHOWN_FLOWS = 5
SHOWN_CHARACTERS = 300


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Probe:
    """Packets that were sent from a place to a target, and how they fared.

    It is true where every one reached a Pod that answered. `explain` sends one more flow and tells its journey, and
    what is wrong in one sentence.
    """

    result: ProbeResult
    explainer: Callable[[], str] = field(default=str)
    _told_before: list[str] = field(default_factory=list, init=False)

    @property
    def flows(self) -> tuple[Flow, ...]:
        """Each packet, in the order of sending."""
        return self.result.flows

    @property
    def verdicts(self) -> dict[str, int]:
        """How many packets fared how: `{"reached": 9, "dropped": 1}`."""
        return self._told({verdict.value: count for verdict, count in self.result.summary.verdicts.items()})

    @property
    def pods(self) -> dict[str, int]:
        """How many packets came to which Pod, answered or not."""
        return self._told(dict(self.result.summary.pods))

    @property
    def reached(self) -> bool:
        """Whether all were answered by a Pod's port."""
        return self._all(PacketVerdict.REACHED)

    @property
    def refused(self) -> bool:
        """Whether all were refused: TCP RST, ICMP port unreachable."""
        return self._all(PacketVerdict.REFUSED)

    @property
    def dropped(self) -> bool:
        """Whether nothing came back for any of them in time."""
        return self._all(PacketVerdict.DROPPED)

    @property
    def unreachable(self) -> bool:
        """Whether all met ICMP net or host unreachable, or no route."""
        return self._all(PacketVerdict.UNREACHABLE)

    @property
    def sources(self) -> frozenset[str]:
        """The source addresses as the Pods saw them."""
        return frozenset(flow.source_seen for flow in self.flows if flow.source_seen)

    def expect(self, verdict: str = "reached", *, pods: set[str] | frozenset[str] | None = None) -> Probe:
        """AssertionError, with the journey, unless all packets fared so and, if named, came to these Pods exactly."""
        wanted = PacketVerdict(verdict)
        seen = set(self.result.summary.pods)
        if set(self.result.summary.verdicts) == {wanted} and pods in (None, seen):
            return self
        by = f" by {', '.join(sorted(pods))}" if pods else ""
        raise AssertionError(f"expected {self.result.from_} -> {self.result.to}: {wanted}{by}\n{self.explain()}")

    def explain(self) -> str:
        """What was seen, in lines: the packets, one more flow hop by hop, the cause and its remedy.

        Found out by the first call, and the same ever after.
        """
        if not self._told_before:
            self._told_before.append(f"{self._table()}{self.explainer()}")
        return self._told_before[0]

    def __bool__(self) -> bool:
        return self.reached

    def __repr__(self) -> str:
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in self.result.summary.verdicts.items())
        pods = ", ".join(f"{pod} {count}" for pod, count in sorted(self.result.summary.pods.items()))
        return f"<{self.result.from_} -> {self.result.to}: {verdicts}{f' ({pods})' if pods else ''}>"

    def _all(self, verdict: PacketVerdict) -> bool:
        note_doubt(self)
        return set(self.result.summary.verdicts) == {verdict}

    def _told(self, counts: dict[str, int]) -> dict[str, int]:
        note_doubt(self)
        return counts

    def _table(self) -> str:
        lines = [f"seen: {self!r}", *map(_flow, self.flows[:SHOWN_FLOWS])]
        if len(self.flows) > SHOWN_FLOWS:
            lines.append(f"  and {len(self.flows) - SHOWN_FLOWS} more")
        return "\n".join([*lines, *(f"note: {note}" for note in self.result.notes), ""])


def _flow(flow: Flow) -> str:
    translated = f"{flow.translated.from_} became {flow.translated.to}" if flow.translated else "not translated"
    by = f" by {flow.pod}, which saw {flow.source_seen}" if flow.pod else ""
    return f"  {flow.verdict}{by}; {translated}"


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back for a request; true for a status from 200 to 399.

    `status` is 0 where no answer came, and `error` says why then. `seconds` is from the start of the connection.
    """

    url: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: str = ""
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")

    def json(self) -> object:
        """The body as JSON; ValueError where it is none."""
        return json.loads(self.body)

    def __bool__(self) -> bool:
        return 200 <= self.status < 400

    def __repr__(self) -> str:
        said = self.error if not self.status else f"{self.status} {self.text[:60]!r}"
        return f"<{self.url}: {said}>"

    @classmethod
    def read(cls, text: str) -> HttpAnswer:
        """From what `fetch` prints."""
        document = json.loads(text)
        return cls(**{**document, "body": base64.b64decode(document["body"])})


@dataclass(frozen=True, slots=True)
class Executed:
    """A command that ran to its end; true where its exit status is 0. 128 and more is the number of a signal."""

    argv: tuple[str, ...]
    where: str
    status: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        """Whether its exit status is 0."""
        return self.status == 0

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        """What it printed on standard output, without the last line break."""
        return self.out.rstrip("\n")

    def __repr__(self) -> str:
        said = textwrap.shorten(self.err or self.out, SHOWN_CHARACTERS, placeholder=" ...")
        return f"<{self.where}: {' '.join(self.argv)}: exit {self.status}{f': {said}' if said else ''}>"
