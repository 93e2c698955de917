"""What a packet is sent to, as the command line and `expect` write it: `service/web:80`, `node/node1:30080/udp`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address, ip_address

from netlab.model.names import DNS_LABEL, DNS_SUBDOMAIN
from netlab.model.objects import Pod
from netlab.model.rules import IPAddress

WRITE = "write service/NAME:PORT, pod/NAME:PORT, node/NAME:PORT or ADDRESS:PORT, with /udp, /sctp or /icmp where meant"


class TargetKind(StrEnum):
    """What is named before the slash; `address` has no slash."""

    SERVICE = "service"
    POD = "pod"
    NODE = "node"
    EXTERNAL = "external"
    ADDRESS = "address"


class TargetProtocol(StrEnum):
    """How the target is spoken to. TCP where nothing is said."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"
    ICMP = "icmp"


NAMESPACED = frozenset({TargetKind.SERVICE, TargetKind.POD})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a packet goes. `name` is set for what has a name, `address` for a bare address, never both.

    `port` is a number or the name of a port (of the Service, or of a container of the Pod); None with ICMP alone, which
    has no ports.
    """

    kind: TargetKind
    name: str = ""
    namespace: str = "default"
    address: IPAddress | None = None
    port: int | str | None = None
    protocol: TargetProtocol = TargetProtocol.TCP

    def __str__(self) -> str:
        suffix = "" if self.protocol is TargetProtocol.TCP else f"/{self.protocol}"
        if self.port is None:
            return f"{self.host}{suffix}"
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        return f"{host}:{self.port}{suffix}"

    @property
    def host(self) -> str:
        """What is spoken to, without the port: `service/web`, `pod/kube-system/dns`, `10.96.0.10`."""
        if self.kind is TargetKind.ADDRESS:
            return str(self.address)
        if self.kind in NAMESPACED and self.namespace != "default":
            return f"{self.kind}/{self.namespace}/{self.name}"
        return f"{self.kind}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read a target; ValueError says what is wrong with it and what would be right.

        `service/NAME:PORT`, `service/NAMESPACE/NAME:PORT` (Pods alike), `node/NAME:PORT`, `external/NAME:PORT`,
        `ADDRESS:PORT`, `[IPV6]:PORT`, each with `/tcp`, `/udp`, `/sctp` or
        `/icmp` behind. With `/icmp` there is no port.
        """
        spelled, protocol = _split_protocol(text)
        host, port = _split_port(spelled)
        if protocol is TargetProtocol.ICMP and port:
            raise ValueError(f"{text!r}: ICMP has no ports: write {host}/icmp")
        if protocol is not TargetProtocol.ICMP and not port:
            raise ValueError(f"{text!r} names no port: {WRITE}")
        number = _port(port, text=text) if port else None
        if "/" not in host:
            return cls(
                kind=TargetKind.ADDRESS,
                address=_address(host, text=text),
                port=_only_number(number, text=text),
                protocol=protocol,
            )
        kind, namespace, name = _named(host, text=text)
        if kind not in NAMESPACED:
            number = _only_number(number, text=text)
        return cls(kind=kind, name=name, namespace=namespace, port=number, protocol=protocol)


class WorkloadKind(StrEnum):
    """What `reaches` names."""

    POD = "pod"
    DEPLOYMENT = "deployment"


TEMPLATE_HASH_LABEL = "pod-template-hash"
"""On a Deployment's Pods and ReplicaSets, of which it ends the names: which template they are of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Who must answer: one Pod (`pod/web-1`), or every Pod of a Deployment (`deployment/web`)."""

    kind: WorkloadKind
    name: str
    namespace: str = "default"

    def __str__(self) -> str:
        inside = "" if self.namespace == "default" else f"{self.namespace}/"
        return f"{self.kind}/{inside}{self.name}"

    @classmethod
    def parse(cls, text: str) -> Workload:
        """Read `pod/NAME`, `deployment/NAME`, or either as KIND/NAMESPACE/NAME; ValueError says what is wrong."""
        kind, *rest = text.split("/")
        if kind not in list(WorkloadKind) or len(rest) not in (1, 2) or not all(map(DNS_SUBDOMAIN.fullmatch, rest)):
            raise ValueError(f"{text!r} names no Pods: write pod/NAME or deployment/NAME")
        namespace = rest[0] if len(rest) == 2 else "default"
        return cls(kind=WorkloadKind(kind), name=rest[-1], namespace=namespace)

    def includes(self, pod: Pod) -> bool:
        """Whether this Pod is the one, or one of those of the Deployment."""
        if (pod.metadata.namespace or "default") != self.namespace:
            return False
        if self.kind is WorkloadKind.POD:
            return pod.metadata.name == self.name
        template = pod.metadata.labels.get(TEMPLATE_HASH_LABEL)
        owners = pod.metadata.owner_references
        return any(owner.kind == "ReplicaSet" and owner.name == f"{self.name}-{template}" for owner in owners)


def _split_protocol(text: str) -> tuple[str, TargetProtocol]:
    """`service/web:80/udp` is `service/web:80` and UDP; a Pod called `udp` is still a Pod: `pod/udp:53`."""
    spelled, slash, last = text.rpartition("/")
    if slash and last in list(TargetProtocol) and (":" in spelled or "/" in spelled or "." in spelled):
        return spelled, TargetProtocol(last)
    return text, TargetProtocol.TCP


def _split_port(spelled: str) -> tuple[str, str]:
    if spelled.startswith("["):
        host, bracket, rest = spelled[1:].partition("]")
        if bracket and (not rest or rest.startswith(":")):
            return host, rest[1:]
        return spelled, ""
    if spelled.count(":") > 1:
        return spelled, ""
    host, _, port = spelled.partition(":")
    return host, port


def _port(port: str, *, text: str) -> int | str:
    if port.isascii() and port.isdigit():
        if len(port) > 5 or not 1 <= int(port) <= 65535:
            raise ValueError(f"{text!r}: port {port[:12]} is not between 1 and 65535")
        return int(port)
    if not DNS_LABEL.fullmatch(port):
        raise ValueError(f"{text!r}: {port!r} is neither a port number nor the name of a port")
    return port


def _only_number(port: int | str | None, *, text: str) -> int | None:
    if isinstance(port, str):
        raise ValueError(f"{text!r}: {port!r} is not a port number; only Services and Pods have named ports")
    return port


def _address(host: str, *, text: str) -> IPAddress:
    try:
        address = ip_address(host)
    except ValueError:
        raise ValueError(f"{text!r} is not a target: {WRITE}") from None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise ValueError(
            f"{text!r}: an address with a scope (%{address.scope_id}) means something on one machine alone"
        )
    return address


def _named(host: str, *, text: str) -> tuple[TargetKind, str, str]:
    spelled, *rest = host.split("/")
    kinds = [kind for kind in TargetKind if kind is not TargetKind.ADDRESS]
    if spelled not in kinds or len(rest) not in (1, 2):
        raise ValueError(f"{text!r} is not a target: {WRITE}")
    kind = TargetKind(spelled)
    if len(rest) == 2 and kind not in NAMESPACED:
        raise ValueError(f"{text!r}: a {kind} is in no namespace: write {kind}/NAME:PORT")
    namespace, name = rest if len(rest) == 2 else ("default", rest[0])
    if not DNS_LABEL.fullmatch(namespace) or not DNS_SUBDOMAIN.fullmatch(name):
        raise ValueError(f"{text!r} is not a target: {WRITE}")
    return kind, namespace, name
