"""What a rule or an element of kube-proxy's nftables table does, in words."""

from __future__ import annotations

import re

CONDITIONS: tuple[tuple[str, str], ...] = (
    (r"ct state new", "that begin a connection"),
    (r"ct state invalid", "that belong to no connection that is known"),
    (r"ct status dnat", "whose destination was changed"),
    (r"fib daddr type local", "to an address of this node"),
    (r"fib saddr type local", "from this node itself"),
    (r"ip6? saddr \. ip6? daddr \. meta l4proto \. th dport @hairpin-connections", "that an endpoint sends to itself"),
    (r"ip6? daddr @cluster-ips", "to a ClusterIP"),
    (r"ip6? daddr @nodeport-ips", "to an address of this node that node ports answer on"),
    (r"ip6? daddr != (\S+)", r"to anywhere but \1"),
    (r"ip6? saddr != (\S+|\{[^}]*\})", r"from anywhere but \1"),
    (r"ip6? saddr @(affinity-\S+)", r"from a client that is remembered in \1"),
    (r"ip6? saddr (\S+|\{[^}]*\})", r"from \1"),
    (r"ip6? daddr (\S+)", r"to \1"),
    (r"meta l4proto (\S+)", r"by \1"),
    (r"th dport (\d+)", r"port \1"),
    (r"meta mark & (0x[0-9a-f]+) (?:!= 0x0+|== \1)", r"that carry the mark \1"),
    (r"meta mark & (0x[0-9a-f]+) == 0x0+", r"that do not carry the mark \1"),
    (r"numgen random mod (\d+) \d+", r"picked by chance, one of \1"),
    (r'iifname "?([^"\s]+)"?', r"in by \1"),
)
ACTIONS: tuple[tuple[str, str], ...] = (
    (r"vmap @(\S+)", r"what the map \1 has for them is done"),
    (r"(?:jump|goto) (\S+)", r"go on in \1"),
    (r"dnat to (\S+)", r"the destination becomes \1"),
    (
        r"dnat ip6? to (?:ip6? daddr \. )?meta l4proto \. th dport \. numgen random mod (\d+) map @(\S+)",
        r"the destination becomes what the map \2 has for them and a number drawn by chance, one of \1; "
        r"those that it does not have go on to the next rule",
    ),
    (r"masquerade(?: fully-random)?", "the source becomes this node's address, so that the answer comes back here"),
    (
        r"meta mark set meta mark \| (0x[0-9a-f]+)",
        r"set the mark \1: on the way out the source becomes this node's address",
    ),
    (r"meta mark set meta mark \^ (0x[0-9a-f]+)", r"the mark \1 is taken away"),
    (r"update @(\S+) \{[^}]*\}", r"their client is remembered in \1"),
    (r"reject(?: with \S+(?: type)? \S+)?", "refuse them: their sender is told that the port is unreachable"),
    (r"drop", "drop them without a word"),
    (r"accept", "let them pass"),
    (r"return", "leave this chain"),
)
_CONDITIONS = tuple((re.compile(pattern), words) for pattern, words in CONDITIONS)
_ACTIONS = tuple((re.compile(pattern), words) for pattern, words in ACTIONS)
_KEY_OF_MAP = re.compile(r"(?:ip6? daddr \. )?meta l4proto \. th dport (?=vmap)")
_PORT = re.compile(r" (tcp|udp|sctp) (\d+)(?: (\d+))?$")
_CONNECTION = re.compile(r"(\S+) \. (\S+) \. (\S+) \. (\d+)")
_ENDPOINT = re.compile(r"(\S+) \. (\d+)")
_COUNTER = re.compile(r"counter(?: packets \d+ bytes \d+| name \S+)? ?")
_COMMENT = re.compile(r'comment "[^"]*" ?')


def explain_rule(rule: str) -> str:
    """A rule as nft lists it, in words; what is not known here stays as it is spelled."""
    rest = _COMMENT.sub("", _COUNTER.sub("", _KEY_OF_MAP.sub("", rule))).strip()
    which: list[str] = []
    done: list[str] = []
    while rest:
        for patterns, found in ((_CONDITIONS, which), (_ACTIONS, done)):
            if told := _first(patterns, rest):
                words, rest = told
                found.append(words)
                break
        else:
            word, _, rest = rest.partition(" ")
            (done if done else which).append(word)
    packets = f"packets {' '.join(which)}" if which else "all packets"
    return f"{packets}: {' and '.join(done) or 'count them'}"


def explain_element(container: str, element: str) -> str:
    """An element of a map or a set: `10.96.0.80 . tcp . 80 : goto service-...`."""
    key, colon, verdict = _COMMENT.sub("", element).partition(" : ")
    if not colon:
        name = container.partition(" ")[2]
        if connection := _CONNECTION.fullmatch(key.strip()):
            return connection.expand(r"packets from \1 to \2 \3 port \4") + f" are among {name}"
        return f"{key.strip().replace(' . ', ' ')} is one of {name}"
    spoken = _PORT.sub(_spoken_port, f" {key.strip().replace(' . ', ' ')}").strip()
    if endpoint := _ENDPOINT.fullmatch(verdict.strip()):
        address, port = endpoint.groups()
        return f"packets to {spoken}: the destination becomes {f'[{address}]' if ':' in address else address}:{port}"
    told = _first(_ACTIONS, verdict.strip())
    return f"packets to {spoken}: {told[0] if told else verdict}"


def _spoken_port(found: re.Match[str]) -> str:
    drawn = f" that drew {found[3]}" if found[3] else ""
    return f" {found[1]} port {found[2]}{drawn}"


def _first(patterns: tuple[tuple[re.Pattern[str], str], ...], text: str) -> tuple[str, str] | None:
    """The words for what the text begins with, and the rest of it."""
    for pattern, words in patterns:
        found = pattern.match(text)
        if found and (found.end() == len(text) or text[found.end()] == " "):
            return found.expand(words), text[found.end() :].strip()
    return None
