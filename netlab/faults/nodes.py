"""Faults of a node: its kube-proxy, its kernel's settings, its bridge, its routes."""

from __future__ import annotations

from netlab.faults.fault import NodeFault, node_place, unfit
from netlab.faults.names import FaultName
from netlab.faults.second_cable import second_cable
from netlab.faults.steps import Cut, Steps, Stop, command, setting
from netlab.faults.ways import router, routes_to_others, spelled
from netlab.model.cluster import ClusterView
from netlab.model.modes import BY_PROCESS
from netlab.model.objects import Node
from netlab.model.state import ETHERNET_MTU
from netlab.model.topology import Fabric, PodLink
from netlab.plan.stations import WIRE, placed_pod

KUBE_PROXY = "kube-proxy"
SMALL_MTU = 1400
"""Bytes: what some providers' networks carry."""


def _no_kube_proxy(_view: ClusterView, node: Node) -> Steps:
    return (Stop(agent=KUBE_PROXY, node=node.metadata.name),)


def _cut_off(_view: ClusterView, node: Node) -> Steps:
    return (Cut(node=node.metadata.name),)


def _hairpin_off(view: ClusterView, node: Node) -> Steps:
    _require_bridge(view)
    _require_rules(view, node, "what a Pod sends to itself by a Service ends at kube-proxy, which asks in its own name")
    placed = [each for pod in view.pods if (each := placed_pod(pod, lab=view.lab))]
    ports = [each.port for each in placed if each.node == node.metadata.name]
    if not ports:
        raise unfit("it has no Pods")
    change = "bridge link set dev {port} hairpin {value}"
    return tuple(
        command(node_place(node), change.format(port=port, value="off"), undo=change.format(port=port, value="on"))
        for port in ports
    )


def _no_filter_on_bridge(view: ClusterView, node: Node) -> Steps:
    _require_bridge(view)
    _require_rules(
        view, node, "a Pod is answered by kube-proxy of its node, and no answer crosses the bridge translated"
    )
    return (setting(node_place(node), "net.bridge.bridge-nf-call-iptables", 0, was=1),)


def _no_forwarding(_view: ClusterView, node: Node) -> Steps:
    return (setting(node_place(node), "net.ipv4.ip_forward", 0, was=1),)


def _wrong_route(view: ClusterView, node: Node) -> Steps:
    """To the wire's router, which knows no Pods: what a missing or stale route of the network plugin comes to."""
    return tuple(
        command(
            node_place(node),
            f"ip route replace {route.destination} via {router(view, route.destination.version)} dev {WIRE}",
            undo=f"ip route replace {spelled(route)}",
        )
        for route in routes_to_others(view, node)
    )


def _strict_rp_filter(view: ClusterView, node: Node) -> Steps:
    """With a second cable by which packets come in that would be answered by the first: else it makes no difference."""
    strict = setting(node_place(node), "net.ipv4.conf.all.rp_filter", 1, was=0)
    return (*second_cable(view, node), strict)


def _small_mtu(view: ClusterView, node: Node) -> Steps:
    """With a rule that drops what is larger: veths pass on several segments in one piece, whatever their MTU is."""
    if view.topology.spec.network.fabric is not Fabric.VXLAN:
        raise unfit("the lab has no vxlan (spec.network.fabric): nothing makes packets larger")
    change, place = f"ip link set {WIRE} mtu", node_place(node)
    larger = f"PREROUTING -i {WIRE} -m length --length {SMALL_MTU + 1}:65535 -j DROP"
    return (
        command(place, f"{change} {SMALL_MTU}", undo=f"{change} {ETHERNET_MTU}"),
        command(place, f"iptables -t mangle -I {larger}", undo=f"iptables -t mangle -D {larger}"),
    )


def _require_rules(view: ClusterView, node: Node, otherwise: str) -> None:
    """That packets are translated on their way, which mode userspace does not do: what happens there instead."""
    mode = view.topology.spec.proxy_mode(node.metadata.name)
    if mode in BY_PROCESS:
        raise unfit(f"in mode {mode} {otherwise}")


def _require_bridge(view: ClusterView) -> None:
    if view.topology.spec.network.pod_link is not PodLink.BRIDGE:
        raise unfit("its Pods are not on a bridge (spec.network.podLink is ptp)")


NODE_FAULTS = (
    NodeFault(
        name=FaultName.KUBE_PROXY_STOPPED,
        summary="The node's kube-proxy does not run: its rules stay as they are, and no change reaches them.",
        evidence="What was there when it stopped goes on working. When a Deployment is scaled up its new Pods get no "
        "packet from this node, and a Service that is made later gives no answer here (unreachable; mode nftables: "
        "dropped), while other nodes have both.",
        steps=_no_kube_proxy,
    ),
    NodeFault(
        name=FaultName.API_UNREACHABLE,
        summary="The node's kube-proxy runs and cannot reach the API server.",
        evidence="As with kube-proxy-stopped what was known goes on working and nothing new arrives on this node; "
        "but the process runs, `netlab status` says that it is cut off, and its log (`netlab logs node/NAME`) that it "
        "cannot connect.",
        steps=_cut_off,
    ),
    NodeFault(
        name=FaultName.HAIRPIN_OFF,
        summary="The ports of the node's bridge are not in hairpin mode.",
        evidence="A Pod that reaches itself through its Service gets no answer (dropped), since the bridge does not "
        "send a frame back through the port it came in by; every other packet is as ever.",
        steps=_hairpin_off,
    ),
    NodeFault(
        name=FaultName.BRIDGE_NF_OFF,
        summary="Frames from port to port of the node's bridge pass by netfilter: net.bridge.bridge-nf-call-iptables "
        "is 0.",
        evidence="A Pod that asks a Service and is given a Pod of its own node gets no answer that it knows "
        "(dropped): the reply crosses the bridge untranslated, from the Pod's address. Pods of other nodes answer.",
        steps=_no_filter_on_bridge,
    ),
    NodeFault(
        name=FaultName.IP_FORWARD_OFF,
        summary="The node's kernel does not forward: net.ipv4.ip_forward is 0.",
        evidence="What its Pods send to other nodes and to Services, and what comes for them from elsewhere, is "
        "dropped without a word; its Pods reach one another, and the node itself reaches everything.",
        steps=_no_forwarding,
    ),
    NodeFault(
        name=FaultName.WRONG_ROUTE,
        summary="The node's routes to the other nodes' Pods lead to the router, which does not know them.",
        evidence="What its Pods send to other nodes' Pods, directly or by a Service, is dropped, and so are their "
        "answers: the router knows no Pod, not even to refuse it. What the node sends itself, or masquerades (node "
        "ports), is unreachable (ICMP from the router).",
        steps=_wrong_route,
    ),
    NodeFault(
        name=FaultName.RP_FILTER_STRICT,
        summary="The node takes only packets whose answer would leave where they came in (rp_filter is 1), and a "
        "second cable brings another node's packets.",
        evidence="What the other node and its Pods send to this one's Pods, answers too, is dropped without a word; "
        "the count IPReversePathFilter (`nstat -az`) grows, and no rule has anything to do with it.",
        steps=_strict_rp_filter,
    ),
    NodeFault(
        name=FaultName.MTU_MISMATCH,
        summary=f"The wire takes {SMALL_MTU} bytes at the node, and the tunnel still fills {ETHERNET_MTU}.",
        evidence="Connections to its Pods from other nodes open and small requests are answered, but a full segment "
        "never arrives and uploads hang.",
        steps=_small_mtu,
    ),
)
