"""Our maps of endpoints, which Services share, spelled back into kube-proxy's: one in the rule of each Service."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nft_reference import Seen

CHAINS = {
    "endpoints": ("endpoints", "nodeport-endpoints"),
    "local-endpoints": ("local-endpoints", "local-nodeport-endpoints"),
}
"""The chains that choose, and the kinds of maps they look into: by address, and by node port."""
LOOK = re.compile(r"dnat (?P<ip>ip6?) to (?P<key>.*) \. numgen random mod (?P<count>\d+) map @(?P<map>\S+)")
PORT = "meta l4proto . th dport"


def as_kube_proxy_has_it(seen: Seen, *, ip: str) -> Seen:
    """The table of a family (`ip`, `ip6`) as kube-proxy would have spelled it.

    AssertionError: the maps have more than that needs, or do not say the same of all addresses of a Service.
    """
    return _Table(seen, ip).spelled_back()


class _Table:
    def __init__(self, seen: Seen, ip: str) -> None:
        self.seen, self.ip = seen, ip
        self.unused: dict[str, set[str]] = {}
        """The maps of endpoints: what is in them, and was not needed so far."""

    def spelled_back(self) -> Seen:
        for chain, kinds in CHAINS.items():
            *looks, last = self.seen.chains[chain]
            assert last.startswith("drop ")
            for look in looks:
                self._take_in(look, kinds)
        chains = {
            name: tuple(self._with_own_map(name, rule) for rule in rules)
            for name, rules in self.seen.chains.items()
            if name not in CHAINS
        }
        assert not any(self.unused.values()), self.unused
        return Seen({name: lines for name, lines in self.seen.sets.items() if name not in self.unused}, chains)

    def _take_in(self, look: str, kinds: tuple[str, str]) -> None:
        found = LOOK.fullmatch(look)
        assert found, look
        kind, _, count = found["map"].rpartition("-")
        by_address, by_port = kinds
        assert found["key"] == {by_address: f"{self.ip} daddr . {PORT}", by_port: PORT}[kind]
        assert (found["ip"], found["count"]) == (self.ip, count)
        lines = self.seen.sets[found["map"]]
        assert f"typeof {found['key']} . numgen random mod {count} : {self.ip} daddr . th dport" in lines
        self.unused[found["map"]] = {line.removeprefix("element ") for line in lines if line.startswith("element ")}

    def _with_own_map(self, chain: str, rule: str) -> str:
        verdict, _, target = rule.partition(" ")
        if verdict != "goto" or target not in CHAINS:
            return rule
        by_address, by_port = CHAINS[target]
        ways = [(by_address, key) for key in self._keys_to(chain, "service-ips")]
        ways += [(by_port, key) for key in self._keys_to(chain, "service-nodeports")]
        found = {self._endpoints(kind, key) for kind, key in ways}
        assert len(found) == 1, (chain, found)
        (endpoints,) = found
        protocol = ways[0][1].split(" . ")[-2]
        entries = ", ".join(f"{number} : {endpoint}" for number, endpoint in enumerate(endpoints))
        return f"meta l4proto {protocol} dnat {self.ip} to numgen random mod {len(endpoints)} map {{ {entries} }}"

    def _keys_to(self, chain: str, of: str) -> Iterator[str]:
        """The keys by which packets come to a chain, some by way of another one."""
        goto = f"goto {chain}"
        before = {chain, *(name for name, rules in self.seen.chains.items() if any(goto in rule for rule in rules))}
        for line in self.seen.sets[of]:
            key, _, verdict = line.removeprefix("element ").partition(" : goto ")
            if verdict in before:
                yield key

    def _endpoints(self, kind: str, key: str) -> tuple[str, ...]:
        """What the maps of a kind have for a key, in the order of the numbers; it is used from then on."""
        found, size = dict[int, str](), 0
        for name in [each for each in self.unused if each.rpartition("-")[0] == kind]:
            for element in sorted(self.unused[name]):
                if element.startswith(f"{key} . "):
                    number, _, endpoint = element.removeprefix(f"{key} . ").partition(" : ")
                    found[int(number)] = endpoint
                    self.unused[name].remove(element)
                    size = int(name.rpartition("-")[2])
        assert found, (kind, key)
        assert found.keys() == set(range(size)), (kind, key)
        return tuple(found[number] for number in range(size))
