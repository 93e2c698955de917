"""The catalogue of faults as values: which steps each comes to, what takes them back, and whom it can be put into."""

from __future__ import annotations

import tempfile
from pathlib import Path

import fault_lab
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from netlab.api.patching import merge
from netlab.errors import InvalidInput, NotFound
from netlab.faults.catalogue import CATALOGUE
from netlab.faults.choosing import choose, fitting
from netlab.faults.names import FaultName
from netlab.faults.steps import Command, Patch, Steps, Stop, Write, reverse
from netlab.lab.fault_records import Record
from netlab.lab.view import foreseen_view
from netlab.load import load_lab
from netlab.model.cluster import ClusterView

FILE = fault_lab.FILE.format(name="faulty", mode="iptables")
ROUTED_PTP = FILE.replace("fabric: vxlan", "podLink: ptp")


def view_of(text: str) -> ClusterView:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        return foreseen_view(load_lab(Path(file.name)))


@pytest.fixture(scope="module")
def view() -> ClusterView:
    return view_of(FILE)


def steps(view: ClusterView, fault: FaultName, victim: str | None = None) -> Steps:
    return choose(CATALOGUE[fault], view, victim).steps


def refusal(view: ClusterView, fault: FaultName, victim: str | None = None) -> str:
    with pytest.raises(InvalidInput) as refused:
        choose(CATALOGUE[fault], view, victim)
    return str(refused.value)


# --- taking back

names = st.text("abc", min_size=1, max_size=2)
leaves = st.integers() | st.text(max_size=3) | st.booleans()
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=3))
patches = st.recursive(leaves | st.none(), lambda inner: st.dictionaries(names, inner, max_size=3))


@given(st.dictionaries(names, values, max_size=4), st.dictionaries(names, patches, max_size=4))
def test_a_patch_and_then_its_reverse_leave_an_object_as_it_was(
    value: dict[str, JsonValue], patch: dict[str, JsonValue]
) -> None:
    undo = reverse(value, patch)
    assert merge(merge(value, patch), undo) == value


@pytest.mark.parametrize("fault", FaultName)
def test_whatever_a_fault_changes_is_taken_back(view: ClusterView, fault: FaultName) -> None:
    """A command without an undoing of its own stands behind a step whose undoing undoes it too."""
    chosen, _ = fitting(CATALOGUE[fault], view)
    assert chosen, "the fault can be seen in the lab of these tests"
    for each in chosen:
        assert each.steps
        covered = False
        for step in each.steps:
            covered = covered or bool(step.undoing) or isinstance(step, Write)
            assert covered, f"{step} stays"


@pytest.mark.parametrize("fault", FaultName)
def test_a_lab_remembers_steps_as_they_are(view: ClusterView, fault: FaultName) -> None:
    for each in fitting(CATALOGUE[fault], view)[0]:
        record = Record(fault=fault, victim=each.victim, steps=each.steps)
        assert Record.model_validate_json(record.model_dump_json()) == record


# --- what is done


def test_a_service_fault_is_a_patch_of_the_service_and_the_patch_that_takes_it_back(view: ClusterView) -> None:
    assert steps(view, FaultName.INTERNAL_POLICY_LOCAL, "service/lone") == (
        Patch(
            kind="Service",
            name="lone",
            patch={"spec": {"internalTrafficPolicy": "Local"}},
            undo={"spec": {"internalTrafficPolicy": "Cluster"}},
        ),
    )


def test_a_selector_that_is_too_broad_has_a_label_of_its_own_pods_and_of_others(view: ClusterView) -> None:
    (patch,) = steps(view, FaultName.SELECTOR_TOO_BROAD, "service/lone")
    assert isinstance(patch, Patch)
    assert (patch.patch, patch.undo) == (
        {"spec": {"selector": {"app": None, "team": "blue"}}},
        {"spec": {"selector": {"app": "lone", "team": None}}},
    )


def test_rules_are_flushed_once_nobody_is_there_to_put_them_back(view: ClusterView) -> None:
    stop, flush = steps(view, FaultName.RULES_FLUSHED, "node/n1")
    assert (stop, str(flush)) == (
        Stop(agent="kube-proxy", node="n1"),
        "netlab exec node/n1 -- iptables -t nat -F KUBE-SERVICES",
    )


def test_steps_are_spelled_as_commands_that_can_be_typed(view: ClusterView) -> None:
    (step,) = steps(view, FaultName.IP_FORWARD_OFF, "node/n2")
    assert (str(step), step.undoing) == (
        "netlab exec node/n2 -- sysctl -w net.ipv4.ip_forward=0",
        "netlab exec node/n2 -- sysctl -w net.ipv4.ip_forward=1",
    )
    (patch,) = steps(view, FaultName.SELECTOR_MATCHES_NOTHING, "service/kube-system/kube-dns")
    assert str(patch).startswith('kubectl patch service kube-dns -n kube-system --type=merge -p \'{"spec": ')


def test_a_wrong_route_is_replaced_by_the_one_of_the_plan(view: ClusterView) -> None:
    (tunnelled,) = steps(view, FaultName.WRONG_ROUTE, "node/n1")
    assert tunnelled.undoing.endswith("ip route replace 10.244.1.0/24 via 10.244.1.0 dev vxlan0 onlink")
    (routed,) = steps(view_of(ROUTED_PTP), FaultName.WRONG_ROUTE, "node/n1")
    assert isinstance(routed, Command)
    assert routed.argv == ("ip", "route", "replace", "10.244.1.0/24", "via", "172.18.0.1", "dev", "eth0")
    assert routed.undo == ("ip", "route", "replace", "10.244.1.0/24", "via", "172.18.0.3", "dev", "eth0")


# --- whom


def test_the_only_victim_that_fits_need_not_be_named(view: ClusterView) -> None:
    """The Service of kind NodePort is one; the cluster's own Services are never chosen unasked."""
    assert choose(CATALOGUE[FaultName.EXTERNAL_POLICY_LOCAL], view, None).victim == "service/lone"


def test_where_several_fit_the_message_names_them(view: ClusterView) -> None:
    assert refusal(view, FaultName.IP_FORWARD_OFF) == (
        "ip-forward-off could be put into node/n1, node/n2: say which with --on NODE"
    )
    assert "service/lone, service/one, service/web" in refusal(view, FaultName.WRONG_TARGET_PORT)


def test_a_victim_that_is_not_there_is_answered_with_the_nearest(view: ClusterView) -> None:
    with pytest.raises(NotFound, match=r"there is no service/lonely: did you mean service/lone\?"):
        choose(CATALOGUE[FaultName.WRONG_TARGET_PORT], view, "service/lonely")
    with pytest.raises(NotFound, match="there is no service/lone: there is node/n1, node/n2"):
        choose(CATALOGUE[FaultName.IP_FORWARD_OFF], view, "service/lone")


@pytest.mark.parametrize(
    ("fault", "victim", "why"),
    [
        (FaultName.MTU_MISMATCH, None, "the lab has no vxlan"),
        (FaultName.HAIRPIN_OFF, "node/n1", "its Pods are not on a bridge"),
        (FaultName.BRIDGE_NF_OFF, "node/n1", "its Pods are not on a bridge"),
        (FaultName.EXTERNAL_POLICY_LOCAL, "service/web", "it is neither a NodePort nor a LoadBalancer"),
        (FaultName.INTERNAL_POLICY_LOCAL, "service/web", "every node has a Pod of it"),
        (FaultName.SELECTOR_TOO_BROAD, "service/web", "its Pods share no label with other Pods"),
        (FaultName.READINESS_FAILING, "service/lone", "not all of its Pods have a readiness probe"),
    ],
)
def test_a_fault_that_cannot_be_put_there_says_so_and_why(fault: FaultName, victim: str | None, why: str) -> None:
    said = refusal(view_of(ROUTED_PTP), fault, victim)
    assert said.startswith(f"{fault} cannot be put into {victim or 'this lab'}")
    assert why in said


def test_a_lab_without_node_ports_has_none_to_shadow() -> None:
    text = FILE.replace("type: NodePort, ", "").replace(", nodePort: 30080", "")
    assert "the lab has no Service with a node port" in refusal(view_of(text), FaultName.NODEPORT_SHADOWED)


@pytest.mark.parametrize(
    ("mode", "fault", "victim"),
    [
        ("userspace", FaultName.RULES_FLUSHED, "node/n1"),
        ("userspace", FaultName.MASQUERADE_MISSING, "node/n1"),
        ("userspace", FaultName.HAIRPIN_OFF, "node/n1"),
        ("userspace", FaultName.BRIDGE_NF_OFF, "node/n1"),
        ("userspace", FaultName.INTERNAL_POLICY_LOCAL, "service/lone"),
        ("userspace", FaultName.EXTERNAL_POLICY_LOCAL, "service/lone"),
        ("ipvs", FaultName.INTERNAL_POLICY_LOCAL, "service/lone"),
    ],
)
def test_what_has_no_meaning_in_a_mode_is_refused_there(mode: str, fault: FaultName, victim: str) -> None:
    assert f"in mode {mode} " in refusal(view_of(fault_lab.text("faulty", mode)), fault, victim)


def test_a_policy_counts_where_one_node_without_an_endpoint_heeds_it() -> None:
    mixed = fault_lab.text("faulty", "ipvs").replace("{name: n1}", "{name: n1, proxyMode: iptables}")
    assert steps(view_of(mixed), FaultName.INTERNAL_POLICY_LOCAL, "service/lone")


@pytest.mark.parametrize(("mode", "protocol"), [("iptables", "tcp"), ("userspace", "udp")])
def test_node_ports_are_shadowed_in_the_protocol_that_they_speak(mode: str, protocol: str) -> None:
    view = view_of(fault_lab.text("faulty", mode))
    (rule,) = steps(view, FaultName.NODEPORT_SHADOWED, "node/n1")
    assert f"-p {protocol} --dport 30000:32767" in str(rule)
    (service,) = steps(view, FaultName.POD_RANGE_IN_SERVICE_RANGE, "pod/lone")
    assert f'"port": 8080, "protocol": "{protocol.upper()}", "targetPort": 8080' in str(service)


def test_the_catalogue_is_complete_and_in_the_order_of_the_names() -> None:
    assert [fault.name for fault in CATALOGUE.values()] == list(FaultName)
