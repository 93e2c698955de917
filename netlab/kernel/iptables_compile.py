"""One rule by way of libxtables: python-iptables parses its options as iptables(8) would and lays out its bytes."""

from __future__ import annotations

import errno
import os
import pickle
import select
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from netlab.errors import KernelError, NetlabError
from netlab.kernel.iptables_handle import EntryLayout, entry_layout
from netlab.kernel.iptables_library import iptc
from netlab.model.rules import Dnat, Family, Jump, Masquerade, Recent, Redirect, Reject, Rule, SetMark, Target, Verdict
from netlab.proxy.addresses import with_port
from netlab.proxy.save_text import REJECT_WITH

Options = tuple[tuple[str, str | tuple[str, ...]], ...]
INTERFACE_SIZE = 16
PATIENCE_SECONDS = 20.0
"""A hundred times what the largest set of shapes takes."""
READ_BYTES = 1 << 16
INVERTED_IN_INTERFACE = 0x01
"""IPT_INV_VIA_IN and IP6T_INV_VIA_IN of <linux/netfilter_ipv4/ip_tables.h> and its IPv6 twin."""


@dataclass(frozen=True, slots=True)
class Build:
    """A rule's bytes (struct ipt_entry or ip6t_entry, matches, target) and the bits by which two rules are compared."""

    data: bytes
    mask: bytes


def compile_rules(rules: Sequence[Rule], family: Family) -> list[Build]:
    """The rules as libxtables lays them out; KernelError where it does not know an extension or an option.

    A child process asks libxtables and ends: in one process it knows the NAT targets of one family only (they share a
    library, which registers those of the family in use when it is loaded), and it exits where it is at a loss.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _answer(rules, family, writing)
    os.close(writing)
    try:
        answer = _answer_of(child, reading)
    finally:
        os.close(reading)
        _, status = os.waitpid(child, 0)
    if not answer:
        raise _refused(f"libxtables ended its process with status {os.waitstatus_to_exitcode(status)}")
    builds: list[Build] | str = pickle.loads(answer)
    if isinstance(builds, str):
        raise _refused(builds)
    return builds


def _answer_of(child: int, reading: int) -> bytes:
    """All that the child writes until it ends; KernelError (ETIMEDOUT) where it does not, and it is ended.

    The end of the pipe is not waited for: a process that was forked meanwhile for something else keeps it open too,
    perhaps for ever.
    """
    os.set_blocking(reading, False)
    answer, deadline = bytearray(), time.monotonic() + PATIENCE_SECONDS
    ended = os.pidfd_open(child)
    watched: tuple[int, ...] = (reading, ended)
    try:
        while (left := deadline - time.monotonic()) > 0:
            ready, before = _ready(*watched, seconds=left), len(answer)
            while part := _part(reading):
                answer += part
            if ended in ready:
                return bytes(answer)
            if len(answer) == before:
                watched = (ended,)  # the pipe's other end is closed, of which poll would tell for ever
        signal.pidfd_send_signal(ended, signal.SIGKILL)
        raise KernelError("compile rules", "libxtables", errno.ETIMEDOUT)
    finally:
        os.close(ended)


def _ready(*descriptors: int, seconds: float) -> set[int]:
    polling = select.poll()
    for descriptor in descriptors:
        polling.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in polling.poll(1000 * seconds)}


def _part(reading: int) -> bytes:
    """What is there to read now."""
    try:
        return os.read(reading, READ_BYTES)
    except BlockingIOError:
        return b""


def _answer(rules: Sequence[Rule], family: Family, writing: int) -> NoReturn:
    """In the child: compile, write the answer, end without running anything that the parent left to be done."""
    try:
        answer: list[Build] | str
        try:
            answer = [_compile(rule, family) for rule in rules]
        except NetlabError as error:
            answer = str(error)
        with open(writing, "wb") as answers:
            answers.write(pickle.dumps(answer))
    finally:
        os._exit(0)


def _refused(detail: str) -> KernelError:
    return KernelError("compile rules", "libxtables", errno.EINVAL, detail)


def _compile(rule: Rule, family: Family) -> Build:
    if rule.extra:
        raise _refused(f"options that can only be read: {rule}")
    module = iptc()
    built = module.Rule() if family is Family.IPV4 else module.Rule6()
    try:
        _set_addresses(built, rule)
        for name, options in matches_of(rule):
            _complete(built.create_match(name), options)
        name, options = target_of(rule.target, family)
        _complete(built.create_target(name), options)
    except (module.XTablesError, ValueError, AttributeError, TypeError) as error:
        raise _refused(f"{error}: {rule}") from error
    data = bytearray(bytes(built.rule))
    _set_interfaces(data, rule, entry_layout(family))
    return Build(bytes(data), bytes(built.mask))


def matches_of(rule: Rule) -> Iterator[tuple[str, Options]]:
    """The extensions that say the rule's conditions, with their options, in the order of the rule."""
    if rule.comment is not None:
        yield "comment", (("comment", rule.comment),)
    if rule.conntrack is not None:
        states = ",".join(sorted(rule.conntrack.states))
        yield "conntrack", (("ctstate", _inverted(states, inverted=rule.conntrack.inverted)),)
    if rule.mark is not None:
        value = f"{rule.mark.value:#x}/{rule.mark.mask:#x}"
        yield "mark", (("mark", _inverted(value, inverted=rule.mark.inverted)),)
    yield from _rare_matches(rule)
    for option, local in (("src-type", rule.source_local), ("dst-type", rule.destination_local)):
        if local is not None:
            yield "addrtype", ((option, _inverted("LOCAL", inverted=not local)),)
    if rule.statistic is not None:
        yield "statistic", (("mode", "random"), ("probability", f"{rule.statistic:.20f}"))
    if rule.recent is not None:
        yield "recent", _recent_options(rule.recent)
    if rule.protocol is not None:
        yield rule.protocol, (("dport", str(rule.destination_port)),) if rule.destination_port is not None else ()


def _rare_matches(rule: Rule) -> Iterator[tuple[str, Options]]:
    if rule.address_set is not None:
        yield "set", (("match-set", (rule.address_set.name, ",".join(rule.address_set.parts))),)
    if rule.bridged_in is not None:
        yield "physdev", (("physdev-is-in", _inverted("", inverted=not rule.bridged_in)),)
    if (virtual := rule.virtual) is not None:
        yield "ipvs", (("vproto", virtual.protocol), ("vaddr", str(virtual.address)), ("vport", str(virtual.port)))


def target_of(target: Target | None, family: Family) -> tuple[str, Options]:
    """The target's name and its options; a jump is compiled as a verdict, since its name is stamped later."""
    match target:
        case None | Jump():
            return ("", ()) if target is None else (Verdict.ACCEPT, ())
        case Verdict():
            return target.value, ()
        case Dnat() | Redirect():
            return _destination(target)
        case Masquerade():
            return "MASQUERADE", (("random-fully", ""),) if target.random_fully else ()
        case SetMark():
            return "MARK", (("set-xmark", f"{target.value:#x}/{target.mask:#x}"),)
        case Reject():
            return "REJECT", (("reject-with", REJECT_WITH[family][target.error]),)


def _destination(target: Dnat | Redirect) -> tuple[str, Options]:
    if isinstance(target, Redirect):
        return "REDIRECT", (("to-ports", str(target.port)),)
    return "DNAT", (("to-destination", with_port(target.address, target.port)),)


def _inverted(value: str, *, inverted: bool) -> str:
    return f"!{value}" if inverted else value


def _recent_options(recent: Recent) -> Options:
    if recent.check_seconds is None:
        return ("set", ""), ("name", recent.name), ("rsource", "")
    seconds = str(recent.check_seconds)
    return ("rcheck", ""), ("seconds", seconds), ("reap", ""), ("name", recent.name), ("rsource", "")


def _complete(extension: Any, options: Options) -> None:
    """Give a match or target its options and let its own last check fill in the rest (MASQUERADE is invalid without).

    iptc's public final_check() reads the options back through file descriptor 1 first, which blocks for an extension
    without options and mixes with what others print.
    """
    for option, value in options:
        extension.set_parameter(option, value)
    extension._final_check()


def _set_addresses(built: Any, rule: Rule) -> None:
    if rule.source is not None:
        built.src = _inverted(str(rule.source), inverted=rule.source_inverted)
    if rule.destination is not None:
        built.dst = _inverted(str(rule.destination), inverted=rule.destination_inverted)
    if rule.protocol is not None:
        built.protocol = rule.protocol.value


def _set_interfaces(data: bytearray, rule: Rule, layout: EntryLayout) -> None:
    """Interface names and their masks, of which every bit of the name and its end counts.

    iptc 1.2.0 gives an IPv6 rule masks of one bit a letter, which match interfaces of other names.
    """
    for name, value, mask in (
        (rule.in_interface, layout.in_interface, layout.in_interface_mask),
        (rule.out_interface, layout.out_interface, layout.out_interface_mask),
    ):
        if name is not None:
            prefix = name.removesuffix("+").encode()
            compared = len(prefix) + (0 if name.endswith("+") else 1)
            data[value : value + INTERFACE_SIZE] = prefix.ljust(INTERFACE_SIZE, b"\0")
            data[mask : mask + INTERFACE_SIZE] = (b"\xff" * compared).ljust(INTERFACE_SIZE, b"\0")
    if rule.in_interface is not None and rule.in_interface_inverted:
        data[layout.inverted] |= INVERTED_IN_INTERFACE
