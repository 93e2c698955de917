"""Faults of a node: its kube-proxy, its kernel's settings."""

from __future__ import annotations

from netlab.faults.fault import NodeFault, node_place
from netlab.faults.names import FaultName
from netlab.faults.steps import Steps, Stop, setting
from netlab.model.cluster import ClusterView
from netlab.model.objects import Node

KUBE_PROXY = "kube-proxy"


def _no_kube_proxy(_view: ClusterView, node: Node) -> Steps:
    return (Stop(agent=KUBE_PROXY, node=node.metadata.name),)


def _no_forwarding(_view: ClusterView, node: Node) -> Steps:
    return (setting(node_place(node), "net.ipv4.ip_forward", 0, was=1),)


NODE_FAULTS = (
    NodeFault(
        name=FaultName.KUBE_PROXY_STOPPED,
        summary="kube-proxy does not run on the node: its rules stay as they are, and no change reaches them.",
        evidence="What was there when it stopped goes on working; a Pod that is added later never gets a packet from "
        "this node, and one that went still does (dropped or unreachable), while other nodes are right.",
        steps=_no_kube_proxy,
    ),
    NodeFault(
        name=FaultName.IP_FORWARD_OFF,
        summary="The node's kernel does not forward: net.ipv4.ip_forward is 0.",
        evidence="What its Pods send to other nodes and to Services is dropped without a word; the node itself still "
        "reaches everything.",
        steps=_no_forwarding,
    ),
)
