"""Causes by rules that are not kube-proxy's: one dropped the packet, refused it, or sent it elsewhere."""

from __future__ import annotations

import re
from itertools import pairwise

from netlab.model.diagnosis import CauseName
from netlab.model.journey import Hop, PacketVerdict, RuleHit, Way
from netlab.model.targets import Target, TargetKind
from netlab.trace.diagnosis.evidence import NODE, Evidence, Finding

OURS = ("KUBE-", "NETLAB-")
LED_AWAY = ("DNAT", "REDIRECT", "dnat", "redirect")
ENDS = re.compile(r"-[jP] (?:\S+ )?(DROP|REJECT)\b|\b(drop|reject)\b")
"""What a rule, or a policy, says that ends a packet: iptables' and nft's spelling."""
MASQUERADE_MARK = 0x4000
POLICY = re.compile(r"policy", re.IGNORECASE)


def by_stranger(evidence: Evidence) -> Finding | None:
    """The rule of somebody else that ended the observed journey, or led it away."""
    journey = evidence.journey
    if journey is None:
        return None
    for hop in journey.hops:
        rule = _foreign(hop)
        if rule is not None and _unmarks(hop, rule):
            return _unmarked(hop, rule)
        if rule is not None and (ENDS.search(rule.rule) or (hop.way is Way.REQUEST and _led_away(hop, rule))):
            return _finding(evidence, hop, rule)
    return _by_policy(evidence)


def _foreign(hop: Hop) -> RuleHit | None:
    """The last rule that the packet met at the hook, unless it is kube-proxy's or netlab's."""
    last = hop.rules[-1] if hop.rules else None
    if last is None or last.chain.startswith(OURS) or any(ours in last.rule for ours in OURS):
        return None
    return None if hop.hook.startswith("kube-proxy/") else last


def _unmarks(hop: Hop, rule: RuleHit) -> bool:
    """Whether it takes away the mark by which kube-proxy asks for masquerading."""
    return "MARK" in rule.rule.split() and "mark" in hop.changed and not hop.packet.mark & MASQUERADE_MARK


def _unmarked(hop: Hop, rule: RuleHit) -> Finding:
    text = (
        f"a rule at {hop.at} that is not kube-proxy's takes away the mark {MASQUERADE_MARK:#x} that asks for "
        f"masquerading, in {hop.hook}: {rule.rule}"
    )
    return Finding(CauseName.MASQUERADE_MISSING, text, _remedy(hop, rule))


def not_masqueraded(evidence: Evidence) -> Finding | None:
    """A node sends on with the source it got what it was to send in its own name."""
    hops = evidence.journey.hops if evidence.journey else ()
    seen = {(hop.at, hop.packet.src) for hop in hops}
    left = {hop.at for hop, after in pairwise(hops) if after.at != hop.at}
    for way in evidence.failing:
        for hop in way.hops:
            masqueraded = "src" in hop.changed and hop.way is Way.REQUEST
            if masqueraded and hop.at in left and (hop.at, hop.packet.src) not in seen:
                text = f"{hop.at} does not send on as {hop.packet.src} what it should masquerade so."
                remedy = f"netlab rules {hop.at.removeprefix(NODE)} shows what is in the way"
                return Finding(CauseName.MASQUERADE_MISSING, text, remedy)
    return None


def _ended(hop: Hop) -> bool:
    return hop.verdict in (PacketVerdict.DROPPED, PacketVerdict.REFUSED, PacketVerdict.UNREACHABLE)


def _led_away(hop: Hop, rule: RuleHit) -> bool:
    return any(word in rule.rule.split() for word in LED_AWAY) and bool({"dst", "dport"} & set(hop.changed))


def _by_policy(evidence: Evidence) -> Finding | None:
    """A chain's policy has no rule: the tracer says in words that it was the policy."""
    journey = evidence.journey
    if journey is None or not journey.meaning or not POLICY.search(journey.meaning):
        return None
    hop = next((each for each in journey.hops if _ended(each)), None)
    return _finding(evidence, hop, RuleHit(chain=hop.hook.rpartition("/")[2], rule=journey.meaning)) if hop else None


def _finding(evidence: Evidence, hop: Hop, rule: RuleHit) -> Finding:
    did = "led away" if _led_away(hop, rule) else "refused" if "reject" in rule.rule.lower() else "dropped"
    whose = "the policy of" if rule.rule.startswith("-P ") else "a rule that is not kube-proxy's, in"
    text = f"{hop.at} {did} the packet in {hop.hook}, by {whose} chain {rule.chain}: {rule.rule}"
    return Finding(_name(evidence, hop), text, _remedy(hop, rule))


def _name(evidence: Evidence, hop: Hop) -> CauseName:
    hook = hop.hook.rpartition("/")[2].lower()
    if "forward" in hook:
        return CauseName.FORWARD_DROP
    target = Target.parse(evidence.prediction.to)
    entered = evidence.view.node_at(evidence.prediction.destination.address) is not None
    if target.kind is TargetKind.NODE or entered:
        return CauseName.NODEPORT_SHADOWED
    return CauseName.FOREIGN_RULE


def _remedy(hop: Hop, rule: RuleHit) -> str:
    table, chain = hop.hook.partition("/")[0], rule.chain
    if rule.rule.startswith("-P ") or "policy" in rule.rule.lower():
        return f"netlab exec {hop.at} -- iptables -t {table} -P {chain} ACCEPT"
    if rule.rule.startswith("-A "):
        return f"netlab exec {hop.at} -- iptables -t {table} -D {rule.rule.removeprefix('-A ')}"
    return f"take that rule away: netlab exec {hop.at} -- nft -a list ruleset shows its handle"
