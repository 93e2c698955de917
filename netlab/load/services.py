"""The rules for Services and EndpointSlices that go beyond single fields."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from ipaddress import ip_address

from netlab.load import formats
from netlab.load.documents import Document, Documents
from netlab.load.pods import containers, port_names
from netlab.load.tree import Cursor
from netlab.model.objects import SERVICE_NAME_LABEL

_EXTERNAL_TYPES = ("NodePort", "LoadBalancer")
Backend = tuple[Mapping[str, str], Cursor]
"""What a selector is held against: a Pod's labels and its spec."""


def check_services(documents: Documents) -> None:
    """Report what kube-apiserver would refuse in a Service or an EndpointSlice."""
    for document in documents.of("Service"):
        spec = document.cursor.get("spec")
        if spec.present:
            _check_type(spec)
            _check_ports(spec)
            _check_policies(spec)
    for document in documents.of("EndpointSlice"):
        _check_slice(document.cursor)


def _check_type(spec: Cursor) -> None:
    kind = spec.get("type").text
    if kind == "ExternalName":
        if not spec.get("externalName").text:
            spec.get("externalName").error("is missing", "an ExternalName Service leads to a DNS name")
    elif not spec.get("ports").items() and spec.get("clusterIP").text != "None":
        spec.get("ports").error("is missing" if not spec.get("ports").present else "holds no port", "add - port: 80")
    if spec.get("clusterIP").text == "None" and kind in _EXTERNAL_TYPES:
        spec.get("clusterIP").error(f'may not be "None" (headless) for type {kind}')
    first, listed = spec.get("clusterIP"), spec.get("clusterIPs").items()
    if listed and not first.text:
        first.error("is missing", f"the first of clusterIPs is clusterIP: write {listed[0].text}")
    elif listed and listed[0].text != first.text:
        listed[0].error(f"must be {first.text}, as clusterIP says", "the first of clusterIPs is clusterIP")


def _check_ports(spec: Cursor) -> None:
    ports = spec.get("ports").items()
    names: set[str] = set()
    numbers: set[tuple[int, str]] = set()
    for port in ports:
        name, number = port.get("name"), port.get("port")
        if len(ports) > 1 and not name.text:
            name.error("is missing: each port of a Service with several has a name", "add name: ...")
        if name.text in names:
            name.error(f'two ports are called "{name.text}"')
        names |= {name.text} - {""}
        protocol = port.get("protocol").text or "TCP"
        if number.number is not None and (number.number, protocol) in numbers:
            number.error(f"port {number.number} over {protocol} is here a second time")
        numbers |= {(number.number, protocol)} if number.number is not None else set()
        kind = spec.get("type").text or "ClusterIP"
        if port.get("nodePort").present and kind in ("ClusterIP", "ExternalName"):
            port.get("nodePort").error(f"may not be used when type is {kind}", "write type: NodePort")


def _check_policies(spec: Cursor) -> None:
    policy = spec.get("externalTrafficPolicy")
    outside = spec.get("type").text in _EXTERNAL_TYPES or spec.get("externalIPs").items()
    if policy.present and not outside:
        policy.error("may only be set for a Service that can be reached from outside", "write type: NodePort")
    if spec.get("sessionAffinityConfig").present and spec.get("sessionAffinity").text != "ClientIP":
        spec.get("sessionAffinityConfig").error("needs sessionAffinity: ClientIP beside it")
    _check_families(spec)


def _check_families(spec: Cursor) -> None:
    families = [family.text for family in spec.get("ipFamilies").items()]
    addresses = spec.get("clusterIPs").items() or (spec.get("clusterIP"),)
    if len(set(families)) != len(families):
        spec.get("ipFamilies").error("names a family twice", "write [IPv4], [IPv6], or both in the order you like")
    if spec.get("ipFamilyPolicy").text == "SingleStack" and max(len(families), len(addresses)) > 1:
        spec.get("ipFamilyPolicy").error("SingleStack has one family, and here are two", "write RequireDualStack")
    for family, address in zip(families, addresses, strict=False):
        if formats.is_address(address.text) and f"IPv{ip_address(address.text).version}" != family:
            address.error(f"{address.text} is not an {family} address, which ipFamilies puts here")


def _check_slice(cursor: Cursor) -> None:
    kind = cursor.get("addressType").text
    for endpoint in cursor.get("endpoints").items():
        if endpoint.get("addresses").present and not endpoint.get("addresses").items():
            endpoint.get("addresses").error("holds no address")
        for address in endpoint.get("addresses").items():
            if kind in ("IPv4", "IPv6") and address.text:
                fits = formats.is_address(address.text) and f"IPv{ip_address(address.text).version}" == kind
                if not fits:
                    address.error(f"{formats.shown(address.text)} is not an {kind} address, as addressType says")


def warn_selectors(documents: Documents) -> None:
    """Warn about Services that choose no Pod of the file, and ports that no chosen Pod answers on."""
    backends = _backends(documents)
    chosen: dict[tuple[str, frozenset[tuple[str, str]]], list[Cursor]] = {}
    services = documents.of("Service")
    for service in services:
        wanted = service.cursor.get("spec", "selector").labels.items()
        key = (service.namespace, frozenset(wanted))
        if wanted and key not in chosen:
            alike = backends.get((service.namespace, *next(iter(wanted))), [])
            chosen[key] = [spec for labels, spec in alike if wanted <= labels.items()]
        if wanted:
            _warn_selector(service, chosen[key])
    names = {(service.namespace, service.name) for service in services}
    for slice_ in documents.of("EndpointSlice"):
        label = slice_.cursor.get("metadata", "labels", SERVICE_NAME_LABEL)
        if label.text and (slice_.namespace, label.text) not in names:
            label.warn(f'there is no Service "{label.text}" in the file')


def _backends(documents: Documents) -> dict[tuple[str, str, str], list[Backend]]:
    """The Pods of the file, and those that Deployments will make, by namespace and each of their labels."""
    found: defaultdict[tuple[str, str, str], list[Backend]] = defaultdict(list)
    for document in documents.of("Pod", "Deployment"):
        pod = document.cursor if document.kind == "Pod" else document.cursor.get("spec", "template")
        labels, spec = pod.get("metadata", "labels").labels, pod.get("spec")
        for key, value in labels.items():
            found[document.namespace, key, value].append((labels, spec))
    return found


def _warn_selector(service: Document, chosen: list[Cursor]) -> None:
    selector = service.cursor.get("spec", "selector")
    if not chosen:
        terms = ",".join(f"{key}={value}" for key, value in selector.labels.items())
        selector.warn(f"no Pod of the file has the labels {terms}: the Service will have no endpoints")
    else:
        for port in service.cursor.get("spec", "ports").items():
            _warn_target(port, chosen)


def _warn_target(port: Cursor, chosen: list[Cursor]) -> None:
    target = port.get("targetPort") if port.get("targetPort").present else port.get("port")
    if target.text:
        if not any(target.text in port_names(spec) for spec in chosen):
            target.warn(f'no Pod that the Service chooses has a port called "{target.text}"')
        return
    protocol = port.get("protocol").text or "TCP"
    if target.number and not any(_listens(spec, target.number, protocol) for spec in chosen):
        message = f"no Pod that the Service chooses declares containerPort {target.number} over {protocol}"
        target.warn(message, "the built-in server listens on declared ports only")


def _listens(spec: Cursor, number: int, protocol: str) -> bool:
    """A container with a command of its own may listen wherever it likes."""
    for container in containers(spec):
        if container.get("command").present:
            return True
        for port in container.get("ports").items():
            if (port.get("containerPort").number, port.get("protocol").text or "TCP") == (number, protocol):
                return True
    return False
