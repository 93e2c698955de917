"""For what Kubernetes refuses a Service."""

from __future__ import annotations

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
from netlab.api.admission.names import check_labels, key_problem, label_problem, port_name_problem, subdomain_problem
from netlab.api.admission.service_defaults import is_headless, needs_cluster_ip, needs_node_ports
from netlab.api.admission.service_outside_checks import check_outside, check_outside_update
from netlab.model.objects import Service, ServicePort, ServiceSpec, ServiceType

NOT_FOR_EXTERNAL_NAMES = "may not be set for ExternalName services"


def check_service(service: Service) -> Causes:
    """The causes against a Service that has its defaults, but for its families and addresses."""
    spec = service.spec
    yield from _check_type(spec)
    yield from _check_ports(spec)
    yield from check_labels("spec.selector", spec.selector or {})
    yield from _check_external_ips(spec)
    yield from _check_numbers(spec)
    yield from check_outside(service)


def check_service_update(service: Service, before: Service) -> Causes:
    """The causes against a Service on account of what it was: a clusterIP does not change."""
    spec, was = service.spec, before.spec
    if needs_cluster_ip(spec) and needs_cluster_ip(was) and not (is_headless(spec) and is_headless(was)):
        for index, (ip, had) in enumerate(zip(spec.cluster_ips, was.cluster_ips, strict=False)):
            if ip != had:
                yield wrong(f"spec.clusterIPs[{index}]", list(spec.cluster_ips), "may not change once set")
        if not is_headless(spec) and not is_headless(was) and spec.ip_families[:1] != was.ip_families[:1]:
            yield wrong("spec.ipFamilies[0]", list(spec.ip_families), "may not change once set")
    yield from check_outside_update(spec, was)


def _check_type(spec: ServiceSpec) -> Causes:
    if spec.type is ServiceType.EXTERNAL_NAME:
        yield from _check_external_name(spec)
    elif not spec.ports and not is_headless(spec):
        yield required("spec.ports")
    if needs_node_ports(spec) and is_headless(spec):
        yield wrong("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {spec.type} services")


def _check_external_name(spec: ServiceSpec) -> Causes:
    if spec.cluster_ips:
        yield forbidden_field("spec.clusterIPs", NOT_FOR_EXTERNAL_NAMES)
    if spec.ip_families:
        yield forbidden_field("spec.ipFamilies", NOT_FOR_EXTERNAL_NAMES)
    if spec.ip_family_policy:
        yield forbidden_field("spec.ipFamilyPolicy", NOT_FOR_EXTERNAL_NAMES)
    name = (spec.external_name or "").removesuffix(".")
    if not name:
        yield required("spec.externalName")
    elif why := subdomain_problem(name):
        yield wrong("spec.externalName", name, why)


def _check_ports(spec: ServiceSpec) -> Causes:
    names: set[str] = set()
    for index, port in enumerate(spec.ports):
        field = f"spec.ports[{index}]"
        yield from _check_port(port, field, several=len(spec.ports) > 1)
        if port.name in names:
            yield duplicate(f"{field}.name", port.name)
        names |= {port.name} if port.name else set()


def _check_numbers(spec: ServiceSpec) -> Causes:
    """Port numbers that only some types may have, and those that two ports would share."""
    if spec.type is ServiceType.CLUSTER_IP:
        for index, port in enumerate(spec.ports):
            if port.node_port is not None:
                yield forbidden_field(f"spec.ports[{index}].nodePort", "may not be used when `type` is 'ClusterIP'")
    node_ports: set[tuple[int, str]] = set()
    for index, port in enumerate(spec.ports):
        if port.node_port is not None:
            if (port.node_port, port.protocol) in node_ports:
                yield duplicate(f"spec.ports[{index}].nodePort", port.node_port)
            node_ports.add((port.node_port, port.protocol))
    numbers: set[tuple[int, str]] = set()
    for index, port in enumerate(spec.ports):
        if (port.port, port.protocol) in numbers:
            yield duplicate(f"spec.ports[{index}]", _as_internal(port))
        numbers.add((port.port, port.protocol))


def _as_internal(port: ServicePort) -> dict[str, object]:
    """A port as kube-apiserver prints its own type for one: names in capitals, and empty what was not compared."""
    return {
        "Name": "",
        "Protocol": port.protocol,
        "AppProtocol": None,
        "Port": port.port,
        "TargetPort": 0,
        "NodePort": 0,
    }


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
