"""How a kube-proxy makes this network namespace follow its Routes: a module for each proxy mode.

Routes, the node, the flags ─> Mode ─> this kernel's tables, sets, servers; sysctls
"""

from netlab.agents.kube_proxy.modes.choice import mode_of, others
from netlab.agents.kube_proxy.modes.mode import Mode, Situation

__all__ = ["Mode", "Situation", "mode_of", "others"]
