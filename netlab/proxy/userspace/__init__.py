"""Mode userspace: rules that lead every Service port to a socket of the node's kube-proxy, which copies the bytes."""

from netlab.proxy.userspace.balancer import Balancer
from netlab.proxy.userspace.limits import complaints, is_served
from netlab.proxy.userspace.port_rules import ServedPort
from netlab.proxy.userspace.spelling import Spelling

__all__ = ["Balancer", "ServedPort", "Spelling", "complaints", "is_served"]
