"""Options of `netlab lab` that several of its commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

import netlab
from netlab.model.language import Language
from netlab.model.modes import ProxyMode

Labs = Annotated[Path | None, typer.Option("--labs", metavar="DIR", help="Where labs are, if not those of netlab.")]
Lang = Annotated[Language | None, typer.Option("--lang", help="The language; else what $LANG says.")]
Mode = Annotated[ProxyMode | None, typer.Option("--mode", help="The proxy mode, if the lab is for several.")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, metavar="N", help="What draws the faults of an exam.")]


def language(asked: Language | None) -> Language:
    """What is spoken: what was asked for, else what the environment says."""
    return asked or Language.of(os.environ)


def library(asked: Path | None) -> Path:
    """Where labs are: the folder that was asked for, else netlab's own, installed or in a checkout."""
    if asked is not None:
        return asked
    package = Path(netlab.__file__).parent
    installed = package / "topologies" / "labs"
    return installed if installed.is_dir() else package.parent / "topologies" / "labs"
