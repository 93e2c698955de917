"""What the tables of the current network namespace hold, as one short text that changes when a rule does.

Left out are counters, where in a table a chain stands, and the order in chains of kube-proxy's and netlab's: rules that
were taken away and written again count as the same. Legacy tables are read as the kernel gives them; of nftables nft(8)
tells, where there is anything to tell of.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from netlab.kernel.fingerprint import hashed
from netlab.kernel.iptables_handle import EntryLayout, entry_layout
from netlab.kernel.iptables_held import VERDICTS, HeldTable, read_table
from netlab.kernel.iptables_legacy import table_names
from netlab.kernel.nft_chains import base_chain_hooks
from netlab.kernel.programs import output_of
from netlab.model.rules import Family

NFCACHE_BYTES, COMEFROM_BYTES, COUNTERS_BYTES = 4, 4, 16
VERDICT_OFFSET, VERDICT_BYTES = 32, 4
"""Of struct xt_standard_target: where a jump leads, which `HeldChain.leads_to` says by name."""
OWN_CHAINS = ("KUBE-", "NETLAB-")
LIST_RULESET = ("nft", "--stateless", "list", "ruleset")
CLIENTS = re.compile(r"(\bset affinity-\S+ \{[^{}]*?)elements = \{[^{}]*\}")
"""Whom kube-proxy's sets remember: packets write that, nobody's rules do."""
PIECES = re.compile(r"[\n,]")


def rule_fingerprint() -> str:
    """KernelError: a table cannot be read; MissingCapability: there is nftables, and no nft(8)."""
    return hashed(_entries())


def _entries() -> Iterator[bytes]:
    for family in Family:
        for name in table_names(family):
            yield from _legacy(read_table(family, name))
    if any(base_chain_hooks(family) for family in Family):
        # The elements of maps and sets come in no order: each counts for itself.
        text = CLIENTS.sub(r"\1", output_of(LIST_RULESET))
        yield from (piece.strip().encode() for piece in PIECES.split(text) if piece.strip())


def _legacy(table: HeldTable) -> Iterator[bytes]:
    """A table that nobody has put anything into is as good as none: looking at it brings it in."""
    layout = entry_layout(table.family)
    place = f"{table.family.value}/{table.name}"
    for built_in, policy in table.policies.items():
        if (verdict := _verdict(policy.rule, layout)) != VERDICTS["ACCEPT"]:
            yield f"{place}/{built_in} {verdict}".encode()
    for name, chain in table.chains.items():
        if name not in table.policies:
            yield f"{place}/{name}".encode()
        own, number = name.startswith(OWN_CHAINS), 0
        for rule, leads_to in zip(chain.rules, chain.leads_to, strict=True):
            # kube-proxy's order is that in which it came to know of things, the hooks' that of the programs' starts.
            anywhere = own or (name in table.policies and (leads_to or "").startswith(OWN_CHAINS))
            head = f"{place}/{name}/{'' if anywhere else number} {leads_to} ".encode()
            yield head + _still(rule, layout, standard=leads_to is not None)
            number += not anywhere


def _target(rule: bytes, layout: EntryLayout) -> int:
    return int.from_bytes(rule[layout.target_offset : layout.target_offset + 2], sys.byteorder)


def _verdict(rule: bytes, layout: EntryLayout) -> int:
    start = _target(rule, layout) + VERDICT_OFFSET
    return int.from_bytes(rule[start : start + VERDICT_BYTES], sys.byteorder, signed=True)


def _still(rule: bytes, layout: EntryLayout, *, standard: bool) -> bytes:
    """The rule's bytes without what the kernel counts or works out."""
    still = bytearray(rule)
    moving = [(layout.nfcache, NFCACHE_BYTES), (layout.comefrom, COMEFROM_BYTES), (layout.counters, COUNTERS_BYTES)]
    if standard:
        moving.append((_target(rule, layout) + VERDICT_OFFSET, VERDICT_BYTES))
    for start, length in moving:
        still[start : start + length] = bytes(length)
    return bytes(still)
