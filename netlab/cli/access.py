"""kubeconfig, kubectl: the lab for every client of Kubernetes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netlab.cli.mistakes import wrong
from netlab.cli.options import Lab
from netlab.cli.output import say, write

if TYPE_CHECKING:
    from netlab.model.paths import LabPaths

REMEDY = (
    "install one, of version 1.35 to 1.37 at best: apt-get install kubernetes-client (Debian, older), "
    "or https://kubernetes.io/docs/tasks/tools/"
)


def kubeconfig(
    file: Annotated[
        Path | None,
        typer.Option("--write", metavar="FILE", help="Write it there, for its owner alone to read, and print nothing."),
    ] = None,
    internal: Annotated[
        bool, typer.Option("--internal", help="For Pods, nodes and external machines: by the lab's own wires.")
    ] = False,
    lab: Lab = None,
) -> None:
    """Print a kubeconfig of the lab, for kubectl and its like.

    From now on the lab listens on 127.0.0.1, at a port of its own, for who has the certificate in it; netlab down ends
    that. A file that is there already is only written over if it is of this lab.
    """
    from netlab.lab.find import find

    paths = find(lab)
    text = _text(paths, internal=internal)
    if file is None:
        write(text)
        return
    if file.exists() and not _is_of(paths, file):
        raise wrong(f"{file} is there already and is no kubeconfig of lab {paths.lab}", "name another file")
    _write_private(file, text)
    say(f"export KUBECONFIG={file.absolute()}")


def kubectl(
    arguments: Annotated[list[str] | None, typer.Argument(metavar="ARGS...", help="What kubectl is to do.")] = None,
    lab: Annotated[
        str | None,
        typer.Option("--lab", metavar="LAB", envvar="NETLAB_LAB", help="The lab, before kubectl's arguments."),
    ] = None,
) -> None:
    """Run this machine's kubectl on the lab.

    Everything from the first word on is kubectl's; its exit status is netlab's.
    """
    from netlab.errors import MissingCapability
    from netlab.lab.find import find

    paths = find(lab)
    program = shutil.which("kubectl")
    if program is None:
        raise MissingCapability("there is no kubectl on the PATH", REMEDY)
    _write_private(paths.kubeconfig, _text(paths, internal=False))
    environment = {"KUBECONFIG": str(paths.kubeconfig), "KUBECACHEDIR": str(paths.kubectl_cache)}
    os.execve(program, ["kubectl", *(arguments or ())], {**os.environ, **environment})


def _text(paths: LabPaths, *, internal: bool) -> str:
    import yaml

    from netlab.api.kubeconfig import kubeconfig as spelled
    from netlab.lab import access

    found = access.wire_access(paths) if internal else access.local_access(paths)
    return yaml.safe_dump(spelled(paths.lab, found), sort_keys=False)


def _is_of(paths: LabPaths, file: Path) -> bool:
    """Whether an earlier `kubeconfig` of a lab of that name wrote the file: then nothing else is in it."""
    import yaml

    from netlab.api.kubeconfig import context_name

    try:
        found = yaml.safe_load(file.read_text())
    except (OSError, ValueError, yaml.YAMLError):
        return False
    clusters = found.get("clusters") if isinstance(found, dict) else None
    name = context_name(paths.lab)
    return isinstance(clusters, list) and [each.get("name") for each in clusters if isinstance(each, dict)] == [name]


def _write_private(file: Path, text: str) -> None:
    """As a whole or not at all, mode 0600 from its first moment."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
        draft.replace(file)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise wrong(f"{file} cannot be written: {error.strerror}", "name another file") from error
