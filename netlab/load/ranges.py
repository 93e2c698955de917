"""The address ranges of a lab: do they keep out of one another's way, and are they large enough?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from itertools import combinations

from netlab.load import formats
from netlab.load.tree import Cursor, Scalar
from netlab.model.rules import IPAddress
from netlab.model.topology import Cidr, Network
from netlab.plan.addresses import overlapping

_FIELDS = {"podCIDRs": "Pod", "serviceCIDRs": "Service", "nodeCIDRs": "node", "loadBalancerCIDRs": "load balancer"}
_DEFAULTS = {
    "podCIDRs": Network().pod_cidrs,
    "serviceCIDRs": Network().service_cidrs,
    "nodeCIDRs": Network().node_cidrs,
    "loadBalancerCIDRs": Network().load_balancer_cidrs,
}
_MAY_BE_EMPTY = frozenset({"loadBalancerCIDRs"})
_CONSEQUENCES = {
    ("podCIDRs", "serviceCIDRs"): "a Pod could get an address that kube-proxy takes for a Service's",
    ("podCIDRs", "nodeCIDRs"): "packets for a node would be routed as if a Pod had its address",
    ("serviceCIDRs", "nodeCIDRs"): "kube-proxy could take a node's own address for a Service's",
    ("podCIDRs", "loadBalancerCIDRs"): "a Pod could get an address that kube-proxy takes for a load balancer's",
    ("serviceCIDRs", "loadBalancerCIDRs"): "two Services could get the same address",
    ("nodeCIDRs", "loadBalancerCIDRs"): "kube-proxy could take a machine's own address for a load balancer's",
}
_FREE = {
    "podCIDRs": ("10.244.0.0/16", "192.168.0.0/16", "fd00:10:244::/56", "fd00:20:244::/56"),
    "serviceCIDRs": ("10.96.0.0/12", "172.30.0.0/16", "fd00:10:96::/112", "fd00:20:96::/112"),
    "nodeCIDRs": ("172.18.0.0/24", "192.0.2.0/24", "fd00:172:18::/64", "fd00:20:18::/64"),
    "loadBalancerCIDRs": ("172.18.255.0/28", "192.0.2.240/28", "fd00:172:18:ff::/120", "fd00:20:18:ff::/120"),
}
_RESERVED = {
    "0.0.0.0/8": "this network (RFC 1122)",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local; netlab's point-to-point Pod links use it",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
    "::/127": "unspecified and loopback",
    "::ffff:0:0/96": "IPv4 inside IPv6",
    "fe80::/10": "link-local",
    "ff00::/8": "multicast",
}


@dataclass(frozen=True, slots=True)
class Written:
    """One range and the place where the file says it; for a default that is where it could be said."""

    field: str
    range: Cidr
    cursor: Cursor

    @property
    def title(self) -> str:
        """How a problem calls it: `the Service range 10.96.0.0/12`, with `(the default)` where the file says none."""
        default = "" if self.cursor.present else " (the default)"
        return f"the {_FIELDS[self.field]} range {self.range}{default}"


@dataclass(frozen=True, slots=True)
class Ranges:
    """What can be read of the ranges. `sound` False: some of a field's ranges cannot be read."""

    all: tuple[Written, ...]
    sound: bool

    def of(self, field: str) -> tuple[Written, ...]:
        """The ranges of one field."""
        return tuple(written for written in self.all if written.field == field)

    def versions(self, field: str) -> set[int]:
        """The IP versions (4, 6) of one field's ranges."""
        return {written.range.version for written in self.of(field)}


def read_ranges(topology: Cursor) -> Ranges:
    """The ranges that the file says, with the defaults for those it does not."""
    found: list[Written] = []
    sound = True
    for field, default in _DEFAULTS.items():
        cursor = topology.get("spec", "network", field)
        if not cursor.present:
            found += [Written(field, cidr, cursor) for cidr in default]
            continue
        written = [Written(field, cidr, item) for item in cursor.items() if (cidr := read_range(item))]
        sound = sound and len(written) == len(cursor.items()) and (bool(written) or field in _MAY_BE_EMPTY)
        found += written
    return Ranges(tuple(found), sound)


def read_range(cursor: Cursor) -> Cidr | None:
    """The range that stands there, if it is a valid one."""
    if not isinstance(cursor.node, Scalar) or formats.cidr(cursor.node):
        return None
    return ip_network(cursor.text)


def check_ranges(topology: Cursor, ranges: Ranges) -> None:
    """Report ranges that overlap, that cannot be used, or whose families do not go together."""
    for field in _FIELDS:
        _check_field(topology.get("spec", "network", field), ranges.of(field))
    for one, other in combinations(ranges.all, 2):
        if one.field != other.field and overlap(one.range, other.range):
            _report_overlap(one, other, ranges)
    if ranges.sound:
        _check_families(ranges)


def overlap(one: Cidr, other: Cidr) -> bool:
    """Whether two ranges, of whatever family, share an address."""
    return bool(overlapping({"one": one, "other": other}))


def within(address: IPAddress, ranges: Sequence[Written]) -> Written | None:
    """The range that holds the address."""
    return next((written for written in ranges if address in written.range), None)


def _check_field(cursor: Cursor, ranges: tuple[Written, ...]) -> None:
    field = cursor.path.rsplit(".", 1)[-1]
    if cursor.present and not cursor.items() and field not in _MAY_BE_EMPTY:
        cursor.error("holds no range", f"write for instance [{_FREE[field][0]}]")
    seen: dict[int, Written] = {}
    for written in ranges:
        first = seen.setdefault(written.range.version, written)
        if first is not written:
            message = f"{written.range} is a second IPv{written.range.version} range beside {first.range}"
            written.cursor.error(message, "at most one range of each family")
        for reserved, use in _RESERVED.items():
            if overlap(written.range, ip_network(reserved)):
                written.cursor.error(f"{written.range} overlaps {reserved}, which is {use}")


def _report_overlap(one: Written, other: Written, ranges: Ranges) -> None:
    at, against = (one, other) if one.cursor.present else (other, one)
    consequence = _CONSEQUENCES[(one.field, other.field)]
    message = f"{at.range} overlaps {against.title}: {consequence}"
    at.cursor.error(message, _free_range(at, ranges))


def _free_range(at: Written, ranges: Ranges) -> str:
    others = [written.range for written in ranges.all if written is not at]
    for text in _FREE[at.field]:
        candidate = ip_network(text)
        if candidate.version == at.range.version and not any(overlap(candidate, other) for other in others):
            return f"{candidate} is free, for instance"
    return ""


def _check_families(ranges: Ranges) -> None:
    """Services need Pods of their family to lead to, Pods nodes to be routed by, and load balancers Services."""
    pairs = (("serviceCIDRs", "podCIDRs"), ("podCIDRs", "nodeCIDRs"), ("loadBalancerCIDRs", "serviceCIDRs"))
    for field, needed in pairs:
        for version in sorted(ranges.versions(field) - ranges.versions(needed)):
            written = next(written for written in ranges.of(field) if written.range.version == version)
            message = f"{written.title} is IPv{version}, and there is no IPv{version} {_FIELDS[needed]} range"
            example = next(text for text in _FREE[needed] if ip_network(text).version == version)
            written.cursor.error(message, f"add {example} to spec.network.{needed}, for instance")
