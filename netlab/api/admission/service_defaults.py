"""What a Service gets where its manifest says nothing, and what it keeps on an update that leaves it out."""

from __future__ import annotations

from netlab.model.objects import (
    ClientIPConfig,
    Service,
    ServicePort,
    ServiceSpec,
    ServiceType,
    SessionAffinityConfig,
    TrafficPolicy,
)

AFFINITY_SECONDS = 10800
NODE_PORT_TYPES = (ServiceType.NODE_PORT, ServiceType.LOAD_BALANCER)
NONE = "None"
"""The clusterIP of a headless Service."""


def with_spec(service: Service, **changed: object) -> Service:
    """The Service with some fields of its spec changed."""
    return service.model_copy(update={"spec": service.spec.model_copy(update=changed)})


def needs_cluster_ip(spec: ServiceSpec) -> bool:
    """Whether the type is one that has a clusterIP (which may be "None")."""
    return spec.type is not ServiceType.EXTERNAL_NAME


def needs_node_ports(spec: ServiceSpec) -> bool:
    """Whether the ports may have nodePorts."""
    return spec.type in NODE_PORT_TYPES


def needs_health_check_port(spec: ServiceSpec) -> bool:
    """Whether kube-proxy is to tell a load balancer how many endpoints it has."""
    return spec.type is ServiceType.LOAD_BALANCER and spec.external_traffic_policy is TrafficPolicy.LOCAL


def is_headless(spec: ServiceSpec) -> bool:
    """Whether the Service is to have no address of its own."""
    return spec.cluster_ip == NONE or spec.cluster_ips == (NONE,)


def from_outside(spec: ServiceSpec) -> bool:
    """Whether packets can come to it from outside the cluster."""
    return needs_node_ports(spec) or (spec.type is ServiceType.CLUSTER_IP and bool(spec.external_ips))


def with_defaults(service: Service) -> Service:
    """The Service with Kubernetes' defaults spelled out."""
    spec = service.spec
    typed = spec.model_copy(update={"type": spec.type or ServiceType.CLUSTER_IP})
    affinity = spec.session_affinity or NONE
    changed: dict[str, object] = {
        "type": typed.type,
        "session_affinity": affinity,
        "ports": tuple(_port(port) for port in spec.ports),
    }
    if affinity == NONE and spec.session_affinity_config is not None:
        changed["session_affinity_config"] = None
    if affinity == "ClientIP" and _affinity_seconds(spec) is None:
        config = ClientIPConfig(timeout_seconds=AFFINITY_SECONDS)
        changed["session_affinity_config"] = SessionAffinityConfig(client_ip=config)
    if needs_cluster_ip(typed):
        changed["internal_traffic_policy"] = spec.internal_traffic_policy or TrafficPolicy.CLUSTER
    if from_outside(typed):
        changed["external_traffic_policy"] = spec.external_traffic_policy or TrafficPolicy.CLUSTER
    if typed.type is ServiceType.LOAD_BALANCER:
        allocate = spec.allocate_load_balancer_node_ports
        changed["allocate_load_balancer_node_ports"] = True if allocate is None else allocate
    if spec.cluster_ip and not spec.cluster_ips:
        changed["cluster_ips"] = (spec.cluster_ip,)
    return with_spec(service, **changed)


def _affinity_seconds(spec: ServiceSpec) -> int | None:
    config = spec.session_affinity_config
    return config.client_ip.timeout_seconds if config and config.client_ip else None


def _port(port: ServicePort) -> ServicePort:
    target = port.port if port.target_port in (None, "") else port.target_port
    return port.model_copy(update={"protocol": port.protocol, "target_port": target})


def with_kept_values(service: Service, before: Service) -> Service:
    """The Service with what it had been given and the update leaves out; without what its new type has no use for."""
    service = _in_step(_keep_node_ports(_keep_cluster_ip(service, before.spec), before.spec), before.spec)
    return _drop_unneeded(service, before.spec)


def _typed(spec: ServiceSpec) -> ServiceSpec:
    return spec if spec.type else spec.model_copy(update={"type": ServiceType.CLUSTER_IP})


def _keep_cluster_ip(service: Service, before: ServiceSpec) -> Service:
    spec = _typed(service.spec)
    if not (needs_cluster_ip(spec) and needs_cluster_ip(before)):
        return service
    changed: dict[str, object] = {}
    if not spec.cluster_ip:
        changed["cluster_ip"] = before.cluster_ip
    if not spec.cluster_ips and (spec.cluster_ip or before.cluster_ip) == before.cluster_ip:
        changed["cluster_ips"] = before.cluster_ips
    return with_spec(service, **changed) if changed else service


def _in_step(service: Service, before: ServiceSpec) -> Service:
    """A new clusterIP beside old clusterIPs, as an old client writes it, means the first of these."""
    spec = service.spec
    if spec.cluster_ip and spec.cluster_ip != before.cluster_ip and spec.cluster_ips == before.cluster_ips:
        return with_spec(service, cluster_ips=(spec.cluster_ip, *before.cluster_ips[1:]))
    return service


def _keep_node_ports(service: Service, before: ServiceSpec) -> Service:
    """A port of the same name keeps its nodePort, unless another port now asks for that one."""
    if not (needs_node_ports(service.spec) and needs_node_ports(before)):
        return service
    had = {port.name or "": port.node_port for port in before.ports}
    used = {port.node_port for port in before.ports} & {port.node_port for port in service.spec.ports} - {None}
    kept = []
    for port in service.spec.ports:
        earlier = had.get(port.name or "")
        if port.node_port is None and earlier is not None and earlier not in used:
            used.add(earlier)
            kept.append(port.model_copy(update={"node_port": earlier}))
        else:
            kept.append(port)
    health = service.spec.health_check_node_port
    if needs_health_check_port(service.spec) and needs_health_check_port(before) and health is None:
        health = before.health_check_node_port
    return with_spec(service, ports=tuple(kept), health_check_node_port=health)


def _drop_unneeded(service: Service, before: ServiceSpec) -> Service:
    """Values that the update carries along unchanged and that the new type cannot have go, instead of being refused."""
    spec, changed = _typed(service.spec), dict[str, object]()
    if needs_cluster_ip(before) and not needs_cluster_ip(spec):
        for name, empty in (("cluster_ip", None), ("cluster_ips", ()), ("ip_families", ()), ("ip_family_policy", None)):
            if getattr(spec, name) == getattr(before, name):
                changed[name] = empty
    if needs_node_ports(before) and not needs_node_ports(spec) and _node_ports(spec) <= _node_ports(before):
        changed["ports"] = tuple(port.model_copy(update={"node_port": None}) for port in spec.ports)
    if from_outside(before) and not from_outside(spec):
        _drop_same(spec, before, changed, "external_traffic_policy")
    if needs_health_check_port(before) and not needs_health_check_port(spec):
        _drop_same(spec, before, changed, "health_check_node_port")
    if before.type is ServiceType.LOAD_BALANCER and spec.type is not ServiceType.LOAD_BALANCER:
        _drop_same(spec, before, changed, "allocate_load_balancer_node_ports")
        _drop_same(spec, before, changed, "load_balancer_class")
    return with_spec(service, **changed) if changed else service


def _drop_same(spec: ServiceSpec, before: ServiceSpec, changed: dict[str, object], name: str) -> None:
    if getattr(spec, name) == getattr(before, name):
        changed[name] = None


def _node_ports(spec: ServiceSpec) -> set[int | None]:
    return {port.node_port for port in spec.ports} - {None}
