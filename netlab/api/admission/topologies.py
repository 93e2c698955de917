"""The Topology's way in: its ranges must not overlap, and every address is given out here, for good."""

from __future__ import annotations

from netlab.api.admission.causes import Causes, address_in, duplicate, required, wrong
from netlab.api.admission.names import check_labels, check_metadata, subdomain_problem
from netlab.api.statuses import Cause, invalid
from netlab.errors import InvalidInput
from netlab.model.topology import Cidr, External, Network, NodeEntry, Topology
from netlab.plan.addresses import complete, overlapping

RANGES = ("podCIDRs", "serviceCIDRs", "nodeCIDRs", "loadBalancerCIDRs")
NEEDED = RANGES[:3]
CONSEQUENCES = {
    ("podCIDRs", "serviceCIDRs"): "a Pod could get the address of a Service, and its packets would go elsewhere",
    ("podCIDRs", "nodeCIDRs"): "packets for a node would be routed as if a Pod had its address",
    ("serviceCIDRs", "nodeCIDRs"): "a Service could get the address of a node, and take its packets",
    ("podCIDRs", "loadBalancerCIDRs"): "a Pod could get the address of a load balancer, and never see its packets",
    ("serviceCIDRs", "loadBalancerCIDRs"): "two Services could get the same address",
    ("nodeCIDRs", "loadBalancerCIDRs"): "a load balancer could get the address of a node, and take its packets",
}


def completed(topology: Topology, before: Topology | None) -> Topology:
    """The Topology with every address spelled out. Raises Refusal where a range is too small for it."""
    try:
        return complete(topology, before)
    except InvalidInput as error:
        causes = (Cause(reason="FieldValueInvalid", message=p.message, field=p.path) for p in error.problems)
        raise invalid(Topology, topology.metadata.name, tuple(causes)) from error


def check_topology(topology: Topology, before: Topology | None = None) -> Causes:
    """The causes against a Topology, apart from clashes of names."""
    yield from check_metadata(topology)
    network = topology.spec.network
    yield from _check_ranges(network)
    yield from _check_port_range(network)
    if before is not None:
        yield from _check_same_ranges(network, before.spec.network)
    yield from _check_machines(topology)


def _ranges(network: Network) -> dict[str, Cidr]:
    cidrs = (network.pod_cidrs, network.service_cidrs, network.node_cidrs, network.load_balancer_cidrs)
    named = zip(RANGES, cidrs, strict=True)
    return {f"{name}[{index}]": cidr for name, cidrs in named for index, cidr in enumerate(cidrs)}


def _check_ranges(network: Network) -> Causes:
    ranges = _ranges(network)
    for name in RANGES:
        versions = [cidr.version for field, cidr in ranges.items() if field.startswith(name)]
        if not versions and name in NEEDED:
            yield required(f"spec.network.{name}")
        if len(set(versions)) < len(versions):
            why = "at most one range of each address family"
            listed = [str(cidr) for field, cidr in ranges.items() if field.startswith(name)]
            yield wrong(f"spec.network.{name}", listed, why)
    for one, other in overlapping(ranges):
        pair = (one.partition("[")[0], other.partition("[")[0])
        if pair in CONSEQUENCES:
            why = f"overlaps with {pair[1]} {ranges[other]}: {CONSEQUENCES[pair]}"
            yield wrong(f"spec.network.{one}", str(ranges[one]), why)


def _check_port_range(network: Network) -> Causes:
    first, _, last = network.node_port_range.partition("-")
    if not 1 <= int(first) <= int(last) <= 65535:
        yield wrong("spec.network.nodePortRange", network.node_port_range, "is no range of ports, e.g. 30000-32767")


def _check_same_ranges(network: Network, before: Network) -> Causes:
    why = "may not change while the lab is up: take it down first"
    if network.pod_cidrs != before.pod_cidrs:
        yield wrong("spec.network.podCIDRs", [str(cidr) for cidr in network.pod_cidrs], why)
    if network.service_cidrs != before.service_cidrs:
        yield wrong("spec.network.serviceCIDRs", [str(cidr) for cidr in network.service_cidrs], why)
    if network.node_cidrs != before.node_cidrs:
        yield wrong("spec.network.nodeCIDRs", [str(cidr) for cidr in network.node_cidrs], why)
    if network.load_balancer_cidrs != before.load_balancer_cidrs:
        yield wrong("spec.network.loadBalancerCIDRs", [str(cidr) for cidr in network.load_balancer_cidrs], why)
    if network.node_port_range != before.node_port_range:
        yield wrong("spec.network.nodePortRange", network.node_port_range, why)


def _check_machines(topology: Topology) -> Causes:
    taken: set[str] = set()
    spec = topology.spec
    entries: tuple[tuple[str, NodeEntry | External], ...] = (
        *((f"spec.nodes[{index}]", node) for index, node in enumerate(spec.nodes)),
        *((f"spec.externals[{index}]", external) for index, external in enumerate(spec.externals)),
    )
    for field, machine in entries:
        if why := subdomain_problem(machine.name):
            yield wrong(f"{field}.name", machine.name, why)
        if isinstance(machine, NodeEntry):
            yield from check_labels(f"{field}.labels", machine.labels)
        for index, text in enumerate(machine.addresses):
            address = address_in(text)
            if address is None or not any(address in cidr for cidr in spec.network.node_cidrs):
                ranges = ", ".join(str(cidr) for cidr in spec.network.node_cidrs)
                yield wrong(f"{field}.addresses[{index}]", text, f"is no address of nodeCIDRs {ranges}")
            elif str(address) in taken:
                yield duplicate(f"{field}.addresses[{index}]", text)
            taken.add(str(address))
