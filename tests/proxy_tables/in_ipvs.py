"""What the scenes of the packet tables must look like in mode ipvs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

from proxy_objects import MACHINE_ADDRESSES
from proxy_tracer import DROPPED, UNTOUCHED, Outcome

from netlab.model.modes import ProxyMode
from proxy_tables import SCENES, TELLINGS
from proxy_tables.case import Probe, Scene
from proxy_tables.differences_ipvs import TABLES, UNANSWERED
from proxy_tables.six import outcome_in_ipv6, words_in_ipv6


def in_ipvs(scene: Scene) -> Scene:
    """The scene as mode ipvs plays it."""
    differences = dict(_differences(scene))
    return replace(
        scene,
        config=replace(scene.config, mode=ProxyMode.IPVS),
        probes=tuple(
            probe._replace(outcome=differences.get((probe.source, probe.to), _always(probe) or probe.outcome))
            for probe in scene.probes
            if probe.source != UNANSWERED
        ),
    )


def _differences(scene: Scene) -> Iterator[tuple[tuple[str, str], Outcome]]:
    sentence, _, family = scene.sentence.partition(" (IPv")
    for table in TABLES:
        for source, to, outcome in table.get(sentence, ()):
            if family.startswith("6"):
                yield (words_in_ipv6(source), words_in_ipv6(to)), outcome_in_ipv6(outcome)
            else:
                yield (source, to), outcome


def _always(probe: Probe) -> Outcome | None:
    """Whatever the scene: nobody but the node itself listens on loopback addresses, and no reset is dropped."""
    where, _, kind = probe.to.partition("/")
    if ip_address(where.rpartition(":")[0].strip("[]")).is_loopback:
        own = probe.source in MACHINE_ADDRESSES
        return UNTOUCHED if own else DROPPED
    return UNTOUCHED if kind == "rst" else None


SCENES_IN_IPVS = tuple(map(in_ipvs, SCENES))
TELLINGS_IN_IPVS = tuple(replace(telling, scenes=tuple(map(in_ipvs, telling.scenes))) for telling in TELLINGS)
