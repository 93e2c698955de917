"""What a lab's namespaces must hold, hop by hop of the packet."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from fabric_lab import DUAL_STACK, LAB, Lab, namespace, node_object, pod_object

from netlab.model.names import INTERFACE_NAME_LIMIT
from netlab.model.rules import Family, IcmpError, Masquerade, Reject, Verdict
from netlab.model.state import Address, FdbEntry, LabState, NamespaceState, Neighbour, Route, RouteKind, Veth, Vxlan
from netlab.model.topology import Fabric, PodLink
from netlab.plan.compose import lab_state
from netlab.plan.stations import mac_address, placed_pod

EVERYWHERE = ip_network("0.0.0.0/0")


def settings(state: NamespaceState) -> dict[str, str]:
    return {sysctl.key: sysctl.value for sysctl in state.sysctls}


def route(state: NamespaceState, to: str) -> Route:
    return next(each for each in state.routes if each.destination == ip_network(to))


def macs(state: LabState) -> list[str]:
    return [link.mac for each in state.namespaces for link in each.links if link.name != "lo"]


def test_the_lab_is_the_wire_the_nodes_the_externals_and_the_pods() -> None:
    names = [each.name for each in Lab().state().namespaces]
    assert names == [f"nlfab.{name}" for name in ("fabric", "node1", "node2", "client", "web-1", "web-2")]


def test_a_pod_on_a_bridge_has_its_nodes_range_on_the_link_and_a_way_out() -> None:
    lab = Lab().state()
    pod, node = namespace(lab, "web-2"), namespace(lab, "node2")
    assert pod.addresses == (Address("eth0", ip_interface("10.244.1.2/24")),)
    assert pod.routes == (Route(destination=EVERYWHERE, via=ip_address("10.244.1.1"), link="eth0"),)
    bridge = node.link("cni0")
    assert bridge is not None
    assert pod.neighbours == (Neighbour("eth0", ip_address("10.244.1.1"), bridge.mac),)
    assert Address("cni0", ip_interface("10.244.1.1/24")) in node.addresses


def test_a_pods_cable_ends_in_a_hairpin_port_of_the_bridge_whose_node_knows_its_mac() -> None:
    lab = Lab().state()
    node, eth0 = namespace(lab, "node1"), namespace(lab, "web-1").link("eth0")
    assert isinstance(eth0, Veth)
    port = node.link(eth0.peer)
    assert isinstance(port, Veth)
    assert (port.master, port.hairpin, port.peer_namespace, port.peer) == ("cni0", True, "nlfab.web-1", "eth0")
    assert Neighbour("cni0", ip_address("10.244.0.2"), eth0.mac) in node.neighbours


def test_a_point_to_point_pod_shares_its_link_with_nobody() -> None:
    lab = Lab(families=DUAL_STACK, pod_link=PodLink.PTP).state()
    pod, node = namespace(lab, "web-1"), namespace(lab, "node1")
    eth0 = pod.link("eth0")
    assert isinstance(eth0, Veth)
    assert [str(address.interface) for address in pod.addresses] == ["10.244.0.2/32", "fd00:10:244::2/128"]
    assert [(str(each.destination), str(each.via), each.link) for each in pod.routes] == [
        ("169.254.1.1/32", "None", "eth0"),
        ("0.0.0.0/0", "169.254.1.1", "eth0"),
        ("::/0", "fe80::1", "eth0"),
    ]
    port = mac_address("nlfab.node1", eth0.peer)
    assert [(str(each.address), each.mac) for each in pod.neighbours] == [("169.254.1.1", port), ("fe80::1", port)]
    assert node.link("cni0") is None
    assert route(node, "10.244.0.2/32").link == route(node, "fd00:10:244::2/128").link == eth0.peer


@pytest.mark.parametrize("pod_link", PodLink)
def test_a_node_refuses_addresses_of_the_pod_range_that_lead_nowhere(pod_link: PodLink) -> None:
    node = namespace(Lab(pod_link=pod_link, families=DUAL_STACK).state(), "node1")
    assert route(node, "10.244.0.0/16").kind is route(node, "fd00:10:244::/56").kind is RouteKind.UNREACHABLE
    assert "10.244.0.0/24" not in {str(each.destination) for each in node.routes}


def test_a_node_that_has_the_whole_pod_range_reaches_it() -> None:
    lab = Lab(nodes=("alone",), externals=())
    spec = lab.topology.spec.nodes[0].model_copy(update={"pod_cidrs": lab.topology.spec.network.pod_cidrs})
    node = namespace(lab_state(lab.topology, [node_object(spec)], [], LAB), "alone")
    assert [str(each.destination) for each in node.routes] == ["0.0.0.0/0"]


def test_nodes_that_route_know_each_others_pod_ranges_by_node_address() -> None:
    node = namespace(Lab(families=DUAL_STACK).state(), "node1")
    assert route(node, "10.244.1.0/24") == Route(
        destination=ip_network("10.244.1.0/24"), via=ip_address("172.18.0.3"), link="eth0"
    )
    assert route(node, "fd00:10:244:1::/64").via == ip_address("fd00:172:18::3")
    assert node.fdb == ()


def test_nodes_with_vxlan_lead_packets_into_the_tunnel_by_route_neighbour_and_fdb_entry() -> None:
    lab = Lab(fabric=Fabric.VXLAN).state()
    node, tunnel = namespace(lab, "node1"), namespace(lab, "node2").link("vxlan0")
    assert isinstance(tunnel, Vxlan)
    assert tunnel.local == ip_address("172.18.0.3")
    to = route(node, "10.244.1.0/24")
    assert (to.via, to.link, to.onlink) == (ip_address("10.244.1.0"), "vxlan0", True)
    assert Neighbour("vxlan0", ip_address("10.244.1.0"), tunnel.mac) in node.neighbours
    assert node.fdb == (FdbEntry("vxlan0", tunnel.mac, ip_address("172.18.0.3")),)


@pytest.mark.parametrize(
    ("lab", "mtu"),
    [
        pytest.param(Lab(), 1500, id="routed: the wire's"),
        pytest.param(Lab(fabric=Fabric.VXLAN), 1450, id="in VXLAN over IPv4: 50 bytes less"),
        pytest.param(Lab(fabric=Fabric.VXLAN, families=("IPv6",)), 1430, id="in VXLAN over IPv6: 70 bytes less"),
    ],
)
def test_pods_send_packets_that_fit_the_wire(lab: Lab, mtu: int) -> None:
    state = lab.state()
    on_node = {link.name: link.mtu for link in namespace(state, "node1").links if link.name != "lo"}
    assert on_node.pop("eth0") == 1500
    assert set(on_node.values()) == {mtu}
    assert [link.mtu for link in namespace(state, "web-1").links] == [65536, mtu]


def test_the_fabrics_router_knows_only_the_wire_and_refuses_the_rest() -> None:
    fabric = namespace(Lab(families=DUAL_STACK).state(), "fabric")
    (refused,) = fabric.tables
    assert [(hook.chain, str(hook.rule.destination), hook.rule.destination_inverted) for hook in refused.hooks] == [
        ("FORWARD", "172.18.0.0/24", True)
    ]
    assert [rule.target for rule in refused.chains[0].rules] == [Reject(IcmpError.NET_UNREACHABLE)]
    assert route(fabric, "::/0").kind is RouteKind.UNREACHABLE
    assert {link.master for link in fabric.links if isinstance(link, Veth)} == {"br0"}
    assert {link.name for link in fabric.links} == {"lo", "br0", "node1", "node2", "client"}


def test_an_external_has_no_route_but_to_the_router() -> None:
    client = namespace(Lab().state(), "client")
    assert client.routes == (Route(destination=EVERYWHERE, via=ip_address("172.18.0.1"), link="eth0"),)
    assert client.addresses == (Address("eth0", ip_interface("172.18.0.4/24")),)


def test_everybody_on_the_wire_knows_everybody_elses_mac() -> None:
    lab = Lab(families=DUAL_STACK, nodes=("a", "b", "c")).state({})
    for name in ("a", "b", "c", "client"):
        on_wire = [each for each in namespace(lab, name).neighbours if each.link == "eth0"]
        assert len(on_wire) == len({each.address for each in on_wire}) == 2 * 4
    assert len(namespace(lab, "fabric").neighbours) == 2 * 4


def test_bridged_packets_meet_iptables_on_nodes_and_not_on_the_wire() -> None:
    lab = Lab(families=DUAL_STACK).state()
    for key in ("net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables"):
        assert settings(namespace(lab, "node1"))[key] == "1"
        assert settings(namespace(lab, "fabric"))[key] == "0"


@pytest.mark.parametrize("place", ["node1", "fabric"])
def test_what_forwards_believes_every_source_and_redirects_nobody(place: str) -> None:
    values = settings(namespace(Lab(families=DUAL_STACK).state(), place))
    assert values["net/ipv4/conf/all/forwarding"] == values["net/ipv6/conf/all/forwarding"] == "1"
    keys = [f"net/ipv4/conf/{conf}/{key}" for conf in ("all", "default") for key in ("rp_filter", "send_redirects")]
    assert {values[key] for key in keys} == {"0"}


@pytest.mark.parametrize("place", ["web-1", "client", "node1", "fabric"])
def test_addresses_of_ipv6_are_usable_at_once_and_ipv6_is_off_where_the_lab_has_none(place: str) -> None:
    dual, single = (settings(namespace(Lab(families=families).state(), place)) for families in (DUAL_STACK, ("IPv4",)))
    assert dual["net/ipv6/conf/default/accept_dad"] == dual["net/ipv6/conf/all/accept_dad"] == "0"
    assert "net/ipv6/conf/all/disable_ipv6" not in dual
    assert single["net/ipv6/conf/all/disable_ipv6"] == "1"


@pytest.mark.parametrize("place", ["web-1", "client", "node1", "fabric"])
def test_every_refusal_is_sent_however_many_there_are(place: str) -> None:
    values = settings(namespace(Lab(families=DUAL_STACK).state(), place))
    assert values["net/ipv4/icmp_ratemask"] == values["net/ipv6/icmp/ratemask"] == "0"


def test_what_a_nodes_pods_send_out_of_the_cluster_leaves_in_its_name() -> None:
    tables = namespace(Lab(families=DUAL_STACK).state(), "node2").tables
    assert [(table.family, table.name) for table in tables] == [(Family.IPV4, "nat"), (Family.IPV6, "nat")]
    (chain,), (hook,) = tables[0].chains, tables[0].hooks
    assert (hook.chain, hook.rule.source) == ("POSTROUTING", ip_network("10.244.1.0/24"))
    assert [(rule.destination, rule.target) for rule in chain.rules] == [
        (ip_network("10.244.0.0/16"), Verdict.RETURN),
        (ip_network("224.0.0.0/4"), Verdict.RETURN),
        (None, Masquerade()),
    ]


def test_macs_are_the_same_in_every_run_and_nobody_has_anothers() -> None:
    lab = Lab(fabric=Fabric.VXLAN, families=DUAL_STACK)
    assert macs(lab.state()) == macs(lab.state())
    assert len(set(macs(lab.state()))) == len(macs(lab.state()))
    assert all(re.fullmatch(r"02(:[0-9a-f]{2}){5}", mac) for mac in macs(lab.state()))
    assert not set(macs(lab.state())) & set(macs(Lab(name="other").state()))


def test_the_next_pod_of_an_address_has_the_mac_that_others_remember() -> None:
    one, next_one, other = (
        placed_pod(pod_object(name, "node1", [address]), lab="x")
        for name, address in (("once", "10.244.0.9"), ("tmp", "10.244.0.9"), ("web", "10.244.0.8"))
    )
    assert one is not None
    assert next_one is not None
    assert other is not None
    assert one.mac == next_one.mac != other.mac


@pytest.mark.parametrize("name", ["a-name-much-longer-than-15-characters", "br0", "lo", "all", "default"])
def test_a_machine_of_any_name_has_a_port_that_the_kernel_takes(name: str) -> None:
    fabric = namespace(Lab(nodes=(name,), externals=()).state({}), "fabric")
    ports = [link.name for link in fabric.links if isinstance(link, Veth)]
    assert len(ports) == 1
    assert ports[0] not in {"br0", "lo", "all", "default"}
    assert len(ports[0]) <= INTERFACE_NAME_LIMIT


def test_pods_without_node_or_address_or_network_of_their_own_are_not_in_the_fabric() -> None:
    placed = pod_object("web", "node1", ["10.244.0.9"])
    nowhere = placed.model_copy(update={"spec": placed.spec.model_copy(update={"node_name": None})})
    unnumbered = placed.model_copy(update={"status": placed.status.model_copy(update={"pod_ips": ()})})
    host = placed.model_copy(update={"spec": placed.spec.model_copy(update={"host_network": True})})
    assert placed_pod(placed, lab="x") is not None
    assert [placed_pod(pod, lab="x") for pod in (nowhere, unnumbered, host)] == [None, None, None]
    assert len(lab_state(Lab().topology, (), (nowhere, unnumbered, host), "nlfab").namespaces) == 2


def test_pods_of_one_name_in_two_kubernetes_namespaces_are_two() -> None:
    one = placed_pod(pod_object("web", "node1", ["10.244.0.2"]), lab="x")
    other = placed_pod(pod_object("web", "node1", ["10.244.0.3"], namespace="shop"), lab="x")
    assert one is not None
    assert other is not None
    assert (one.namespace, other.namespace) == ("x.web", "x.web.shop")
    assert one.port != other.port


def test_a_pod_of_one_family_in_a_dual_stack_lab_has_that_family_alone() -> None:
    lab = Lab(families=DUAL_STACK)
    nodes = [node_object(entry) for entry in lab.topology.spec.nodes]
    pod = namespace(lab_state(lab.topology, nodes, [pod_object("web", "node1", ["10.244.0.2"])], LAB), "web")
    assert [str(address.interface) for address in pod.addresses] == ["10.244.0.2/24"]
    assert [each.destination for each in pod.routes] == [EVERYWHERE]
    assert settings(pod)["net/ipv6/conf/all/disable_ipv6"] == "1"
