"""Every way into every Service of a lab, as something to send packets to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address

from netlab.dns.addon import DNS_SERVICE
from netlab.model.cluster import HEADLESS, ClusterView, family_of, spell
from netlab.model.faring import Way
from netlab.model.objects import SERVICE_NAME_LABEL, Service, ServicePort, TrafficPolicy
from netlab.model.rules import Family
from netlab.probe.check import SAMPLE, flows_needed

MOST_FLOWS = 200
SPOKEN = ("TCP", "UDP")
UNSERVED_PORT = 9
"""A port that hardly any Service has: what becomes of packets to it differs between proxies."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """A way into a Service: an address, or with `at_node` the ports of whichever node is tried."""

    words: str
    target: str
    family: Family
    flows: int
    loyal: bool = False
    local: bool = False
    at_node: bool = False
    outside: bool = False

    def way(self, source: str, node: str) -> Way:
        return Way(
            source=source,
            target=self.target.format(node=node),
            family=self.family,
            flows=self.flows,
            node=node,
            loyal=self.loyal,
            local=self.local,
        )


def entrances(view: ClusterView) -> Iterator[Entrance]:
    """Of every Service with a ClusterIP but those of the DNS: every lab has it, and nobody asks about it."""
    for service in view.services:
        if service.metadata.namespace != DNS_SERVICE[0] and service.spec.cluster_ips[:1] not in ((), (HEADLESS,)):
            yield from _of_service(service, flows=_flows(view, service))


def _of_service(service: Service, *, flows: int) -> Iterator[Entrance]:
    spec, name = service.spec, service.key.removeprefix("default/")
    common = _Common(flows, loyal=spec.session_affinity == "ClientIP")
    inside_local = spec.internal_traffic_policy is TrafficPolicy.LOCAL
    outside_local = spec.external_traffic_policy is TrafficPolicy.LOCAL
    outside = (*spec.external_ips, *(each.ip for each in service.status.load_balancer.ingress if each.ip))
    for port in (each for each in spec.ports if each.protocol in SPOKEN):
        words = f"service/{name}:{port.port}{_suffix(port)}"
        for text in spec.cluster_ips:
            yield common.at(text, port, words=words, local=inside_local)
        for text in outside:
            yield replace(common.at(text, port, words=f"{words} by {text}", local=outside_local), outside=True)
        if port.node_port:
            for family in dict.fromkeys(family_of(ip_address(text)) for text in spec.cluster_ips):
                words = f"node port {port.node_port}{_suffix(port)} (service/{name})"
                target = f"node/{{node}}:{port.node_port}{_suffix(port)}"
                yield Entrance(words, target, family, flows, common.loyal, local=outside_local, at_node=True)
    for text in spec.cluster_ips if UNSERVED_PORT not in {port.port for port in spec.ports} else ():
        words = f"a port that service/{name} does not have"
        yield Entrance(words, spell(ip_address(text), UNSERVED_PORT), family_of(ip_address(text)), SAMPLE)


@dataclass(frozen=True, slots=True)
class _Common:
    """What the entrances of one Service have in common."""

    flows: int
    loyal: bool

    def at(self, text: str, port: ServicePort, *, words: str, local: bool) -> Entrance:
        address = ip_address(text)
        target = f"{spell(address, port.port)}{_suffix(port)}"
        return Entrance(words, target, family_of(address), self.flows, self.loyal, local=local)


def _suffix(port: ServicePort) -> str:
    return "/udp" if port.protocol == "UDP" else ""


def _flows(view: ClusterView, service: Service) -> int:
    """So many that each of its Pods gets one."""
    endpoints = sum(
        len(piece.endpoints)
        for piece in view.endpoint_slices
        if piece.metadata.labels.get(SERVICE_NAME_LABEL) == service.metadata.name
        and piece.metadata.namespace == service.metadata.namespace
    )
    return min(MOST_FLOWS, flows_needed(max(1, endpoints)))
