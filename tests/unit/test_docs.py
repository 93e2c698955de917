"""What the documentation shows is there: commands, files, links, chains and rules."""

from __future__ import annotations

import re
import shlex
import tomllib
from functools import cache
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from netlab.api.simulate import simulate
from netlab.cli.app import app
from netlab.cli.blueprint import draw, script
from netlab.dns.addon import with_cluster_dns
from netlab.load import load_lab
from netlab.model.rules import Family
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.config import ProxyConfig
from netlab.proxy.decide import decide_all
from netlab.proxy.iptables.names import PER_SERVICE
from netlab.proxy.save_text import save_text
from netlab.proxy.userspace import ServedPort, Spelling

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))
TOPOLOGIES = sorted((ROOT / "topologies").glob("*.yaml"))
LABS = sorted((ROOT / "topologies" / "labs").glob("*/*.md"))
SHOWN_LABS = ("two-nodes", "nodeport", "no-endpoints", "three-nodes-vxlan", "load-balancer", "ipvs")
FOLDERS = ("netlab", "docs", "tests", "topologies", "scripts", "requirements", ".github", ".ci")
STANDS_FOR = {"N": "3", "COMMAND": "up", "MODE": "nftables"}
"""Placeholders that no parser takes, and what is tried in their place."""
PROXY_PORT = re.compile(r"(?<=--to-ports )\d+|(?<=--to-destination 172\.18\.0\.2:)\d+")
"""A port that a kube-proxy in mode userspace has chosen: another one in each run."""
CHAIN = re.compile(r"\b(?:KUBE|NETLAB)-[A-Z]+(?:-[A-Z0-9]+)*")


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def commands(path: Path) -> list[str]:
    """Every netlab command in a file: in a line of its own, with a prompt or without, or in backticks; no drawing."""
    text = path.read_text()
    lead = r"^#   " if path.suffix == ".yaml" else r"^ {4}(?:[$#] )?"
    typed = re.findall(lead + r"(?:sudo )?(?:scripts/)?(netlab [a-z][^─\n]*)$", text, re.MULTILINE)
    quoted = re.findall(r"`(?:sudo )?(?:scripts/)?(netlab [A-Za-z][^`]*)`", text) if path.suffix == ".md" else []
    return [re.split(r" {2,}", line)[0] for line in (*typed, *quoted)]


def arguments(command: str) -> list[str]:
    """The words of a command; `[LAB]` is optional and given here."""
    return [STANDS_FOR.get(word, word) for word in shlex.split(command.replace("[", "").replace("]", ""))[1:]]


def links(path: Path) -> list[str]:
    """Where a document's relative links lead."""
    found = re.findall(r"\]\(([^)\s]+)\)", path.read_text())
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def headings(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    found = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def named_files(path: Path) -> list[str]:
    """The files and folders of the project that a document names in backticks; they may be patterns."""
    quoted = re.findall(r"`([^`\s]+)[^`]*`", path.read_text())
    return [word for word in quoted if "/" in word and word.split("/")[0] in FOLDERS]


@cache
def rules_of_the_labs() -> str:
    """All that netlab writes for the labs whose output the documents show."""
    labs = (load_lab(ROOT / "topologies" / f"{lab}.yaml") for lab in SHOWN_LABS)
    return "\n".join([*(script(draw(lab, node=None)) for lab in labs), rules_of_the_userspace_lab()])


def rules_of_the_userspace_lab() -> str:
    """What node1's kube-proxy writes there, were it to listen on port 0."""
    lab = simulate(with_cluster_dns(load_lab(ROOT / "topologies" / "userspace.yaml")))
    tracker, config = ChangeTracker(node_name="node1"), ProxyConfig(node_name="node1")
    for each in (lab.nodes[0], *lab.services, *lab.endpoint_slices):
        tracker.put(each)
    tracker.collect()
    spelling = Spelling(config=config, node=tracker.node, family=Family.IPV4)
    spelling.start(ServedPort(route, 0) for route in decide_all(tracker, config).values())
    return save_text(spelling.tables())


SHOWN = sorted({command for path in (*DOCUMENTS, *LABS, *TOPOLOGIES) for command in commands(path)})


@pytest.mark.parametrize("command", SHOWN)
def test_every_command_shown_is_understood(command: str) -> None:
    """A command's name alone, as text has it, need only be one; with arguments, they must be right."""
    name, *rest = arguments(command)
    found = typer.main.get_command(app).commands.get(name)
    if isinstance(found, TyperGroup) and rest:
        name, *rest = rest
        found = found.commands.get(name)
    assert found
    if rest and "--help" not in rest:
        assert found.make_context(name, rest).command is found


def test_commands_and_files_are_found_where_they_are_shown() -> None:
    for file, command in (
        ("README.md", "netlab up topologies/two-nodes.yaml"),
        ("README.md", "netlab doctor"),
        ("docs/packet.md", "netlab exec pod/shell -- ip route"),
        ("topologies/two-nodes.yaml", "netlab probe pod/shell service/web:80 --count 20"),
    ):
        assert command in commands(ROOT / file)
    assert "netlab/plan/pods.py" in named_files(ROOT / "docs/packet.md")
    assert "docs/packet.md" in links(ROOT / "README.md")


def test_every_command_has_its_place_in_the_readme() -> None:
    assert typer.main.get_command(app).commands.keys() <= {arguments(one)[0] for one in commands(ROOT / "README.md")}


def test_a_command_that_is_wrong_is_not_understood() -> None:
    probe = typer.main.get_command(app).commands["probe"]
    with pytest.raises(Exception, match="No such option: --cuont"):
        probe.make_context("probe", ["pod/shell", "service/web:80", "--cuont", "3"])


@pytest.mark.parametrize("document", names(DOCUMENTS))
def test_every_link_leads_somewhere(document: str) -> None:
    here = ROOT / document
    for link in links(here):
        file, _, anchor = link.partition("#")
        target = (here.parent / file).resolve() if file else here
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


@pytest.mark.parametrize("document", names(DOCUMENTS))
def test_every_file_named_is_there(document: str) -> None:
    missing = [name for name in named_files(ROOT / document) if not any(ROOT.glob(name.rstrip("/")))]
    assert missing == []


@pytest.mark.parametrize("document", ["docs/design.md", "docs/contributing.md"])
def test_the_layers_are_those_that_are_enforced(document: str) -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each["type"] == "layers")
    drawn = " > ".join(f"({layer})" if "|" in layer else layer for layer in layers)
    assert f"    {drawn}\n" in (ROOT / document).read_text()


@pytest.mark.parametrize("document", names(DOCUMENTS))
def test_every_chain_named_is_one_that_netlab_writes(document: str) -> None:
    known = {*CHAIN.findall(rules_of_the_labs()), *(prefix.rstrip("-") for prefix in PER_SERVICE)}
    assert set(CHAIN.findall((ROOT / document).read_text())) - known == set()


@pytest.mark.parametrize("document", names(DOCUMENTS))
def test_every_rule_shown_is_one_that_netlab_writes(document: str) -> None:
    written = set(rules_of_the_labs().splitlines())
    shown = re.findall(r"^ {4}(-A .*)$", (ROOT / document).read_text(), re.MULTILINE)
    assert [rule for rule in shown if rule not in written and PROXY_PORT.sub("0", rule) not in written] == []


def test_every_chain_that_netlab_writes_is_explained() -> None:
    written = re.findall(r"^:((?:KUBE|NETLAB)-\S+) ", rules_of_the_labs(), re.MULTILINE)
    shared = {name for name in written if not name.startswith(PER_SERVICE)}
    explained = re.findall(r"^\| ((?:KUBE|NETLAB)-[A-Z-]*[A-Z])", (ROOT / "docs/packet.md").read_text(), re.MULTILINE)
    assert (shared | {prefix.rstrip("-") for prefix in PER_SERVICE}) - set(explained) == set()
