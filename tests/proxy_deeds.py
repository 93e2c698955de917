"""Anything that users and controllers may do to a few Services, their EndpointSlices and the node, deed by deed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from hypothesis import strategies as st
from proxy_objects import GONE, LEAVING, UNREADY, Conditions, endpoint, endpoint_slice, node, service

from netlab.model.objects import EndpointSlice, KubernetesObject, Service

NODE, NODE_6 = "192.168.50.11", "fd00:50::11"
PORTS: dict[str, tuple[int, str]] = {
    "": (80, "TCP"),
    "http": (80, "TCP"),
    "high": (30080, "TCP"),
    "dns": (53, "UDP"),
    "dns-tcp": (53, "TCP"),
    "signal": (80, "SCTP"),
}
"""The ports that a Service may have, by name. `high` is a node port's number."""
SETS_OF_PORTS = ((), ("",), ("dns",), ("high",), ("dns", "dns-tcp"), ("http", "signal"), ("dns", "http", "high"))
FAMILIES = {"4": ["10.96.0.{}"], "6": ["fd00:10:96::{}"], "46": ["10.96.0.{}", "fd00:10:96::{}"]}
EXTERNAL = ("203.0.113.20", "2001:db8::20", NODE, NODE_6)
BALANCED = ((), ("203.0.113.1",), ("203.0.113.1", "2001:db8::1"), ("2001:db8::1",), (NODE,))
"""What a load balancer gives."""
RANGES: tuple[list[str], ...] = ([], ["198.51.100.0/24"], ["192.168.50.0/24", "192.168.0.0/16", "fd00::/8"], ["::/0"])
LABELS: tuple[dict[str, str], ...] = ({}, {}, {}, {"service.kubernetes.io/service-proxy-name": "other"})
STATES: tuple[Conditions, ...] = (
    {},
    {},
    LEAVING,
    GONE,
    UNREADY,
    {"zones": ["zone-a"]},
    {"zones": ["zone-b"]},
    {"nodes": ["node1"]},
    {"nodes": ["node2"], "zones": ["zone-a"]},
    {"node": None},
)
HOSTS = {
    "IPv4": ("10.244.1.5", "10.244.1.50", "10.244.2.6", "10.244.3.7"),
    "IPv6": ("fd00:10:244:1::5", "fd00:10:244:1::50", "fd00:10:244:2::6"),
}


class Hearer(Protocol):
    """Who is told of objects."""

    def put(self, obj: KubernetesObject) -> None: ...

    def remove(self, obj: KubernetesObject) -> None: ...


class Deed(NamedTuple):
    """One object is there, or is different; or with `gone` it goes."""

    object: KubernetesObject
    gone: bool = False

    def do(self, proxy: Hearer) -> None:
        """Let a proxy, or a part of it, hear of it."""
        (proxy.remove if self.gone else proxy.put)(self.object)


Known = dict[tuple[str, str], KubernetesObject]


def after(deeds: list[Deed], known: Mapping[tuple[str, str], KubernetesObject]) -> Known:
    """What there is after these deeds where that was there before."""
    found = dict(known)
    for deed in deeds:
        key = (deed.object.kind, deed.object.key)
        found.pop(key, None)
        if not deed.gone:
            found[key] = deed.object
    return found


@st.composite
def services(draw: st.DrawFn) -> Service:
    """One of three Services, of any type, family and policy; they may want the same outer addresses."""
    number, kind = draw(st.integers(0, 2)), draw(st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer", "None"]))
    families = draw(st.sampled_from(sorted(FAMILIES)))
    addresses = ["None"] if kind == "None" else [each.format(10 + number) for each in FAMILIES[families]]
    external_policy = draw(st.sampled_from(["Cluster", "Local"]))
    checked = kind == "LoadBalancer" and external_policy == "Local" and draw(st.booleans())
    sticky = draw(st.sampled_from([None, None, 5, 10800]))
    balanced = draw(st.sampled_from(BALANCED)) if kind == "LoadBalancer" else ()
    spec: dict[str, object] = {
        "type": "ClusterIP" if kind == "None" else kind,
        "clusterIP": addresses[0],
        "clusterIPs": addresses,
        "ports": draw(ports_of(number, node_ports=kind in {"NodePort", "LoadBalancer"})),
        "externalIPs": draw(st.lists(st.sampled_from(EXTERNAL), unique=True, max_size=3)),
        "externalTrafficPolicy": external_policy,
        "internalTrafficPolicy": draw(st.sampled_from(["Cluster", "Local"])),
        "sessionAffinity": "ClientIP" if sticky else "None",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": sticky}} if sticky else None,
        "loadBalancerSourceRanges": draw(st.sampled_from(RANGES)),
        "healthCheckNodePort": 31000 + number if checked else None,
    }
    status = {"loadBalancer": {"ingress": [{"ip": each} for each in balanced]}}
    return service(f"s{number}", spec=spec, status=status, labels=draw(st.sampled_from(LABELS)))


@st.composite
def ports_of(draw: st.DrawFn, number: int, *, node_ports: bool) -> list[dict[str, object]]:
    """The ports of the Service of that number; two Services never want one node port, which no API server allows."""
    first = draw(st.sampled_from([None, 30080, 30085])) if node_ports else None
    return [
        {
            "name": name,
            "port": PORTS[name][0],
            "protocol": PORTS[name][1],
            "nodePort": None if first is None else first + 10 * number + at,
        }
        for at, name in enumerate(draw(st.sampled_from(SETS_OF_PORTS)))
    ]


@st.composite
def slices(draw: st.DrawFn) -> EndpointSlice:
    """A slice may come before its Service, change its Service, and the numbers of its ports."""
    number, family, hosts = draw(st.integers(0, 3)), *draw(st.sampled_from(sorted(HOSTS.items())))
    shift = draw(st.sampled_from([8000, 8000, 9000]))
    return endpoint_slice(
        *draw(st.lists(st.sampled_from(hosts).flatmap(endpoints_at), unique_by=address_of, max_size=4)),
        name=f"slice-{number}-{family.lower()}",
        service=f"s{draw(st.sampled_from([number % 3, number % 3, (number + 1) % 3]))}",
        ports=[
            {"name": name, "port": shift + PORTS[name][0] % 1000, "protocol": PORTS[name][1]}
            for name in draw(st.lists(st.sampled_from(sorted(PORTS)), unique=True, min_size=3))
        ],
        family=family,
    )


def endpoints_at(host: str) -> st.SearchStrategy[dict[str, object]]:
    """An endpoint at that address in any state, on the node that its fourth part tells in IPv6."""
    here: Conditions = {"node": f"node{host.split(':')[3]}"} if ":" in host else {}
    return st.sampled_from(STATES).map(lambda state: endpoint(host, **(here | state)))


def address_of(found: dict[str, object]) -> str:
    return str(found["addresses"])


@st.composite
def goings(draw: st.DrawFn) -> Deed:
    """A Service goes, or a slice."""
    if draw(st.booleans()):
        return Deed(service(f"s{draw(st.integers(0, 2))}"), gone=True)
    family = draw(st.sampled_from(sorted(HOSTS)))
    return Deed(endpoint_slice(name=f"slice-{draw(st.integers(0, 3))}-{family.lower()}", family=family), gone=True)


PUTS = st.one_of(services(), slices(), services(), slices(), st.sampled_from(["zone-a", "zone-b", ""]).map(node))
STEPS = st.lists(st.lists(st.one_of(PUTS.map(Deed), PUTS.map(Deed), goings()), min_size=1, max_size=3), max_size=8)
"""What is done between one sync and the next, several times."""
WORLDS = st.tuples(st.lists(services(), min_size=2, max_size=4), st.lists(slices(), min_size=3, max_size=6)).map(
    lambda found: [*found[0], *found[1]]
)
"""Services most of which have endpoints."""
