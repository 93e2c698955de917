"""A table, and changes of it, in the words of nft(8): what people read, and what `nft -f` takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab.model.nft_rules import Dnat, Drop, Field, Goto
from netlab.model.nft_tables import (
    AddChain,
    AddClients,
    AddElements,
    AddRule,
    AddSet,
    AddTable,
    Chain,
    Change,
    Client,
    DeleteChain,
    DeleteElements,
    DeleteSet,
    DeleteTable,
    Element,
    FlushChain,
    Hook,
    Key,
    KeyType,
    Set,
    Table,
)
from netlab.model.rules import Family
from netlab.proxy.nftables.changes import COMMENT
from netlab.proxy.nftables.names import TABLE
from netlab.proxy.nftables.rule_text import TRANSPORT, WORDS, drawn_text, rule_text, verdict_text

PRIORITIES = {"prerouting": (("dstnat", -100),), "postrouting": (("srcnat", 100),)}
"""Names of priorities that nft knows for one hook only."""
EVERYWHERE = (("filter", 0),)
NEAR = 10
"""A priority is said from the next name that is not further away."""


def table_text(table: Table) -> str:
    """The table as `nft list table` would print it, nearly: to read, and for `nft -f`."""
    lines = [f"table {WORDS[table.family].ip} {TABLE} {{", f'\tcomment "{COMMENT}"']
    by_set: dict[str, list[Element]] = {each.name: [] for each in table.sets}
    for element in table.elements:
        by_set[element.set].append(element)
    for each in table.sets:
        content = (*_set_lines(each, table.family), *_elements_lines(by_set[each.name]))
        lines += ["", f"\t{_kind(each)} {each.name} {{", *(f"\t\t{line}" for line in content), "\t}"]
    for chain in table.chains:
        content = (*_chain_lines(chain), *(rule_text(rule, table.family) for rule in chain.rules))
        lines += ["", f"\tchain {chain.name} {{", *(f"\t\t{line}" for line in content), "\t}"]
    return "\n".join((*lines, "}", ""))


def change_text(change: Change, family: Family) -> str:  # noqa: PLR0911 (a table)
    """The command of nft(8) that makes the change."""
    where = f"{WORDS[family].ip} {TABLE}"
    match change:
        case AddTable(comment):
            return f"add table {where}{_block([_comment(comment)] if comment else [])}"
        case DeleteTable():
            return f"delete table {where}"
        case AddSet(each):
            return f"add {_kind(each)} {where} {each.name}{_block(_set_lines(each, family))}"
        case DeleteSet(name):
            return f"delete set {where} {name}"
        case AddChain(chain):
            return f"add chain {where} {chain.name}{_block(_chain_lines(chain))}"
        case FlushChain(name):
            return f"flush chain {where} {name}"
        case DeleteChain(name):
            return f"delete chain {where} {name}"
        case AddRule(chain, rule):
            return f"add rule {where} {chain} {rule_text(rule, family)}"
        case AddElements(name, elements):
            return f"add element {where} {name} {{ {', '.join(map(element_text, elements))} }}"
        case DeleteElements(name, elements):
            return f"delete element {where} {name} {{ {', '.join(_key(each.key) for each in elements)} }}"
        case AddClients(name, clients):
            return f"add element {where} {name} {{ {', '.join(map(_client, clients))} }}"


def element_text(element: Element) -> str:
    """`10.96.0.10 . tcp . 80 : goto service-...`."""
    comment = f' comment "{element.comment}"' if element.comment else ""
    leads_to = f" : {_leads_to(element.leads_to)}" if element.leads_to else ""
    return f"{_key(element.key)}{comment}{leads_to}"


def _leads_to(target: Goto | Drop | Dnat) -> str:
    return f"{target.address} . {target.port}" if isinstance(target, Dnat) else verdict_text(target)


def _key(key: Key) -> str:
    return " . ".join(map(str, key))


def _client(client: Client) -> str:
    return f"{client.address} expires {client.milliseconds}ms"


def _block(lines: Iterable[str]) -> str:
    found = " ; ".join(line.rstrip(";") for line in lines)
    return f" {{ {found} ; }}" if found else ""


def _kind(each: Set) -> str:
    return "map" if each.verdicts or each.one_of else "set"


def _set_lines(each: Set, family: Family) -> Iterator[str]:
    yield _type(each, family)
    if each.size is not None:
        yield f"size {each.size}"
    if each.seconds is not None:
        yield "flags dynamic,timeout"
        yield f"timeout {each.seconds}s"
    if each.comment:
        yield _comment(each.comment)


def _type(each: Set, family: Family) -> str:
    """nft has no name for the type of a number that is drawn; there it is said what such a key is made of."""
    words = WORDS[family]
    if each.one_of is None:
        types = (words.address if key is KeyType.ADDRESS else key.value for key in each.keys)
        return f"type {' . '.join(types)}{' : verdict' if each.verdicts else ''}"
    destination, port = f"{words.ip} daddr", TRANSPORT[Field.PORT]
    made_of = {KeyType.ADDRESS: destination, KeyType.PROTOCOL: TRANSPORT[Field.PROTOCOL], KeyType.PORT: port}
    return (
        f"typeof {' . '.join(map(made_of.__getitem__, each.keys))} . {drawn_text(each.one_of)} : {destination} . {port}"
    )


def _elements_lines(elements: list[Element]) -> Iterator[str]:
    if elements:
        yield f"elements = {{ {f',{chr(10)}{chr(9) * 3}     '.join(map(element_text, elements))} }}"


def _chain_lines(chain: Chain) -> Iterator[str]:
    if chain.comment:
        yield _comment(chain.comment)
    if chain.hook:
        yield f"type {chain.hook.type} hook {chain.hook.hook} priority {_priority(chain.hook)}; policy accept;"


def _priority(hook: Hook) -> str:
    """As nft prints it: `dstnat`, `dstnat - 10`, `-110`."""
    for name, priority in (*PRIORITIES.get(hook.hook, ()), *EVERYWHERE):
        away = hook.priority - priority
        if abs(away) <= NEAR:
            return f"{name} {'-' if away < 0 else '+'} {abs(away)}" if away else name
    return str(hook.priority)


def _comment(text: str) -> str:
    return f'comment "{text}"'
