"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """What `-o` takes."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


Output = Annotated[Format, typer.Option("--output", "-o", help="How to print.", show_default=True)]
Lab = Annotated[
    str | None,
    typer.Option("--lab", "-l", metavar="LAB", envvar="NETLAB_LAB", help="The lab, where several are up."),
]
Namespace = Annotated[str, typer.Option("--namespace", "-n", metavar="NAME", help="The Kubernetes namespace.")]
TopologyFile = Annotated[Path, typer.Argument(metavar="FILE", help="A topology file; - reads standard input.")]
