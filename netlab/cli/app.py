"""Every command, in the order of `netlab --help`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup

from netlab.cli import (
    access,
    capture,
    compare,
    connections,
    faults,
    files,
    graph,
    lifecycle,
    machine,
    modes,
    objects,
    packets,
    places,
    proxy,
    render,
    rules,
    top,
    traces,
    training,
    why,
)
from netlab.cli.proxy_flags import GoFlags

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter

SECTIONS: dict[str, dict[str, Callable[..., None] | typer.Typer]] = {
    "A lab's life": {"up": lifecycle.up, "down": lifecycle.down, "ls": lifecycle.ls, "status": lifecycle.status},
    "Before it runs": {"validate": files.validate, "plan": files.plan},
    "Its objects": {"get": objects.get, "apply": objects.apply, "delete": objects.delete, "scale": objects.scale},
    "Its API server": {"kubeconfig": access.kubeconfig, "kubectl": access.kubectl},
    "Inside it": {"exec": places.exec_, "shell": places.shell, "logs": places.logs},
    "Its picture": {"graph": graph.graph},
    "Its packets": {
        "probe": packets.probe,
        "trace": traces.trace,
        "why": why.why,
        "check": packets.check,
        "capture": capture.capture,
        "conntrack": connections.conntrack,
        "top": top.top,
    },
    "Its proxies": {"set-mode": modes.set_mode, "rules": rules.rules, "compare": compare.compare},
    "Its faults": {"break": faults.break_, "heal": faults.heal, "faults": faults.faults},
    "Training": {"lab": training.lab},
    "kube-proxy alone": {"proxy": proxy.proxy, "render": render.render},
    "This machine": {
        "doctor": machine.doctor,
        "modes": modes.modes,
        "version": machine.version,
        "completion": machine.completion,
    },
}
COMMANDS = {name: command for commands in SECTIONS.values() for name, command in commands.items()}
GO_FLAGS = {"proxy", "render"}
"""Commands whose flags are kube-proxy's."""
PASSED_ON = {"allow_interspersed_args": False, "ignore_unknown_options": True}
"""The context settings of a command that gives its words to another program, from the first on that is no option."""
WIDEST_NAME = max(map(len, COMMANDS))


class Sections(TyperGroup):
    """The list of commands, under the headings above."""

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Called by Typer for `--help`."""
        limit = formatter.width - WIDEST_NAME - 6
        for heading, commands in SECTIONS.items():
            rows = [(name.ljust(WIDEST_NAME), self.commands[name].get_short_help_str(limit)) for name in commands]
            with formatter.section(heading):
                formatter.write_dl(rows)


def command_line(commands: Mapping[str, Callable[..., None] | typer.Typer]) -> typer.Typer:
    """Netlab with these commands."""
    # Without rich's help pages: their import alone takes as long as everything else.
    app = typer.Typer(
        cls=Sections,
        help="The Kubernetes Service network on the kernel of this machine: real NAT rules, real packets, no cluster.",
        epilog="Exit status: 0 done, 1 a check failed, 2 wrong usage or file, 3 this machine cannot, 4 no such thing.",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    for name, command in commands.items():
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            settings = PASSED_ON if name == "kubectl" else None
            app.command(name, cls=GoFlags if name in GO_FLAGS else None, context_settings=settings)(command)
    return app


app = command_line(COMMANDS)
