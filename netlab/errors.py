"""Every error a user can meet, in one tree.

    NetlabError                     exit code
    ├── InvalidInput                2   a file or an argument is wrong; carries every problem at once
    ├── Incomplete                  1   a lab is up, but not all of it came about in time
    ├── TimedOut                    1   what was waited for did not come about in time
    ├── CommandFailed               1   a command inside a lab ended with another exit status than 0
    ├── LabBusy                     2   another command is at work on the same lab
    ├── MissingCapability           3   this machine cannot do it; names the capability and the remedy
    ├── NotFound                    4   no such lab, object, node or Pod
    ├── ApiError                    by status: 404 is 4, other client errors 2, the rest 1
    └── KernelError                 1   the kernel refused a step; names the operation, where, and its errno

The command line is the only place that turns one of these into an exit status: libraries never exit.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass


class NetlabError(Exception):
    """What netlab raises on purpose. `exit_code` is what the command line exits with."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file: where it is, what is wrong, and what would be right.

    `line` and `column` count from 1; both are 0 where the mistake has no place in a text.
    `path` is the field's path as Kubernetes writes it, for instance `spec.ports[0].targetPort`.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        parts = [place, self.path, self.message + (f" ({self.suggestion})" if self.suggestion else "")]
        return ": ".join(part for part in parts if part)

    def as_json(self) -> dict[str, str | int]:
        """The problem with the field names of the `Error` JSON shape."""
        return asdict(self)


class InvalidInput(NetlabError):
    """A file or an argument is wrong. Nothing was changed."""

    exit_code = 2

    def __init__(self, problems: list[Problem] | tuple[Problem, ...]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Incomplete(NetlabError):
    """A lab is up, but not all of it came about in time; the message says what is missing and which log says why."""


class TimedOut(NetlabError):
    """What was waited for did not come about in time; the message says what it was like in the end."""


class CommandFailed(NetlabError):
    """A command inside a lab ended with another exit status than 0: which, where, and what it printed."""

    def __init__(self, argv: tuple[str, ...], where: str, status: int, printed: str) -> None:
        self.argv = argv
        self.where = where
        self.status = status
        self.printed = printed
        said = f": {printed.strip()}" if printed.strip() else ""
        super().__init__(f"{where}: {' '.join(argv)}: exit status {status}{said}")


class LabBusy(NetlabError):
    """Another command is at work on the same lab."""

    exit_code = 2


class MissingCapability(NetlabError):
    """This machine cannot do what was asked: `capability` is what it lacks, `remedy` what to do about it."""

    exit_code = 3

    def __init__(self, capability: str, remedy: str) -> None:
        self.capability = capability
        self.remedy = remedy
        super().__init__(f"{capability}: {remedy}")


class NotFound(NetlabError):
    """No such lab, object, node or Pod."""

    exit_code = 4


class ApiError(NetlabError):
    """The API server refused a request: `status`, `reason` and message are those of a Kubernetes Status object."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        self.status = status
        self.reason = reason
        self.exit_code = 4 if status == 404 else 2 if 400 <= status < 500 else 1
        super().__init__(message)


class KernelError(NetlabError):
    """The kernel refused `operation` in the network namespace `where`: `number` is its errno."""

    def __init__(self, operation: str, where: str, number: int, detail: str = "") -> None:
        self.operation = operation
        self.where = where
        self.number = number
        reason = os.strerror(number) if number else "failed"
        super().__init__(f"{operation} in {where}: {reason}" + (f" ({detail})" if detail else ""))
