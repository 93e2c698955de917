"""A journey beside its prediction: equal, or the first place where they part, in a sentence."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from trace_files import lab, predicted

from netlab.model.journey import Hop, Journey, PacketVerdict, RuleHit, Way
from netlab.trace import Foretold, Prediction, compare

Change = Callable[[tuple[Hop, ...]], tuple[Hop, ...]]


def cross_node() -> tuple[Prediction, Foretold]:
    prediction = predicted(lab("two-nodes"), "pod/shell", "service/web:80")
    way = prediction.by_pod("web-2")
    assert way is not None
    return prediction, way


def seen(way: Foretold, *, change: Change = tuple, verdict: PacketVerdict | None = None, pod: str = "web-2") -> Journey:
    """The journey that the kernel would have, its client's port 41000 included, but for a change."""
    hops = tuple(_with_ports(hop) for hop in change(way.hops))
    return Journey(from_="pod/shell", to="service/web:80", verdict=verdict or PacketVerdict.REACHED, pod=pod, hops=hops)


def _with_ports(hop: Hop) -> Hop:
    packet = hop.packet
    ports = {"sport": packet.sport or 41000, "dport": packet.dport or 41000}
    return hop.model_copy(update={"packet": packet.model_copy(update=ports)})


def at(hops: tuple[Hop, ...], place: str, hook: str, *, way: Way = Way.REQUEST) -> int:
    return next(i for i, hop in enumerate(hops) if (hop.at, hop.hook, hop.way) == (place, hook, way))


def other_source(place: str, hook: str, source: str) -> Change:
    def change(hops: tuple[Hop, ...]) -> tuple[Hop, ...]:
        index = at(hops, place, hook)
        packet = hops[index].packet.model_copy(update={"src": source})
        return (*hops[:index], hops[index].model_copy(update={"packet": packet}), *hops[index + 1 :])

    return change


def cut_after(place: str, hook: str) -> Change:
    return lambda hops: hops[: at(hops, place, hook) + 1]


def without(keep: Callable[[Hop], bool]) -> Change:
    return lambda hops: tuple(hop for hop in hops if keep(hop))


def astray(hops: tuple[Hop, ...]) -> tuple[Hop, ...]:
    """The wire's frame goes to the other node as well as out of the machine outside."""
    index = at(hops, "fabric", "link/node2")
    return (*hops[: index + 1], hops[index].model_copy(update={"hook": "link/client"}), *hops[index + 1 :])


SAME: dict[str, Change] = {
    "all of it": tuple,
    "no tap on the wire": without(lambda hop: hop.at != "fabric"),
    "no tap on a bridge": without(lambda hop: hop.hook != "link/cni0"),
    "no hooks of netfilter": without(lambda hop: not hop.hook.startswith("nat/")),
    "no routes": without(lambda hop: hop.hook != "route"),
    "the answer's end not noted": without(lambda hop: hop.hook != "socket" or hop.way is Way.REQUEST),
    "hooks where nothing changed": lambda hops: (
        *hops[:3],
        hops[2].model_copy(update={"hook": "filter/FORWARD"}),
        *hops[3:],
    ),
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME.keys())
def test_what_taps_happen_to_see_is_no_difference(change: Change) -> None:
    prediction, way = cross_node()
    journey = compare(seen(way, change=change), prediction)
    assert (journey.agrees, journey.first_difference) == (True, None)
    assert journey.prediction == way.hops
    assert journey.endpoints == prediction.endpoints


WRONG: dict[str, tuple[Change, str]] = {
    "another source on the wire": (
        other_source("node/node1", "link/eth0", "172.18.0.2"),
        "at node/node1 link/eth0 the kernel saw source 172.18.0.2, the model 10.244.0.3",
    ),
    "it never leaves the node": (
        cut_after("node/node1", "link/cni0"),
        "the model goes on to node/node1 link/eth0, the kernel does not",
    ),
    "it goes where it should not": (
        astray,
        "at fabric link/client the kernel had a packet from 10.244.0.3 to 10.244.1.2:8080, the model has nothing there",
    ),
    "a node is passed over": (
        without(lambda hop: hop.at != "node/node2"),
        "the model has a packet from 10.244.0.3 to 10.244.1.2:8080 at node/node2 link/eth0, "
        "the kernel had nothing there",
    ),
}


@pytest.mark.parametrize(("change", "said"), WRONG.values(), ids=WRONG.keys())
def test_the_first_difference_is_told_in_a_sentence(change: Change, said: str) -> None:
    prediction, way = cross_node()
    journey = compare(seen(way, change=change), prediction)
    assert (journey.agrees, journey.first_difference) == (False, said)


def test_another_verdict_and_another_pod_are_differences_too() -> None:
    prediction, way = cross_node()
    refused = compare(seen(way, verdict=PacketVerdict.REFUSED), prediction)
    assert refused.first_difference == "the kernel says refused, the model reached"
    assert refused.meaning is not None
    assert refused.meaning.startswith("By the lab's state it should be reached. It was last seen at pod/shell")
    stranger = compare(seen(way, pod="db"), prediction)
    assert stranger.first_difference == "the kernel brought it to db, the model knows web-1, web-2"


def test_what_ended_it_against_the_lab_s_state_is_pointed_at() -> None:
    prediction, way = cross_node()
    cut = at(way.hops, "node/node1", "link/cni0")
    rule = RuleHit(chain="FORWARD", rule="-A FORWARD -d 10.244.1.2/32 -j DROP")
    end = {"hook": "filter/FORWARD", "rules": (rule,), "verdict": PacketVerdict.DROPPED}

    def by_rule(hops: tuple[Hop, ...]) -> tuple[Hop, ...]:
        return (*hops[: cut + 1], hops[cut].model_copy(update=end))

    def by_route(hops: tuple[Hop, ...]) -> tuple[Hop, ...]:
        return (*hops[: cut + 1], hops[cut].model_copy(update={**end, "hook": "route", "rules": ()}))

    told = [
        compare(seen(way, change=each, verdict=PacketVerdict.DROPPED), prediction).meaning or ""
        for each in (by_rule, by_route)
    ]
    assert told[0].endswith("node/node1 filter/FORWARD, by a rule that the lab's objects do not ask for: " + rule.rule)
    assert "or the sysctl net.ipv4.conf.all.forwarding" in told[1]


def test_it_is_compared_with_the_way_of_the_endpoint_that_the_kernel_chose() -> None:
    prediction, way = cross_node()
    first = prediction.first
    assert first.pod == "web-1"
    assert compare(seen(first, pod="web-1"), prediction).prediction == first.hops
    assert compare(seen(way), prediction).prediction == way.hops


def test_what_was_refused_agrees_and_keeps_its_meaning() -> None:
    prediction = predicted(lab("no-endpoints"), "pod/client", "service/empty:80")
    way = prediction.first
    journey = Journey(from_="pod/client", to="service/empty:80", verdict=PacketVerdict.REFUSED, hops=way.hops)
    told = compare(journey, prediction)
    assert told.agrees is True
    assert told.meaning == "Service default/empty has no ready endpoint; selector app=nobody matches no Pod."


def test_a_tunnelled_packet_may_be_told_by_its_inside_or_by_its_outside() -> None:
    prediction = predicted(lab("three-nodes-vxlan"), "pod/echo-3", "pod/echo-1:7/udp")
    way = prediction.first
    inside = way.hops[1].packet
    hops = tuple(
        hop.model_copy(update={"packet": inside}) if hop.detail and hop.detail.startswith("VXLAN") else hop
        for hop in way.hops
        if hop.way is Way.REQUEST
    )
    journey = Journey(from_="pod/echo-3", to="pod/echo-1:7/udp", verdict=way.verdict, pod="echo-1", hops=hops)
    assert compare(journey, prediction).agrees is True
    assert any(hop.packet.dport == 4789 for hop in way.hops)
