"""Listed chains in the order in which a packet meets them, all of them or those of one Service."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netlab.model.rule_listing import ListedChain, ListedRule, ListedTable
from netlab.proxy.iptables import names

WAY = ("prerouting", "input", "forward", "output", "postrouting")
"""The hooks, as a packet passes them; what a node itself sends begins at output."""
PRIORITIES = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
"""The names that nft has for numbers."""
KINDS = ("", "map ", "set ")
OF_ALL_SERVICES = frozenset({names.SERVICES, names.NODEPORTS, names.EXTERNAL_SERVICES, names.PROXY_FIREWALL})
"""Chains whose rules come in the order in which Services came."""
OTHER_ORDER = "these rules, but in another order"
_OF_A_SERVICE = re.compile(r"([a-z0-9][-a-z0-9.]*/[a-z0-9][-a-z0-9.]*)(?=[:/ ]|$)")
"""`default/web` at the beginning of a comment: `default/web:http cluster IP`."""
_LEADS_TO = re.compile(r" -> | : ")
"""Between the key of an entry and what it leads to, which other Services may lead to as well."""
_PRIORITY = re.compile(rf"priority (?:({'|'.join(PRIORITIES)})|(-?\d+))( [+-] \d+)?")
_IN_A_NAME = re.compile(r"(?:service|external|firewall|endpoint|affinity)-[A-Z0-9]+-(.+?)/(?:tcp|udp|sctp)/")


def in_packet_order(table: ListedTable) -> ListedTable:
    """The table, each hook's chain followed by those that it leads to; what nothing leads to comes last."""
    by_name = {chain.name: chain for chain in table.chains}
    entries = sorted((chain for chain in table.chains if _hook(chain)), key=_position)
    order: dict[str, None] = {}
    for chain in entries:
        _walk(chain.name, by_name, order)
    order |= dict.fromkeys(by_name)
    return table.model_copy(update={"chains": tuple(by_name[name] for name in order)})


def _hook(chain: ListedChain) -> str:
    """The hook that a chain hangs on, in small letters; of iptables' own chains it is the name."""
    name = chain.hook or chain.name.lower()
    return next((hook for hook in WAY if hook in name.split()), "")


def _position(chain: ListedChain) -> tuple[int, int]:
    """Of several chains on one hook the one with the lowest priority comes first (nft(8), Base chains)."""
    found = _PRIORITY.search(chain.hook or "")
    if not found:
        return WAY.index(_hook(chain)), 0
    name, number, relative = found.groups()
    priority = PRIORITIES[name] + int((relative or "0").replace(" ", "")) if name else int(number)
    return WAY.index(_hook(chain)), priority


def _walk(name: str, by_name: Mapping[str, ListedChain], order: dict[str, None]) -> None:
    if name in order:
        return
    order[name] = None
    for rule in by_name[name].rules:
        for kind in KINDS:
            if rule.jump and kind + rule.jump in by_name:
                _walk(kind + rule.jump, by_name, order)


@dataclass(frozen=True, slots=True)
class ServiceSpelled:
    """A Service by its full name, `default/web`; its addresses, its endpoints' too, and its node ports."""

    name: str
    addresses: frozenset[str]
    node_ports: frozenset[str] = frozenset()


def narrowed(table: ListedTable, service: ServiceSpelled) -> ListedTable:
    """What packets of the Service meet, in their order: its own rules, and those that are no Service's.

    No chain that stays empty.
    """
    chains = {chain.name: _kept(chain, service) for chain in table.chains}
    filled = {name: chain for name, chain in chains.items() if chain.rules}
    while gone := [name for name, chain in filled.items() if _leads_nowhere(chain, filled, chains)]:
        for name in gone:
            filled[name] = _without_dead_jumps(filled[name], filled, chains)
            if not filled[name].rules:
                del filled[name]
    reached = _reached(filled)
    kept = tuple(chain for name, chain in filled.items() if name in reached)
    return in_packet_order(table.model_copy(update={"chains": kept}))


def _kept(chain: ListedChain, service: ServiceSpelled) -> ListedChain:
    rules = tuple(rule for rule in chain.rules if _concerns(chain, rule, service))
    return chain.model_copy(update={"rules": rules})


def _concerns(chain: ListedChain, rule: ListedRule, service: ServiceSpelled) -> bool:
    if chain.name.startswith(("map ", "set ")) or chain.hook in ("ipset", "ipvs"):
        return _entry_concerns(rule, service)
    named = _service_of(rule)
    return named in (None, service.name)


def _service_of(rule: ListedRule) -> str | None:
    """The Service that a rule is of: its comment says so, or the chain that it leads to."""
    found = _OF_A_SERVICE.match(rule.comment or "") or _IN_A_NAME.match(rule.jump or "")
    return found[1] if found else None


def _entry_concerns(rule: ListedRule, service: ServiceSpelled) -> bool:
    if named := _service_of(rule):
        return named == service.name
    key = _LEADS_TO.split(rule.rule)[0]
    parts = re.split(r"[ ,]", key)
    words = {word for part in parts for word in (part, *part.rpartition(":")[::2], part.rpartition(":")[0].strip("[]"))}
    return bool(words & (service.addresses | service.node_ports))


def _targets(rule: ListedRule) -> tuple[str, ...]:
    return tuple(kind + rule.jump for kind in KINDS) if rule.jump else ()


def _leads_nowhere(chain: ListedChain, filled: Mapping[str, ListedChain], known: Mapping[str, ListedChain]) -> bool:
    return any(_is_dead(rule, filled, known) for rule in chain.rules)


def _is_dead(rule: ListedRule, filled: Mapping[str, ListedChain], known: Mapping[str, ListedChain]) -> bool:
    """It leads to a chain of this table of which nothing is left."""
    targets = [name for name in _targets(rule) if name in known]
    return bool(targets) and not any(name in filled for name in targets)


def _without_dead_jumps(
    chain: ListedChain, filled: Mapping[str, ListedChain], known: Mapping[str, ListedChain]
) -> ListedChain:
    rules = tuple(rule for rule in chain.rules if not _is_dead(rule, filled, known))
    return chain.model_copy(update={"rules": rules})


def _reached(chains: Mapping[str, ListedChain]) -> frozenset[str]:
    order: dict[str, None] = {}
    for name, chain in chains.items():
        if _hook(chain) or chain.hook:
            _walk(name, chains, order)
    return frozenset(order)


def differences(seen: ListedTable, wanted: ListedTable) -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Chain by chain: its name, the rules that are missing, and those that are there unwanted.

    Of chains that are not kube-proxy's, the hooks, only what is wanted in them is looked for.
    """
    there = {chain.name: [rule.rule for rule in chain.rules] for chain in seen.chains}
    asked = {chain.name: [rule.rule for rule in chain.rules] for chain in wanted.chains}
    hooks = {chain.name for chain in wanted.chains if chain.name.isupper() and chain.name.lower() in WAY}
    for name in dict.fromkeys((*asked, *(each for each in there if _is_ours(each, seen)))):
        one, other = asked.get(name, []), there.get(name, [])
        missing = tuple(rule for rule in one if rule not in other)
        unwanted = () if name in hooks else tuple(rule for rule in other if rule not in one)
        if not missing and not unwanted and name not in hooks and _ordered(name, one) != _ordered(name, other):
            missing = (OTHER_ORDER,)
        if missing or unwanted or (name not in there and name not in hooks):
            yield name, missing, unwanted


def _ordered(chain: str, rules: list[str]) -> tuple[list[str], bool]:
    """The rules as far as their order matters: those of Services in a chain that they share exclude one another.

    With them, whether the one for all node ports is the last, where it must be.
    """
    if chain.startswith(("map ", "set ")):
        return sorted(rules), True
    if chain in OF_ALL_SERVICES:
        return sorted(rules), bool(rules) and rules[-1].endswith(f"-j {names.NODEPORTS}")
    return rules, True


def _is_ours(chain: str, table: ListedTable) -> bool:
    return chain.startswith("KUBE-") or table.tool != "iptables"
