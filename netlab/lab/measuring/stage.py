"""The smallest network that a Service needs, and beside it one that no rule has touched.

    client ─┬─ 10.244.0.0/24 ─ node ─ 10.244.1.0/24 ─┬─ server
            └─ 10.245.0.0/24 ─ bare ─ 10.245.1.0/24 ─┘

A kube-proxy writes its rules in `node`; whoever goes by `bare` is what direct means.
"""

from __future__ import annotations

from ipaddress import IPv4Address, ip_interface, ip_network

from netlab.model.state import Address, Link, Loopback, NamespaceState, Route, Sysctl, Veth
from netlab.plan.stations import mac_address
from netlab.plan.sysctls import FORWARDING

CLIENT, NODE, BARE, SERVER = (f"netlab-modes.{name}" for name in ("client", "node", "bare", "server"))
NODE_ADDRESS = IPv4Address("10.244.0.1")
ENDPOINTS = (IPv4Address("10.244.1.2"), IPv4Address("10.244.1.3"))
DIRECT = IPv4Address("10.245.1.2")
SERVICES, PODS = "10.96.0.0/12", "10.244.0.0/16"
NETS = {NODE: "10.244", BARE: "10.245"}
UNLIKE_HOST = (Sysctl("net/ipv4/conf/all/rp_filter", "0"), Sysctl("net/ipv4/conf/default/rp_filter", "0"))


def stage() -> tuple[NamespaceState, ...]:
    """The four namespaces, wanted."""
    return (
        _router(NODE),
        _router(BARE),
        _end(CLIENT, 0, hosts=("2",), beyond=((SERVICES, NODE), ("10.244.1.0/24", NODE), ("10.245.1.0/24", BARE))),
        _end(SERVER, 1, hosts=("2", "3"), beyond=(("10.244.0.0/24", NODE), ("10.245.0.0/24", BARE))),
    )


def _router(name: str) -> NamespaceState:
    """With a cable to the client and one to the server, and the first address on each."""
    sides = (("to-client", CLIENT, 0), ("to-server", SERVER, 1))
    return NamespaceState(
        name=name,
        sysctls=FORWARDING,
        links=(Loopback(), *(_cable(link, name, far, _label(name)) for link, far, _ in sides)),
        addresses=tuple(Address(link, ip_interface(f"{NETS[name]}.{net}.1/24")) for link, _, net in sides),
    )


def _end(name: str, net: int, *, hosts: tuple[str, ...], beyond: tuple[tuple[str, str], ...]) -> NamespaceState:
    """With a cable to each router; `beyond` tells which network is behind which."""
    near = "to-client" if name == CLIENT else "to-server"
    return NamespaceState(
        name=name,
        sysctls=UNLIKE_HOST,
        links=(Loopback(), *(_cable(_label(router), name, router, near) for router in NETS)),
        addresses=tuple(
            Address(_label(router), ip_interface(f"{prefix}.{net}.{host}/24"))
            for router, prefix in NETS.items()
            for host in hosts
        ),
        routes=tuple(
            Route(
                destination=ip_network(destination),
                via=IPv4Address(f"{NETS[router]}.{net}.1"),
                link=_label(router),
            )
            for destination, router in beyond
        ),
    )


def _label(namespace: str) -> str:
    return namespace.partition(".")[2]


def _cable(name: str, namespace: str, far: str, peer: str) -> Link:
    return Veth(name=name, mac=mac_address(namespace, name), peer_namespace=far, peer=peer)
