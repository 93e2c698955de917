"""The kube-proxy of a node.

    a source of objects ─ agent ─> core (Proxier) ─> rules, sysctls and conntrack of this network namespace

`core` is kube-proxy without surroundings; `agent` adds when to sync, and what a kube-proxy serves beside the rules;
`process` is the program, in a lab and without one.
"""

from netlab.agents.kube_proxy.agent import AgentOptions
from netlab.agents.kube_proxy.process import run

__all__ = ["AgentOptions", "run"]
