"""A Service port as a proxy sees it: where clients address it, and under which policies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from netlab.model.names import DNS_LABEL
from netlab.model.objects import Service, ServiceSpec, ServiceType, TrafficPolicy
from netlab.model.rules import Family, IPAddress, IPNetwork, Protocol
from netlab.proxy.addresses import family_of, read_address, read_host, read_network
from netlab.proxy.complaints import Complaint

PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
"""On a Service: another proxy than kube-proxy serves it, whatever the value."""
DEFAULT_AFFINITY_SECONDS = 10800


class ServiceName(NamedTuple):
    """Which Service."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class PortKey(NamedTuple):
    """Which port of which Service, in which family: what there is one Route for."""

    service: ServiceName
    port: str
    """The port's name; empty where the Service's only port has none."""
    protocol: Protocol
    family: Family

    def __str__(self) -> str:
        """`default/web` or `default/web:http`: the name that chains and comments carry."""
        namespace, name = self.service
        return f"{namespace}/{name}:{self.port}" if self.port else f"{namespace}/{name}"


class ServicePort(NamedTuple):
    """One port of one Service in one family, checked.

    `source_ranges` is empty where everybody may use the load balancer's addresses. `affinity_seconds` is None without
    session affinity. `external_local` and `internal_local` tell the traffic policies that are Local.
    """

    key: PortKey
    cluster_ip: IPAddress
    port: int
    node_port: int | None = None
    external_ips: tuple[IPAddress, ...] = ()
    load_balancer_ips: tuple[IPAddress, ...] = ()
    source_ranges: tuple[IPNetwork, ...] = ()
    affinity_seconds: int | None = None
    external_local: bool = False
    internal_local: bool = False
    health_check_port: int | None = None

    @property
    def externally_accessible(self) -> bool:
        """Whether anything but the ClusterIP leads to it."""
        return bool(self.node_port or self.load_balancer_ips or self.external_ips)

    @property
    def uses_cluster(self) -> bool:
        """Whether any traffic may use all endpoints: with the external policy Local that of Pods and of the node."""
        return not self.internal_local or self.externally_accessible

    @property
    def uses_local(self) -> bool:
        """Whether any traffic is bound to the endpoints of its node."""
        return self.internal_local or (self.external_local and self.externally_accessible)

    @property
    def addresses(self) -> tuple[IPAddress, ...]:
        """Every virtual address that leads to it."""
        return (self.cluster_ip, *self.external_ips, *self.load_balancer_ips)


@dataclass(slots=True)
class ServiceReader:
    """Reads one Service; what cannot be served is left out and noted in `complaints`."""

    service: Service
    complaints: list[Complaint] = field(default_factory=list)

    def ports(self) -> tuple[ServicePort, ...]:
        """The Service's ports in each of its families; none for what no proxy serves (headless, ExternalName ...)."""
        spec, name = self.service.spec, service_name(self.service)
        cluster_ips = spec.cluster_ips or (spec.cluster_ip or "",)
        if cluster_ips[0] in {"", "None"} or not self._is_served() or not self._is_valid(name):
            return ()
        found: dict[PortKey, ServicePort] = {}
        families: list[Family] = []
        for cluster_ip in self._addresses(cluster_ips, path="spec.clusterIPs"):
            family = family_of(cluster_ip)
            if family not in families:
                families.append(family)
                for port in self._ports_of(name, cluster_ip, family):
                    found[port.key] = port
        return tuple(found.values())

    def _is_served(self) -> bool:
        external_name = self.service.spec.type is ServiceType.EXTERNAL_NAME
        return not external_name and PROXY_NAME_LABEL not in self.service.metadata.labels

    def _is_valid(self, name: ServiceName) -> bool:
        if DNS_LABEL.fullmatch(name.namespace) and DNS_LABEL.fullmatch(name.name):
            return True
        for path, text in (("metadata.namespace", name.namespace), ("metadata.name", name.name)):
            if not DNS_LABEL.fullmatch(text):
                self._complain(path, f"{text[:80]!r} is not a DNS label")
        return False

    def _ports_of(self, service: ServiceName, cluster_ip: IPAddress, family: Family) -> Iterator[ServicePort]:
        shared = self._shared(family)
        for index, port in enumerate(self.service.spec.ports):
            name = port.name or ""
            if name and not DNS_LABEL.fullmatch(name):
                self._complain(f"spec.ports[{index}].name", f"{name[:80]!r} is not a DNS label")
                continue
            key = PortKey(service, name, _PROTOCOLS[port.protocol], family)
            yield ServicePort(key, cluster_ip, port.port, port.node_port, *shared)

    def _shared(self, family: Family) -> _Shared:
        spec, ingress = self.service.spec, self.service.status.load_balancer.ingress
        balanced = [i.ip for i in ingress if i.ip and i.ip_mode in {None, "VIP"}] if ingress else ()
        external_local = spec.external_traffic_policy is TrafficPolicy.LOCAL
        return _Shared(
            external_ips=self._external_ips(family) if spec.external_ips else (),
            load_balancer_ips=self._load_balancer_ips(balanced, family=family) if balanced else (),
            source_ranges=self._source_ranges(family) if spec.load_balancer_source_ranges else (),
            affinity_seconds=_affinity_seconds(spec) if spec.session_affinity == "ClientIP" else None,
            external_local=external_local and _is_external(spec),
            internal_local=spec.internal_traffic_policy is TrafficPolicy.LOCAL,
            health_check_port=_health_check_port(spec) if external_local else None,
        )

    def _addresses(self, texts: Iterable[str], *, path: str, link_local: bool = False) -> Iterator[IPAddress]:
        for index, text in enumerate(texts):
            found = read_host(text)
            if isinstance(found, str) and link_local and (address := read_address(text)) and address.is_link_local:
                found = address
            if isinstance(found, str):
                self._complain(f"{path}[{index}]", f"{text[:80]!r} {found}")
            else:
                yield found

    def _external_ips(self, family: Family) -> tuple[IPAddress, ...]:
        found = self._addresses(self.service.spec.external_ips, path="spec.externalIPs")
        return tuple(address for address in found if family_of(address) is family)

    def _load_balancer_ips(self, texts: Sequence[str], *, family: Family) -> tuple[IPAddress, ...]:
        """Also link-local ones: Kubernetes refuses them as external addresses, not here."""
        found = self._addresses(texts, path="status.loadBalancer.ingress", link_local=True)
        return tuple(address for address in found if family_of(address) is family)

    def _source_ranges(self, family: Family) -> tuple[IPNetwork, ...]:
        """No ranges where one of them is everything."""
        found: list[IPNetwork] = []
        for index, text in enumerate(self.service.spec.load_balancer_source_ranges):
            network = read_network(text)
            if network is None:
                self._complain(f"spec.loadBalancerSourceRanges[{index}]", f"{text[:80]!r} is not a CIDR")
            elif family_of(network) is family:
                found.append(network)
        return () if any(network.prefixlen == 0 for network in found) else tuple(found)

    def _complain(self, path: str, message: str) -> None:
        complaint = Complaint("Service", self.service.key[:200], path, message)
        if complaint not in self.complaints:
            self.complaints.append(complaint)


class _Shared(NamedTuple):
    """What the ports of one Service have in common in one family: the last fields of each ServicePort, in its order."""

    external_ips: tuple[IPAddress, ...]
    load_balancer_ips: tuple[IPAddress, ...]
    source_ranges: tuple[IPNetwork, ...]
    affinity_seconds: int | None
    external_local: bool
    internal_local: bool
    health_check_port: int | None


def service_name(service: Service) -> ServiceName:
    """The Service's name; an object out of a file without a namespace is in `default`."""
    return ServiceName(service.metadata.namespace or "default", service.metadata.name)


_PROTOCOLS = {"TCP": Protocol.TCP, "UDP": Protocol.UDP, "SCTP": Protocol.SCTP}


def _affinity_seconds(spec: ServiceSpec) -> int:
    config = spec.session_affinity_config
    given = config.client_ip.timeout_seconds if config and config.client_ip else None
    return given or DEFAULT_AFFINITY_SECONDS


def _is_external(spec: ServiceSpec) -> bool:
    """The external policy counts only where there is a node port, a load balancer or an external address."""
    return spec.type in {ServiceType.NODE_PORT, ServiceType.LOAD_BALANCER} or bool(spec.external_ips)


def _health_check_port(spec: ServiceSpec) -> int | None:
    return spec.health_check_node_port if spec.type is ServiceType.LOAD_BALANCER else None
