"""What a lab is like, and what is done to it on purpose, from Python."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from netlab.errors import InvalidInput, Problem
from netlab.faults.catalogue import CATALOGUE
from netlab.faults.names import FaultName
from netlab.lab import breaking, control, questions, status
from netlab.lab.logfiles import log_text, with_logs
from netlab.lab.messages import AgentKind
from netlab.lab.modes import set_mode
from netlab.lab.picture import drawing
from netlab.lab.resetting import say_nothing
from netlab.lab.view import running_view
from netlab.model.connections import FlowTable
from netlab.model.drift import DriftReport
from netlab.model.journey import Journey
from netlab.model.rule_listing import RuleDifferences, RuleSet
from netlab.model.status import LabStatus
from netlab.python.explaining import explain_now
from netlab.python.handle import Handle, parsed_place
from netlab.python.sources import proxy_mode


class LabInsight(Handle):
    """State, rules, connections, logs, the picture; faults, modes and agents."""

    def status(self) -> LabStatus:
        """Nodes, proxies, Pods and Services as they are at this moment."""
        return status.status(self._paths)

    def rules(self, node: str, *, service: str | None = None) -> RuleSet:
        """A node's rules as its kernel has them, or those that packets of one Service meet. NotFound."""
        return questions.rules(self._paths, node.removeprefix("node/"), service=service)

    def rule_differences(self, node: str) -> RuleDifferences:
        """Where a node's rules are not what its kube-proxy would write."""
        return questions.rule_differences(self._paths, node.removeprefix("node/"))

    def conntrack(self, node: str) -> FlowTable:
        """The connections that a node tracks."""
        return questions.conntrack(self._paths, node.removeprefix("node/"))

    def drift(self) -> DriftReport:
        """What the lab's namespaces hold otherwise than its objects want."""
        return questions.drift(self._paths)

    def logs(self, where: str, *, container: str | None = None) -> str:
        """What a Pod printed, or what a node's kube-proxy (or `container="kubelet"`) logged. NotFound: nothing yet."""
        place = with_logs(parsed_place(where))
        return log_text(self._paths, place, container)

    def drawing(self, journey: Journey | None = None) -> str:
        """The lab as SVG, with a packet's way over it where one is given."""
        return drawing(running_view(self._paths), journey)

    def break_(self, fault: str, *, on: str | None = None) -> str:
        """Put a fault into a node, a Pod or a Service (`node/node1`, `service/web`): into which one it was put.

        `on` need not be said where only one will do. InvalidInput, NotFound. `netlab faults` lists the faults.
        """
        return breaking.break_(self._paths, CATALOGUE[_fault(fault)], on).record.victim

    def heal(self, fault: str | None = None, *, on: str | None = None) -> tuple[str, ...]:
        """Take faults out: of that name and victim, or all of them; what could not be taken back, in words."""
        healed = breaking.heal(self._paths, fault=_fault(fault) if fault else None, victim=on)
        return tuple(text for each in healed for text in each.refused)

    @contextmanager
    def broken(self, fault: str, *, on: str | None = None) -> Iterator[str]:
        """Have a fault in force while the block runs; in which victim."""
        victim = self.break_(fault, on=on)
        try:
            yield victim
        except AssertionError:
            explain_now()
            raise
        finally:
            self.heal(fault, on=victim)

    def set_mode(self, mode: str, *, node: str | None = None) -> None:
        """Change the proxy mode of every node, or of one. MissingCapability: this machine cannot; NotFound."""
        name = node.removeprefix("node/") if node else None
        set_mode(self._paths, proxy_mode(mode), node=name, progress=say_nothing)

    def stop_proxy(self, node: str) -> None:
        """End a node's kube-proxy; it stays so until `start_proxy`, or a reset. Its rules stay."""
        control.set_agent(self._paths, AgentKind.KUBE_PROXY, node.removeprefix("node/"), running=False)

    def start_proxy(self, node: str) -> None:
        """Have a node's kube-proxy run again."""
        control.set_agent(self._paths, AgentKind.KUBE_PROXY, node.removeprefix("node/"), running=True)


def _fault(text: str) -> FaultName:
    try:
        return FaultName(text)
    except ValueError as error:
        raise InvalidInput(
            [Problem("argument", 0, 0, "", f"there is no fault {text!r}", "netlab faults lists them")]
        ) from error
