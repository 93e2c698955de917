"""kube-proxy for a moment: put in place what some objects ask for and say what was done, or take all of it away."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

from netlab.agents.kube_proxy.core import Proxier
from netlab.agents.kube_proxy.leftovers import remove_every_mode, remove_other_modes
from netlab.agents.kube_proxy.modes.mode import Networks
from netlab.errors import InvalidInput, Problem
from netlab.kernel.rights import require_rights
from netlab.model.modes import BY_PROCESS
from netlab.model.objects import KubernetesObject
from netlab.model.rules import Family
from netlab.model.status import ComplaintRow, ProxyResult
from netlab.proxy.complaints import Complaint
from netlab.proxy.config import ProxyConfig


def once(
    config: ProxyConfig,
    objects: Iterable[KubernetesObject],
    refused: Iterable[Complaint] = (),
    *,
    families: tuple[Family, ...] = tuple(Family),
) -> ProxyResult:
    """Make this network namespace serve these objects and no others; other people's rules stay.

    `refused` are objects that could not be read. MissingCapability: no rights here, or no tables; then nothing was
    changed. KernelError: the rules are not all in place. InvalidInput: a mode in which nobody would answer afterwards.
    """
    if config.mode in BY_PROCESS:
        message = f"mode {config.mode} cannot be put in place once: without the process nobody answers"
        raise InvalidInput([Problem("argument", 0, 0, "", message)])
    with closing(Proxier(config, families=families)) as proxier:
        return _once(proxier, config, objects, refused)


def _once(
    proxier: Proxier, config: ProxyConfig, objects: Iterable[KubernetesObject], refused: Iterable[Complaint]
) -> ProxyResult:
    for complaint in refused:
        proxier.refuse(complaint)
    for found in objects:
        proxier.put(found)
    set_before = proxier.prepare()
    remove_other_modes(config.mode, spared=config.ipvs_exclude_cidrs)
    done = proxier.sync(full=True)
    sysctls = {*set_before, *proxier.prepare()}  # some settings are not there before the first rule that needs them
    rules: dict[str, dict[str, int]] = {}
    for (family, table), count in proxier.rule_counts().items():
        rules.setdefault(family.value, {})[table] = count
    return ProxyResult(
        node=config.node_name,
        mode=config.mode.value,
        changed=done.changed,
        rules=rules,
        sysctls={each.key: each.value for each in sorted(sysctls, key=str)},
        complaints=tuple(map(complaint_row, proxier.complaints)),
        flows_deleted=done.flows_deleted,
        seconds=round(done.seconds, 6),
    )


def cleanup(*, spared: Networks = ()) -> None:
    """Take away what kube-proxy in any mode has left in this network namespace; `spared` see --ipvs-exclude-cidrs.

    MissingCapability: no rights here. KernelError: something is still there.
    """
    require_rights()
    remove_every_mode(spared=spared)


def complaint_row(complaint: Complaint) -> ComplaintRow:
    """The complaint as reports have it."""
    return ComplaintRow(kind=complaint.kind, name=complaint.name, path=complaint.path, message=complaint.message)
