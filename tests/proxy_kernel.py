"""The packet tables in the kernel: kube-proxy's rules on the stage, and what really becomes of packets."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_address
from itertools import count
from math import ceil, log
from pathlib import Path

from proxy_memory import MEMORIES, ClientMemory, NobodyCanWrite
from proxy_objects import MACHINE_ADDRESSES
from proxy_persistence import Persistence
from proxy_stage import NODE, Sighting, Stage
from proxy_tables import Probe, Scene
from proxy_tables.differences import in_nftables
from proxy_tracer import DROPPED, REFUSED, UNTOUCHED, Outcome, Signal, masqueraded, reaches, read_packet
from proxy_wire import Flow, Word
from waiting import until

from netlab.agents.kube_proxy.core import Proxier
from netlab.kernel import conntrack, sysctls
from netlab.kernel.dummy import addresses_of
from netlab.model.ipvs import DEVICE
from netlab.model.modes import ProxyMode
from netlab.model.objects import KubernetesObject
from netlab.model.rules import Family, Verdict
from netlab.model.state import Sysctl
from netlab.proxy.addresses import with_port
from netlab.proxy.config import ProxyConfig

LUCK = 1e-9
"""How likely it may be that a test fails because chance left an endpoint out."""
AT_ONCE = 40
TURNS = 2
"""How often each endpoint's turn comes in mode ipvs, which takes them one after the other."""
ROUNDS_FOR_ANSWERS = 20
"""How often it is waited for the answers that must come; on a busy machine some came after the first time."""
ROUTES_6 = Path("/proc/thread-self/net/ipv6_route")
FIRST_PORT, LAST_PORT = 10000, 29000
TOOLS = ("iptables-legacy", "ip6tables-legacy")


def flows_for(endpoints: int) -> int:
    """How many flows, spread evenly over so many endpoints, leave none of them out but for bad luck."""
    return 2 if endpoints < 2 else ceil((log(endpoints) - log(LUCK)) / -log(1 - 1 / endpoints))


def _addresses_answer() -> bool:
    """Whether the routes of kube-ipvs0's IPv6 addresses are there: the kernel adds them a moment after the address."""
    addresses = {address.packed.hex() for address in addresses_of(DEVICE) if address.version == 6}
    routes = ROUTES_6.read_text().splitlines() if addresses else []
    return addresses <= {words[0] for line in routes if (words := line.split())[1] == "80" and words[-1] == DEVICE}


def in_one(found: set[Outcome]) -> Outcome:
    """What became of several flows of one kind, all of which reached endpoints, or none."""
    ends = {outcome for outcome in found if outcome.end}
    assert not ends or len(found) == 1, f"one packet, several fates: {found}"
    if ends:
        return ends.pop()
    together = Outcome()
    for outcome in found:
        together |= outcome
    return together


@dataclass(eq=False)
class Client:
    """Somebody at some address and port, and whom it talks to."""

    node: KernelNode
    flow: Flow

    def ask(self) -> Outcome:
        """What becomes of the next packet."""
        (outcome,) = self.node.ask([self.flow])
        return outcome

    @property
    def identity(self) -> bytes | None:
        """Of the flow as conntrack knows it, if it does."""
        flow = self.flow
        known = conntrack.find(flow.protocol, (flow.source, flow.source_port), (flow.destination, flow.port))
        return known.identity if known else None


class KernelNode:
    """node1 of the stage, with a kube-proxy that follows from scene to scene, or starts anew where its flags change."""

    def __init__(self, stage: Stage, mode: ProxyMode | None = None) -> None:
        """Without a mode every scene is in that of its own flags."""
        self._stage = stage
        self._mode = mode
        self._ports = count(FIRST_PORT)
        self._config: ProxyConfig | None = None
        self._proxier: Proxier | None = None
        self._objects: dict[tuple[str, str], KubernetesObject] = {}
        self._policies: tuple[tuple[str, Verdict], ...] = ()
        self._extra: tuple[str, ...] = ()
        self._memory = self._memory_of(mode)

    def _memory_of(self, mode: ProxyMode | None) -> ClientMemory:
        if mode is ProxyMode.IPVS:
            return Persistence(lambda flow: self.ask([flow]))
        return MEMORIES[mode]() if mode else NobodyCanWrite()

    # --- rules

    def show(self, scene: Scene) -> None:
        """Have the kernel hold the rules of a scene, and no flow of another."""
        self.change(scene)
        self.forget_flows()

    def change(self, scene: Scene) -> None:
        """Have the kernel hold the rules of a scene; flows are kube-proxy's matter."""
        if scene.policies != self._policies:
            self._set_policies(dict(scene.policies))
            self._policies = scene.policies
        if scene.config != self._config or scene.addresses != self._extra:
            self._start(scene)
        self._follow({(each.kind, each.key): each for each in scene.objects})

    def close(self) -> None:
        """End the kube-proxy; the rules stay."""
        if self._proxier:
            self._proxier.close()

    def forget_flows(self) -> None:
        for family in Family:
            conntrack.delete(list(conntrack.flows(family)))

    def _set_policies(self, policies: dict[str, Verdict]) -> None:
        for tool in TOOLS:
            for chain in ("FORWARD", "INPUT"):
                subprocess.run([tool, "-P", chain, policies.get(chain, Verdict.ACCEPT)], check=True)

    def _start(self, scene: Scene) -> None:
        for command, addresses in (("del", self._extra), ("add", scene.addresses)):
            for address in addresses:
                subprocess.run(["ip", "address", command, address, "dev", "lo"], check=True)
        self._config, self._extra, self._objects = scene.config, scene.addresses, {}
        sysctls.write(Sysctl("net/ipv4/conf/all/route_localnet", "0"), where=NODE)
        liberal = str(int(scene.config.conntrack_tcp_liberal))
        sysctls.write(Sysctl("net/netfilter/nf_conntrack_tcp_be_liberal", liberal), where=NODE)
        self.close()
        self._proxier = Proxier(replace(scene.config, mode=self._mode or scene.config.mode))
        self._proxier.prepare()

    def _follow(self, objects: dict[tuple[str, str], KubernetesObject]) -> None:
        assert self._proxier
        for key, gone in self._objects.items():
            if key not in objects:
                self._proxier.remove(gone)
        for key, found in objects.items():
            if self._objects.get(key) != found:
                self._proxier.put(found)
        self._objects = objects
        self._proxier.sync()
        until(_addresses_answer)

    # --- packets

    def expected(self, scene: Scene) -> dict[str, Outcome]:
        """What each packet of a scene must meet in this node's mode."""
        return in_nftables(scene) if self._mode is ProxyMode.NFTABLES else scene.expected

    @property
    def addresses(self) -> tuple[str, ...]:
        return (*MACHINE_ADDRESSES, *self._extra)

    def send(self, probe: Probe, *, among: int) -> Outcome:
        """What becomes of as many flows as it takes to see every one of `among` endpoints that is used."""
        flows = TURNS * among if self._mode is ProxyMode.IPVS else max(flows_for(among), AT_ONCE)
        at_once = 1 if self._memory.is_kept() else min(flows, AT_ONCE)
        found = {outcome for _ in range(ceil(flows / at_once)) for outcome in self._batch(probe, flows=at_once)}
        together = in_one(found)
        if together.end:
            return together
        # The node's own packets leave under its address anyway: that masquerading gave them a new port is seen on all
        # but one of 64512.
        own = self._stage.place_of(ip_address(probe.source), self.addresses) == NODE
        return masqueraded(*together.endpoints) if own and together.masqueraded else together

    def client(self, source: str, to: str) -> Client:
        """Somebody who goes on sending from one port."""
        packet = read_packet(source, to)
        return Client(self, Flow(packet.protocol, packet.source, self._new_port(), packet.destination, packet.port))

    def ask(self, flows: Iterable[Flow], *, word: Word = Word.QUESTION) -> list[Outcome]:
        """What becomes of one packet of each flow, sent together."""
        sent = {self._stage.new_token(): flow for flow in flows}
        for token, flow in sent.items():
            self._stage.send(flow, word, token, place=self._place(flow))
        seen = self._stage.settled()
        arrivals = {token: [each for each in seen if each.heard.token == token] for token in sent}
        outcomes = {token: self._outcome(sent[token], found) for token, found in arrivals.items()}
        self._check_answers(sent, arrivals, outcomes)
        return list(outcomes.values())

    def _batch(self, probe: Probe, *, flows: int) -> list[Outcome]:
        stray = read_packet(probe.source, probe.to).signal is Signal.STRAY
        clients = [self.client(probe.source, probe.to) for _ in range(flows)]
        if self._memory.is_kept():
            self._memory.only(clients[0].flow, probe.last)
        return self.ask([client.flow for client in clients], word=Word.STRAY if stray else Word.QUESTION)

    def _new_port(self) -> int:
        return FIRST_PORT + next(self._ports) % (LAST_PORT - FIRST_PORT)

    def _place(self, flow: Flow) -> str:
        return self._stage.place_of(flow.source, self.addresses)

    def _outcome(self, sent: Flow, seen: list[Sighting]) -> Outcome:
        arrived = [each for each in seen if each.heard.word in {Word.QUESTION, Word.STRAY}]
        if not arrived:
            refused = any(each.heard.word is Word.REFUSED and each.place == self._place(sent) for each in seen)
            return REFUSED if refused else DROPPED
        (arrival,) = arrived
        flow = arrival.heard.flow
        if (flow.destination, flow.port) == (sent.destination, sent.port):
            assert flow == sent, f"the source was changed: {flow}"
            return UNTOUCHED
        name = with_port(flow.destination, flow.port)
        own = self._place(sent) == NODE
        if flow.source == sent.source and not (own and flow.source_port != sent.source_port):
            return reaches(name)
        assert str(flow.source) in self.addresses, f"whose address is {flow.source}?"
        return masqueraded(name)

    def _check_answers(
        self, sent: dict[int, Flow], arrivals: dict[int, list[Sighting]], outcomes: dict[int, Outcome]
    ) -> None:
        """Every endpoint answers, and the client hears that from the address that it had sent to."""
        reached = [token for token, outcome in outcomes.items() if not outcome.end]
        for token in reached:
            place, heard = next(each for each in arrivals[token] if each.heard.word is Word.QUESTION)
            self._stage.send(heard.flow.back(), Word.ANSWER, token, place=place)
        expected = {(self._place(sent[token]), token, sent[token].back()) for token in reached}
        heard_back = set[tuple[str, int, Flow]]()
        for _ in range(ROUNDS_FOR_ANSWERS):
            answers = [each for each in self._stage.settled() if each.heard.word is Word.ANSWER]
            heard_back |= {(each.place, each.heard.token, each.heard.flow) for each in answers}
            if heard_back >= expected:
                break
        assert heard_back == expected
