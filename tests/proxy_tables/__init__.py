"""What becomes of packets on node1, as tables: traced through the wanted rules, and sent through a kernel's."""

from itertools import chain

from proxy_tables import choice, cluster_ip, combined, firewall, flags, outside, policies
from proxy_tables.case import Case, Last, Probe, Scene, Story, Telling
from proxy_tables.stories import STORIES

CASES: tuple[Case, ...] = tuple(
    chain.from_iterable(module.CASES for module in (cluster_ip, policies, outside, firewall, choice, flags, combined))
)
SCENES = tuple(scene for case in CASES for scene in case.scenes())
TELLINGS = tuple(telling for story in STORIES for telling in story.tellings())
__all__ = ["CASES", "SCENES", "TELLINGS", "Case", "Last", "Probe", "Scene", "Story", "Telling"]
