"""get, apply, delete, scale: the Kubernetes objects of a lab."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netlab.cli.mistakes import wrong
from netlab.cli.options import Format, Lab, Namespace, Output
from netlab.cli.output import Json, emit, say, write

if TYPE_CHECKING:
    from netlab.api.encoding import Json as ApiJson
    from netlab.api.sync_client import SyncClient
    from netlab.model.objects import KubernetesObject

Manifest = Annotated[
    Path | None, typer.Option("--filename", "-f", metavar="FILE", help="A manifest; - reads standard input.")
]


def get(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="svc, po, deploy, eps, no, ns ... or KIND/NAME")],
    name: Annotated[str | None, typer.Argument(metavar="NAME")] = None,
    *,
    namespace: Namespace = "default",
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of every namespace.")] = False,
    selector: Annotated[
        str, typer.Option("--selector", metavar="LABELS", help="Only with these labels: app=web,tier!=db.")
    ] = "",
    lab: Lab = None,
    output: Output = Format.TABLE,
) -> None:
    """Show objects of the lab's API server."""
    from netlab.cli import arguments
    from netlab.cli.object_tables import table

    if name is None and "/" not in kind:
        _get_all(arguments.kinds(kind), None if everywhere else namespace, selector, lab=lab, output=output)
        return
    class_, name = arguments.kind_and_name(kind) if name is None else (arguments.kind(kind), name)
    with _client(lab) as client:
        one = client.get(class_, name, namespace=namespace)
    emit(_shown(one), output, lambda: table(class_, [one]))


def _get_all(
    kinds: Sequence[type[KubernetesObject]], namespace: str | None, selector: str, *, lab: str | None, output: Format
) -> None:
    """Show every object of these kinds; `namespace` None means of every namespace."""
    from netlab.cli.object_tables import table

    with _client(lab) as client:
        found = {
            each: client.list(each, namespace=namespace if each.NAMESPACED else None, label_selector=selector)[0]
            for each in kinds
        }
    items = [_shown(value) for values in found.values() for value in values]
    if not items and output is Format.TABLE:
        here = f"in namespace {namespace}" if namespace else "here"
        say(f"no {' or '.join(each.PLURAL for each in kinds)} {here}")
        return
    document: dict[str, Json] = {
        "apiVersion": "v1",
        "kind": "List",
        "metadata": {"resourceVersion": ""},
        "items": items,
    }
    emit(
        document,
        output,
        lambda: "\n".join(
            table(each, values, with_namespace=namespace is None and each.NAMESPACED)
            for each, values in found.items()
            if values
        ),
    )


def apply(file: Manifest = None, namespace: Namespace = "default", lab: Lab = None) -> None:
    """Create or change the objects of a manifest."""
    wanted = _read(file, namespace)
    with _client(lab) as client:
        for each in wanted:
            write(f"{_title(each)} {client.apply(each).outcome}\n")


def delete(
    kind: Annotated[str | None, typer.Argument(metavar="KIND")] = None,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...")] = None,
    file: Manifest = None,
    namespace: Namespace = "default",
    lab: Lab = None,
) -> None:
    """Delete objects by name, or those of a manifest."""
    from netlab.cli import arguments

    if file is not None:
        doomed = [(type(each), each.metadata.name, each.metadata.namespace or "") for each in _read(file, namespace)]
    elif kind is not None and names:
        doomed = [(arguments.kind(kind), name, namespace) for name in names]
    elif kind is not None and "/" in kind:
        doomed = [(*arguments.kind_and_name(kind), namespace)]
    else:
        raise wrong("nothing is named", "netlab delete KIND NAME, or netlab delete -f FILE")
    with _client(lab) as client:
        for class_, name, place in doomed:
            client.delete(class_, name, namespace=place)
            write(f"{class_.__name__.lower()}/{name} deleted\n")


def scale(
    what: Annotated[str, typer.Argument(metavar="KIND/NAME", help="for instance deployment/web")],
    replicas: Annotated[int, typer.Option(min=0, max=10_000, help="How many Pods.")],
    namespace: Namespace = "default",
    lab: Lab = None,
) -> None:
    """Set how many Pods a Deployment has."""
    from netlab.cli import arguments
    from netlab.model.objects import Deployment

    class_, name = arguments.kind_and_name(what)
    if class_ is not Deployment:
        raise wrong(f"a {class_.__name__} has no replicas", "a Deployment has: deployment/NAME")
    with _client(lab) as client:
        client.patch(class_, name, {"spec": {"replicas": replicas}}, namespace=namespace)
    write(f"deployment/{name} scaled to {replicas}\n")


def _client(lab: str | None) -> SyncClient:
    from netlab.api.sync_client import SyncClient
    from netlab.lab.find import find

    return SyncClient(find(lab).api_socket)


def _read(file: Path | None, namespace: str) -> tuple[KubernetesObject, ...]:
    from netlab.cli.documents import read_manifest

    if file is None:
        raise wrong("no file is named", "-f FILE, or -f - for standard input")
    return read_manifest(file, namespace=namespace)


def _shown(value: KubernetesObject) -> dict[str, ApiJson]:
    """The object without the account of who set which field, as kubectl shows it."""
    from netlab.api.encoding import as_json

    document = as_json(value)
    metadata = document.get("metadata")
    if isinstance(metadata, dict):
        metadata.pop("managedFields", None)
    return document


def _title(value: KubernetesObject) -> str:
    return f"{value.kind.lower()}/{value.metadata.name}"
