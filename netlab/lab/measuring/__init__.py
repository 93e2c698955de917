"""Proxy modes measured by packets: a case is one mode among so many Services.

stage (four namespaces) ─> proxy (rules in one of them) ─> traffic (through a Service, and directly, in turns)
"""

from netlab.lab.measuring.case import EFFORT, Effort, measure

__all__ = ["EFFORT", "Effort", "measure"]
