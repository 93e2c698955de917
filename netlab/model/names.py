"""Names, and how the kernel spells them.

A network namespace may have any name up to 255 bytes; an interface 15 (IFNAMSIZ less its closing zero, <linux/if.h>).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

INTERFACE_NAME_LIMIT = 15
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""RFC 1123: what Kubernetes accepts as a Service, Namespace or lab name (at most 63 characters)."""
DNS_SUBDOMAIN = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
"""RFC 1123: what Kubernetes accepts as a Node or Pod name (at most 253 characters)."""
FABRIC = "fabric"
"""The short name of the namespace that holds the wire between the nodes."""


class PlaceKind(StrEnum):
    """What has a network namespace of its own, as written before the slash in `pod/web-1`."""

    POD = "pod"
    NODE = "node"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Somewhere a packet can start or be seen: `pod/web-1`, `pod/kube-system/dns`, `node/node1`, `external/client`."""

    kind: PlaceKind
    name: str
    namespace: str = "default"

    def __str__(self) -> str:
        if self.kind is PlaceKind.POD and self.namespace != "default":
            return f"{self.kind}/{self.namespace}/{self.name}"
        return f"{self.kind}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read `pod/NAME`, `pod/NAMESPACE/NAME`, `node/NAME` or `external/NAME`; ValueError says what is wrong."""
        kind, *rest = text.split("/")
        if kind not in list(PlaceKind):
            raise ValueError(f"{text!r} is not a place: write pod/NAME, node/NAME or external/NAME")
        if kind == PlaceKind.POD and len(rest) == 2 and all(rest):
            return cls(PlaceKind.POD, name=rest[1], namespace=rest[0])
        if len(rest) != 1 or not rest[0]:
            raise ValueError(f"{text!r} is not a place: write {kind}/NAME")
        return cls(PlaceKind(kind), rest[0])


def network_namespace(lab: str, place: Place) -> str:
    """The place's network namespace, as `ip netns` shows it: `two-nodes.node1`, `two-nodes.web-1`.

    A Pod outside the Kubernetes namespace `default` gets that as a last part: `two-nodes.dns.kube-system`.
    """
    suffix = f".{place.namespace}" if place.kind is PlaceKind.POD and place.namespace != "default" else ""
    return f"{lab}.{place.name}{suffix}"


def fabric_namespace(lab: str) -> str:
    """The network namespace of the wire between the nodes."""
    return f"{lab}.{FABRIC}"


def interface_name(prefix: str, name: str) -> str:
    """`name` itself where it fits an interface name and cannot be mistaken, else `prefix` and a hash of `name`."""
    if len(name) <= INTERFACE_NAME_LIMIT and re.fullmatch(r"[a-z0-9.-]+", name):
        return name
    return hashed_interface_name(prefix, name)


def hashed_interface_name(prefix: str, name: str) -> str:
    """`prefix` and as much of a hash of `name` as fits, as CNI plugins name a Pod's host end (`veth1a2b3c4d`)."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return (prefix + digest[:8])[:INTERFACE_NAME_LIMIT]
