"""What a rule of iptables does, in words: `packets to 10.96.0.80 tcp port 80: go on in KUBE-SVC-...`.

Words are for what netlab writes, and for most of what others do; the rest is told as it is spelled.
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab.model.rules import (
    Conntrack,
    ConntrackState,
    Dnat,
    IcmpError,
    Jump,
    Mark,
    Masquerade,
    Redirect,
    Reject,
    Rule,
    SetMark,
    Target,
    Verdict,
)
from netlab.proxy.addresses import with_port
from netlab.proxy.iptables import names

ROLES = (
    ("KUBE-SVC-", "which picks one of the Service's endpoints"),
    ("KUBE-SVL-", "which picks one of the Service's endpoints on this node"),
    ("KUBE-EXT-", "for what came to the Service from outside"),
    ("KUBE-FW-", "which lets in only the Service's source ranges"),
    ("KUBE-SEP-", "the endpoint"),
    (names.MARK_MASQ, "which marks them, so that on their way out their source becomes this node"),
    (names.SERVICES, "which has every Service"),
    (names.NODEPORTS, "which has every node port"),
    (names.POSTROUTING, "which changes the source of what was marked"),
    (names.EXTERNAL_SERVICES, "where Services without endpoints refuse what comes from outside"),
    (names.PROXY_FIREWALL, "where load balancers refuse strangers"),
    (names.FORWARD, "which lets through what Services need"),
    ("KUBE-PORTALS-CONTAINER", "which has the addresses of every Service, for packets that come in"),
    ("KUBE-PORTALS-HOST", "which has the addresses of every Service, for packets of this node itself"),
    ("KUBE-NODEPORT-CONTAINER", "which has every node port, for packets that come in"),
    ("KUBE-NODEPORT-HOST", "which has every node port, for packets of this node itself"),
    ("KUBE-NODEPORT-NON-LOCAL", "which lets in what comes to kube-proxy's own ports"),
    ("KUBE-LOAD-BALANCER", "where load balancers' packets are marked"),
    ("KUBE-NODE-PORT", "which marks what came to node ports"),
    ("NETLAB-MASQ", "where what leaves the cluster takes this node's address"),
    (names.FIREWALL, "which drops what claims to be loopback's"),
)
"""What a chain is for, by the beginning of its name; an endpoint's before others."""
STATES = {
    ConntrackState.NEW: "begin a connection",
    ConntrackState.ESTABLISHED: "belong to a connection",
    ConntrackState.RELATED: "concern a connection",
    ConntrackState.INVALID: "belong to no connection that is known",
    ConntrackState.DNAT: "had their destination changed",
}
VERDICTS = {
    Verdict.ACCEPT: "let them pass this table",
    Verdict.DROP: "drop them without a word",
    Verdict.RETURN: "leave this chain",
}
ERRORS = {
    IcmpError.PORT_UNREACHABLE: "refuse them: their sender is told that the port is unreachable",
    IcmpError.NET_UNREACHABLE: "refuse them: their sender is told that there is no way",
}


def explain(rule: Rule) -> str:
    """The rule in words: which packets, and what becomes of them."""
    ends, states = " ".join(_ends(rule)), " and ".join((*_states(rule), *_rare(rule)))
    which = " ".join(filter(None, (ends, f"that {states}" if states else "")))
    return f"{f'packets {which}' if which else 'all packets'}: {_action(rule)}"


def _ends(rule: Rule) -> Iterator[str]:
    if rule.source is not None:
        yield f"from {'anywhere but ' if rule.source_inverted else ''}{_plain(rule.source)}"
    if rule.source_local is not None:
        yield f"from {'this node itself' if rule.source_local else 'elsewhere than this node'}"
    if rule.in_interface is not None:
        yield f"in by {'anything but ' if rule.in_interface_inverted else ''}{rule.in_interface}"
    if rule.destination is not None:
        yield f"to {'anywhere but ' if rule.destination_inverted else ''}{_plain(rule.destination)}"
    if rule.destination_local is not None:
        yield f"to {'an address of this node' if rule.destination_local else 'an address of another machine'}"
    if rule.destination_port is not None:
        yield f"{'' if rule.destination else 'to '}{rule.protocol} port {rule.destination_port}"
    elif rule.protocol is not None:
        yield f"by {rule.protocol}"
    if rule.out_interface is not None:
        yield f"out by {rule.out_interface}"


def _plain(network: object) -> str:
    return str(network).removesuffix("/32").removesuffix("/128")


def _states(rule: Rule) -> Iterator[str]:
    if rule.conntrack is not None:
        yield _conntrack(rule.conntrack)
    if rule.mark is not None:
        yield _mark(rule.mark)
    if rule.statistic is not None:
        yield f"are picked by chance, {100 * rule.statistic:.4g} of 100"
    if rule.recent is not None:
        seconds = rule.recent.check_seconds
        yield (
            f"come from a client of the last {seconds} seconds (session affinity)"
            if seconds is not None
            else "are from any client, which is remembered (session affinity)"
        )


def _conntrack(match: Conntrack) -> str:
    states = " or ".join(STATES[state] for state in ConntrackState if state in match.states)
    return f"do not {states}" if match.inverted else states


def _mark(match: Mark) -> str:
    what = f"mark {match.mask:#x}" if match.value == match.mask else f"mark {match.value:#x}/{match.mask:#x}"
    return f"{'do not carry' if match.inverted else 'carry'} the {what}"


def _rare(rule: Rule) -> Iterator[str]:
    if rule.address_set is not None:
        yield f"are in the address set {rule.address_set.name} ({','.join(rule.address_set.parts)})"
    if rule.bridged_in is not None:
        yield "came in by a port of a bridge" if rule.bridged_in else "did not come in by a port of a bridge"
    if rule.virtual is not None:
        yield f"IPVS sends on, and that were for {with_port(rule.virtual.address, rule.virtual.port)}"
    if rule.extra:
        yield f"match {' '.join(rule.extra)}"


def _action(rule: Rule) -> str:
    if rule.target is None:
        return "count them" if rule.recent is None else "remember the client"
    return _target(rule.target, comment=rule.comment or "")


def _target(target: Target, *, comment: str) -> str:
    match target:
        case Verdict():
            return VERDICTS[target]
        case Jump(chain):
            return _jump(chain, comment)
        case Reject(error):
            return ERRORS[error]
    return _change(target)


def _change(target: Dnat | Redirect | Masquerade | SetMark) -> str:
    match target:
        case Dnat(address, port):
            return f"the destination becomes {with_port(address, port)}"
        case Redirect(port):
            return f"the destination becomes port {port} of this node, where kube-proxy listens"
        case Masquerade():
            return "the source becomes this node's address, so that the answer comes back here"
        case SetMark(value, 0):
            return f"the mark {value:#x} is taken away, as it has done its work"
        case SetMark(value, _):
            return f"set the mark {value:#x}: on the way out the source becomes this node's address"


def _jump(chain: str, comment: str) -> str:
    role = next((role for prefix, role in ROLES if chain.startswith(prefix)), "")
    if role == "the endpoint" and "->" in comment:
        role = f"the endpoint {comment.rpartition('-> ')[2]}"
    return f"go on in {chain}" + (f", {role}" if role else "")
