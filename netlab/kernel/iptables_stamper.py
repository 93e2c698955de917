"""Rules as the bytes that the kernel takes: one rule of each shape compiled by libxtables, all others stamped from it.

libxtables alone knows which revision of an extension this kernel and this machine agree on, but compiling a rule by it
costs 0.2 ms, and the rules of a Service network differ only in addresses, ports, comments, probabilities and targets:
stamping one of a known shape costs a microsecond.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from functools import cache

from netlab.kernel.iptables_held import HeldChain
from netlab.kernel.iptables_samples import compile_shapes
from netlab.kernel.iptables_shapes import Shape, shape_of
from netlab.model.rules import Family, Jump, Rule


class UnknownShape(LookupError):
    """A shape that was not learned yet."""


class Stamper:
    """One family's shapes: makes a rule's bytes, having its shape compiled when it is met for the first time."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self._shapes: dict[Hashable, Shape] = {}

    def stamp(self, rules: Iterable[Rule]) -> HeldChain:
        """The rules as bytes; UnknownShape where the shape of one is to be learned first."""
        shapes, stamped, leads_to = self._shapes, [], []
        for rule in rules:
            shape = shapes.get(shape_of(rule))
            if shape is None:
                raise UnknownShape(str(rule))
            stamped.append(shape.stamp(rule))
            leads_to.append(rule.target.chain if isinstance(rule.target, Jump) else shape.leads_to)
        return HeldChain(stamped, leads_to)

    def shape(self, rule: Rule) -> Shape:
        """The shape of the rule; UnknownShape where it is to be learned first."""
        try:
            return self._shapes[shape_of(rule)]
        except KeyError:
            raise UnknownShape(str(rule)) from None

    def forget_sets(self) -> None:
        """Forget what names an address set: the bytes hold its number, which another set may have by now, or elsewhere.

        The kernel numbers the sets of each network namespace by themselves, and keeps a set that a rule uses.
        """
        self._shapes = {key: shape for key, shape in self._shapes.items() if not shape.names_set}

    def learn(self, rules: Iterable[Rule]) -> None:
        """Compile the shapes that are not known yet, all together; KernelError where libxtables cannot say one."""
        unknown = {key: rule for rule in rules if (key := shape_of(rule)) not in self._shapes}
        if not unknown:
            return
        shapes = compile_shapes(list(unknown.values()), self.family)
        self._shapes.update(zip(unknown, shapes, strict=True))


@cache
def stamper(family: Family) -> Stamper:
    """The process' stamper for a family: its shapes hold in every namespace."""
    return Stamper(family)
