"""The cluster DNS as Kubernetes objects, as kubeadm puts them into every cluster: Service kube-dns, Deployment coredns.

They are ordinary objects: `netlab get -A`, scale them, delete the Pod and see names fail. A file that has a Service
kube-system/kube-dns of its own, or gives the DNS address to another Service, has the last word: nothing is added.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from netlab.model.objects import (
    Container,
    ContainerPort,
    Deployment,
    DeploymentSpec,
    KubernetesObject,
    LabelSelector,
    ObjectMeta,
    PodProtocol,
    PodSpec,
    PodTemplate,
    Service,
    ServicePort,
    ServiceSpec,
)
from netlab.model.rules import IPAddress
from netlab.model.topology import Cidr, LabFile

CLUSTER_DOMAIN = "cluster.local"
DNS_OFFSET = 10
"""Which address of the Service range the cluster's DNS has."""
IMAGE = "netlab/dns"
"""The image by which a kubelet knows that a container is the DNS server."""
DNS_SERVICE = ("kube-system", "kube-dns")
DNS_DEPLOYMENT = ("kube-system", "coredns")
"""Namespace and name."""
_LABELS = {"k8s-app": "kube-dns"}


def dns_addresses(service_cidrs: Iterable[Cidr]) -> tuple[IPAddress, ...]:
    """The DNS server's address in each Service range; a range of 8 addresses or fewer has none."""
    return tuple(cidr[DNS_OFFSET] for cidr in service_cidrs if cidr.num_addresses > DNS_OFFSET + 1)


def with_cluster_dns(file: LabFile) -> LabFile:
    """The file with the cluster's DNS: its Service first, so that its address is free, its Pods last."""
    addresses = dns_addresses(file.topology.spec.network.service_cidrs)
    if not addresses or any(_stands_in_the_way(value, addresses) for value in file.objects):
        return file
    return file.model_copy(update={"objects": (_service(addresses), *file.objects, _deployment())})


def _stands_in_the_way(value: KubernetesObject, addresses: tuple[IPAddress, ...]) -> bool:
    key = (value.metadata.namespace, value.metadata.name)
    if isinstance(value, Service):
        return key == DNS_SERVICE or any(address in addresses for address in _cluster_ips(value))
    return isinstance(value, Deployment) and key == DNS_DEPLOYMENT


def _cluster_ips(service: Service) -> Iterable[IPAddress]:
    for text in (service.spec.cluster_ip, *service.spec.cluster_ips):
        if text and text != "None":
            yield ip_address(text)


def _metadata(key: tuple[str, str], labels: dict[str, str]) -> ObjectMeta:
    namespace, name = key
    return ObjectMeta(name=name, namespace=namespace, labels=labels)


def _service(addresses: tuple[IPAddress, ...]) -> Service:
    ips = tuple(map(str, addresses))
    labels = {**_LABELS, "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}
    return Service(
        metadata=_metadata(DNS_SERVICE, labels),
        spec=ServiceSpec(
            selector=_LABELS,
            cluster_ip=ips[0],
            cluster_ips=ips,
            ip_family_policy="SingleStack" if len(ips) == 1 else "RequireDualStack",
            ip_families=tuple("IPv4" if address.version == 4 else "IPv6" for address in addresses),
            ports=(
                ServicePort(name="dns", port=53, protocol=PodProtocol.UDP, target_port=53),
                ServicePort(name="dns-tcp", port=53, protocol=PodProtocol.TCP, target_port=53),
            ),
        ),
    )


def _deployment() -> Deployment:
    ports = (
        ContainerPort(name="dns", container_port=53, protocol=PodProtocol.UDP),
        ContainerPort(name="dns-tcp", container_port=53, protocol=PodProtocol.TCP),
    )
    pod = PodSpec(containers=(Container(name="coredns", image=IMAGE, ports=ports),))
    return Deployment(
        metadata=_metadata(DNS_DEPLOYMENT, _LABELS),
        spec=DeploymentSpec(
            replicas=1,
            selector=LabelSelector(match_labels=_LABELS),
            template=PodTemplate(metadata=ObjectMeta(labels=_LABELS), spec=pod),
        ),
    )
