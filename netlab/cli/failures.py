"""What a person reads when something went wrong: a sentence, or JSON where JSON was asked for; never a traceback."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from types import TracebackType

from netlab.errors import InvalidInput, MissingCapability, NetlabError, Problem


def problems_of(error: NetlabError) -> tuple[Problem, ...]:
    """The error as the list of problems that its JSON form shows."""
    if isinstance(error, InvalidInput):
        return error.problems
    if isinstance(error, MissingCapability):
        return (Problem("", 0, 0, "", error.capability, error.remedy),)
    return (Problem("", 0, 0, "", str(error)),)


def report(error: NetlabError, *, as_json: bool) -> None:
    """Say on standard error what went wrong."""
    problems = problems_of(error)
    if as_json:
        document = {"apiVersion": "netlab/v1", "kind": "Error", "problems": [each.as_json() for each in problems]}
        print(json.dumps(document, indent=2, ensure_ascii=False), file=sys.stderr)
    elif isinstance(error, InvalidInput):
        for each in problems:
            print(each if each.file else f"netlab: {each}", file=sys.stderr)
        if any(each.line for each in problems):
            found = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
            print(f"netlab: {found}; nothing was changed", file=sys.stderr)
    else:
        print(f"netlab: {error}", file=sys.stderr)


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether `-o json` stands among the arguments, which may not be valid ones."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    spelled = zip(own, [*own[1:], ""], strict=False)
    return any(
        one in ("-ojson", "--output=json", "-o=json") or (one in ("-o", "--output") and other == "json")
        for one, other in spelled
    )


def last_resort(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """As sys.excepthook: what nobody foresaw is a line, and a file with the details. NETLAB_DEBUG=1 shows them."""
    if issubclass(kind, KeyboardInterrupt):
        return
    if os.environ.get("NETLAB_DEBUG"):
        traceback.print_exception(kind, error, trace)
        return
    with tempfile.NamedTemporaryFile("w", prefix="netlab-error-", suffix=".log", delete=False) as log:
        print("arguments:", sys.argv[1:], file=log)
        traceback.print_exception(kind, error, trace, file=log)
    summary = " ".join(str(error).split())[:200]
    print(f"netlab: a mistake in netlab itself: {kind.__name__}: {summary}", file=sys.stderr)
    print(f"netlab: the details are in {log.name}; NETLAB_DEBUG=1 shows them", file=sys.stderr)
