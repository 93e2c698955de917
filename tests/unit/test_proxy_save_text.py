"""Rules as text and back: nothing is lost, and no text that a client chose can become a rule."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.model.rules import (
    COMMENT_LIMIT,
    Chain,
    Conntrack,
    ConntrackState,
    Dnat,
    Family,
    Jump,
    Mark,
    Masquerade,
    Protocol,
    Recent,
    Redirect,
    Reject,
    Rule,
    SetMark,
    Table,
    Verdict,
    held_probability,
)
from netlab.proxy.save_reader import read_save, words_of
from netlab.proxy.save_text import quoted, rule_text, save_text

# --- one rule

NETWORKS = {
    Family.IPV4: st.builds(IPv4Network, st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)), st.just(value=False)),
    Family.IPV6: st.builds(
        IPv6Network, st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 128)), st.just(value=False)
    ),
}
MARKS = st.integers(0, 2**32 - 1)
STATES = st.sets(st.sampled_from(ConntrackState), min_size=1).map(frozenset)
PORTS = st.integers(1, 65535)
TARGETS = {"DNAT", "MARK", "REDIRECT"}
NAMES = st.from_regex(r"[A-Z][A-Z0-9-]{0,26}", fullmatch=True).filter(lambda name: name not in TARGETS)


@st.composite
def rules(draw: st.DrawFn, family: Family) -> Rule:
    """Any rule that iptables could hold and `Rule` can say, with a comment of any characters."""
    source, destination = draw(st.none() | NETWORKS[family]), draw(st.none() | NETWORKS[family])
    protocol = draw(st.none() | st.sampled_from(Protocol))
    dnat = st.builds(Dnat, st.ip_addresses(v=4 if family is Family.IPV4 else 6), PORTS)
    target = st.one_of(
        st.none(),
        st.sampled_from(Verdict),
        st.just(Jump("KUBE-SVC-A")),
        st.builds(Masquerade, st.booleans()),
        st.builds(SetMark, MARKS, MARKS),
        st.just(Reject()),
        *([dnat, st.builds(Redirect, PORTS)] if protocol else []),
    )
    return Rule(
        source=source,
        source_inverted=source is not None and draw(st.booleans()),
        destination=destination,
        destination_inverted=destination is not None and draw(st.booleans()),
        protocol=protocol,
        destination_port=draw(st.none() | PORTS) if protocol else None,
        comment=draw(st.none() | st.text(max_size=60)),
        conntrack=draw(st.none() | st.builds(Conntrack, STATES, st.booleans())),
        mark=draw(st.none() | st.builds(Mark, MARKS, MARKS, st.booleans())),
        source_local=draw(st.none() | st.booleans()),
        destination_local=draw(st.none() | st.booleans()),
        statistic=draw(st.none() | st.floats(1e-6, 1).map(held_probability)),
        recent=draw(st.none() | st.builds(Recent, NAMES, st.none() | st.integers(1, 86400))),
        target=draw(target),
    )


def printable(comment: str | None) -> str | None:
    """What iptables-restore can be told of a comment: no line break or other control character."""
    if comment is None:
        return None
    kept = "".join(" " if ord(c) < 0x20 or ord(c) == 0x7F else c for c in comment)
    return kept.encode("utf-8", "replace").decode()


@pytest.mark.parametrize("family", list(Family))
def test_any_rule_comes_back_as_it_was(family: Family) -> None:
    @settings(max_examples=60)
    @given(rules(family))
    def check(rule: Rule) -> None:
        table = Table(family, "filter", chains=(Chain("KUBE-SERVICES", (rule,)), Chain("KUBE-SVC-A")))
        (back,) = read_save(save_text([table]), family=family)
        ((found,),) = (chain.rules for chain in back.chains if chain.rules)
        assert found == rule._replace(comment=printable(rule.comment))

    check()


def test_a_rule_reads_as_iptables_save_prints_it() -> None:
    rule = Rule(
        destination=IPv4Network("10.96.0.10/32"),
        protocol=Protocol.TCP,
        destination_port=80,
        comment="default/web cluster IP",
        target=Jump("KUBE-SVC-LOLE4ISW44XBNF3G"),
    )
    assert rule_text("KUBE-SERVICES", rule, family=Family.IPV4) == (
        '-A KUBE-SERVICES -d 10.96.0.10/32 -p tcp -m comment --comment "default/web cluster IP" '
        "-m tcp --dport 80 -j KUBE-SVC-LOLE4ISW44XBNF3G"
    )


@pytest.mark.parametrize(
    ("family", "address", "text"),
    [
        (Family.IPV4, "10.244.1.5", "-j DNAT --to-destination 10.244.1.5:8080"),
        (Family.IPV6, "fd00::5", "-j DNAT --to-destination [fd00::5]:8080"),
    ],
)
def test_a_translation_names_address_and_port(family: Family, address: str, text: str) -> None:
    rule = Rule(protocol=Protocol.UDP, target=Dnat(ip_address(address), 8080))
    assert rule_text("KUBE-SEP-A", rule, family=family).endswith(text)


# --- words


@pytest.mark.parametrize(
    "comment",
    [
        '" -j ACCEPT\n-A INPUT -j ACCEPT\nCOMMIT',
        "a\\",
        "it's",
        'say "hi"',
        "COMMIT",
        "-j",
        "!",
        "$(reboot) `reboot` ; reboot",
        "",
        "ü" * 200,
    ],
)
def test_a_comment_is_one_word_on_one_line(comment: str) -> None:
    word = quoted(comment)
    assert "\n" not in word
    (back,) = words_of(word)
    assert len(back.encode()) <= COMMENT_LIMIT
    assert back == (printable(comment) or "").encode()[:COMMENT_LIMIT].decode("utf-8", "ignore")


def test_what_rules_cannot_say_is_kept_when_read() -> None:
    text = (
        "*nat\n:PREROUTING ACCEPT [0:0]\n:MINE - [0:0]\n"
        '[3:180] -A PREROUTING -p icmp -m limit --limit 1/sec -j LOG --log-prefix "a b"\n'
        "-A MINE -s 10.0.0.0/8 -m recent --update --seconds 5 --name x --mask 255.255.255.255 --rsource -j MINE\n"
        "COMMIT\n"
    )
    (table,) = read_save(text, family=Family.IPV4)
    ((hook,), ((mine,),)) = table.hooks, (chain.rules for chain in table.chains)
    assert " ".join(hook.rule.extra) == "-p icmp -m limit --limit 1/sec -j LOG --log-prefix a b"
    assert (mine.source, mine.target, mine.recent) == (IPv4Network("10.0.0.0/8"), Jump("MINE"), None)
    assert mine.extra[:4] == ("-m", "recent", "--update", "--seconds")


@pytest.mark.parametrize(
    "text", ["-A INPUT -j DROP\n", "*nat\nnonsense\nCOMMIT\n", "*nat\n-A KUBE-SERVICES -j DROP\nCOMMIT\n"]
)
def test_text_of_another_kind_is_refused_by_its_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"line \d"):
        read_save(text, family=Family.IPV4)
