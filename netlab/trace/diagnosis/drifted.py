"""Causes on the way: what a place that the flow passes holds otherwise than planned."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network

from netlab.model.cluster import pod_addresses, pod_place
from netlab.model.diagnosis import CauseName
from netlab.model.drift import Drift, DriftKind
from netlab.model.journey import Hop
from netlab.model.rules import Backend
from netlab.trace.diagnosis.asked import unready_pods
from netlab.trace.diagnosis.evidence import Evidence, Finding
from netlab.trace.foretell import Foretold

NAMES: Mapping[DriftKind, CauseName] = {
    DriftKind.NAMESPACE: CauseName.LINK_DOWN,
    DriftKind.LINK: CauseName.LINK_DOWN,
    DriftKind.MTU: CauseName.MTU_MISMATCH,
    DriftKind.HAIRPIN: CauseName.HAIRPIN_OFF,
    DriftKind.ADDRESS: CauseName.ADDRESS_MISSING,
    DriftKind.DUPLICATE: CauseName.DUPLICATE_ADDRESS,
    DriftKind.ROUTE: CauseName.WRONG_ROUTE,
    DriftKind.NEIGHBOUR: CauseName.WRONG_NEIGHBOUR,
    DriftKind.RULES: CauseName.MASQUERADE_MISSING,
    DriftKind.BOTH_KINDS: CauseName.RULES_IN_BOTH_KINDS,
    DriftKind.EXTRA: CauseName.WRONG_ROUTE,
}
SETTINGS: tuple[tuple[str, CauseName], ...] = (
    ("forwarding", CauseName.IP_FORWARD_OFF),
    ("rp_filter", CauseName.RP_FILTER_STRICT),
    ("bridge-nf-call", CauseName.BRIDGE_NF_OFF),
    ("route_localnet", CauseName.ROUTE_LOCALNET_OFF),
)
"""By what is in a setting's key."""
ORDER = tuple(DriftKind)
"""What is further to the front explains what is behind: an interface that is down takes its routes along."""
SPECIFIC = (DriftKind.DUPLICATE, DriftKind.HAIRPIN)
"""What concerns few packets, so that it is the cause where it concerns these."""


def on_the_way(evidence: Evidence) -> Finding | None:
    """What concerns the packets that were lost; of several the one that explains the others."""
    concerned = [each for each in evidence.drift if concerns(each, evidence) and each.kind not in _OTHERS]
    found = sorted(concerned, key=lambda each: (each.kind not in SPECIFIC, ORDER.index(each.kind)))
    return finding(found[0]) if found else None


_OTHERS = (DriftKind.MTU, DriftKind.BOTH_KINDS)
"""Judged by themselves: the one concerns large packets, the other is explained by what the rules do."""


def too_large(evidence: Evidence) -> Finding | None:
    """Small packets arrive, those of full size do not."""
    if evidence.large is None or not evidence.large.lost:
        return None
    size = evidence.large.size
    said = f"Packets of {size} bytes are lost, small ones arrive"
    smaller = [each for each in evidence.drift if each.kind is DriftKind.MTU and concerns(each, evidence)]
    if smaller:
        return Finding(CauseName.MTU_MISMATCH, f"{said}: {smaller[0].text}.", smaller[0].remedy)
    return Finding(CauseName.MTU_MISMATCH, f"{said}.", "compare the MTUs on the way: netlab exec PLACE -- ip link")


def duplicated(evidence: Evidence) -> Finding | None:
    """Somebody else has an address of the flow's too: who answers may be another than was meant."""
    found = (each for each in evidence.drift if each.kind is DriftKind.DUPLICATE and concerns(each, evidence))
    return next(map(finding, found), None)


def keeps_unready(evidence: Evidence) -> Finding | None:
    """Somebody else has the address of a Pod that the Service chooses: the Pod's readiness probes reach that one."""
    unready = {address: pod for pod in unready_pods(evidence) for address in map(str, pod_addresses(pod))}
    for each in evidence.drift:
        if each.kind is DriftKind.DUPLICATE and each.subject in unready:
            probed = f"readiness probes of {pod_place(unready[each.subject])} reach that one, and it is not ready"
            return Finding(CauseName.DUPLICATE_ADDRESS, f"{each.text}: {probed}.", each.remedy)
    return None


def in_both_kinds(evidence: Evidence) -> Finding | None:
    """Rules in legacy tables and in those of iptables-nft at the node where the flow ended."""
    ended = evidence.journey.hops[-1].at if evidence.journey and evidence.journey.hops else None
    for each in evidence.drift:
        if each.kind is DriftKind.BOTH_KINDS and each.place == ended:
            proxy = evidence.proxies.get(each.subject)
            other = "iptables-legacy" if proxy and proxy.backend is Backend.NFT else "iptables-nft"
            remedy = f"netlab exec {each.place} -- sh -c '{other} -t nat -F; {other} -F'"
            return Finding(CauseName.RULES_IN_BOTH_KINDS, f"{each.text}.", remedy)
    return None


def finding(drift: Drift) -> Finding:
    """The drift as a cause."""
    return Finding(_name(drift), f"{drift.text}.", drift.remedy)


def _name(drift: Drift) -> CauseName:
    if drift.kind is DriftKind.SETTING:
        return next((name for part, name in SETTINGS if part in drift.subject), CauseName.SETTING_CHANGED)
    return NAMES[drift.kind]


# --- does it concern the flow


def concerns(drift: Drift, evidence: Evidence) -> bool:
    """Whether a packet of the flow, or its answer, meets what is otherwise."""
    if drift.kind is DriftKind.DUPLICATE:
        return any(drift.subject in (hop.packet.src, hop.packet.dst) for hop in evidence.hops)
    if drift.kind is DriftKind.HAIRPIN:
        return any(_comes_back(drift, way) for way in evidence.failing)
    here = [hop for hop in evidence.hops if hop.at == drift.place]
    return bool(here) and _meets(drift, here)


def _comes_back(drift: Drift, way: Foretold) -> bool:
    """Whether a packet goes out of the port that it came in by."""
    passed = [hop.way for hop in way.hops if (hop.at, hop.hook) == (drift.place, f"link/{drift.subject}")]
    return any(passed.count(each) > 1 for each in passed)


def _meets(drift: Drift, here: list[Hop]) -> bool:
    match drift.kind:
        case DriftKind.LINK | DriftKind.MTU | DriftKind.EXTRA:
            return any(hop.hook == f"link/{drift.subject}" for hop in here)
        case DriftKind.ROUTE:
            return any(_is_within(address, drift.subject) for hop in here for address in _ends(hop))
        case DriftKind.SETTING:
            return _concerns_setting(drift, here)
    return True


def _concerns_setting(drift: Drift, here: list[Hop]) -> bool:
    """A setting of one interface concerns what passes it."""
    parts = drift.subject.split("/")
    if parts[-1] == "route_localnet":
        return any(hop.packet.dst.startswith("127.") for hop in here)
    if parts[:3] != ["net", "ipv4", "conf"] or parts[3] in ("all", "default"):
        return parts[3:4] != ["default"]
    return any(hop.hook == f"link/{parts[3]}" for hop in here)


def _ends(hop: Hop) -> tuple[str, ...]:
    return tuple(address for address in (hop.packet.src, hop.packet.dst) if address)


def _is_within(address: str, network: str) -> bool:
    return ip_address(address) in ip_network(network)
