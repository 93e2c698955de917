"""What a packet needs on its way is needed: without it, it is lost."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import pytest
from fabric_lab import namespace
from fabric_packets import PORT, SERVICE_PORT, Design, Up, bring_up

from netlab.model.state import Veth
from netlab.model.topology import Fabric, PodLink

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with bring_up(Design(Fabric.VXLAN, PodLink.BRIDGE, 4)) as lab:
        yield lab


@pytest.fixture
def on_node1(up: Up) -> Iterator[Callable[[str, str], None]]:
    """Run a command on node1, and another one at the end of the test that takes it back."""
    back: list[str] = []

    def run(command: str, undo: str) -> None:
        back.append(undo)
        execute(command)

    def execute(command: str) -> None:
        subprocess.run(["ip", "netns", "exec", f"{up.state.lab}.node1", *command.split()], check=True)

    yield run
    for command in back:
        execute(command)


def test_without_netfilter_on_the_bridge_the_answer_of_a_neighbour_comes_from_a_stranger(
    up: Up, on_node1: Callable[[str, str], None]
) -> None:
    assert up.stand.ask("shell", up.vip("web-1"), SERVICE_PORT).place == "web-1"
    key = "net/bridge/bridge-nf-call-iptables"
    on_node1(f"sysctl -qw {key}=0", f"sysctl -qw {key}=1")
    with pytest.raises(TimeoutError):
        up.stand.ask("shell", up.vip("web-1"), SERVICE_PORT)
    assert up.stand.ask("shell", up.address("web-1"), PORT).place == "web-1"


def test_without_hairpin_mode_a_pod_cannot_reach_itself(up: Up, on_node1: Callable[[str, str], None]) -> None:
    assert up.stand.ask("web-1", up.vip("web-1"), SERVICE_PORT).place == "web-1"
    eth0 = namespace(up.state, "web-1").link("eth0")
    assert isinstance(eth0, Veth)
    port = f"ip link set {eth0.peer} type bridge_slave hairpin"
    on_node1(f"{port} off", f"{port} on")
    with pytest.raises(TimeoutError):
        up.stand.ask("web-1", up.vip("web-1"), SERVICE_PORT)
    assert up.stand.ask("shell", up.vip("web-1"), SERVICE_PORT).place == "web-1"


def test_without_masquerading_the_world_cannot_answer_a_pod(up: Up, on_node1: Callable[[str, str], None]) -> None:
    assert up.stand.ask("shell", up.address("client"), PORT).source == up.address("node1")
    rule = "NETLAB-MASQ -j RETURN"
    on_node1(f"iptables-legacy -t nat -I {rule}", f"iptables-legacy -t nat -D {rule}")
    with pytest.raises(TimeoutError):
        up.stand.ask("shell", up.address("client"), PORT)


def test_without_a_tunnel_entry_the_other_nodes_pods_are_silent(up: Up, on_node1: Callable[[str, str], None]) -> None:
    (entry,) = namespace(up.state, "node1").fdb
    words = f"{entry.mac} dev {entry.link} dst {entry.destination}"
    on_node1(f"bridge fdb del {words}", f"bridge fdb add {words}")
    with pytest.raises(TimeoutError):
        up.stand.ask("shell", up.address("web-2"), PORT)
    assert up.stand.ask("shell", up.address("web-1"), PORT).place == "web-1"
