"""`netlab rules` inside the lab: a node's rules as its kernel has them, and as its kube-proxy would write them."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from netlab.agents.kube_proxy.once import once
from netlab.errors import InvalidInput, MissingCapability, NotFound, Problem
from netlab.kernel import iptables, iptables_read, sysctls
from netlab.kernel.ipsets import SetSocket
from netlab.kernel.iptables_read import SeenChain
from netlab.kernel.ipvs import IpvsSocket
from netlab.kernel.local_addresses import addresses_by_interface, take_on
from netlab.kernel.namespaces import inside
from netlab.kernel.nft_read import list_table
from netlab.kernel.syscalls import CLONE_NEWNET, unshare
from netlab.model.cluster import ClusterView
from netlab.model.ipvs import DEVICE, AddressSet, SeenServer
from netlab.model.modes import BY_PROCESS, ProxyMode
from netlab.model.names import Place, PlaceKind
from netlab.model.objects import SERVICE_NAME_LABEL, Service
from netlab.model.rule_listing import (
    ChainDifference,
    ListedChain,
    ListedRule,
    ListedTable,
    RuleDifferences,
    RuleSet,
)
from netlab.model.rules import Backend, Family, IPAddress, Jump
from netlab.model.state import Sysctl
from netlab.proxy.addresses import with_port
from netlab.proxy.explain import explain
from netlab.proxy.lab_config import lab_config
from netlab.proxy.nftables.listing import read_table
from netlab.proxy.nftables.names import TABLE
from netlab.proxy.packet_order import ServiceSpelled, differences, in_packet_order, narrowed
from netlab.proxy.save_text import rule_text

ORDER = ("mangle", "nat", "filter")
"""Of iptables' tables, as a packet passes them on one hook."""
TCP_LIBERAL = "net/netfilter/nf_conntrack_tcp_be_liberal"


def rule_set(view: ClusterView, node: str, *, service: str | None = None) -> RuleSet:
    """The node's rules, or those that packets of one Service (`web`, `kube-system/kube-dns`) meet.

    NotFound: no such node or Service. MissingCapability: a program that lists rules is not installed.
    """
    mode = view.topology.spec.proxy_mode(node)
    wanted = _service(view, service) if service else None
    with inside(view.network_namespace(Place(PlaceKind.NODE, node))):
        tables = _tables(mode)
    if wanted:
        tables = tuple(each for table in tables if (each := narrowed(table, wanted)).chains)
    return RuleSet(node=node, mode=mode, service=wanted.name if wanted else None, tables=tables)


def rule_differences(view: ClusterView, node: str) -> RuleDifferences:
    """What the node's rules lack, and have beside what its kube-proxy would write.

    That is found out by writing it: in a network namespace that is made for it, has the node's addresses, and ends with
    this process, which must have nothing else to do. InvalidInput: nobody but the node's proxy knows its rules.
    """
    mode = view.topology.spec.proxy_mode(node)
    namespace = view.network_namespace(Place(PlaceKind.NODE, node))
    if message := _unknowable(view, node):
        raise InvalidInput([Problem("", 0, 0, "", f"{message}: there are no rules to compare with")])
    with inside(namespace):
        seen = _tables(mode)
        addresses, liberal = _own_addresses(), sysctls.read(TCP_LIBERAL)
    unshare(CLONE_NEWNET)
    take_on(addresses)
    if liberal is not None:
        sysctls.write(Sysctl(TCP_LIBERAL, liberal), where="a namespace to compare with")
    families = tuple(sorted({Family(f"IPv{cidr.version}") for cidr in view.topology.spec.network.service_cidrs}))
    objects = (*view.nodes, *view.services, *view.endpoint_slices)
    once(lab_config(view.topology.spec, node), objects, families=families)
    wanted = tuple(table for table in _tables(mode) if table.family in families)
    return RuleDifferences(node=node, mode=mode, differences=tuple(_compared(seen, wanted)))


def _unknowable(view: ClusterView, node: str) -> str:
    """Why nobody can say which rules the node should have; empty where one can."""
    spec = view.topology.spec
    if command := spec.proxy_command(node):
        return f"on {node} {command[0]} runs in the place of kube-proxy"
    mode = spec.proxy_mode(node)
    return f"in mode {mode} only the kube-proxy process knows its ports" if mode in BY_PROCESS else ""


def _own_addresses() -> tuple[IPAddress, ...]:
    """The addresses that the current network namespace has of itself, without those that mode ipvs puts there."""
    proxys = next((index for index, name in socket.if_nameindex() if name == DEVICE), None)
    found = addresses_by_interface()
    return tuple(address for index, address in found if index != proxys and not address.is_loopback)


def _compared(seen: tuple[ListedTable, ...], wanted: tuple[ListedTable, ...]) -> Iterator[ChainDifference]:
    there: dict[tuple[Family, str], ListedTable] = {}
    for table in seen:
        key = table.family, table.name
        there[key] = _joined(there[key], table) if key in there else table
    for table in wanted:
        own = there.get((table.family, table.name)) or table.model_copy(update={"chains": ()})
        for chain, missing, unwanted in differences(own, table):
            yield ChainDifference(
                family=table.family, table=table.name, chain=chain, missing=missing, unwanted=unwanted
            )


def _joined(one: ListedTable, other: ListedTable) -> ListedTable:
    """A table that is there twice, in legacy iptables and in iptables-nft: the kernel asks both."""
    rules: dict[str, tuple[ListedRule, ...]] = {}
    for chain in (*one.chains, *other.chains):
        rules[chain.name] = (*rules.get(chain.name, ()), *chain.rules)
    chains = {chain.name: chain for chain in (*other.chains, *one.chains)}
    joined = tuple(chain.model_copy(update={"rules": rules[name]}) for name, chain in chains.items())
    return one.model_copy(update={"chains": joined})


def _service(view: ClusterView, text: str) -> ServiceSpelled:
    namespace, _, name = text.removeprefix("service/").rpartition("/")
    full = f"{namespace or 'default'}/{name}"
    found = next((each for each in view.services if _full_name(each) == full), None)
    if found is None:
        there = ", ".join(sorted(map(_full_name, view.services)))
        raise NotFound(f"there is no service {text}: there are {there}")
    ingress = (entry.ip for entry in found.status.load_balancer.ingress if entry.ip)
    endpoints = (
        address
        for piece in view.endpoint_slices
        if f"{piece.metadata.namespace or 'default'}/{piece.metadata.labels.get(SERVICE_NAME_LABEL)}" == full
        for endpoint in piece.endpoints
        for address in endpoint.addresses
    )
    own = (*found.spec.cluster_ips, *found.spec.external_ips, *ingress, *endpoints)
    ports = (str(port.node_port) for port in found.spec.ports if port.node_port)
    return ServiceSpelled(full, addresses=frozenset(own), node_ports=frozenset(ports))


def _full_name(service: Service) -> str:
    return f"{service.metadata.namespace or 'default'}/{service.metadata.name}"


# --- what the kernel has in the current namespace


def balancer_rules() -> Iterator[str]:
    """What mode ipvs has beside tables: its virtual servers and address sets, as a text an entry."""
    for family in Family:
        for table in _ipvs(family):
            yield from (f"{chain.name}: {rule.rule}" for chain in table.chains for rule in chain.rules)


def _tables(mode: ProxyMode) -> tuple[ListedTable, ...]:
    """In the order of a packet's way; those of iptables are there in every mode."""
    found = [table for family in Family for table in _all_of(family, mode)]
    return tuple(in_packet_order(table) for table in found)


def _all_of(family: Family, mode: ProxyMode) -> Iterator[ListedTable]:
    present = sorted(iptables.present(family), key=lambda each: ORDER.index(each[1]))
    yield from (_iptables(family, name, backend) for backend, name in present)
    if mode is ProxyMode.NFTABLES and (text := list_table(family, TABLE)):
        yield ListedTable(family=family, name=TABLE, tool="nft", chains=read_table(text))
    if mode is ProxyMode.IPVS:
        yield from _ipvs(family)


def _iptables(family: Family, name: str, backend: Backend) -> ListedTable:
    seen = iptables_read.read(family, name, backend=backend)
    chains = tuple(_chain(chain, family) for chain in seen.chains)
    return ListedTable(family=family, name=name, tool="iptables", chains=chains)


def _chain(chain: SeenChain, family: Family) -> ListedChain:
    rules = tuple(
        ListedRule(
            rule=rule_text(chain.name, each.rule, family=family),
            comment=each.rule.comment,
            packets=each.packets,
            octets=each.octets,
            explanation=explain(each.rule),
            jump=each.rule.target.chain if isinstance(each.rule.target, Jump) else None,
        )
        for each in chain.rules
    )
    return ListedChain(name=chain.name, policy=chain.policy, rules=rules)


def _ipvs(family: Family) -> Iterator[ListedTable]:
    """Virtual servers as chains, whose rules are real servers; and address sets."""
    try:
        with IpvsSocket() as kernel:
            servers = [each for each in kernel.servers() if each.server.key.family is family]
    except MissingCapability:
        servers = []
    with SetSocket() as kernel_sets:
        sets = [each for each in kernel_sets.sets().values() if each.family is family]
    if sets:
        yield ListedTable(family=family, name="ipset", tool="ipset", chains=tuple(map(_set, sets)))
    if servers:
        yield ListedTable(family=family, name="ipvs", tool="ipvsadm", chains=tuple(map(_server, servers)))


def _set(found: AddressSet) -> ListedChain:
    entries = sorted(map(str, found.entries))
    rules = tuple(ListedRule(rule=entry, explanation=f"{entry} is one of {found.name}") for entry in entries)
    return ListedChain(name=f"{found.name} {found.kind}", hook="ipset", rules=rules)


def _server(seen: SeenServer) -> ListedChain:
    key = seen.server.key
    address = with_port(key.address, key.port)
    rules = tuple(
        ListedRule(
            rule=f"{address} -> {with_port(real.address, real.port)} weight {load.weight}",
            explanation=f"one connection in turn goes to {with_port(real.address, real.port)}: "
            f"{load.active} active, {load.inactive} inactive now",
        )
        for real, load in sorted(seen.loads.items())
    )
    return ListedChain(name=f"{key.protocol} {address} {seen.server.scheduler}", hook="ipvs", rules=rules)
