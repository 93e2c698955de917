"""One rule out of the words of iptables-save(8)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from netlab.model.rules import (
    Conntrack,
    ConntrackState,
    Dnat,
    Jump,
    Mark,
    Masquerade,
    Protocol,
    Recent,
    Redirect,
    Reject,
    Rule,
    SetMark,
    SetMatch,
    Target,
    Verdict,
    VirtualMatch,
    held_probability,
)
from netlab.proxy.save_text import PROTOCOL_NUMBERS, REJECT_WITH, WHOLE_ADDRESS

_KNOWN_MATCHES = frozenset(
    {"comment", "conntrack", "mark", "set", "physdev", "addrtype", "statistic", "recent", "tcp", "udp", "sctp"}
)
_ADDRESS_AND_PORT = re.compile(r"\[?([0-9A-Fa-f.:]+?)\]?:(\d+)")
_BY_NUMBER = {str(number): protocol for protocol, number in PROTOCOL_NUMBERS.items()}
_REJECTIONS = {words: error for spelt in REJECT_WITH.values() for error, words in spelt.items()}


def read_rule(words: Iterable[str], *, chains: Collection[str]) -> Rule:
    """The rule that these words say, those after `-A CHAIN`. `chains` are the table's, to tell a jump from a target."""
    return _RuleReader(list(words), chains).rule()


@dataclass(slots=True)
class _RuleReader:
    words: list[str]
    chains: Collection[str]
    position: int = 0
    found: Rule = field(default_factory=Rule)
    extra: list[str] = field(default_factory=list)

    def rule(self) -> Rule:
        while self.position < len(self.words):
            start = self.position
            option = f"! {self._next()}" if self._take("!") else self._next()
            if not self._read(option):
                self.extra.append(self.words[start])
                self.position = start + 1
        return self.found._replace(extra=tuple(self.extra)) if self.extra else self.found

    def _next(self) -> str:
        """The next word; past the end an empty one, which no option accepts."""
        self.position += 1
        return self.words[self.position - 1] if self.position <= len(self.words) else ""

    def _take(self, word: str) -> bool:
        if self.position < len(self.words) and self.words[self.position] == word:
            self.position += 1
            return True
        return False

    def _read(self, option: str) -> bool:
        """Take in one option and its value; False for what `Rule` cannot say."""
        match option:
            case "-m":
                return self._read_match(self._next())
            case "-j":
                return self._read_target(self._next())
            case "--match-set":
                self.found = self.found._replace(address_set=SetMatch(self._next(), tuple(self._next().split(","))))
                return True
            case "--physdev-is-in" | "! --physdev-is-in":
                self.found = self.found._replace(bridged_in=not option.startswith("!"))
                return True
        return self._read_value(option)

    def _read_match(self, name: str) -> bool:
        match name:
            case "recent":
                return self._read_recent()
            case "ipvs":
                return self._read_virtual()
        return name in _KNOWN_MATCHES

    def _read_value(self, option: str) -> bool:
        if option not in _OPTIONS:
            return False
        try:
            self.found = _OPTIONS[option](self.found, self._next())
        except ValueError:
            return False
        return True

    def _read_recent(self) -> bool:
        """`-m recent` has many words and is said in one of two ways; any other is not ours."""
        seconds = ""
        if not self._take("--set"):
            seconds = self._next() if self._take("--rcheck") and self._take("--seconds") else ""
            if not seconds.isdecimal() or not self._take("--reap"):
                return False
        name = self._next() if self._take("--name") else ""
        whole = self._take("--mask") and self._next() in WHOLE_ADDRESS.values() and self._take("--rsource")
        if name and whole:
            self.found = self.found._replace(recent=Recent(name, int(seconds) if seconds else None))
        return bool(name and whole)

    def _read_virtual(self) -> bool:
        """`-m ipvs` has many words and is said in one way; any other is not ours."""
        protocol = _BY_NUMBER.get(self._next()) if self._take("--vproto") else None
        address = self._next() if self._take("--vaddr") else ""
        port = self._next() if self._take("--vport") else ""
        if protocol is None or not port.isdecimal():
            return False
        try:
            match = VirtualMatch(protocol, ip_address(address), int(port))
        except ValueError:
            return False
        self.found = self.found._replace(virtual=match)
        return True

    def _read_target(self, name: str) -> bool:
        target = Jump(name) if name in self.chains else self._own_target(name)
        if target is not None:
            self.found = self.found._replace(target=target)
        return target is not None

    def _own_target(self, name: str) -> Target | None:
        match name:
            case "ACCEPT" | "DROP" | "RETURN":
                return Verdict(name)
            case "MASQUERADE":
                return Masquerade(random_fully=self._take("--random-fully"))
            case "REJECT" if self._take("--reject-with") and (error := _REJECTIONS.get(self._next())):
                return Reject(error)
            case "MARK" if self._take("--set-xmark"):
                return SetMark(*_value_and_mask(self._next()))
            case "DNAT" | "REDIRECT":
                return self._destination(name)
            case _:
                return None

    def _destination(self, name: str) -> Target | None:
        """Where a packet is sent instead. Ranges are not ours."""
        if name == "REDIRECT":
            port = self._next() if self._take("--to-ports") else ""
            return Redirect(int(port)) if port.isdecimal() else None
        to = _ADDRESS_AND_PORT.fullmatch(self._next()) if self._take("--to-destination") else None
        return Dnat(ip_address(to[1]), int(to[2])) if to else None


def _value_and_mask(text: str) -> tuple[int, int]:
    value, _, mask = text.partition("/")
    return int(value, 16), int(mask or "0xffffffff", 16)


def _states(text: str) -> frozenset[ConntrackState]:
    return frozenset(map(ConntrackState, text.split(",")))


def _only(value: str, wanted: str) -> None:
    if value != wanted:
        raise ValueError(value)


def _source_local(rule: Rule, value: str) -> Rule:
    _only(value, "LOCAL")
    return rule._replace(source_local=True)


def _destination_local(rule: Rule, value: str) -> Rule:
    _only(value, "LOCAL")
    return rule._replace(destination_local=True)


def _mode(rule: Rule, value: str) -> Rule:
    _only(value, "random")
    return rule


_OPTIONS: dict[str, Callable[[Rule, str], Rule]] = {
    "-s": lambda rule, value: rule._replace(source=ip_network(value)),
    "! -s": lambda rule, value: rule._replace(source=ip_network(value), source_inverted=True),
    "-d": lambda rule, value: rule._replace(destination=ip_network(value)),
    "! -d": lambda rule, value: rule._replace(destination=ip_network(value), destination_inverted=True),
    "-i": lambda rule, value: rule._replace(in_interface=value),
    "! -i": lambda rule, value: rule._replace(in_interface=value, in_interface_inverted=True),
    "-o": lambda rule, value: rule._replace(out_interface=value),
    "-p": lambda rule, value: rule._replace(protocol=Protocol(value)),
    "--dport": lambda rule, value: rule._replace(destination_port=int(value)),
    "--comment": lambda rule, value: rule._replace(comment=value),
    "--ctstate": lambda rule, value: rule._replace(conntrack=Conntrack(_states(value))),
    "! --ctstate": lambda rule, value: rule._replace(conntrack=Conntrack(_states(value), inverted=True)),
    "--mark": lambda rule, value: rule._replace(mark=Mark(*_value_and_mask(value))),
    "! --mark": lambda rule, value: rule._replace(mark=Mark(*_value_and_mask(value), inverted=True)),
    "--src-type": _source_local,
    "! --src-type": lambda rule, value: _source_local(rule, value)._replace(source_local=False),
    "--dst-type": _destination_local,
    "! --dst-type": lambda rule, value: _destination_local(rule, value)._replace(destination_local=False),
    "--mode": _mode,
    "--probability": lambda rule, value: rule._replace(statistic=held_probability(float(value))),
}
