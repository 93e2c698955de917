"""What a Service costs in each mode: what is spelled for two hundred of them, less what is for a hundred."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, ip_network

from netlab.model.comparison import Cost
from netlab.model.modes import ProxyMode
from netlab.model.rules import Family
from netlab.proxy import iptables, ipvs, nftables, userspace
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.config import NodeFacts, ProxyConfig
from netlab.proxy.decide import Route, decide_all
from netlab.proxy.sample import NODE_NAME, node, service

SAMPLE = 100
CONFIG = ProxyConfig(node_name=NODE_NAME, cluster_cidrs=(ip_network("10.128.0.0/9"),))
SOME_PORT = 40_000
"""Where a kube-proxy of mode userspace might listen."""
Count = Callable[[Iterable[Route], NodeFacts], Cost]


def cost_of(mode: ProxyMode) -> Cost | None:
    """What a Service of two endpoints adds to the rules of that mode; None where nobody has counted it."""
    if mode not in _COUNT:
        return None
    fewer, more = _counted(mode, SAMPLE), _counted(mode, 2 * SAMPLE)
    return Cost(rules=(more.rules - fewer.rules) / SAMPLE, entries=(more.entries - fewer.entries) / SAMPLE)


def _counted(mode: ProxyMode, services: int) -> Cost:
    tracker = ChangeTracker(node_name=NODE_NAME)
    tracker.put(node(IPv4Address("172.18.0.2")))
    for number in range(services):
        for each in service(number):
            tracker.put(each)
    tracker.collect()
    return _COUNT[mode](decide_all(tracker, CONFIG).values(), tracker.node)


def _iptables(routes: Iterable[Route], here: NodeFacts) -> Cost:
    spelling = iptables.Spelling(config=CONFIG, node=here, family=Family.IPV4)
    spelling.start({route.key: route for route in routes}, endpoint_total=0)
    return Cost(rules=sum(spelling.rule_counts().values()))


def _nftables(routes: Iterable[Route], here: NodeFacts) -> Cost:
    table = nftables.spell(routes, config=CONFIG, node=here, family=Family.IPV4)
    return Cost(rules=table.rule_count, entries=len(table.elements))


def _ipvs(routes: Iterable[Route], here: NodeFacts) -> Cost:
    """Entries are those of address sets, virtual servers and real servers."""
    spelling = ipvs.Spelling(config=CONFIG, node=here, family=Family.IPV4, node_addresses=())
    spelling.start({route.key: route for route in routes})
    rules = sum(len(chain.rules) for table in spelling.tables() for chain in table.chains)
    servers = sum(1 + len(server.real_servers) for server in spelling.servers.values())
    return Cost(rules=rules, entries=servers + sum(len(each.entries) for each in spelling.sets))


def _userspace(routes: Iterable[Route], here: NodeFacts) -> Cost:
    spelling = userspace.Spelling(config=CONFIG, node=here, family=Family.IPV4)
    spelling.start(userspace.ServedPort(route, SOME_PORT + at) for at, route in enumerate(routes))
    return Cost(rules=sum(spelling.rule_counts().values()))


_COUNT: Mapping[ProxyMode, Count] = {
    ProxyMode.IPTABLES: _iptables,
    ProxyMode.NFTABLES: _nftables,
    ProxyMode.IPVS: _ipvs,
    ProxyMode.USERSPACE: _userspace,
}
