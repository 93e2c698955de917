"""What becomes of a packet, from the lab's state and the decisions of its kube-proxies alone: no kernel is asked."""

from netlab.trace.compare import compare
from netlab.trace.foretell import Foretold, Prediction, foretell
from netlab.trace.lab import TracedLab

__all__ = ["Foretold", "Prediction", "TracedLab", "compare", "foretell"]
