"""Faults in a node's rules: some are gone, or somebody else's are in the way."""

from __future__ import annotations

from netlab.faults.fault import NodeFault, node_place, unfit
from netlab.faults.names import FaultName
from netlab.faults.nodes import KUBE_PROXY
from netlab.faults.steps import Steps, Stop, command
from netlab.model.cluster import ClusterView
from netlab.model.modes import ProxyMode
from netlab.model.objects import Node
from netlab.plan.stations import WIRE

FLUSHES = {
    ProxyMode.IPTABLES: "iptables -t nat -F KUBE-SERVICES",
    ProxyMode.NFTABLES: "nft delete table ip kube-proxy",
    ProxyMode.IPVS: "ipvsadm -C",
}
MARK_CLEARED = "MARK --and-mark 0xffffbfff"
"""All bits but 0x4000, by which kube-proxy asks for masquerading."""


def _flushed(view: ClusterView, node: Node) -> Steps:
    """Stopped, or kube-proxy would put them back within a second; started again, it writes them all."""
    mode = view.topology.spec.proxy_mode(node.metadata.name)
    if mode not in FLUSHES:
        raise unfit(f"in mode {mode} kube-proxy itself carries what comes: kube-proxy-stopped is fault enough")
    return (Stop(agent=KUBE_PROXY, node=node.metadata.name), command(node_place(node), FLUSHES[mode]))


def _mark_cleared(view: ClusterView, node: Node) -> Steps:
    """In mangle, which comes before nat: kube-proxy's own rule stays where it is and finds no mark."""
    mode = view.topology.spec.proxy_mode(node.metadata.name)
    if mode is ProxyMode.USERSPACE:
        raise unfit("in mode userspace nothing is masqueraded: kube-proxy's own connections go to the Pods")
    return _inserted(node, "mangle", f"POSTROUTING -j {MARK_CLEARED}")


def _shadowed(view: ClusterView, node: Node) -> Steps:
    """Before nat, where a node port is translated; new flows only: a masqueraded one may have such a port."""
    spoken = {port.protocol.lower() for service in view.services for port in service.spec.ports if port.node_port}
    if not spoken:
        raise unfit("the lab has no Service with a node port")
    ports = view.topology.spec.network.node_port_range.replace("-", ":")
    new = "-m conntrack --ctstate NEW -m comment --comment firewall -j DROP"
    rules = (f"PREROUTING -i {WIRE} -p {protocol} --dport {ports} {new}" for protocol in sorted(spoken))
    return tuple(step for rule in rules for step in _inserted(node, "mangle", rule))


def _policy_drop(_view: ClusterView, node: Node) -> Steps:
    return (command(node_place(node), "iptables -P FORWARD DROP", undo="iptables -P FORWARD ACCEPT"),)


def _other_kind(view: ClusterView, node: Node) -> Steps:
    cidr = next((each for each in view.topology.spec.network.pod_cidrs if each.version == 4), None)
    if cidr is None:
        raise unfit("the lab has no IPv4 Pods")
    rule = f"FORWARD -d {cidr} -m comment --comment left-over -j DROP"
    return (command(node_place(node), f"iptables-nft -A {rule}", undo=f"iptables-nft -D {rule}"),)


def _inserted(node: Node, table: str, rule: str) -> Steps:
    return (command(node_place(node), f"iptables -t {table} -I {rule}", undo=f"iptables -t {table} -D {rule}"),)


FIREWALL_FAULTS = (
    NodeFault(
        name=FaultName.RULES_FLUSHED,
        summary="The node's Service rules were flushed, and its kube-proxy is stopped, so that they stay so.",
        evidence="From this node no ClusterIP is translated: packets leave for the router and are unreachable, and "
        "its node ports are refused. Pods answer directly, and other nodes are as ever.",
        steps=_flushed,
    ),
    NodeFault(
        name=FaultName.MASQUERADE_MISSING,
        summary="Nothing that the node translates is masqueraded: the mark that asks for it is cleared.",
        evidence="A node port whose Pod is on another node gives no answer (dropped), since the Pod answers the "
        "client directly, from an address that it never asked. In mode iptables a Pod does not reach itself through "
        "its Service either.",
        steps=_mark_cleared,
    ),
    NodeFault(
        name=FaultName.NODEPORT_SHADOWED,
        summary="A firewall rule of the node drops what comes from outside for its node ports.",
        evidence="From outside the node's node ports are silent (dropped); by other nodes, and from inside, "
        "everything works, and kube-proxy's rules are all there.",
        steps=_shadowed,
    ),
    NodeFault(
        name=FaultName.FORWARD_DROP,
        summary="The policy of the node's FORWARD chain is DROP, as container runtimes set it.",
        evidence="What is forwarded and nobody accepts is dropped without a word: from and to the node's Pods, "
        "directly and by Services. In mode iptables what kube-proxy marks for masquerading still passes (its node "
        "ports); the node itself reaches everything.",
        steps=_policy_drop,
    ),
    NodeFault(
        name=FaultName.RULES_IN_BOTH_KINDS,
        summary="Rules that `iptables` does not show drop packets for Pods: they are in the tables of iptables-nft.",
        evidence="What the node forwards to a Pod is dropped without a word, node ports too, and every rule that "
        "`iptables -S` shows accepts it; `iptables-nft -S` shows the one that does not.",
        steps=_other_kind,
    ),
)
