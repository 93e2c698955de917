"""The files of /etc that a place sees, and whose iptables it has."""

from __future__ import annotations

import os
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

import pytest

from netlab.model.objects import Pod
from netlab.workload.command import search_path
from netlab.workload.etc import (
    EtcFiles,
    machine_files,
    name_service_switch,
    pod_files,
    pod_hostname,
    pod_network_namespace,
    remove_files,
    write_files,
)
from netlab.workload.legacy import SYSTEM_PATH, LegacyTools, legacy_programs, legacy_tools

V4, V6 = IPv4Network("10.96.0.0/12"), IPv6Network("fd00:10:96::/112")


def pod(name: str = "web-1", namespace: str = "default", *addresses: str, **spec: object) -> Pod:
    value: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}}
    value |= {"spec": spec, "status": {"podIPs": [{"ip": address} for address in addresses]}}
    return Pod.model_validate(value)


def test_a_pod_asks_the_tenth_address_of_the_service_range_with_its_namespaces_names_first() -> None:
    assert pod_files(pod("dns", "kube-system"), (V4,)).resolv_conf == (
        "nameserver 10.96.0.10\nsearch kube-system.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"
    )


def test_a_pod_of_two_families_has_a_resolver_in_each() -> None:
    lines = pod_files(pod(), (V4, V6)).resolv_conf.splitlines()
    assert lines[:2] == ["nameserver 10.96.0.10", "nameserver fd00:10:96::a"]


def test_a_pod_knows_itself_by_each_of_its_addresses() -> None:
    lines = pod_files(pod("web-1", "default", "10.244.0.2", "fd00:10:244::2"), (V4,)).hosts.splitlines()
    assert lines[-2:] == ["10.244.0.2\tweb-1", "fd00:10:244::2\tweb-1"]
    assert "127.0.0.1\tlocalhost" in lines


def test_a_pod_with_a_subdomain_has_a_full_name() -> None:
    files = pod_files(pod("web-1", "shop", "10.244.0.2", hostname="db", subdomain="data"), (V4,))
    assert files.hosts.splitlines()[-1] == "10.244.0.2\tdb.data.shop.svc.cluster.local db"
    assert files.hostname == "db\n"


@pytest.mark.parametrize(
    ("name", "hostname"),
    [("web-1", "web-1"), ("a" * 70, "a" * 63), ("b" * 62 + "-c", "b" * 62)],
    ids=["as it is", "cut to 63 characters", "cut without a dash at its end"],
)
def test_a_pods_host_name_fits_the_kernel(name: str, hostname: str) -> None:
    assert pod_hostname(pod(name)) == hostname


@pytest.mark.parametrize(
    ("value", "namespace"),
    [
        (pod("web-1"), "lab.web-1"),
        (pod("dns", "kube-system"), "lab.dns.kube-system"),
        (pod("web-1", hostNetwork=True), "lab.node1"),
    ],
    ids=["its own", "its own, in another Kubernetes namespace", "the node's, with hostNetwork"],
)
def test_a_pod_runs_in_this_network_namespace(value: Pod, namespace: str) -> None:
    assert pod_network_namespace("lab", value, "node1") == namespace


def test_a_machine_knows_the_other_machines_and_no_resolver() -> None:
    files = machine_files("node1", {"node1": ["172.18.0.2"], "client": ["172.18.0.4", "fc00::4"]})
    assert files.hosts.splitlines()[-3:] == ["172.18.0.2\tnode1", "172.18.0.4\tclient", "fc00::4\tclient"]
    assert "nameserver" not in files.resolv_conf
    assert files.hostname == "node1\n"


def test_files_are_written_rewritten_in_place_and_removed(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "etc", "lab.web-1", EtcFiles("a\n", "b\n", "c\n"))
    inode = (folder / "hosts").stat().st_ino
    write_files(tmp_path / "etc", "lab.web-1", EtcFiles("d\n", "b\n", "c\n"))
    assert (folder / "hosts").stat().st_ino == inode  # a command that runs has this very file mounted
    names = ("hosts", "hostname", "resolv.conf")
    assert [(folder / name).read_text() for name in names] == ["d\n", "b\n", "c\n"]
    remove_files(tmp_path / "etc", "lab.web-1")
    remove_files(tmp_path / "etc", "lab.web-1")
    assert not folder.exists()


def test_names_are_looked_up_in_hosts_and_dns_alone(tmp_path: Path) -> None:
    machine = tmp_path / "nsswitch.conf"
    machine.write_text("passwd: files\nhosts: files mdns4_minimal [NOTFOUND=return] resolve dns\n")
    assert name_service_switch(machine) == "passwd: files\nhosts: files dns\n"
    assert name_service_switch(tmp_path / "none") == ""


@pytest.fixture
def alternatives(tmp_path: Path) -> Path:
    folder = tmp_path / "alternatives"
    folder.mkdir()
    for name, target in {"iptables": "/usr/sbin/iptables-nft", "editor": "/usr/bin/vim.tiny"}.items():
        (folder / name).symlink_to(target)
    return folder


@pytest.fixture
def legacy() -> dict[str, str]:
    """The machine's legacy programs; where it has none there is nothing to choose."""
    return legacy_programs()


def test_the_copy_of_the_alternatives_differs_in_iptables_alone(
    tmp_path: Path, alternatives: Path, legacy: dict[str, str]
) -> None:
    tools = legacy_tools(tmp_path / "lab", alternatives=alternatives)
    if not legacy:
        assert tools == LegacyTools(programs=tmp_path / "lab" / ".programs")
        return
    folder = tools.alternatives
    assert folder is not None
    links = {link.name: os.readlink(link) for link in folder.iterdir()}
    assert links == {"iptables": legacy["iptables"], "editor": "/usr/bin/vim.tiny"}
    assert legacy_tools(tmp_path / "lab", alternatives=alternatives) == tools


def test_without_alternatives_the_legacy_programs_are_first_in_path(tmp_path: Path, legacy: dict[str, str]) -> None:
    tools = legacy_tools(tmp_path / "lab", alternatives=tmp_path / "none")
    folder = tools.programs
    assert folder is not None
    assert {link.name: os.readlink(link) for link in folder.iterdir()} == legacy
    assert search_path({"PATH": "/bin"}, tools).split(":")[:2] == [str(folder), "/bin"]


def test_a_command_without_a_path_has_the_systems() -> None:
    assert search_path({}, LegacyTools()) == ":".join(SYSTEM_PATH)
