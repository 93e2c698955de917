"""One transaction of iptables-nft in pieces: small enough, and each of them leaves a table that works."""

from __future__ import annotations

from itertools import chain

from netlab.kernel.iptables_nft_pieces import PIECE, Does, Order, pieces
from netlab.model.rules import Jump, Rule


def filled(chain: str, *targets: str) -> list[Order]:
    """A chain anew, with a rule that jumps to each target."""
    rules = (Order(Does.APPEND, chain, f"-A {chain} -j {target}", Rule(target=Jump(target))) for target in targets)
    return [Order(Does.EMPTY, chain, f":{chain} - [0:0]"), *rules]


def deleted(chain: str) -> Order:
    return Order(Does.DELETE, chain, f"-X {chain}")


def numbered(count: int) -> list[str]:
    return [f"SVC-{number}" for number in range(count)]


def test_nothing_is_lost_and_every_piece_fits() -> None:
    orders = [*filled("TOP", *numbered(3 * PIECE)), *(order for name in numbered(3 * PIECE) for order in filled(name))]

    found = pieces(orders)

    assert sorted(map(str, chain.from_iterable(found))) == sorted(map(str, orders))
    assert max(map(len, found)) <= PIECE
    assert len(found) == len(orders) // PIECE + 1


def test_a_chain_is_made_before_any_rule_jumps_there() -> None:
    names = numbered(2 * PIECE)
    orders = [*filled("A-TOP", *names), *(order for name in names for order in filled(name, "Z-END")), *filled("Z-END")]

    there: set[str] = set()
    for order in chain.from_iterable(pieces(orders)):
        there.add(order.chain)
        if order.rule and isinstance(order.rule.target, Jump):
            assert order.rule.target.chain in there


def test_the_rules_of_a_chain_are_not_torn_apart_where_they_fit() -> None:
    orders = [order for name in numbered(PIECE) for order in filled(name, *("RETURN",) * 6)]

    for piece in pieces(orders):
        assert len(piece) % 7 == 0


def test_a_chain_that_alone_is_too_large_keeps_the_order_of_its_rules() -> None:
    orders = filled("TOP", *numbered(2 * PIECE))

    assert list(chain.from_iterable(pieces(orders))) == orders


def test_what_is_gone_goes_when_nothing_leads_there_any_more() -> None:
    hook = Order(Does.EDIT, "OUTPUT", "-D OUTPUT -j GONE-0", Rule(target=Jump("GONE-0")))
    emptied = [Order(Does.EMPTY, f"GONE-{number}", f":GONE-{number} - [0:0]") for number in range(2)]

    (piece,) = pieces([*emptied, *filled("TOP", "SVC"), hook, deleted("GONE-0"), deleted("GONE-1")])

    assert piece == [*filled("TOP", "SVC"), hook, *emptied, deleted("GONE-0"), deleted("GONE-1")]


def test_chains_in_circles_are_left_to_the_kernel_to_refuse() -> None:
    orders = [*filled("A", "B"), *filled("B", "A")]

    assert pieces(orders) == [orders]
