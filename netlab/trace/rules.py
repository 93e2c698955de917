"""The rules by which a node's kube-proxy spells a decision, for people to look up; decisions do not come from here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from netlab.model import nft_rules
from netlab.model.journey import RuleHit
from netlab.model.nft_tables import Element, Key
from netlab.model.rules import Dnat, Jump, Protocol, Rule
from netlab.proxy.addresses import host_network
from netlab.proxy.iptables import names as iptables_names
from netlab.proxy.iptables.service import ServiceRules, spell_service
from netlab.proxy.nftables import names as nftables_names
from netlab.proxy.nftables.choosing import CHAINS, Draw, choosing_rule
from netlab.proxy.nftables.rule_text import WORDS
from netlab.proxy.nftables.rule_text import rule_text as nft_rule_text
from netlab.proxy.nftables.service import spell_service as spell_in_nftables
from netlab.proxy.nftables.text import element_text
from netlab.proxy.save_text import rule_text
from netlab.proxy.slices import Endpoint
from netlab.trace.claims import Entrance
from netlab.trace.packet import Packet
from netlab.trace.policy import Block, Choice, Iptables, Nftables, Policy, Stage, Worker

MARKED = "meta mark & {mark:#010x} != 0x00000000 meta mark set meta mark ^ {mark:#010x} masquerade fully-random"


def chosen(policy: Policy, choice: Choice, endpoint: Endpoint, packet: Packet, stage: Stage) -> tuple[RuleHit, ...]:
    """The rules that lead a packet to that endpoint."""
    if isinstance(policy, Iptables):
        return tuple(_IptablesPath(choice, endpoint, packet, own=stage is Stage.OUTPUT).hits())
    if isinstance(policy, Nftables):
        return tuple(_in_nftables(policy, choice, endpoint, packet))
    port = choice.claim.route.port
    server = f"{packet.proto} {packet.dst}:{packet.dport} -> {endpoint.name}"
    return (RuleHit(chain="virtual server", rule=server, comment=str(port.key)),)


def redirected(policy: Policy, choice: Choice, packet: Packet, stage: Stage) -> tuple[RuleHit, ...]:
    """The rule that leads a packet to the socket of kube-proxy."""
    at_port = choice.claim.entrance is Entrance.NODE_PORT
    chain = f"KUBE-{'NODEPORT' if at_port else 'PORTALS'}-{'HOST' if stage is Stage.OUTPUT else 'CONTAINER'}"
    text = str(choice.claim.route.key)
    to = "" if at_port else f"-d {host_network(packet.dst)} "
    rule = f'-A {chain} {to}-p {packet.proto} -m comment --comment "{text}" -m {packet.proto} --dport {packet.dport}'
    return (RuleHit(chain=chain, rule=rule, comment=text),)


def masqueraded(policy: Policy, packet: Packet, *, by_mark: bool) -> tuple[RuleHit, ...]:
    """The rule that put the node's name in the place of the sender's."""
    mark = policy.proxy.config.masquerade_mark
    if isinstance(policy, Nftables):
        hairpin = (
            "ct status dnat ip saddr . ip daddr . meta l4proto . th dport @hairpin-connections masquerade fully-random"
        )
        rule = (
            MARKED.format(mark=mark)
            if by_mark
            else hairpin.replace("ip ", "ip6 " if packet.dst.version == 6 else "ip ")
        )
        return (RuleHit(chain="masquerading", rule=rule),)
    chain = iptables_names.POSTROUTING
    if policy.worker is Worker.IPVS and not by_mark:
        rule = f"-A {chain} -m set --match-set KUBE-LOOP-BACK dst,dst,src -j MASQUERADE"
        return (
            RuleHit(
                chain=chain,
                rule=rule,
                comment="Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose",
            ),
        )
    comment = "kubernetes service traffic requiring SNAT"
    rule = f'-A {chain} -m comment --comment "{comment}" -j MASQUERADE --random-fully'
    return (RuleHit(chain=chain, rule=rule, comment=comment),)


def blocked(policy: Policy, packet: Packet, block: Block) -> tuple[RuleHit, ...]:
    """The rule that ended the packet."""
    route = block.cause.route
    if route is None or isinstance(policy, Nftables):
        return tuple(_nftables_end(policy, packet, block))
    if not isinstance(policy, Iptables):
        return ()
    spelled = spell_service(route, comments=True)
    chains = {
        iptables_names.SERVICES: spelled.filter_services,
        iptables_names.EXTERNAL_SERVICES: spelled.filter_external,
        iptables_names.PROXY_FIREWALL: spelled.filter_firewall,
    }
    for chain, lines in chains.items():
        for rule in lines:
            if _addressed(rule, packet):
                return (_hit(chain, rule, packet),)
    return ()


def _hit(chain: str, rule: Rule, packet: Packet) -> RuleHit:
    text = rule_text(chain, rule, family=packet.family)
    return RuleHit(chain=chain, rule=text, comment=rule.comment, probability=rule.statistic)


def _addressed(rule: Rule, packet: Packet) -> bool:
    to = rule.destination is None or packet.dst in rule.destination
    return to and rule.destination_port in (None, packet.dport) and rule.protocol in (None, packet.proto)


class _IptablesPath:
    """The jumps from KUBE-SERVICES to the DNAT of one endpoint."""

    def __init__(self, choice: Choice, endpoint: Endpoint, packet: Packet, *, own: bool) -> None:
        spelled: ServiceRules = spell_service(choice.claim.route, comments=True)
        self._own, self._packet = own, packet
        self._chains: Mapping[str, tuple[Rule, ...]] = {chain.name: chain.rules for chain in spelled.chains}
        at_port = choice.claim.entrance is Entrance.NODE_PORT
        self._first = iptables_names.NODEPORTS if at_port else iptables_names.SERVICES
        self._entry = spelled.nat_nodeports if at_port else spelled.nat_services
        text, protocol = str(choice.claim.route.key), choice.claim.route.key.protocol
        self._endpoint = iptables_names.endpoint_chain(text, protocol, endpoint.name)

    def hits(self) -> list[RuleHit]:
        found: list[RuleHit] = []
        self._walk(self._first, self._entry, found)
        return found

    def _walk(self, chain: str, rules: Iterable[Rule], found: list[RuleHit]) -> bool:
        """Whether the packet was translated in there."""
        for rule in rules:
            if not self._fits(rule):
                continue
            found.append(_hit(chain, rule, self._packet))
            if isinstance(rule.target, Dnat):
                return True
            called = rule.target.chain if isinstance(rule.target, Jump) else ""
            if called in self._chains and self._walk(called, self._chains[called], found):
                return True
        return False

    def _fits(self, rule: Rule) -> bool:
        """Of rules that pick, the one that picked; lists of returning clients count as empty."""
        if isinstance(rule.target, Jump) and rule.target.chain.startswith("KUBE-SEP-"):
            known = rule.recent is not None and rule.recent.check_seconds is not None
            return rule.target.chain == self._endpoint and not known
        inside = rule.source is None or (self._packet.src in rule.source) is not rule.source_inverted
        return inside and rule.source_local in (None, self._own) and _addressed(rule, self._packet)


# --- nftables


def _in_nftables(policy: Policy, choice: Choice, endpoint: Endpoint, packet: Packet) -> Iterator[RuleHit]:
    route, family = choice.claim.route, choice.claim.route.key.family
    at_port = choice.claim.entrance is Entrance.NODE_PORT
    spelled = spell_in_nftables(route, mark=policy.proxy.config.masquerade_mark)
    wanted = nftables_names.SERVICE_NODEPORTS if at_port else nftables_names.SERVICE_IPS
    key = _key(packet)[1:] if at_port else _key(packet)
    claimed = {each[:2]: each for each in spelled.elements}
    ip = WORDS[family].ip
    to_node = (
        f"{ip} daddr @nodeport-ips meta l4proto . th dport" if at_port else f"{ip} daddr . meta l4proto . th dport"
    )
    entry = _held(claimed.get((wanted, key)))
    yield RuleHit(chain="services", rule=f"{to_node} vmap @{wanted}{entry}", comment=str(route.key))
    local = choice.endpoints == route.local != route.cluster
    own, shared = ("local-", nftables_names.LOCAL_ENDPOINTS) if local else ("service-", nftables_names.ENDPOINTS)
    translation = nft_rules.Dnat(endpoint.address, endpoint.port)
    ends = (
        translation,
        nft_rules.Goto(f"endpoint-{nftables_names.endpoint_name(route.key, endpoint)}"),
        nft_rules.Goto(shared),
    )
    for chain in spelled.chains:
        for rule in chain.rules:
            known = any(isinstance(part, nft_rules.InSet) for part in rule.parts)
            if rule.parts[-1] in ends and not known and chain.name.startswith((own, "endpoint-")):
                yield RuleHit(chain=chain.name, rule=nft_rule_text(rule, family), probability=_chance(rule))
    draw = claimed.get((CHAINS[shared][at_port], key))
    if isinstance(draw, Draw):
        chosen = next((each for each in draw.elements() if each.leads_to == translation), None)
        rule = choosing_rule(draw.sized)
        yield RuleHit(chain=shared, rule=f"{nft_rule_text(rule, family)}{_held(chosen)}", probability=_chance(rule))


def _chance(rule: nft_rules.Rule) -> float | None:
    for part in rule.parts:
        if isinstance(part, nft_rules.OneIn):
            return 1 / part.count
        if isinstance(part, nft_rules.DnatByMap):
            return 1 / part.one_of
    return None


def _held(element: Element | Draw | None) -> str:
    """The element that a packet finds in a map, behind the rule that looks there."""
    return f" {{ {_element(element)} }}" if isinstance(element, Element) else ""


def _key(packet: Packet) -> Key:
    """By what the maps of Services are looked up."""
    return packet.dst, Protocol(packet.proto), packet.dport or 0


def _element(element: Element) -> str:
    return element_text(element._replace(comment=""))


def _nftables_end(policy: Policy, packet: Packet, block: Block) -> Iterator[RuleHit]:
    """The element or the rule that refuses or drops."""
    if not isinstance(policy, Nftables):
        return
    if block.cause.route is not None:
        spelled = spell_in_nftables(block.cause.route, mark=policy.proxy.config.masquerade_mark)
        keys = (_key(packet), _key(packet)[1:])
        maps = (nftables_names.NO_ENDPOINT_SERVICES, nftables_names.NO_ENDPOINT_NODEPORTS, nftables_names.FIREWALL_IPS)
        for each in spelled.elements:
            if isinstance(each, Element) and each.set in maps and each.key in keys:
                yield RuleHit(chain=each.set, rule=_element(each), comment=str(block.cause.route.key))
                return
    ip = "ip" if packet.dst.version == 4 else "ip6"
    if policy.proxy.cluster_ip_of(packet.dst):
        comment = "Reject traffic to invalid ports of ClusterIPs"
        yield RuleHit(chain="cluster-ips-check", rule=f"{ip} daddr @cluster-ips reject", comment=comment)
    else:
        comment = "Drop traffic to unallocated ClusterIPs"
        ranges = ", ".join(map(str, policy.proxy.config.service_cidrs))
        yield RuleHit(chain="cluster-ips-check", rule=f"{ip} daddr {{ {ranges} }} drop", comment=comment)
