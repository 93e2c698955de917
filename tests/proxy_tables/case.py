"""One line of the packet tables: what there is, and what packets must meet. Written in IPv4, true in IPv6 too.

node1 is 192.168.50.11 in zone-a, has the Pod range 10.244.1.0/24 and runs the endpoint 10.244.1.5; 10.244.2.6 runs on
node2, 10.244.3.7 on node3. The Service `web` listens on 10.96.0.10:80. A packet is written as its source, its
`ADDRESS:PORT[/PROTOCOL]`, and what becomes of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import NamedTuple

from proxy_objects import CONFIG, LOCAL, REMOTE, endpoint, endpoint_slice, node, service
from proxy_tracer import Outcome

from netlab.model.objects import EndpointSlice, KubernetesObject
from netlab.model.rules import Family, Verdict
from netlab.proxy.config import ProxyConfig
from proxy_tables.six import outcome_in_ipv6, six, words_in_ipv6

POD, NEIGHBOUR, NODE, OUTSIDER, STRANGER = "10.244.1.9", "10.244.2.9", "192.168.50.11", "198.51.100.7", "203.0.113.99"
"""A Pod of node1, a Pod of node2, node1 itself, and two clients outside the cluster."""
ENDPOINT = "10.244.1.5"
LOOPBACK = "127.0.0.1"
SELF = f"{LOOPBACK}:30080"
VIP, NODEPORT, LB, EXTERNAL_IP = "10.96.0.10:80", f"{NODE}:30080", "203.0.113.10:80", "203.0.113.20:80"
HERE, THERE, FAR = endpoint("10.244.1.5"), endpoint("10.244.2.6"), endpoint("10.244.3.7")
BOTH = (HERE, THERE)
EITHER = (LOCAL, REMOTE)
NODE_PORT: dict[str, object] = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}
ETP_LOCAL: dict[str, object] = {**NODE_PORT, "externalTrafficPolicy": "Local"}
ITP_LOCAL: dict[str, object] = {"internalTrafficPolicy": "Local"}
BALANCED: dict[str, object] = {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30080}]}
INGRESS: dict[str, object] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.10"}]}}
RANGES: dict[str, object] = {**BALANCED, "loadBalancerSourceRanges": ["198.51.100.0/24"]}
EXTERNAL: dict[str, object] = {"externalIPs": ["203.0.113.20"]}
AFFINITY_SECONDS = 100
AFFINITY: dict[str, object] = {
    "sessionAffinity": "ClientIP",
    "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": AFFINITY_SECONDS}},
}


class Last(NamedTuple):
    """A client's last visit: to which endpoint it came, and how many seconds ago."""

    endpoint: str
    seconds_ago: int = 0


Sent = tuple[str, str, Outcome] | tuple[str, str, Outcome, Last]


class Probe(NamedTuple):
    """A packet of a scene."""

    source: str
    to: str
    outcome: Outcome
    last: Last | None = None

    @property
    def family(self) -> Family:
        return Family.IPV4 if ip_address(self.source).version == 4 else Family.IPV6

    def __str__(self) -> str:
        return f"{self.source} -> {self.to}" + (f", last at {self.last}" if self.last else "")


@dataclass(frozen=True)
class Scene:
    """A case in one family, ready to be looked at."""

    sentence: str
    objects: tuple[KubernetesObject, ...]
    config: ProxyConfig
    probes: tuple[Probe, ...]
    policies: tuple[tuple[str, Verdict], ...] = ()
    addresses: tuple[str, ...] = ()
    """Addresses that node1 has beside those that it always has."""

    @property
    def expected(self) -> dict[str, Outcome]:
        return {str(probe): probe.outcome for probe in self.probes}


@dataclass(frozen=True)
class Case:
    """A sentence, what there is, and what each packet must meet."""

    sentence: str
    packets: tuple[Sent, ...]
    spec: dict[str, object] = field(default_factory=dict)
    endpoints: tuple[dict[str, object], ...] = BOTH
    status: dict[str, object] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    slice_labels: dict[str, str] = field(default_factory=dict)
    ports: Iterable[dict[str, object]] = ({"name": "", "port": 8080, "protocol": "TCP"},)
    """Those of the slice."""
    slices: tuple[EndpointSlice, ...] = ()
    """More slices, of any Service."""
    more: tuple[KubernetesObject, ...] = ()
    config: ProxyConfig = CONFIG
    zone: str = "zone-a"
    exists: bool = True
    """Whether there is a Service; its slices are there all the same."""
    policies: tuple[tuple[str, Verdict], ...] = ()
    """Of the built-in chains FORWARD and INPUT, where they are not ACCEPT."""
    addresses: tuple[str, ...] = ()
    translate: bool = True
    """Whether it is written in IPv4 only and holds in IPv6 as well, but for packets to 127.0.0.1: IPv6 has no
    route_localnet, hence no node ports on ::1."""

    def scenes(self) -> Iterator[Scene]:
        """The case in each of its families."""
        if self.translate:
            yield from (scene for scene in map(self.scene, Family) if scene.probes)
        else:
            yield replace(self.scene(Family.IPV4), sentence=self.sentence)

    def scene(self, family: Family) -> Scene:
        """The case in one family."""
        scene = Scene(
            f"{self.sentence} ({family})",
            tuple(self._objects()),
            self.config,
            tuple(Probe(*sent) for sent in self.packets),
            self.policies,
            self.addresses,
        )
        return _in_ipv6(scene) if family is Family.IPV6 else scene

    def _objects(self) -> Iterator[KubernetesObject]:
        yield node(self.zone)
        if self.exists:
            yield service(spec=self.spec, status=self.status, labels=self.labels)
        yield endpoint_slice(*self.endpoints, ports=self.ports, labels=self.slice_labels)
        yield from self.slices
        yield from self.more


@dataclass(frozen=True)
class Story:
    """Cases one after the other, for one kube-proxy that follows them."""

    sentence: str
    steps: tuple[Case, ...]

    def tellings(self) -> Iterator[Telling]:
        """The story in each family."""
        for family, scenes in zip(
            Family, zip(*(tuple(step.scenes()) for step in self.steps), strict=True), strict=True
        ):
            yield Telling(f"{self.sentence} ({family})", scenes)


@dataclass(frozen=True)
class Telling:
    """A story in one family."""

    sentence: str
    scenes: tuple[Scene, ...]


def _in_ipv6(scene: Scene) -> Scene:
    node1, *others = scene.objects
    listed = tuple(six(network) for network in scene.config.nodeport_addresses)
    return replace(
        scene,
        objects=(node1, *(type(each).model_validate(words_in_ipv6(_document(each))) for each in others)),
        config=replace(scene.config, nodeport_addresses=listed),
        probes=tuple(_probe_in_ipv6(probe) for probe in scene.probes if not probe.to.startswith("127.")),
        addresses=tuple(map(words_in_ipv6, scene.addresses)),
    )


def _document(obj: KubernetesObject) -> dict[str, object]:
    return obj.model_dump(mode="json", by_alias=True, exclude_none=True)


def _probe_in_ipv6(probe: Probe) -> Probe:
    last = probe.last and Last(words_in_ipv6(probe.last.endpoint), probe.last.seconds_ago)
    return Probe(words_in_ipv6(probe.source), words_in_ipv6(probe.to), outcome_in_ipv6(probe.outcome), last)


def away(address: str, **state: object) -> dict[str, object]:
    """An endpoint in some state; see `proxy_objects.endpoint`."""
    return endpoint(address, **state)  # type: ignore[arg-type]
