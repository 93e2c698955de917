"""For what Kubernetes refuses a Service on account of how it is reached from outside the cluster."""

from __future__ import annotations

from ipaddress import ip_network

from netlab.api.admission.causes import NOT_AN_ADDRESS, Causes, address_in, forbidden_field, wrong
from netlab.api.admission.causes import unsupported as not_supported
from netlab.api.admission.names import key_problem, subdomain_problem
from netlab.api.admission.service_defaults import from_outside, needs_health_check_port
from netlab.model.objects import LoadBalancerIngress, Service, ServiceSpec, ServiceType

LOAD_BALANCER_ONLY = "may only be used when `type` is 'LoadBalancer'"
SOURCE_RANGES_ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges"
TRAFFIC_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")


def check_outside(service: Service) -> Causes:
    """The causes against a Service's load balancer, policies and traffic distribution."""
    yield from _check_source_ranges(service)
    yield from _check_load_balancer(service.spec)
    yield from _check_policies(service.spec)


def check_outside_update(spec: ServiceSpec, was: ServiceSpec) -> Causes:
    """The causes against a change of what stays as long as the type does."""
    if spec.type is was.type is ServiceType.LOAD_BALANCER and spec.load_balancer_class != was.load_balancer_class:
        yield wrong("spec.loadBalancerClass", spec.load_balancer_class, "may not change once set")
    both_checked = needs_health_check_port(spec) and needs_health_check_port(was)
    if both_checked and spec.health_check_node_port != was.health_check_node_port:
        yield forbidden_field("spec.healthCheckNodePort", "field is immutable")


def check_status(service: Service) -> Causes:
    """The causes against a Service's status: what a load balancer's controller wrote there."""
    ingress = service.status.load_balancer.ingress
    if ingress and service.spec.type is not ServiceType.LOAD_BALANCER:
        why = "may only be used when `spec.type` is 'LoadBalancer'"
        yield forbidden_field("status.loadBalancer.ingress", why)
        return
    for index, each in enumerate(ingress):
        yield from _check_ingress(each, f"status.loadBalancer.ingress[{index}]")


def _check_ingress(ingress: LoadBalancerIngress, field: str) -> Causes:
    if ingress.ip and address_in(ingress.ip) is None:
        yield wrong(f"{field}.ip", ingress.ip, NOT_AN_ADDRESS)
    if ingress.ip_mode and not ingress.ip:
        yield forbidden_field(f"{field}.ipMode", "may not be specified when `ip` is not set")
    name = ingress.hostname or ""
    if name and (why := subdomain_problem(name)):
        yield wrong(f"{field}.hostname", name, why)
    if name and address_in(name):
        yield wrong(f"{field}.hostname", name, "must be a DNS name, not an IP address")


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


def _check_source_ranges(service: Service) -> Causes:
    """The field, which kube-apiserver spells with a capital, or else the annotation that came before it."""
    ranges = service.spec.load_balancer_source_ranges
    annotation = service.metadata.annotations.get(SOURCE_RANGES_ANNOTATION)
    if ranges:
        field = "spec.LoadBalancerSourceRanges"
        named = [(f"{field}[{index}]", text) for index, text in enumerate(ranges)]
    elif annotation is not None:
        field = f"metadata.annotations[{SOURCE_RANGES_ANNOTATION}]"
        named = [(field, text) for text in annotation.split(",") if annotation.strip()]
    else:
        return
    if service.spec.type is not ServiceType.LOAD_BALANCER:
        yield forbidden_field(field, LOAD_BALANCER_ONLY)
    for path, text in named:
        if not _is_cidr(text.strip()):
            yield wrong(path, text.strip(), "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")


def _check_load_balancer(spec: ServiceSpec) -> Causes:
    name = spec.load_balancer_class
    if spec.type is ServiceType.LOAD_BALANCER:
        if name is not None and (why := key_problem(name)):
            yield wrong("spec.loadBalancerClass", name, why)
        return
    if spec.allocate_load_balancer_node_ports is not None:
        yield forbidden_field("spec.allocateLoadBalancerNodePorts", LOAD_BALANCER_ONLY)
    if name is not None:
        yield forbidden_field("spec.loadBalancerClass", LOAD_BALANCER_ONLY)


def _is_cidr(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text and text.rpartition("/")[2].isdigit() and "%" not in text
