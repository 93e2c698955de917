"""Arguments to values: places, targets, kinds. What is wrong with one is said with the argument as it was written."""

from __future__ import annotations

from netlab.api.kind_names import kind_named
from netlab.cli.mistakes import wrong
from netlab.model.names import Place
from netlab.model.objects import KubernetesObject
from netlab.model.targets import Target


def place(text: str) -> Place:
    """Read FROM or WHERE; a bare name is a Pod."""
    try:
        return Place.parse(text if "/" in text else f"pod/{text}")
    except ValueError as error:
        raise wrong(str(error)) from error


def target(text: str) -> Target:
    """Read TO."""
    try:
        return Target.parse(text)
    except ValueError as error:
        raise wrong(str(error)) from error


def kind(text: str) -> type[KubernetesObject]:
    """Read KIND."""
    return kind_named(text)


def kinds(text: str) -> list[type[KubernetesObject]]:
    """Read KIND[,KIND...]; `all` are the kinds that kubectl means by it, of those that a lab has."""
    return [kind(each) for each in ("pods,services,deployments" if text == "all" else text).split(",")]


def kind_and_name(text: str) -> tuple[type[KubernetesObject], str]:
    """Read KIND/NAME."""
    spelled, slash, name = text.partition("/")
    if not slash or not name:
        raise wrong(f"{text!r} is not KIND/NAME", "for instance deployment/web")
    return kind(spelled), name
