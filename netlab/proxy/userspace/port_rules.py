"""One Service port as rules: each of its addresses leads to the socket of this node's kube-proxy.

Pods, other machines     PREROUTING   REDIRECT: the address of the interface that the packet came in by
the node itself          OUTPUT       DNAT: the node's own address
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from netlab.model.rules import Conntrack, ConntrackState, Dnat, IPAddress, Redirect, Rule, Target, Verdict
from netlab.proxy.addresses import host_network
from netlab.proxy.decide import Route
from netlab.proxy.userspace.limits import serves_load_balancer

_NEW = Conntrack(frozenset({ConntrackState.NEW}))
Listeners = tuple[IPAddress, ...] | None
"""The addresses on which node ports answer; None: every local one."""


class ServedPort(NamedTuple):
    """A Service port, and the port where this node's kube-proxy listens for it, on every address of the family."""

    route: Route
    listener: int


class PortRules(NamedTuple):
    """A Service port's lines in each of the chains, all of which Service ports share."""

    portals_container: tuple[Rule, ...] = ()
    portals_host: tuple[Rule, ...] = ()
    nodeport_container: tuple[Rule, ...] = ()
    nodeport_host: tuple[Rule, ...] = ()
    nodeport_non_local: tuple[Rule, ...] = ()


def spell_port(
    served: ServedPort, *, node_address: IPAddress | None, redirect: bool, listeners: Listeners
) -> PortRules:
    """The lines of one Service port.

    `node_address` is the node's own in that family. Where it is not known the node's packets are redirected too, which
    in OUTPUT leads to loopback. Without `redirect` whatever comes from outside goes to the node's address as well.
    """
    redirected = Redirect(served.listener)
    from_node = Dnat(node_address, served.listener) if node_address else redirected
    from_outside = redirected if redirect else from_node
    return PortRules(
        portals_container=tuple(_portals(served.route, from_outside)),
        portals_host=tuple(_portals(served.route, from_node)),
        nodeport_container=tuple(_node_port(served.route, from_outside, listeners)),
        nodeport_host=tuple(_node_port(served.route, from_node, listeners)),
        nodeport_non_local=tuple(_let_in(served)),
    )


def _portals(route: Route, target: Target) -> Iterator[Rule]:
    port = route.port
    balanced = port.load_balancer_ips if serves_load_balancer(route) else ()
    for address in (port.cluster_ip, *port.external_ips, *balanced):
        yield Rule(
            destination=host_network(address),
            protocol=route.key.protocol,
            destination_port=port.port,
            comment=str(route.key),
            target=target,
        )


def _node_port(route: Route, target: Target, listeners: Listeners) -> Iterator[Rule]:
    if not route.port.node_port:
        return
    for address in (None,) if listeners is None else listeners:
        yield Rule(
            destination=host_network(address) if address else None,
            protocol=route.key.protocol,
            destination_port=route.port.node_port,
            comment=str(route.key),
            target=target,
        )


def _let_in(served: ServedPort) -> Iterator[Rule]:
    """By the port that the packet has got: the table filter is asked after nat."""
    if served.route.port.node_port:
        yield Rule(
            protocol=served.route.key.protocol,
            destination_port=served.listener,
            comment=str(served.route.key),
            conntrack=_NEW,
            target=Verdict.ACCEPT,
        )
