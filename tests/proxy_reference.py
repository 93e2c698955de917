"""The measured cases in tests/golden/reference, and how rules are compared with them.

Compared as values, so that the order of words in a line does not matter. What may differ is in TOLERATED.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from proxy_objects import CASES

from netlab.model.rules import Family, Rule, Table
from netlab.proxy.config import ProxyConfig

FILES = {Family.IPV4: "iptables.save", Family.IPV6: "ip6tables.save"}
COUNTED = ("-m", "nfacct", "--nfacct-name")


@dataclass(frozen=True, slots=True)
class Flags:
    """How the real kube-proxy was started for a case."""

    cluster_cidr: str
    extra: tuple[str, ...]

    @property
    def arguments(self) -> tuple[str, ...]:
        """As on a command line."""
        return f"--cluster-cidr={self.cluster_cidr}", *self.extra

    @property
    def config(self) -> ProxyConfig:
        """As values."""
        return ProxyConfig(
            node_name="node1",
            cluster_cidrs=tuple(ip_network(cidr) for cidr in self.cluster_cidr.split(",")),
            masquerade_all="--masquerade-all" in self.extra,
        )


def cases() -> tuple[Path, ...]:
    """A folder a case."""
    return tuple(sorted(path for path in CASES.iterdir() if path.is_dir()))


def measured(case: Path) -> Iterator[tuple[Family, str]]:
    """What the real kube-proxy wrote, as iptables-save gave it, by family as far as it was kept."""
    for family, name in FILES.items():
        if (case / name).exists():
            yield family, (case / name).read_text()


def flags_of(case: Path) -> Flags:
    found = dict(line.split("=", 1) for line in (case / "flags").read_text().splitlines())
    return Flags(found["CIDR"].strip("'"), tuple(found["EXTRA"].strip("'").split()))


def without_counter(rule: Rule) -> Rule | None:
    """kube-proxy counts with nfacct objects where the kernel has them; where it has not, one rule is missing wholly.

    netlab makes no nfacct objects: they belong to no network namespace's rules, and no packet can tell.
    """
    if rule.extra[:3] != COUNTED:
        return rule
    return None if rule.extra[3] == "localhost_nps_accepted_pkts" else rule._replace(extra=())


def order_of(chain: str, rules: list[Rule]) -> list[Rule]:
    """Service ports come in the order of a hash map: in shared chains only the last rule has its place."""
    if chain == "KUBE-SERVICES" and rules and rules[-1].destination_local is not None:
        return [*sorted(rules[:-1], key=repr), rules[-1]]
    return sorted(rules, key=repr) if chain in {"KUBE-SERVICES", "KUBE-NODEPORTS"} else rules


TOLERATED = (without_counter, order_of)


def comparable(table: Table) -> tuple[object, ...]:
    """Equal for two tables that differ only in what is tolerated."""
    chains = {
        chain.name: order_of(chain.name, [kept for rule in chain.rules if (kept := without_counter(rule))])
        for chain in table.chains
    }
    return table.name, chains, table.hooks
