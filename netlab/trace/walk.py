"""A packet's way from cable to cable: interfaces, bridges, tunnels, routes. What happens to it on a node is `node`'s.

send ─> leave ─> emit ─> cross ─> arrive ─> (bridge ─> across) or routed ─> local_in or leave ─> ...
"""

from __future__ import annotations

from dataclasses import replace

from netlab.model.journey import PacketVerdict, Way
from netlab.model.rules import IPAddress
from netlab.model.state import Link, Veth, Vxlan
from netlab.trace.causes import Cause, Reason
from netlab.trace.lab import TracedLab
from netlab.trace.machine import Machine, RouteFound, Towards
from netlab.trace.node import NodeSteps
from netlab.trace.packet import ICMP, Packet
from netlab.trace.policy import Block, Stage, Worker
from netlab.trace.track import Asked, Pick, Track

NO_ROUTE = "net unreachable"
PORT_UNREACHABLE = "port unreachable"
HOST_UNREACHABLE = {4: "host unreachable", 6: "no route"}
"""What a router says of an `unreachable` route (ip_error(), net/ipv4/route.c; ip6_pkt_drop(), net/ipv6/route.c)."""


class Walk:
    """One flow, from its first packet to the answer. `pick` chooses where a Service has several endpoints."""

    def __init__(self, lab: TracedLab, *, pick: Pick) -> None:
        self.lab = lab
        self.track = Track(pick)
        self.steps = NodeSteps(lab, self.track)

    def run(self, machine: Machine, packet: Packet) -> Track:
        """Send the packet from that machine and follow it until somebody knows how it ended."""
        self.track.asked.append(Asked(machine, packet))
        self.send(machine, packet)
        return self.track

    # --- out of a machine

    def send(self, machine: Machine, packet: Packet) -> None:
        """A packet of the machine's own."""
        found = machine.route(packet.dst)
        self.track.hop(machine, "route", packet, detail=found.text)
        if found.towards is Towards.NOWHERE:
            self._stop(PacketVerdict.UNREACHABLE, Reason.NO_ROUTE, machine, packet, found.text)
            return
        after = self.steps.output(machine, packet, found)
        if isinstance(after, Block):
            self._blocked(machine, packet, after, Stage.OUTPUT)
            return
        if after.dst != packet.dst:
            found = machine.route(after.dst)
            self.track.hop(machine, "route", after, detail=found.text)
            if found.towards is Towards.NOWHERE:
                self._stop(PacketVerdict.UNREACHABLE, Reason.NO_ROUTE, machine, after, found.text)
                return
        self._leave(machine, after, found)

    def _leave(self, machine: Machine, packet: Packet, found: RouteFound) -> None:
        packet = self.steps.postrouting(machine, packet, found.link, found.next_hop or packet.dst)
        if found.towards is Towards.HERE:
            self.track.hop(machine, "link/lo", packet)
            self._local_in(machine, packet)
        else:
            self._emit(machine, found.link, packet, found.next_hop or packet.dst)

    def _emit(self, machine: Machine, name: str, packet: Packet, next_hop: IPAddress) -> None:
        self.track.hop(machine, f"link/{name}", packet)
        link = machine.links[name]
        mac = machine.macs.get((name, next_hop)) or self.lab.mac_of(next_hop)
        if mac is None:
            self._stop(PacketVerdict.DROPPED, Reason.NOBODY_THERE, machine, packet)
        elif isinstance(link, Vxlan):
            self._tunnel(machine, link, packet, mac)
        elif machine.is_bridge(name):
            self._out_of_port(machine, name, packet, mac)
        else:
            self._cross(link, packet, mac)

    def _tunnel(self, machine: Machine, link: Vxlan, packet: Packet, mac: str) -> None:
        end = next((each.destination for each in machine.state.fdb if each.mac == mac), None)
        if end is None:
            self._stop(PacketVerdict.DROPPED, Reason.NOBODY_THERE, machine, packet)
            return
        found = machine.route(end)
        self._emit(machine, found.link, packet.wrapped(source=link.local, destination=end), found.next_hop or end)

    def _out_of_port(self, machine: Machine, bridge: str, packet: Packet, mac: str) -> None:
        """The port behind which the MAC is."""
        for port in machine.ports(bridge):
            if isinstance(port, Veth) and (end := self.lab.peer(port)) and end[0].links[end[1]].mac == mac:
                self.track.hop(machine, f"link/{port.name}", packet)
                self._cross(port, packet, mac)
                return
        self._stop(PacketVerdict.DROPPED, Reason.NOBODY_THERE, machine, packet)

    def _cross(self, link: Link, packet: Packet, mac: str) -> None:
        end = self.lab.peer(link) if isinstance(link, Veth) else None
        if end is not None:
            self._arrive(*end, packet, mac)

    # --- into a machine

    def _arrive(self, machine: Machine, name: str, packet: Packet, mac: str) -> None:
        self.track.hop(machine, f"link/{name}", packet)
        bridge = machine.links[name].master
        if self.track.goes_round:
            self._stop(PacketVerdict.DROPPED, Reason.LOOP, machine, packet)
        elif bridge:
            self._at_bridge(machine, bridge, packet, mac)
        else:
            after = self.steps.prerouting(machine, packet, name)
            self._go_on(machine, packet, after)

    def _at_bridge(self, machine: Machine, bridge: str, packet: Packet, mac: str) -> None:
        """Up to the machine where the frame is for it, else across to another port.

        A node's rules are asked already here (bridge-nf-call-iptables). A new destination on the bridge itself is
        bridged like any other frame, and never comes up (br_nf_pre_routing_finish(), br_netfilter_hooks.c).
        """
        own = machine.links[bridge].mac
        if machine.filters_bridged(packet.dst.version):
            after = self.steps.prerouting(machine, packet, bridge)
            if isinstance(after, Block):
                self._blocked(machine, packet, after, Stage.PREROUTING)
                return
            if after.dst != packet.dst:
                found = machine.route(after.dst)
                beside = found.towards is Towards.ONWARD and found.link == bridge
                mac = (self.lab.mac_of(after.dst) or own) if beside else own
            packet = after
        if mac == own:
            self.track.hop(machine, f"link/{bridge}", packet)
            self._routed(machine, packet)
        else:
            self._across(machine, bridge, packet, mac)

    def _across(self, machine: Machine, bridge: str, packet: Packet, mac: str) -> None:
        if machine.filters_bridged(packet.dst.version):
            after = self.steps.forward(machine, packet)
            if isinstance(after, Block):
                self._blocked(machine, packet, after, Stage.FORWARD)
                return
            packet = self.steps.postrouting(machine, after, bridge, after.dst)
        self._out_of_port(machine, bridge, packet, mac)

    def _go_on(self, machine: Machine, before: Packet, after: Packet | Block) -> None:
        if isinstance(after, Block):
            self._blocked(machine, before, after, Stage.PREROUTING)
        else:
            self._routed(machine, after)

    def _routed(self, machine: Machine, packet: Packet) -> None:
        found = machine.route(packet.dst)
        if found.towards is Towards.HERE:
            self._local_in(machine, packet)
            return
        self.track.hop(machine, "route", packet, detail=found.text)
        if found.towards is Towards.NOWHERE:
            cause = self._cause(Reason.NO_ROUTE, machine, packet, found.text)
            says = HOST_UNREACHABLE[packet.dst.version]
            self._turn_down(machine, packet, Block(PacketVerdict.UNREACHABLE, cause), says=says)
        elif not machine.forwards(packet.dst.version):
            self._stop(PacketVerdict.DROPPED, Reason.NOT_A_ROUTER, machine, packet)
        else:
            after = self.steps.forward(machine, packet)
            if isinstance(after, Block):
                self._blocked(machine, packet, after, Stage.FORWARD)
            else:
                self._leave(machine, after, found)

    # --- to a program

    def _local_in(self, machine: Machine, packet: Packet) -> None:
        if packet.inner:
            self._unwrap(machine, packet.inner)
            return
        after = self.steps.input(machine, packet)
        if isinstance(after, Block):
            self._blocked(machine, packet, after, Stage.INPUT)
        elif not machine.has(after.dst):  # the balancer of mode ipvs sent it on
            found = machine.route(after.dst)
            self.track.hop(machine, "route", after, detail=found.text)
            self._leave(machine, after, found)
        elif self.track.is_request:
            self._deliver(machine, after)
        else:
            self._come_home(machine, after)

    def _unwrap(self, machine: Machine, packet: Packet) -> None:
        tunnel = next((link.name for link in machine.state.links if isinstance(link, Vxlan)), "vxlan0")
        self.track.hop(machine, f"link/{tunnel}", packet)
        self._go_on(machine, packet, self.steps.prerouting(machine, packet, tunnel))

    def _deliver(self, machine: Machine, packet: Packet) -> None:
        track = self.track
        connection = track.carried(machine, packet)
        if connection and connection.worker is Worker.PROXY:
            self._through_proxy(machine, packet)
            return
        listener = self.lab.listener(machine, packet)
        pods = self.lab.pods_at(machine.at) if not machine.at.startswith("node/") else ()
        track.pod = listener.pod if listener else machine.at.removeprefix("pod/") if pods else None
        track.source_seen = str(packet.src) if track.pod else None
        verdict = PacketVerdict.REACHED if listener else PacketVerdict.REFUSED
        cause = None if listener else self._cause(Reason.NO_LISTENER, machine, packet)
        track.hop(machine, "socket", packet, verdict=verdict, detail=listener.who if listener else "nobody listens")
        track.cause = track.cause or cause
        if listener is None and packet.proto == "udp":
            answer = packet.error(PORT_UNREACHABLE, source=packet.dst)
        else:
            flags = ("S." if listener else "R.") if packet.proto == "tcp" else None
            answer = packet.answered(flags)
        self._answer(machine, answer, verdict)

    def _through_proxy(self, machine: Machine, packet: Packet) -> None:
        """kube-proxy takes what the client says, and asks an endpoint in its own name."""
        track = self.track
        endpoint = self.steps.endpoint_of_proxy(machine, packet)
        if endpoint is None:
            reached = PacketVerdict.REACHED if packet.proto == "tcp" else PacketVerdict.DROPPED
            track.hop(machine, "proxy", packet, verdict=reached, detail="kube-proxy has no endpoint to ask")
            track.cause = self._cause(Reason.NO_ENDPOINT, machine, packet)
            if reached is PacketVerdict.REACHED:
                self._answer(machine, packet.answered("S."), reached)
            return
        source = machine.route(endpoint.address).source or packet.dst
        own = replace(packet, src=source, sport=None, dst=endpoint.address, dport=endpoint.port)
        track.hop(machine, "proxy", own, before=packet, detail=f"kube-proxy asks {endpoint.name}")
        track.asked.append(Asked(machine, own, passes_on=packet))
        self.send(machine, own)

    # --- the answer

    def _answer(self, machine: Machine, packet: Packet, verdict: PacketVerdict) -> None:
        self.track.pending = verdict
        self.track.way = Way.REPLY
        self.send(machine, packet)

    def _come_home(self, machine: Machine, packet: Packet) -> None:
        track, asked = self.track, self.track.asked[-1]
        spoken = packet.quoted.dst if packet.quoted else packet.src
        if machine is not asked.machine or spoken != asked.sent.dst:
            self._stop(PacketVerdict.DROPPED, Reason.OTHER_ADDRESS_ANSWERS, machine, packet)
        elif asked.passes_on is not None:
            track.asked.pop()
            self._pass_on(machine, packet, asked.passes_on)
        else:
            track.verdict = track.pending
            track.hop(machine, "socket", packet, verdict=track.verdict)

    def _pass_on(self, machine: Machine, packet: Packet, client: Packet) -> None:
        """What an endpoint said to kube-proxy; its TCP clients were answered before."""
        refused = packet.quoted is not None or (packet.flags or "").startswith("R")
        if refused and client.proto == "udp":
            self._stop(PacketVerdict.DROPPED, Reason.NO_LISTENER, machine, packet)
            return
        answer = client.answered("S." if client.proto == "tcp" else None)
        self.track.hop(machine, "proxy", answer, before=packet, detail="kube-proxy answers the client")
        self._answer(machine, answer, PacketVerdict.REACHED)

    # --- the end

    def _blocked(self, machine: Machine, packet: Packet, block: Block, stage: Stage) -> None:
        says = PORT_UNREACHABLE if block.verdict is PacketVerdict.REFUSED else NO_ROUTE
        hook, rules = self.steps.ended(machine, packet, block, stage)
        self.track.hop(machine, hook, block.packet or packet, verdict=block.verdict, rules=rules)
        if block.verdict is PacketVerdict.DROPPED:
            self.track.stop(block.verdict, block.cause)
        else:
            self._turn_down(machine, packet, block, says=says)

    def _turn_down(self, machine: Machine, packet: Packet, block: Block, *, says: str) -> None:
        """Tell the sender by ICMP; nobody is told about an answer."""
        self.track.cause = self.track.cause or block.cause
        back = machine.route(packet.src)
        source = packet.dst if machine.has(packet.dst) else back.source
        if not self.track.is_request or source is None or (packet.proto == ICMP and packet.quoted):
            self.track.stop(PacketVerdict.DROPPED, block.cause)
        else:
            self._answer(machine, packet.error(says, source=source), block.verdict)

    def _stop(self, verdict: PacketVerdict, reason: Reason, machine: Machine, packet: Packet, text: str = "") -> None:
        self.track.stop(verdict, self._cause(reason, machine, packet, text))

    def _cause(self, reason: Reason, machine: Machine, packet: Packet, text: str = "") -> Cause:
        return Cause(
            reason=reason,
            at=machine.at,
            address=packet.dst,
            port=packet.dport,
            protocol=packet.proto,
            source=packet.src,
            text=text,
        )
