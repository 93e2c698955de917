"""Every field that a document may have, and what may stand in it.

A type is spelled `[x]` for a list, `{x}` for a mapping of x, or by name: a type with fields, a mapping with rules for
its keys, or a plain value. `!` behind a field says that it must be there. The Kubernetes part is the API of version
1.36 as its clients are generated from it (kubernetes-1.36.json, written by scripts/kubernetes-fields), sharpened by
SHARPER where netlab acts on the value.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from netlab.load import formats
from netlab.load.formats import Check, Complaint
from netlab.load.lab_fields import LAB
from netlab.model.ipvs import Scheduler
from netlab.model.modes import ProxyMode
from netlab.model.objects import PodProtocol, ServiceType, TrafficPolicy
from netlab.model.topology import ExpectedVerdict, Fabric, PodLink


@dataclass(frozen=True, slots=True)
class Value:
    """A plain value."""

    check: Check


@dataclass(frozen=True, slots=True)
class ListOf:
    item: Type


@dataclass(frozen=True, slots=True)
class MappingOf:
    """Keys that the user chooses. `annotated` keys follow the rules for labels' and annotations' keys."""

    item: Type
    annotated: bool = False


@dataclass(frozen=True, slots=True)
class ObjectOf:
    """Fields that are known by name; their types are looked up with `fields`, since types hold one another."""

    name: str


Type = Value | ListOf | MappingOf | ObjectOf


@dataclass(frozen=True, slots=True)
class Field:
    type: Type
    required: bool


PLAIN: dict[str, Check] = {
    "any": formats.any_value,
    "string": formats.string,
    "integer": formats.integer,
    "boolean": formats.boolean,
    "number": formats.number,
    "IntOrString": formats.int_or_string,
    "Quantity": formats.quantity,
    "Port": formats.port,
    "PortReference": formats.port_reference,
    "PortName": formats.port_name,
    "PortRange": formats.port_range,
    "DnsLabel": formats.dns_label,
    "DnsLabelOrEmpty": formats.dns_label_or_empty,
    "DnsSubdomain": formats.dns_subdomain,
    "LabelValue": formats.label_value,
    "Address": formats.address,
    "ClusterIP": formats.cluster_ip,
    "CIDR": formats.cidr,
    "Count": formats.bounded(0),
    "Positive": formats.bounded(1),
    "AffinitySeconds": formats.bounded(1, 86400),
    "Protocol": formats.one_of(PodProtocol),
    "ServiceType": formats.one_of(ServiceType),
    "TrafficPolicy": formats.one_of(TrafficPolicy),
    "IpFamily": formats.one_of(("IPv4", "IPv6")),
    "IpFamilyPolicy": formats.one_of(("SingleStack", "PreferDualStack", "RequireDualStack")),
    "SessionAffinity": formats.one_of(("None", "ClientIP")),
    "Distribution": formats.one_of(("PreferSameZone", "PreferSameNode", "PreferClose")),
    "RestartPolicy": formats.one_of(("Always", "OnFailure", "Never")),
    "AddressType": formats.one_of(("IPv4", "IPv6", "FQDN")),
    "Operator": formats.one_of(("In", "NotIn", "Exists", "DoesNotExist")),
    "Status": formats.one_of(("True", "False", "Unknown")),
    "Phase": formats.one_of(("Pending", "Running", "Succeeded", "Failed", "Unknown")),
    "IpMode": formats.one_of(("VIP", "Proxy")),
    "Scheme": formats.one_of(("HTTP", "HTTPS")),
    "Fabric": formats.one_of(Fabric),
    "PodLink": formats.one_of(PodLink),
    "ProxyMode": formats.one_of(ProxyMode),
    "Scheduler": formats.one_of(Scheduler),
    "Verdict": formats.one_of(ExpectedVerdict),
}

MAPPINGS = {
    "Labels": MappingOf(Value(formats.label_value), annotated=True),
    "Annotations": MappingOf(Value(formats.string), annotated=True),
}

TOPOLOGY: dict[str, dict[str, str]] = {
    "Topology": {"apiVersion!": "string", "kind!": "string", "metadata!": "ObjectMeta", "spec": "TopologySpec"},
    "TopologySpec": {
        "network": "Network",
        "proxy": "Proxy",
        "nodes": "[NodeEntry]",
        "externals": "[External]",
        "expect": "[Expectation]",
    },
    "Network": {
        "podCIDRs": "[CIDR]",
        "serviceCIDRs": "[CIDR]",
        "nodeCIDRs": "[CIDR]",
        "loadBalancerCIDRs": "[CIDR]",
        "nodePortRange": "PortRange",
        "fabric": "Fabric",
        "podLink": "PodLink",
    },
    "Proxy": {"mode": "ProxyMode", "ipvs": "Ipvs", "command": "[string]"},
    "Ipvs": {"scheduler": "Scheduler", "strictARP": "boolean", "excludeCIDRs": "[CIDR]"},
    "NodeEntry": {
        "name!": "DnsSubdomain",
        "labels": "Labels",
        "proxyMode": "ProxyMode",
        "proxyCommand": "[string]",
        "addresses": "[Address]",
        "podCIDRs": "[CIDR]",
    },
    "External": {"name!": "DnsSubdomain", "addresses": "[Address]"},
    "Expectation": {"from!": "string", "to!": "string", "reaches": "[string]", "verdict": "Verdict"},
}

SHARPER: dict[str, dict[str, str]] = {
    "Pod": {"spec!": "PodSpec"},
    "Service": {"spec!": "ServiceSpec"},
    "Deployment": {"spec!": "DeploymentSpec"},
    "PodTemplateSpec": {"spec!": "PodSpec"},
    "ObjectMeta": {"labels": "Labels", "annotations": "Annotations", "namespace": "DnsLabel"},
    "PodSpec": {"nodeSelector": "Labels", "restartPolicy": "RestartPolicy", "nodeName": "DnsSubdomain"},
    "Container": {"name!": "DnsLabel"},
    "ContainerPort": {"containerPort!": "Port", "hostPort": "Port", "protocol": "Protocol", "name": "PortName"},
    "Probe": {
        "initialDelaySeconds": "Count",
        "periodSeconds": "Positive",
        "timeoutSeconds": "Positive",
        "successThreshold": "Positive",
        "failureThreshold": "Positive",
    },
    "HTTPGetAction": {"scheme": "Scheme"},
    "GRPCAction": {"port!": "Port"},
    "PodStatus": {"phase": "Phase"},
    "PodCondition": {"status!": "Status"},
    "NodeCondition": {"status!": "Status"},
    "ServiceSpec": {
        "type": "ServiceType",
        "selector": "Labels",
        "clusterIP": "ClusterIP",
        "clusterIPs": "[ClusterIP]",
        "ipFamilies": "[IpFamily]",
        "ipFamilyPolicy": "IpFamilyPolicy",
        "externalIPs": "[Address]",
        "externalTrafficPolicy": "TrafficPolicy",
        "internalTrafficPolicy": "TrafficPolicy",
        "sessionAffinity": "SessionAffinity",
        "loadBalancerSourceRanges": "[CIDR]",
        "healthCheckNodePort": "Port",
        "trafficDistribution": "Distribution",
    },
    "ServicePort": {"port!": "Port", "nodePort": "Port", "protocol": "Protocol", "name": "DnsLabelOrEmpty"},
    "ClientIPConfig": {"timeoutSeconds": "AffinitySeconds"},
    "LoadBalancerIngress": {"ip": "Address", "ipMode": "IpMode"},
    "EndpointSlice": {"addressType!": "AddressType"},
    "EndpointPort": {"port": "Port", "protocol": "Protocol", "name": "DnsLabelOrEmpty"},
    "Endpoint": {"nodeName": "DnsSubdomain"},
    "LabelSelector": {"matchLabels": "Labels"},
    "LabelSelectorRequirement": {"operator!": "Operator"},
    "DeploymentSpec": {"replicas": "Count"},
}


@cache
def fields(name: str) -> dict[str, Field]:
    """The fields of a type with fields, by name."""
    spelled = TOPOLOGY.get(name) or LAB.get(name) or _kubernetes()[name]
    sharper = {key.rstrip("!"): key for key in SHARPER.get(name, {})}
    chosen = {key: kind for key, kind in spelled.items() if key.rstrip("!") not in sharper} | SHARPER.get(name, {})
    return {key.rstrip("!"): Field(type_of(kind), key.endswith("!")) for key, kind in sorted(chosen.items())}


@cache
def type_of(spelled: str) -> Type:
    """The type that is spelled so."""
    if spelled.startswith("["):
        return ListOf(type_of(spelled[1:-1]))
    if spelled.startswith("{"):
        return MappingOf(type_of(spelled[1:-1]))
    if spelled in MAPPINGS:
        return MAPPINGS[spelled]
    return Value(PLAIN[spelled]) if spelled in PLAIN else ObjectOf(spelled)


def key_complaint(type_: MappingOf, key: str) -> Complaint:
    """What is wrong with a key that the user chose."""
    return formats.label_key(key) if type_.annotated else None


@cache
def _kubernetes() -> dict[str, dict[str, str]]:
    text = Path(__file__).with_name("kubernetes-1.36.json").read_text(encoding="utf-8")
    return {name: {str(key): str(kind) for key, kind in value.items()} for name, value in json.loads(text).items()}
