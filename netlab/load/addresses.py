"""Addresses and ports that the file gives out by hand: inside their ranges, and each to one only."""

from __future__ import annotations

from ipaddress import ip_address

from netlab.dns.addon import DNS_SERVICE, dns_addresses
from netlab.load import formats
from netlab.load.documents import Document, Documents
from netlab.load.ranges import Ranges, Written, overlap, read_range, within
from netlab.load.tree import Cursor, Scalar
from netlab.model.rules import IPAddress
from netlab.model.topology import Cidr, Network
from netlab.plan.control_plane import KUBERNETES, kubernetes_address


def check_addresses(topology: Cursor, documents: Documents, ranges: Ranges) -> None:
    """Report every address, range or port that is out of its range, or taken already."""
    machines = (*topology.get("spec", "nodes").items(), *topology.get("spec", "externals").items())
    taken: dict[IPAddress, tuple[str, Cursor]] = {}
    for machine in machines:
        _check_machine(machine, ranges.of("nodeCIDRs"), taken)
    _check_shares(topology, ranges.of("podCIDRs"))
    services = documents.of("Service")
    _check_cluster_ips(services, ranges)
    _warn_load_balancers(services, topology.get("spec", "network", "loadBalancerCIDRs"), ranges)
    _check_node_ports(services, topology.get("spec", "network", "nodePortRange"))


def _check_machine(machine: Cursor, ranges: tuple[Written, ...], taken: dict[IPAddress, tuple[str, Cursor]]) -> None:
    versions: set[int] = set()
    for cursor in machine.get("addresses").items():
        if (address := _address(cursor)) is None:
            continue
        if address.version in versions:
            cursor.error(
                f"{address} is a second IPv{address.version} address of this machine", "give it one of each family"
            )
        versions.add(address.version)
        home = within(address, ranges)
        if home is None:
            cursor.error(f"{address} is not in {_titles(ranges)}", "choose an address of that range")
        elif address in _special(home.range):
            cursor.error(f"{address} is {_special(home.range)[address]} of {home.title}", "choose another address")
        _check_taken(cursor, address, owner=machine.get("name").text or cursor.path, taken=taken)


def _special(range_: Cidr) -> dict[IPAddress, str]:
    """The addresses that no machine may have: the network's own, the router's, the broadcast address."""
    special: dict[IPAddress, str] = {range_[0]: "the network's own address", range_[1]: "the router's address"}
    return special | ({range_[-1]: "the broadcast address"} if range_.version == 4 else {})


def _check_taken(cursor: Cursor, address: IPAddress, *, owner: str, taken: dict[IPAddress, tuple[str, Cursor]]) -> None:
    first, where = taken.setdefault(address, (owner, cursor))
    if where is not cursor:
        cursor.error(f"{address} is taken already", f"{first} has it, in line {where.mark.line}")


def _titles(ranges: tuple[Written, ...]) -> str:
    return " or ".join(written.title for written in ranges) or "any range"


def _address(cursor: Cursor) -> IPAddress | None:
    return ip_address(cursor.text) if formats.is_address(cursor.text) else None


def _check_shares(topology: Cursor, ranges: tuple[Written, ...]) -> None:
    """The Pod ranges that nodes are given by hand."""
    seen: list[tuple[Cidr, Cursor]] = []
    for node in topology.get("spec", "nodes").items():
        versions: set[int] = set()
        for cursor in node.get("podCIDRs").items():
            if (share := read_range(cursor)) is None:
                continue
            if share.version in versions:
                cursor.error(f"{share} is a second IPv{share.version} range of this node")
            versions.add(share.version)
            if not any(_inside(share, written.range) for written in ranges):
                cursor.error(f"{share} is not in {_titles(ranges)}", "choose a part of that range")
            for other, where in seen:
                if overlap(share, other):
                    cursor.error(f"{share} overlaps {other}", f"{where.path} has it, in line {where.mark.line}")
            seen.append((share, cursor))


def _inside(part: Cidr, whole: Cidr) -> bool:
    return part.version == whole.version and part[0] in whole and part[-1] in whole


def _check_cluster_ips(services: tuple[Document, ...], ranges: Ranges) -> None:
    taken: dict[IPAddress, tuple[str, Cursor]] = {}
    of_dns = dns_addresses(written.range for written in ranges.of("serviceCIDRs"))
    of_api = kubernetes_address(written.range for written in ranges.of("serviceCIDRs"))
    for service in services:
        spec = service.cursor.get("spec")
        if spec.get("type").text == "ExternalName":
            continue
        listed = spec.get("clusterIPs").items() or (spec.get("clusterIP"),)
        versions: set[int] = set()
        for cursor in listed:
            if (address := _address(cursor)) is None:
                continue
            if address.version in versions:
                cursor.error(f"{address} is a second IPv{address.version} address of this Service")
            versions.add(address.version)
            _check_cluster_ip(cursor, address, ranges.of("serviceCIDRs"))
            _check_taken(cursor, address, owner=service.title, taken=taken)
            if address in of_dns and (service.namespace, service.name) != DNS_SERVICE:
                message = f"{address} is where Pods look for the cluster's DNS: in this lab no name resolves"
                cursor.warn(message, "choose another address")
            if address == of_api and (service.namespace, service.name) != KUBERNETES:
                cursor.error(f"{address} is taken already", "the API server has it, as the Service default/kubernetes")
        _check_families(spec, ranges)


def _check_cluster_ip(cursor: Cursor, address: IPAddress, ranges: tuple[Written, ...]) -> None:
    home = within(address, ranges)
    if home is None:
        cursor.error(f"{address} is not in {_titles(ranges)}", "leave it out, and a free one is found")
    elif home.range.num_addresses > 2 and address in (home.range[0], home.range[-1]):
        edge = "first" if address == home.range[0] else "last"
        if edge == "first" or address.version == 4:
            cursor.error(f"{address} is the {edge} address of {home.title}, which no Service can have")


def _warn_load_balancers(services: tuple[Document, ...], pool: Cursor, ranges: Ranges) -> None:
    """Tell of load balancers that will wait for an address, as Kubernetes lets them do."""
    taken: dict[IPAddress, str] = {}
    for service in services:
        spec = service.cursor.get("spec")
        if spec.get("type").text != "LoadBalancer" or spec.get("loadBalancerClass").present:
            continue
        wish = spec.get("loadBalancerIP")
        if not pool.items():
            message = f"{service.title} gets no address: the lab has no range for load balancers"
            spec.get("type").warn(message, "write spec.network.loadBalancerCIDRs: [172.18.255.0/28], for instance")
        elif (address := _address(wish)) and within(address, ranges.of("loadBalancerCIDRs")) is None:
            wish.warn(f"{address} is not in {_titles(ranges.of('loadBalancerCIDRs'))}: nobody will give it out")
        elif address and taken.setdefault(address, service.title) != service.title:
            wish.warn(f"{address} goes to {taken[address]}, which asks for it too")


def _check_families(spec: Cursor, ranges: Ranges) -> None:
    """A Service can only be of the families that the lab's Service range has."""
    versions = ranges.versions("serviceCIDRs")
    policy = spec.get("ipFamilyPolicy")
    if not ranges.sound:
        return
    if policy.text == "RequireDualStack" and versions != {4, 6}:
        message = "this lab is not dual-stack: its Service range is " + " and ".join(
            f"IPv{v}" for v in sorted(versions)
        )
        policy.error(message, "write PreferDualStack, or give spec.network a range of each family")
    for family in spec.get("ipFamilies").items():
        if family.text in ("IPv4", "IPv6") and int(family.text[-1]) not in versions:
            family.error(f"this lab has no {family.text} Service range", "add one to spec.network.serviceCIDRs")


def _check_node_ports(services: tuple[Document, ...], allowed: Cursor) -> None:
    text = allowed.text if allowed.present else Network().node_port_range
    if isinstance(allowed.node, Scalar) and formats.port_range(allowed.node):
        return
    lowest, highest = map(int, text.split("-"))
    taken: dict[int, tuple[Document, Cursor]] = {}
    for service in services:
        own: set[tuple[int, str]] = set()
        for port in service.cursor.get("spec", "ports").items():
            cursor = port.get("nodePort")
            if (number := cursor.number) is None or not 1 <= number <= 65535:
                continue
            if not lowest <= number <= highest:
                cursor.error(
                    f"{number} is not in the range of NodePorts {text}", "leave it out, and a free one is found"
                )
            protocol = port.get("protocol").text or "TCP"
            first, where = taken.setdefault(number, (service, cursor))
            if first is not service or (number, protocol) in own:
                cursor.error(f"port {number} is taken already", f"{first.title} has it, in line {where.mark.line}")
            own.add((number, protocol))
