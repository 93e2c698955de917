"""Netlink requests to IPVS and ipset, decoded by pyroute2: each says what it should, in another author's tables."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from pyroute2.netlink.generic.ipvs import ipvsmsg
from pyroute2.netlink.nfnetlink.ipset import ipset_msg

from netlab.kernel import ipsets, ipvs
from netlab.kernel.netlink import HEADER
from netlab.model.ipvs import AddressSet, RealServer, Scheduler, ServerKey, SetEntry, SetKind, VirtualServer
from netlab.model.rules import Family, Protocol

WEB = VirtualServer(ServerKey(Protocol.TCP, ip_address("10.96.0.10"), 80), Scheduler.RR)
STICKY = VirtualServer(ServerKey(Protocol.UDP, ip_address("fd00::10"), 53), Scheduler.MH, persistent_seconds=100)
POD = RealServer(ip_address("10.244.1.5"), 8080)


def decoded(kind: Any, body: bytes, *, number: int = 0) -> Any:
    message = kind(HEADER.pack(HEADER.size + len(body), number, 0, 0, 0) + body)
    message.decode()
    return message


def part(message: Any, name: str) -> dict[str, Any]:
    return {key.rpartition("ATTR_")[2]: value for key, value in message.get_attr(name)["attrs"]}


def test_a_virtual_server_is_made_with_all_its_settings() -> None:
    message = decoded(ipvsmsg, ipvs.body(ipvs.add(WEB)))
    said = part(message, "IPVS_CMD_ATTR_SERVICE")
    assert (message["cmd"], message["version"]) == (1, 1)
    assert (said["AF"], said["PROTOCOL"], said["ADDR"], said["PORT"]) == (2, 6, "10.96.0.10", 80)
    assert (said["SCHED_NAME"], said["TIMEOUT"], said["FLAGS"]["flags"]) == ("rr", 0, 0)


def test_affinity_is_a_persistence_in_seconds_and_a_scheduler_may_want_a_flag_of_its_own() -> None:
    said = part(decoded(ipvsmsg, ipvs.body(ipvs.alter(STICKY))), "IPVS_CMD_ATTR_SERVICE")
    assert (said["SCHED_NAME"], said["TIMEOUT"], said["FLAGS"]["flags"]) == ("mh", 100, 0x11)


def test_an_ipv6_server_has_its_prefix_length_as_netmask() -> None:
    body = ipvs.body(ipvs.add(STICKY))
    assert (128).to_bytes(4, "little") in body
    assert b"\xff\xff\xff\xff" in ipvs.body(ipvs.add(WEB))


@pytest.mark.parametrize(("weight", "command"), [(1, 5), (0, 6)])
def test_a_real_server_is_reached_by_translation(weight: int, command: int) -> None:
    change = ipvs.add_real(WEB, POD) if weight else ipvs.weigh(WEB, POD, weight=0)
    message = decoded(ipvsmsg, ipvs.body(change))
    said = part(message, "IPVS_CMD_ATTR_DEST")
    assert message["cmd"] == command
    assert (said["PORT"], said["FWD_METHOD"], said["WEIGHT"]) == (8080, 0, weight)
    assert part(message, "IPVS_CMD_ATTR_SERVICE")["ADDR"] == "10.96.0.10"


def test_a_set_of_addresses_is_made_for_its_family() -> None:
    wanted = AddressSet("KUBE-6-CLUSTER-IP", SetKind.ADDRESS_PORT, Family.IPV6)
    message = decoded(ipset_msg, ipsets.creation(wanted, revision=b"\x06"), number=ipsets.CREATE)
    said = {key: value for key, value in message["attrs"] if key != "IPSET_ATTR_DATA"}
    assert said["IPSET_ATTR_SETNAME"] == "KUBE-6-CLUSTER-IP"
    assert said["IPSET_ATTR_TYPENAME"] == "hash:ip,port"
    assert (said["IPSET_ATTR_FAMILY"], said["IPSET_ATTR_REVISION"]) == (10, 6)
    assert part(message, "IPSET_ATTR_DATA") == {"HASHSIZE": 1024, "MAXELEM": 65536}


def test_a_set_of_ports_has_the_range_of_all_ports() -> None:
    wanted = AddressSet("KUBE-NODE-PORT-TCP", SetKind.PORT, Family.IPV6)
    message = decoded(ipset_msg, ipsets.creation(wanted, revision=b"\x03"), number=ipsets.CREATE)
    assert part(message, "IPSET_ATTR_DATA") == {"PORT_FROM": 0, "PORT_TO": 65535}


@pytest.mark.parametrize(
    ("entry", "text", "said"),
    [
        (SetEntry(port=30080), "30080", {"PORT_FROM": 30080}),
        (
            SetEntry(ip_address("10.96.0.10"), Protocol.UDP, 53),
            "10.96.0.10,udp:53",
            {"PORT_FROM": 53, "PROTO": 17},
        ),
        (
            SetEntry(ip_address("fd00::5"), Protocol.TCP, 80, ip_network("fd00::/64")),
            "fd00::5,tcp:80,fd00::/64",
            {"PORT_FROM": 80, "PROTO": 6, "CIDR2": 64},
        ),
        (
            SetEntry(ip_address("10.244.1.5"), Protocol.TCP, 8080, ip_network("10.244.1.5/32")),
            "10.244.1.5,tcp:8080,10.244.1.5",
            {"PORT_FROM": 8080, "PROTO": 6},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_entry_says_what_ipset_would_write(entry: SetEntry, text: str, said: dict[str, int]) -> None:
    message = decoded(ipset_msg, ipsets.membership("KUBE-X", entry))
    found = part(message, "IPSET_ATTR_DATA")
    assert str(entry) == text
    assert {key: value for key, value in found.items() if key not in {"IP_FROM", "IP2"}} == said
    assert ("IP_FROM" in found, "IP2" in found) == (entry.address is not None, entry.source is not None)
