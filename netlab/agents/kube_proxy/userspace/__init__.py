"""What answers where the rules of mode userspace lead: a socket for each Service port, and who copies its bytes.

client ─ rules ─> listening socket ─ Balancer ─> a connection of the node's own to an endpoint
"""

from netlab.agents.kube_proxy.userspace.portals import Portals

__all__ = ["Portals"]
