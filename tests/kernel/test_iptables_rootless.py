"""The same rules, written by an ordinary user: in a user namespace of its own, with packets to prove it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WORK = """
import json, socket, subprocess, sys
from ipaddress import IPv4Address, IPv4Network
from netlab.kernel import conntrack, iptables
from netlab.kernel.iptables_read import read
from netlab.model.rules import Chain, Dnat, Family, Hook, Jump, Protocol, Reject, Rule, Table

for command in (
    "ip link set lo up",
    "ip link add wire0 type veth peer name wire1",
    "ip link set wire0 up",
    "ip link set wire1 up",
    "ip address add 10.9.9.9/24 dev wire0",
    "ip route add 10.96.0.0/16 dev wire0",
):
    subprocess.run(command.split(), check=True)
virtual, server = IPv4Address("10.96.0.10"), IPv4Address("10.9.9.9")
to_service = Rule(
    destination=IPv4Network(virtual), protocol=Protocol.TCP, destination_port=80, comment="default/web",
    target=Jump("KUBE-SEP-A"),
)
translate = Rule(protocol=Protocol.TCP, target=Dnat(server, 8080))
refuse = Rule(destination=IPv4Network("10.96.0.11"), target=Reject())
nat = Table(
    Family.IPV4, "nat", chains=(Chain("KUBE-SERVICES", (to_service,)), Chain("KUBE-SEP-A", (translate,))),
    hooks=(Hook("OUTPUT", Rule(target=Jump("KUBE-SERVICES"))),),
)
filtering = Table(
    Family.IPV4, "filter", chains=(Chain("KUBE-SERVICES", (refuse,)),),
    hooks=(Hook("OUTPUT", Rule(target=Jump("KUBE-SERVICES"))),),
)
for table in (nat, filtering):
    iptables.apply(table)
with socket.create_server((str(server), 8080)) as listener:
    with socket.create_connection((str(virtual), 80), timeout=5) as client, listener.accept()[0] as accepted:
        reached = accepted.getsockname()
        source = client.getsockname()
        became = conntrack.translated("tcp", (IPv4Address(source[0]), source[1]), (virtual, 80))
try:
    socket.create_connection(("10.96.0.11", 80), timeout=5).close()
    refused = False
except ConnectionRefusedError:
    refused = True
again = [iptables.apply(table).changed for table in (nat, filtering)]
rules = [counted for chain in read(Family.IPV4, "nat").chains for counted in chain.rules]
counted = sum(counted.packets for counted in rules if counted.rule == translate)
print(json.dumps({"reached": reached, "became": [str(became[0]), became[1]], "refused": refused, "again": again,
                  "counted": counted}))
"""

MANY = """
import json
from ipaddress import IPv4Address, IPv4Network
from netlab.kernel import iptables
from netlab.kernel.iptables_read import read
from netlab.kernel.nft_chains import generation
from netlab.model.rules import Backend, Chain, Dnat, Family, Hook, Jump, Protocol, Rule, Table, TablePatch

def apply(*chains):
    before = generation()
    wanted = (Chain("KUBE-SERVICES", tuple(Rule(target=Jump(chain.name)) for chain in chains)), *chains)
    hook = Hook("OUTPUT", Rule(target=Jump("KUBE-SERVICES")))
    iptables.apply(Table(Family.IPV4, "nat", wanted, (hook,), ("KUBE-SVC-",)), backend=Backend.NFT)
    return holds(*wanted), generation() - before

def holds(*wanted):
    held = {chain.name: tuple(counted.rule for counted in chain.rules)
            for chain in read(Family.IPV4, "nat", backend=Backend.NFT).chains}
    return {chain.name: chain.rules for chain in wanted} == {
        name: rules for name, rules in held.items() if name.startswith("KUBE-")}

def service(number, comment):
    rule = Rule(comment=comment, protocol=Protocol.TCP, target=Dnat(IPv4Address("10.244.0.1") + number, 80))
    return Chain(f"KUBE-SVC-{number:04}", (rule,))

few, many = (tuple(service(number, "x" * 200) for number in range(count)) for count in (10, 700))
written, changed, removed = apply(*many), apply(*(service(number, "y") for number in range(700))), apply(*few)
patch = TablePatch(Family.IPV4, "nat", chains=many[10:])
iptables.apply_patch(patch, backend=Backend.NFT)
patched = holds(Chain("KUBE-SERVICES", tuple(Rule(target=Jump(chain.name)) for chain in few)), *many)
bad = Chain("KUBE-SVC-9999", (Rule(comment="bad", target=Jump("NOWHERE")),))
try:
    iptables.apply_patch(TablePatch(Family.IPV4, "nat", chains=(*many, bad)), backend=Backend.NFT)
except iptables.OutOfStep as error:
    blamed = error.__cause__.rule == bad.rules[0]
print(json.dumps({"written": written, "changed": changed[0], "removed": removed, "patched": patched, "blamed": blamed}))
"""


def user_namespaces() -> bool:
    return subprocess.run(["unshare", "--user", "--map-root-user", "--net", "true"], check=False).returncode == 0


def printed_by(work: str, folder: Path) -> dict[str, object]:
    """What a program prints that has the rights of a user namespace's root and no others."""
    if not user_namespaces():
        pytest.skip("needs user namespaces: sysctl kernel.apparmor_restrict_unprivileged_userns=0")
    script = folder / "work.py"
    script.write_text(work)

    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-W", "error", str(script)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )

    assert done.returncode == 0, done.stderr
    printed: dict[str, object] = json.loads(done.stdout)
    return printed


@pytest.mark.root
def test_a_service_works_in_a_user_namespace(tmp_path: Path) -> None:
    assert printed_by(WORK, tmp_path) == {
        "reached": ["10.9.9.9", 8080],
        "became": ["10.9.9.9", 8080],
        "refused": True,
        "again": [False, False],
        "counted": 1,
    }


@pytest.mark.root
def test_more_rules_than_fit_one_message_are_written_in_several_by_iptables_nft(tmp_path: Path) -> None:
    done = printed_by(MANY, tmp_path)

    (whole, transactions), removed = done.pop("written"), done.pop("removed")  # type: ignore[misc]
    assert whole
    assert transactions > 1
    assert removed == [True, 1]  # what fits is one
    assert done == {"changed": True, "patched": True, "blamed": True}
