"""What mode ipvs takes, each found by trying; for a network namespace to throw away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address

from netlab.errors import KernelError, MissingCapability
from netlab.kernel import iptables, ipvs
from netlab.kernel.dummy import require_dummy
from netlab.kernel.ipsets import SetSocket, require_sets
from netlab.kernel.ipvs import IpvsSocket, require_ipvs
from netlab.kernel.modules import is_known
from netlab.model.ipvs import AddressSet, Scheduler, ServerKey, SetKind, VirtualServer
from netlab.model.machine import Check
from netlab.model.rules import Chain, Family, Protocol, Rule, SetMatch, Table, Verdict, VirtualMatch

MODE = "(mode: ipvs)"
TRIAL = "NETLAB-TRIAL"
NOWHERE = IPv4Address("192.0.2.1")
"""TEST-NET-1, RFC 5737."""
MATCHES = {
    "xt_set": Rule(address_set=SetMatch(TRIAL, ("dst",)), target=Verdict.ACCEPT),
    "xt_ipvs": Rule(virtual=VirtualMatch(Protocol.TCP, NOWHERE, 80), target=Verdict.ACCEPT),
}
"""The kernel modules of the matches that its rules have, and no other mode's."""


def try_ipvs() -> Iterator[Check]:
    """Virtual servers and how they choose, the device, the address sets, the rules about them."""
    servers, sets = _virtual_servers(), _check(f"address sets {MODE}", _require_all_sets)
    yield from (servers, _check(f"dummy interfaces {MODE}", require_dummy), sets)
    if servers.ok and sets.ok:  # libxtables grumbles about a match that there cannot be
        yield _matches()


def schedulers() -> tuple[Scheduler, ...]:
    """Those that this kernel has. MissingCapability: it has no IPVS; KernelError: no rights here."""
    with IpvsSocket() as kernel:
        return tuple(each for each in Scheduler if _is_there(kernel, each))


def _is_there(kernel: IpvsSocket, scheduler: Scheduler) -> bool:
    """To try a module is to load it, and some bring settings along: only one that modprobe cannot find is tried."""
    return is_known(f"ip_vs_{scheduler}") or _is_taken(kernel, scheduler)


def _is_taken(kernel: IpvsSocket, scheduler: Scheduler) -> bool:
    server = VirtualServer(ServerKey(Protocol.TCP, NOWHERE, 80), scheduler)
    try:
        kernel.do([ipvs.add(server), ipvs.remove(server)])
    except MissingCapability:
        return False
    return True


def _virtual_servers() -> Check:
    name = f"virtual servers {MODE}"
    missing = _check(name, require_ipvs)
    if not missing.ok:
        return missing
    found = schedulers()
    lacking = [f"ip_vs_{each}" for each in Scheduler if each not in found]
    return Check(
        name=name,
        ok=Scheduler.RR in found,
        required=False,
        detail=f"schedulers {', '.join(found) or 'none'}",
        remedy=f"for more: sudo modprobe -a {' '.join(lacking)}" if lacking else "",
    )


def _require_all_sets() -> None:
    for family in Family:
        require_sets(SetKind, family)


def _matches() -> Check:
    with SetSocket() as sets:
        sets.create([AddressSet(TRIAL, SetKind.ADDRESS, Family.IPV4)])
    lacking = [module for module, rule in MATCHES.items() if not _is_written(rule)]
    return Check(
        name=f"rules about sets and virtual servers {MODE}",
        ok=not lacking,
        required=False,
        detail=f"no {', no '.join(lacking)}" if lacking else "",
        remedy=f"sudo modprobe -a {' '.join(lacking)}" if lacking else "",
    )


def _is_written(rule: Rule) -> bool:
    try:
        iptables.apply(Table(Family.IPV4, "filter", chains=(Chain(TRIAL, (rule,)),)))
    except (KernelError, MissingCapability):
        return False
    return True


def _check(name: str, require: Callable[[], None]) -> Check:
    try:
        require()
    except MissingCapability as error:
        return Check(name=name, ok=False, required=False, detail=error.capability, remedy=error.remedy)
    except KernelError as error:
        return Check(name=name, ok=False, required=False, detail=str(error))
    return Check(name=name, ok=True, required=False)
