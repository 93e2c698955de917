"""For what Kubernetes refuses a Service."""

from __future__ import annotations

from ipaddress import ip_network

from netlab.api.admission.causes import (
    NOT_AN_ADDRESS,
    Causes,
    address_in,
    duplicate,
    forbidden_field,
    required,
    unusable,
    wrong,
)
from netlab.api.admission.causes import unsupported as not_supported
from netlab.api.admission.names import check_labels, key_problem, label_problem, port_name_problem, subdomain_problem
from netlab.api.admission.service_defaults import (
    from_outside,
    is_headless,
    needs_cluster_ip,
    needs_health_check_port,
    needs_node_ports,
)
from netlab.model.objects import Service, ServicePort, ServiceSpec, ServiceType

LOAD_BALANCER_ONLY = "may only be used when `type` is 'LoadBalancer'"
TRAFFIC_DISTRIBUTIONS = ("PreferClose", "PreferSameNode", "PreferSameZone")


def check_service(service: Service) -> Causes:
    """The causes against a Service that has its defaults, but for its families and addresses."""
    spec = service.spec
    yield from _check_type(spec)
    yield from _check_ports(spec)
    yield from check_labels("spec.selector", spec.selector or {})
    yield from _check_external_ips(spec)
    yield from _check_policies(spec)
    yield from _check_load_balancer(spec)


def check_service_update(service: Service, before: Service) -> Causes:
    """The causes against a Service on account of what it was: a clusterIP does not change."""
    spec, was = service.spec, before.spec
    if not (needs_cluster_ip(spec) and needs_cluster_ip(was)):
        return
    if not (is_headless(spec) and is_headless(was)):
        for index, (ip, had) in enumerate(zip(spec.cluster_ips, was.cluster_ips, strict=False)):
            if ip != had:
                yield wrong(f"spec.clusterIPs[{index}]", list(spec.cluster_ips), "may not change once set")
        if not is_headless(spec) and not is_headless(was) and spec.ip_families[:1] != was.ip_families[:1]:
            yield wrong("spec.ipFamilies[0]", list(spec.ip_families), "may not change once set")
    if spec.type is was.type is ServiceType.LOAD_BALANCER and spec.load_balancer_class != was.load_balancer_class:
        yield wrong("spec.loadBalancerClass", spec.load_balancer_class, "may not change once set")


def _check_type(spec: ServiceSpec) -> Causes:
    if spec.type is ServiceType.EXTERNAL_NAME:
        if spec.cluster_ips:
            yield forbidden_field("spec.clusterIPs", "may not be set when `type` is 'ExternalName'")
        if spec.ip_families:
            yield forbidden_field("spec.ipFamilies", "may not be set when `type` is 'ExternalName'")
        if spec.ip_family_policy:
            yield forbidden_field("spec.ipFamilyPolicy", "may not be set when `type` is 'ExternalName'")
        name = (spec.external_name or "").removesuffix(".")
        if not name:
            yield required("spec.externalName")
        elif why := subdomain_problem(name):
            yield wrong("spec.externalName", spec.external_name, why)
    elif not spec.ports and not is_headless(spec):
        yield required("spec.ports")
    if needs_node_ports(spec) and is_headless(spec):
        yield wrong("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {spec.type} services")


def _check_ports(spec: ServiceSpec) -> Causes:
    names: set[str] = set()
    numbers: set[tuple[int, str]] = set()
    node_ports: set[tuple[int, str]] = set()
    for index, port in enumerate(spec.ports):
        field = f"spec.ports[{index}]"
        yield from _check_port(port, field, several=len(spec.ports) > 1)
        if port.name in names:
            yield duplicate(f"{field}.name", port.name)
        names |= {port.name} if port.name else set()
        if (port.port, port.protocol) in numbers:
            yield duplicate(field, {"port": port.port, "protocol": port.protocol})
        numbers.add((port.port, port.protocol))
        if port.node_port is None:
            continue
        if not needs_node_ports(spec):
            yield forbidden_field(f"{field}.nodePort", f"may not be used when `type` is '{spec.type}'")
        elif (port.node_port, port.protocol) in node_ports:
            yield duplicate(f"{field}.nodePort", port.node_port)
        node_ports.add((port.node_port, port.protocol))


def _check_port(port: ServicePort, field: str, *, several: bool) -> Causes:
    if several and not port.name:
        yield required(f"{field}.name")
    elif port.name and (why := label_problem(port.name)):
        yield wrong(f"{field}.name", port.name, why)
    if isinstance(port.target_port, str) and (why := port_name_problem(port.target_port)):
        yield wrong(f"{field}.targetPort", port.target_port, why)
    if port.app_protocol and (why := key_problem(port.app_protocol)):
        yield wrong(f"{field}.appProtocol", port.app_protocol, why)


def _check_external_ips(spec: ServiceSpec) -> Causes:
    for index, ip in enumerate(spec.external_ips):
        address = address_in(ip)
        why = NOT_AN_ADDRESS if address is None else unusable(address)
        if why:
            yield wrong(f"spec.externalIPs[{index}]", ip, why)


def _check_policies(spec: ServiceSpec) -> Causes:
    policy = spec.external_traffic_policy
    if policy is not None and not from_outside(spec):
        yield wrong("spec.externalTrafficPolicy", policy, "may only be set for externally-accessible services")
    if spec.health_check_node_port is not None and not needs_health_check_port(spec):
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield wrong("spec.healthCheckNodePort", spec.health_check_node_port, why)
    distribution = spec.traffic_distribution
    if distribution is not None and distribution not in TRAFFIC_DISTRIBUTIONS:
        yield not_supported("spec.trafficDistribution", distribution, TRAFFIC_DISTRIBUTIONS)


def _check_load_balancer(spec: ServiceSpec) -> Causes:
    if spec.type is not ServiceType.LOAD_BALANCER:
        if spec.load_balancer_source_ranges:
            yield forbidden_field("spec.loadBalancerSourceRanges", LOAD_BALANCER_ONLY)
        if spec.allocate_load_balancer_node_ports is not None:
            yield forbidden_field("spec.allocateLoadBalancerNodePorts", LOAD_BALANCER_ONLY)
        if spec.load_balancer_class is not None:
            yield forbidden_field("spec.loadBalancerClass", LOAD_BALANCER_ONLY)
    for index, text in enumerate(spec.load_balancer_source_ranges):
        if not _is_cidr(text.strip()):
            why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            yield wrong(f"spec.loadBalancerSourceRanges[{index}]", text, why)
    name = spec.load_balancer_class
    if name is not None and (why := key_problem(name)):
        yield wrong("spec.loadBalancerClass", name, why)


def _is_cidr(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text
