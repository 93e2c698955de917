"""Causes at programs: nobody listens although the Pod declares the port; names are asked of the wrong resolver."""

from __future__ import annotations

from netlab.model.diagnosis import CauseName
from netlab.model.journey import PacketVerdict
from netlab.trace.diagnosis.evidence import Evidence, Finding


def nobody_listens(evidence: Evidence) -> Finding | None:
    """The packet came to a Pod as it should, and the Pod turned it down."""
    journey = evidence.journey
    end = next((hop for hop in journey.hops if hop.verdict is not None), None) if journey else None
    if end is None or end.hook != "socket" or end.verdict is not PacketVerdict.REFUSED:
        return None
    port = f"{end.packet.dport}/{end.packet.proto}"
    text = f"the packet came to {end.at}, but nobody listens there on {port}, which the Pod declares."
    return Finding(CauseName.NOTHING_LISTENS, text, f"start what should listen: netlab logs {end.at} says how it is")


def wrong_resolver(evidence: Evidence) -> Finding | None:
    """Flows fare well, but whoever goes by the Service's name does not get its address."""
    resolver = evidence.resolver
    if resolver is None or not resolver.wanted or set(resolver.found) & set(resolver.wanted):
        return None
    place = evidence.prediction.from_
    asks = ", ".join(resolver.found) or "nobody"
    text = (
        f"{place} asks {asks} for names, not the cluster's DNS at {', '.join(resolver.wanted)}: "
        f"by address the flow fares well, by name it does not begin."
    )
    return Finding(CauseName.WRONG_DNS, text, _restored(place, resolver.wanted[0]))


def _restored(place: str, address: str) -> str:
    """The file is mounted there: it is written, not replaced."""
    text = f'text=$(sed "s/^nameserver .*/nameserver {address}/" /etc/resolv.conf)'
    return f"netlab exec {place} -- sh -c '{text}; echo \"$text\" > /etc/resolv.conf'"
