"""What a node does to a packet at each stage of netfilter: translate, masquerade, filter, turn answers back."""

from __future__ import annotations

from dataclasses import replace

from netlab.model.journey import PacketVerdict, RuleHit
from netlab.model.rules import Family, Hook, IPAddress, Jump, Masquerade, Reject, Rule, Table
from netlab.proxy.save_text import rule_text
from netlab.proxy.slices import Endpoint
from netlab.trace import rules
from netlab.trace.causes import Cause, Reason
from netlab.trace.connections import Connection
from netlab.trace.lab import TracedLab
from netlab.trace.machine import Machine, RouteFound, Towards
from netlab.trace.packet import Packet
from netlab.trace.policy import Block, Choice, Policy, Stage, Standing, Worker
from netlab.trace.track import Track

NAT = "nat"
BACK = "conntrack: the answer to "


class NodeSteps:
    """The stages. Each returns the packet as it leaves, or the Block that ends it; who has no rules changes nothing."""

    def __init__(self, lab: TracedLab, track: Track) -> None:
        self._lab, self._track = lab, track
        self._choices: dict[str, Choice] = {}

    # --- the stages

    def output(self, machine: Machine, packet: Packet, found: RouteFound) -> Packet | Block:
        policy = self._policy(machine, packet)
        if policy is None:
            return packet
        if not self._track.is_request:
            return self._destination_back(machine, packet, Stage.OUTPUT)
        if self._of_proxy(machine, packet):
            return packet
        standing = Standing(own=True, here=found.towards is Towards.HERE)
        return self._first(machine, policy, packet, standing, Stage.OUTPUT)

    def prerouting(self, machine: Machine, packet: Packet, link: str) -> Packet | Block:
        policy = self._policy(machine, packet)
        if policy is None:
            return packet
        if not self._track.is_request:
            return self._destination_back(machine, packet, Stage.PREROUTING)
        standing = Standing(own=False, here=machine.has(packet.dst))
        return self._first(machine, policy, packet, standing, Stage.PREROUTING, link=link)

    def input(self, machine: Machine, packet: Packet) -> Packet | Block:
        policy = self._policy(machine, packet)
        if policy is None:
            return packet
        if not self._track.is_request:
            return self._source_back(machine, packet, Stage.INPUT)
        if self._track.carried(machine, packet):
            return packet
        standing = Standing(own=False, here=True)
        if block := policy.block(packet, standing, Stage.INPUT):
            return block
        choice = policy.choice(packet, standing) if policy.worker is Worker.IPVS else None
        return self._translated(machine, policy, packet, choice, Stage.INPUT) if choice else packet

    def forward(self, machine: Machine, packet: Packet) -> Packet | Block:
        if block := self._no_way(machine, packet):
            return block
        policy = self._policy(machine, packet)
        if policy is None:
            return packet
        if self._track.is_request:
            known = self._track.carried(machine, packet)
            return (None if known else policy.block(packet, Standing(own=False, here=False), Stage.FORWARD)) or packet
        connection = self._track.answered(machine, packet)
        if connection and connection.worker is Worker.IPVS:
            return self._source_back(machine, packet, Stage.FORWARD)
        return packet

    def postrouting(self, machine: Machine, packet: Packet, link: str, next_hop: IPAddress) -> Packet:
        policy = self._policy(machine, packet)
        if policy is None:
            return packet
        if not self._track.is_request:
            connection = self._track.answered(machine, packet)
            ipvs = connection is not None and connection.worker is Worker.IPVS
            return packet if ipvs else self._source_back(machine, packet, Stage.POSTROUTING)
        connection = self._track.carried(machine, packet)
        if connection and connection.masquerade:
            return self._masqueraded(machine, policy, packet, connection, machine.source(link, next_hop))
        return packet if connection else self._leaves_cluster(machine, packet, machine.source(link, next_hop))

    # --- the first packet

    def _first(
        self, machine: Machine, policy: Policy, packet: Packet, standing: Standing, stage: Stage, *, link: str = ""
    ) -> Packet | Block:
        """What the table nat is asked about, and the table filter for the node's own packets."""
        if block := policy.early(packet, standing):
            return replace(block, early=True)
        late = policy.worker is Worker.IPVS and stage is Stage.PREROUTING
        choice = None if late else policy.choice(packet, standing)
        if choice:
            after = self._translated(machine, policy, packet, choice, stage, link=link)
            barred = policy.block(packet, standing, stage) if policy.worker is Worker.IPVS else None
            return replace(barred, packet=after) if barred else after
        return (policy.block(packet, standing, stage) if stage is Stage.OUTPUT else None) or packet

    def _translated(
        self, machine: Machine, policy: Policy, packet: Packet, choice: Choice, stage: Stage, *, link: str = ""
    ) -> Packet:
        if policy.worker is Worker.PROXY:
            return self._redirected(machine, policy, packet, choice, stage, link=link)
        endpoint = self._track.pick(choice)
        returns = policy.returns_to(endpoint, packet)
        marked = choice.masquerade or (returns and policy.hairpin_of_remote)
        to = (endpoint.address, endpoint.port)
        after = replace(
            packet, dst=to[0], dport=to[1], mark=policy.proxy.config.masquerade_mark if marked else packet.mark
        )
        connection = Connection(
            came=packet,
            to=to,
            source=packet.src,
            worker=policy.worker,
            masquerade=choice.masquerade or returns,
            by_mark=marked,
        )
        self._track.remember(machine, connection)
        self._track.translated = (f"{packet.dst}", endpoint.name)
        hook = "ipvs" if policy.worker is Worker.IPVS else policy.hook(NAT, stage)
        hits = rules.chosen(policy, choice, endpoint, packet, stage)
        self._track.hop(machine, hook, after, before=packet, rules=hits, detail=str(connection))
        return after

    def _redirected(
        self, machine: Machine, policy: Policy, packet: Packet, choice: Choice, stage: Stage, *, link: str
    ) -> Packet:
        """To the socket of kube-proxy, on a port that it chose as it started."""
        node = policy.proxy.node.address(packet.family)
        own = node if stage is Stage.OUTPUT or policy.proxy.config.userspace_on_node_address else None
        address = own or machine.source(link, packet.src) or packet.dst
        after = replace(packet, dst=address, dport=None)
        connection = Connection(came=packet, to=(address, None), source=packet.src, worker=Worker.PROXY)
        self._track.remember(machine, connection)
        self._choices[machine.at] = choice
        hits = rules.redirected(policy, choice, packet, stage)
        self._track.hop(machine, policy.hook(NAT, stage), after, before=packet, rules=hits, detail=str(connection))
        return after

    def endpoint_of_proxy(self, machine: Machine, packet: Packet) -> Endpoint | None:
        """Whom kube-proxy asks for a client of mode userspace."""
        choice = self._choices[machine.at]
        return self._track.pick(choice) if choice.endpoints else None

    def _of_proxy(self, machine: Machine, packet: Packet) -> bool:
        """Whether kube-proxy itself sends it, to an endpoint."""
        asked = self._track.asked[-1]
        return asked.machine is machine and asked.passes_on is not None and asked.sent is packet

    # --- masquerading

    def _masqueraded(
        self, machine: Machine, policy: Policy, packet: Packet, connection: Connection, source: IPAddress | None
    ) -> Packet:
        after = replace(packet, src=source or packet.src, sport=None, mark=0)
        final = replace(connection, source=after.src, masquerade=False)
        self._track.remember(machine, final)
        hits = rules.masqueraded(policy, packet, by_mark=connection.by_mark)
        hook = policy.hook(NAT, Stage.POSTROUTING)
        self._track.hop(machine, hook, after, before=packet, rules=hits, detail=str(final))
        return after

    def _leaves_cluster(self, machine: Machine, packet: Packet, source: IPAddress | None) -> Packet:
        """Hop 6: what a Pod sends out of the cluster goes in the node's name (the plan's own chain)."""
        hits = _walk_chain(machine, packet)
        if not hits or not source:
            return packet
        after = replace(packet, src=source, sport=None)
        connection = Connection(came=packet, to=(packet.dst, packet.dport), source=source)
        self._track.remember(machine, connection)
        self._track.hop(machine, "nat/POSTROUTING", after, before=packet, rules=hits, detail=str(connection))
        return after

    # --- answers

    def _destination_back(self, machine: Machine, packet: Packet, stage: Stage) -> Packet:
        connection = self._track.answered(machine, packet)
        if connection is None or not connection.source_changed:
            return packet
        after = connection.to_whom_asked(packet)
        self._track.hop(machine, f"nat/{stage}", after, before=packet, detail=f"{BACK}{connection}")
        self._track.remember(machine, replace(connection, source=connection.came.src))
        return after

    def _source_back(self, machine: Machine, packet: Packet, stage: Stage) -> Packet:
        connection = self._track.answered(machine, packet)
        if connection is None or not connection.destination_changed:
            return packet
        after = connection.from_what_was_asked(packet)
        hook = "ipvs" if connection.worker is Worker.IPVS else f"nat/{stage}"
        self._track.hop(machine, hook, after, before=packet, detail=f"{BACK}{connection}")
        return after

    # --- inside

    def _policy(self, machine: Machine, packet: Packet) -> Policy | None:
        return None if packet.inner else self._lab.policies.get(machine.at)

    def _no_way(self, machine: Machine, packet: Packet) -> Block | None:
        """The fabric's router refuses what is not on the wire."""
        if not any(isinstance(rule.target, Reject) for _, rule in _hits(machine, packet, "filter", "FORWARD")):
            return None
        cause = Cause(
            reason=Reason.NO_ROUTE,
            at=machine.at,
            address=packet.dst,
            port=packet.dport,
            protocol=packet.proto,
            source=packet.src,
            text="the router of the wire knows the wire alone",
        )
        return Block(PacketVerdict.UNREACHABLE, cause)

    def ended(self, machine: Machine, packet: Packet, block: Block, stage: Stage) -> tuple[str, tuple[RuleHit, ...]]:
        """The hook where a packet ended, and the rules that did it."""
        policy = self._policy(machine, packet)
        if policy is None:
            return f"filter/{stage}", _told(machine, packet, "filter", stage)
        return policy.blocking_hook(block, stage), rules.blocked(policy, packet, block)


def _walk_chain(machine: Machine, packet: Packet) -> tuple[RuleHit, ...]:
    """The rules of nat POSTROUTING in the machine's own state, where they end in masquerading."""
    found = _hits(machine, packet, "nat", "POSTROUTING")
    if not found or not isinstance(found[-1][1].target, Masquerade):
        return ()
    return _spelled(found, packet.family)


def _told(machine: Machine, packet: Packet, table: str, chain: str) -> tuple[RuleHit, ...]:
    return _spelled(_hits(machine, packet, table, chain), packet.family)


def _spelled(found: list[tuple[str, Rule]], family: Family) -> tuple[RuleHit, ...]:
    return tuple(
        RuleHit(chain=chain, rule=rule_text(chain, rule, family=family), comment=rule.comment) for chain, rule in found
    )


def _hits(machine: Machine, packet: Packet, table: str, chain: str) -> list[tuple[str, Rule]]:
    """The rules of the state's own table that a packet meets in a hook, up to the one that settles it."""
    tables = (each for each in machine.state.tables if each.name == table and each.family is packet.family)
    for each in tables:
        for hook in each.hooks:
            if hook.chain == chain and _fits(hook.rule, packet):
                return [(chain, hook.rule), *_inside(each, hook, packet)]
    return []


def _inside(table: Table, hook: Hook, packet: Packet) -> list[tuple[str, Rule]]:
    target = hook.rule.target
    called = target.chain if isinstance(target, Jump) else ""
    for chain in table.chains:
        if chain.name == called:
            fitting = (rule for rule in chain.rules if _fits(rule, packet))
            return [(called, rule) for rule in fitting][:1]
    return []


def _fits(rule: Rule, packet: Packet) -> bool:
    """The plan's own rules look at addresses alone."""
    from_there = rule.source is None or (packet.src in rule.source) is not rule.source_inverted
    to_there = rule.destination is None or (packet.dst in rule.destination) is not rule.destination_inverted
    return from_there and to_there
