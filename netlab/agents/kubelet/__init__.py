"""The kubelet of a node.

the API server's Pods ─ agent ─> pod ─> container ─> a built-in server, or a command (process, environment, log)
                          ^       ^         └─ probe: is it ready?
                          └───────┴── status, as the API server shall show it
"""

from netlab.agents.kubelet.agent import run

__all__ = ["run"]
