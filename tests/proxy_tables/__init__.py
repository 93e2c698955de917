"""What becomes of packets on node1, as tables: traced through the wanted rules, and sent through the kernel's."""

from proxy_tables.case import Case, Last, Probe, Scene
from proxy_tables.cases import CASES

SCENES = tuple(scene for case in CASES for scene in case.scenes())
__all__ = ["CASES", "SCENES", "Case", "Last", "Probe", "Scene"]
