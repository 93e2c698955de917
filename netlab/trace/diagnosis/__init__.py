"""Why flows fare as they do: from what was foretold, seen and read back to one cause and one remedy. No kernel here."""

from netlab.trace.diagnosis.evidence import Evidence, Finding, Large, Resolver
from netlab.trace.diagnosis.judge import diagnose

__all__ = ["Evidence", "Finding", "Large", "Resolver", "diagnose"]
