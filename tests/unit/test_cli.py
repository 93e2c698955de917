"""The command line as a user has it: the real command, its two streams and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from netlab import __version__
from netlab.cli.app import SECTIONS
from netlab.cli.main import run

ROOT = Path(__file__).parents[2]
NETLAB = Path(sys.executable).with_name("netlab")
GOOD = ROOT / "topologies" / "two-nodes.yaml"
BAD = """\
apiVersion: netlab/v1
kind: Topology
metadata: {name: nlcli-bad}
spec:
  netwrk: {}
  nodes: [{name: a}, {name: a}]
"""
NO_LAB = "nlcli-none"
COMMANDS = [name for commands in SECTIONS.values() for name in commands]


def netlab(*arguments: str | Path, text: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [NETLAB, *arguments], input=text, capture_output=True, text=True, check=False, env={**os.environ, **env}
    )


def test_help_lists_every_command() -> None:
    done = netlab("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines() if line.strip().split(" ")[0] in COMMANDS] == COMMANDS


def test_no_arguments_say_the_same_as_help() -> None:
    assert netlab().stdout == netlab("--help").stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: netlab {command}")


def test_version_is_the_package_s() -> None:
    assert netlab("version").stdout == f"netlab {__version__}\n"


def test_version_as_json_is_json() -> None:
    expected = {"apiVersion": "netlab/v1", "kind": "Version", "version": __version__}
    assert json.loads(netlab("version", "-o", "json").stdout) == expected


def test_version_as_yaml_is_yaml() -> None:
    assert yaml.safe_load(netlab("version", "-o", "yaml").stdout)["version"] == __version__


def test_a_valid_file_is_said_to_be_valid() -> None:
    done = netlab("validate", GOOD)
    assert (done.returncode, done.stderr) == (0, "")
    assert "lab two-nodes with 2 nodes" in done.stdout


def test_a_file_can_come_from_standard_input() -> None:
    assert netlab("validate", "-", text=GOOD.read_text()).returncode == 0


def test_every_problem_of_a_file_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(BAD)
    done = netlab("validate", file)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{file}:5:3: spec.netwrk: " in done.stderr
    assert f"{file}:6:29: spec.nodes[1].name: " in done.stderr
    assert done.stderr.endswith("netlab: 2 problems; nothing was changed\n")


def test_problems_as_json_go_to_standard_error(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(BAD)
    done = netlab("validate", file, "-o", "json")
    assert (done.returncode, done.stdout) == (2, "")
    error = json.loads(done.stderr)
    assert (error["kind"], [problem["line"] for problem in error["problems"]]) == ("Error", [5, 6])
    assert set(error["problems"][0]) == {"file", "line", "column", "path", "message", "suggestion"}


def test_a_plan_as_json_is_a_list_of_commands() -> None:
    plan = json.loads(netlab("plan", GOOD, "-o", "json").stdout)
    assert (plan["kind"], plan["lab"], plan["commands"][0]["command"]) == (
        "Plan",
        "two-nodes",
        "ip netns add two-nodes.fabric",
    )


def test_a_plan_says_which_nodes_rules_cannot_be_known_before(tmp_path: Path) -> None:
    mixed = tmp_path / "mixed.yaml"
    mixed.write_text(GOOD.read_text().replace("{name: node1,", "{name: node1, proxyMode: userspace,"))
    chapters: dict[str, list[str]] = {}
    for each in json.loads(netlab("plan", mixed, "-o", "json").stdout)["commands"]:
        chapters.setdefault(each["chapter"], []).append(each["command"])

    assert chapters["kube-proxy's rules on node1"][0].startswith(
        "# mode userspace: they name the ports that this node's"
    )
    assert "KUBE-SERVICES" in chapters["kube-proxy's rules on node2"][0]


def test_a_plan_is_the_same_every_time() -> None:
    assert netlab("plan", GOOD).stdout == netlab("plan", GOOD).stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["verson"],
        ["plan", str(GOOD), "--node", "node9"],
        ["up"],
        ["up", "/nonexistent.yaml"],
        ["get"],
        ["get", "pdos"],
        ["status", "-o", "xml"],
        ["scale", "web", "--replicas", "2"],
        ["scale", "service/web", "--replicas", "2"],
        ["scale", "deployment/web", "--replicas", "-1"],
        ["probe", "pod/a", "service/web"],
        ["probe", "machine/a", "service/web:80"],
        ["exec", "pod/a"],
        ["delete"],
        ["apply"],
        ["break", "kube-proxy-stopped", "--on", "n1", "--service", "web"],
        ["break", "everything", "--on", "node1"],
        ["logs", "external/client"],
        ["completion", "tcsh"],
        ["down", "a", "--all"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2_and_one_plain_sentence(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert (printed.out, len(printed.err.splitlines())) == ("", 1)
    assert printed.err.startswith(("netlab: ", "/nonexistent.yaml: "))


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", NO_LAB],
        ["down", NO_LAB],
        ["check", NO_LAB],
        ["get", "pods", "-l", NO_LAB],
        ["exec", "node/node1", "-l", NO_LAB, "--", "true"],
        ["shell", "node/node1", "-l", NO_LAB],
        ["logs", "pod/a", "-l", NO_LAB],
        ["scale", "deployment/web", "--replicas", "2", "-l", NO_LAB],
        ["delete", "pod", "a", "-l", NO_LAB],
        ["probe", "pod/a", "service/web:80", "-l", NO_LAB],
        ["break", "kube-proxy-stopped", "--on", "node1", "-l", NO_LAB],
        ["heal", "-l", NO_LAB],
        ["faults", "-l", NO_LAB],
    ],
    ids=" ".join,
)
def test_a_lab_that_does_not_exist_is_status_4(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 4
    printed = capsys.readouterr()
    assert (printed.out, NO_LAB in printed.err) == ("", True)


def test_a_misspelled_command_is_answered_with_the_nearest() -> None:
    assert "Did you mean 'version'?" in netlab("verson").stderr


def test_a_misspelled_kind_is_answered_with_the_nearest() -> None:
    assert "did you mean pods?" in netlab("get", "pdos").stderr


def test_wrong_usage_as_json_is_json() -> None:
    done = netlab("get", "pdos", "-o", "json")
    assert (done.returncode, done.stdout) == (2, "")
    assert json.loads(done.stderr)["problems"][0]["suggestion"] == "did you mean pods?"


def test_what_stands_behind_two_dashes_is_no_option_of_netlab() -> None:
    done = netlab("exec", "node/node1", "-l", NO_LAB, "--", "kubectl", "-o", "json")
    assert done.stderr.startswith("netlab: ")


def test_a_reader_that_goes_away_ends_the_command_without_a_word() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([NETLAB, "version"], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


BROKEN = """
import sys
from netlab.cli import app, main

@app.app.command()
def explode():
    {body}

sys.argv = ["netlab", "explode"]
main.main()
"""


def broken(body: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The command line with a command that has a mistake in it."""
    command = [sys.executable, "-c", BROKEN.format(body=body)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **env})


def test_a_mistake_in_netlab_itself_is_one_line_and_a_file_with_the_details(tmp_path: Path) -> None:
    done = broken("{}['web']", TMPDIR=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("netlab: a mistake in netlab itself: KeyError: 'web'\n")
    (log,) = tmp_path.glob("netlab-error-*.log")
    assert str(log) in done.stderr
    assert "Traceback" in log.read_text()


def test_a_developer_can_ask_for_the_traceback() -> None:
    assert "Traceback" in broken("{}['web']", NETLAB_DEBUG="1").stderr


def test_an_interrupt_is_status_130_and_no_words() -> None:
    done = broken("raise KeyboardInterrupt")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_refusal_of_the_system_is_one_sentence() -> None:
    done = broken("open('/nonexistent')")
    assert (done.returncode, done.stderr) == (1, "netlab: /nonexistent: No such file or directory\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_a_script_that_completes_netlab(shell: str) -> None:
    done = netlab("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"complete_{shell}" in done.stdout


def test_bash_completes_a_command() -> None:
    ask = 'COMP_WORDS=(netlab sta); COMP_CWORD=1; _netlab_completion netlab; echo "${COMPREPLY[@]}"'
    script = f"source <(netlab completion bash); {ask}"
    path = f"{NETLAB.parent}:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env={"PATH": path})
    assert done.stdout == "status\n"


def test_help_starts_without_the_heavy_libraries() -> None:
    script = """
import sys
from netlab.cli.main import run
run(["--help"])
print([name for name in ("pydantic", "rich", "yaml", "aiohttp", "scapy", "pyroute2", "iptc") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
