"""A lab's certificates: what they are good for, who has one, and when they are made anew."""

from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from netlab.api.authentication import Identity, subject
from netlab.api.certificates import Authority, Issued, server_names
from netlab.lab import credentials
from netlab.model.paths import LabPaths
from netlab.model.topology import Topology, TopologySpec
from netlab.plan.addresses import complete
from netlab.plan.control_plane import CONTROL_PLANE_LABEL

NOW = datetime.now(UTC)
STRICT = ssl.VERIFY_X509_STRICT
"""What clients of Python 3.13 and later ask of every chain (RFC 5280)."""


def a_spec(*nodes: str, control_plane: str = "", **network: Any) -> TopologySpec:
    entries = [{"name": name, "labels": {CONTROL_PLANE_LABEL: ""} if name == control_plane else {}} for name in nodes]
    spec = {"nodes": entries, "network": network}
    return complete(Topology.model_validate({"metadata": {"name": "lab"}, "spec": spec})).spec


def context(tmp_path: Path, side: int, authority: Authority, shown: Issued | None = None) -> ssl.SSLContext:
    made = ssl.SSLContext(side)
    made.load_verify_locations(cadata=authority.certificate)
    made.verify_flags |= STRICT
    if shown:
        file = tmp_path / "shown.pem"
        file.write_text(shown.pem)
        made.load_cert_chain(file)
    return made


def agree(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> dict[str, Any]:
    """TLS between two contexts in memory: what the server sees of its client. SSLError where they do not agree."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server.verify_mode = ssl.CERT_REQUIRED
    one = client.wrap_bio(to_client, to_server, server_hostname=host)
    other = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (one, other):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return other.getpeercert() or {}


def test_a_server_is_believed_by_its_names_alone_and_a_client_is_known_by_its_subject(tmp_path: Path) -> None:
    authority = Authority.make("netlab-lab", now=NOW)
    shown = authority.for_client("system:node:node1", ("system:nodes", "more"), now=NOW)
    client = context(tmp_path, ssl.PROTOCOL_TLS_CLIENT, authority, shown)
    names = ("172.18.0.2", "kubernetes.default", "::1")
    server = context(tmp_path, ssl.PROTOCOL_TLS_SERVER, authority, authority.for_server(names, now=NOW))

    for name in names:
        seen = agree(client, server, name)
        assert subject(seen) == Identity("system:node:node1", ("system:nodes", "more"))
    for other in ("172.18.0.3", "kubernetes"):
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            agree(client, server, other)


@pytest.mark.parametrize("wrong", ["another authority's", "a server's", "expired", "not valid yet"])
def test_no_other_certificate_is_a_clients(tmp_path: Path, wrong: str) -> None:
    authority = Authority.make("netlab-lab", now=NOW)
    shown = {
        "another authority's": Authority.make("netlab-lab", now=NOW).for_client("admin", now=NOW),
        "a server's": authority.for_server(("admin",), now=NOW),
        "expired": authority.for_client("admin", now=NOW - timedelta(days=366)),
        "not valid yet": authority.for_client("admin", now=NOW + timedelta(days=1)),
    }[wrong]
    client = context(tmp_path, ssl.PROTOCOL_TLS_CLIENT, authority, shown)
    server = context(tmp_path, ssl.PROTOCOL_TLS_SERVER, authority, authority.for_server(("localhost",), now=NOW))
    with pytest.raises(ssl.SSLError, match="certificate verify failed"):
        agree(client, server, "localhost")


def test_an_authority_that_was_written_down_goes_on_signing(tmp_path: Path) -> None:
    first = Authority.make("netlab-lab", now=NOW)
    again = Authority.read(first.pem)
    client = context(tmp_path, ssl.PROTOCOL_TLS_CLIENT, first, again.for_client("admin", now=NOW))
    server = context(tmp_path, ssl.PROTOCOL_TLS_SERVER, again, first.for_server(("localhost",), now=NOW))
    assert subject(agree(client, server, "localhost")) == Identity("admin", ())


def test_a_name_that_is_too_long_for_a_subject_keeps_its_beginning_and_stays_its_own(tmp_path: Path) -> None:
    authority = Authority.make("netlab-lab", now=NOW)
    server = context(tmp_path, ssl.PROTOCOL_TLS_SERVER, authority, authority.for_server(("localhost",), now=NOW))
    users = []
    for node in ("n" * 240 + "1", "n" * 240 + "2"):
        shown = authority.for_client(f"system:node:{node}", now=NOW)
        seen = subject(agree(context(tmp_path, ssl.PROTOCOL_TLS_CLIENT, authority, shown), server, "localhost"))
        users.append(seen.user if seen else "")
    assert all(user.startswith("system:node:nnn") and len(user) == 64 for user in users)
    assert len(set(users)) == 2


def files(paths: LabPaths) -> dict[str, str]:
    found = (path for path in paths.access.rglob("*") if path.is_file())
    return {str(path.relative_to(paths.access)): path.read_text() for path in found}


def test_everybody_has_a_file_that_nobody_else_may_read_and_a_second_time_nothing_is_made_anew(tmp_path: Path) -> None:
    paths, spec = LabPaths("lab", tmp_path), a_spec("node1", "node2")
    credentials.make(paths, spec, now=NOW)
    made = files(paths)
    agents = {f"clients/{agent}-{node}.pem" for agent in ("kubelet", "kube-proxy") for node in ("node1", "node2")}
    assert made.keys() == agents | {"clients/admin.pem", "authority.pem", "authority.key", "server.pem", "server.url"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths.access.rglob("*")} == {0o600, 0o700}
    assert made["server.url"] == "https://172.18.0.2:6443"
    assert server_names(made["server.pem"]) == (
        "node1",
        "172.18.0.2",
        "10.96.0.1",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        "127.0.0.1",
        "::1",
    )

    credentials.make(paths, spec, now=NOW)
    assert files(paths) == made


def test_nodes_that_come_get_certificates_and_those_that_go_lose_them(tmp_path: Path) -> None:
    paths = LabPaths("lab", tmp_path)
    credentials.make(paths, a_spec("node1", "node2"), now=NOW)
    before = files(paths)
    credentials.make(paths, a_spec("node1", "node3"), now=NOW)
    after = files(paths)
    assert {name for name in before if name not in after} == {
        "clients/kubelet-node2.pem",
        "clients/kube-proxy-node2.pem",
    }
    assert {name for name in after if name not in before} == {
        "clients/kubelet-node3.pem",
        "clients/kube-proxy-node3.pem",
    }
    assert all(after[name] == text for name, text in before.items() if name in after)


def test_the_server_has_another_certificate_where_the_control_plane_moves_and_the_authority_stays(
    tmp_path: Path,
) -> None:
    paths = LabPaths("lab", tmp_path)
    credentials.make(paths, a_spec("node1", "node2"), now=NOW)
    before = files(paths)
    credentials.make(paths, a_spec("node1", "node2", control_plane="node2"), now=NOW)
    after = files(paths)
    assert (after["server.url"], after["authority.key"]) == ("https://172.18.0.3:6443", before["authority.key"])
    assert server_names(after["server.pem"])[:2] == ("node2", "172.18.0.3")


def test_an_address_of_version_6_stands_in_brackets(tmp_path: Path) -> None:
    six = {"podCIDRs": ["fd00:10:244::/56"], "serviceCIDRs": ["fd00:10:96::/112"], "nodeCIDRs": ["fd00:172:18::/64"]}
    paths = LabPaths("lab", tmp_path)
    credentials.make(paths, a_spec("node1", **six), now=NOW)
    assert paths.server_url.read_text() == "https://[fd00:172:18::2]:6443"
