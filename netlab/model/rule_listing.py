"""What `netlab rules` reports: the JSON shapes `RuleSet` and `RuleDifferences` of netlab/v1."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from netlab.model.journey import Report
from netlab.model.modes import ProxyMode
from netlab.model.rules import Family


class ListedRule(BaseModel):
    """A rule as its tool lists it; `packets` and `octets` (`bytes`) are None where the kernel does not count it.

    `jump` is the chain that it leads to, if any.
    """

    model_config = ConfigDict(populate_by_name=True, frozen=True)

    rule: str
    comment: str | None = None
    packets: int | None = None
    octets: int | None = Field(default=None, alias="bytes")
    explanation: str = ""
    jump: str | None = Field(default=None, exclude=True)


class ListedChain(BaseModel):
    """A chain, or a map or set of nftables, an address set, a virtual server, whose entries stand for rules.

    `hook` says where in the kernel packets come in, of a chain that is reached from nowhere else.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    hook: str | None = None
    policy: str | None = None
    rules: tuple[ListedRule, ...] = ()


class ListedTable(BaseModel):
    """A table of iptables (`nat`), of nftables (`kube-proxy`), or what IPVS has beside them (`ipset`, `ipvs`)."""

    model_config = ConfigDict(frozen=True)

    family: Family
    name: str
    tool: str
    chains: tuple[ListedChain, ...] = ()


class RuleSet(Report):
    """All rules of a node, or those that the packets of one Service meet; chains in the order of a packet's way."""

    kind: Literal["RuleSet"] = "RuleSet"
    node: str
    mode: ProxyMode
    service: str | None = None
    tables: tuple[ListedTable, ...] = ()


class ChainDifference(BaseModel):
    """What a chain lacks of the rules that netlab wants in it, and what it has beside them."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    family: Family
    table: str
    chain: str
    missing: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()


class RuleDifferences(Report):
    """Where a node's rules are not those that its kube-proxy would write for the objects that there are."""

    kind: Literal["RuleDifferences"] = "RuleDifferences"
    node: str
    mode: ProxyMode
    differences: tuple[ChainDifference, ...] = ()
