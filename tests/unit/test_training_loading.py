"""A lab's folder: what is wrong with it is told with file and line, all of it at once."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from training_desk import LIBRARY, NAMES

from netlab.errors import InvalidInput, NotFound
from netlab.model.language import Language
from netlab.model.modes import ProxyMode
from netlab.training.desk import drawn_faults
from netlab.training.loading import find_folder, lab_folders, load_folder

SOUND = "02-clusterip-by-hand"
DOCS = LIBRARY.parents[1] / "docs"
EXAM = "24-exam-everything"
Edit = Callable[[str], str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of a lab, for a test to break."""
    return Path(shutil.copytree(LIBRARY / SOUND, tmp_path / SOUND))


def problems(folder: Path) -> list[str]:
    """What is wrong with a folder, each as `FILE:LINE PATH: MESSAGE`, the file without its folder."""
    with pytest.raises(InvalidInput) as raised:
        load_folder(folder)
    return [f"{Path(p.file).name}:{p.line} {p.path}: {p.message}" for p in raised.value.problems]


def edit(folder: Path, old: str, new: str, *, file: str = "lab.yaml") -> None:
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))


def line(folder: Path, words: str, *, file: str = "lab.yaml") -> int:
    return next(n for n, text in enumerate((folder / file).read_text().splitlines(), start=1) if words in text)


@pytest.mark.parametrize("name", NAMES)
def test_every_lab_of_netlab_is_as_it_should_be(name: str) -> None:
    assert load_folder(LIBRARY / name).name == name


def test_the_documentation_lists_every_lab_with_its_modes() -> None:
    listed = re.findall(r"^\| `(\d\d-[a-z-]+)` \|.*\| ([a-z, ]+) \|$", (DOCS / "labs.md").read_text(), re.MULTILINE)
    assert dict(listed) == {name: ", ".join(load_folder(LIBRARY / name).spec.modes) for name in NAMES}


@pytest.mark.parametrize(
    ("old", "new", "path", "message"),
    [
        ("rules-flushed", "rules-flushd", "spec.faults[0].fault", "there is no fault rules-flushd"),
        ("node/n1}]", "node/n7}]", "spec.faults[0].victim", "there is no node/n7"),
        (
            "rules-flushed",
            "mtu-mismatch",
            "spec.faults[0].victim",
            "mtu-mismatch cannot be put into node/n1: the lab has",
        ),
        ("from: pod/shell", "from: pod/shel", "spec.requirements[0].packets[0].from", 'there is no Pod "shel"'),
        (
            "reaches: [pod/web]",
            "reaches: [pod/wep]",
            "spec.requirements[0].packets[0].reaches[0]",
            'there is no Pod "wep"',
        ),
        ('to: "10.96.0.80:80"', 'to: "10.96.0.80"', "spec.requirements[0].packets[0].to", "'10.96.0.80' names no port"),
        ("proxies: [{node: n1,", "proxies: [{node: n9,", "spec.requirements[3].proxies[0].node", "there is no node n9"),
        ("name: from-a-pod", "name: from-the-node", "spec.requirements[1].name", "there is another requirement"),
        ("minutes: 25", "minutes: soon", "spec.minutes", "must be a whole number"),
        ("minutes: 25", "minuets: 25", "spec.minuets", 'unknown field "minuets"'),
        ("[iptables, nftables]", "[iptable]", "spec.modes[0]", "is not supported"),
        (
            "metadata: {name: 02-",
            "metadata: {name: 03-",
            "metadata.name",
            "must be 02-clusterip-by-hand, as the folder",
        ),
    ],
)
def test_a_mistake_in_the_lab_s_file_has_its_line(folder: Path, old: str, new: str, path: str, message: str) -> None:
    edit(folder, old, new)
    found = [problem for problem in problems(folder) if problem.split(": ")[0].endswith(f" {path}")]
    assert len(found) == 1
    assert message in found[0]
    assert found[0].startswith("lab.yaml:")
    assert not found[0].startswith("lab.yaml:0")


def test_a_check_that_cannot_be_made_is_told(folder: Path) -> None:
    edit(
        folder,
        "proxies: [{node: n1, running: false}]",
        """run:
        - {in: node/n1, command: [no-such-program], prints: "("}
        - {in: pod/nobody, command: [true]}
      holders: [{of: service/nothing}]
      objects: [{kind: Servce, name: web}]""",
    )
    found = problems(folder)
    run = line(folder, "no-such-program")
    assert f"lab.yaml:{run} spec.requirements[3].run[0].command[0]: there is no program no-such-program" in "\n".join(
        found
    )
    assert any(f"lab.yaml:{run} spec.requirements[3].run[0].prints: is no regular expression" in each for each in found)
    assert any('run[1].in: there is no Pod "nobody"' in each for each in found)
    assert any("holders[0].of: there is no service nothing" in each for each in found)
    assert any("objects[0].kind: netlab has no Servce" in each for each in found)


def test_a_requirement_that_checks_nothing_is_told(folder: Path) -> None:
    edit(folder, "      proxies: [{node: n1, running: false}]\n", "")
    assert any("spec.requirements[3]: checks nothing" in each for each in problems(folder))


def test_an_answer_without_a_fact_is_told(folder: Path) -> None:
    edit(folder, "proxies: [{node: n1, running: false}]", "answer: {key: who}")
    assert any("answer: must say one of holders, becomes, seen, prints" in each for each in problems(folder))


def test_what_the_learner_makes_may_be_asked_for(folder: Path) -> None:
    edit(folder, 'from: pod/shell, to: "10.96.0.80:80"', 'from: pod/shell, to: "service/mine:80"')
    assert any('there is no Service "mine"' in each for each in problems(folder))
    edit(folder, "  minutes: 25", "  minutes: 25\n  makes: [service/mine]")
    assert load_folder(folder).spec.makes == ("service/mine",)


def test_files_that_are_missing_or_differ_are_told_all_at_once(folder: Path) -> None:
    (folder / "task.ko.md").unlink()
    (folder / "hints.ko.md").write_text("# 힌트\n\n## 하나\n")
    (folder / "solutions" / "2-nft.sh").unlink()
    shutil.rmtree(folder / "wrong")
    said = "\n".join(problems(folder))
    assert "lab.yaml:1 : task.ko.md: there is no such file" in said
    assert "the steps of its hints differ: hints.en.md has 3, hints.ko.md has 1" in said
    assert "solutions/ has 1 scripts" in said
    assert "wrong/ has 0 scripts" in said


def test_a_broken_topology_is_told_beside_the_rest(folder: Path) -> None:
    edit(folder, "clusterIP: 10.96.0.80", "clusterIP: 11.96.0.80", file="topology.yaml")
    edit(folder, "minutes: 25", "minutes: soon")
    said = problems(folder)
    assert any(each.startswith(f"topology.yaml:{line(folder, '11.96.0.80', file='topology.yaml')} ") for each in said)
    assert any(each.startswith("lab.yaml:") and "spec.minutes" in each for each in said)


def test_a_folder_without_anything_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "01-empty").mkdir()
    said = problems(tmp_path / "01-empty")
    assert any("topology.yaml:0 : there is no such file" in each for each in said)
    assert any("lab.yaml:0 : there is no such file" in each for each in said)


def test_a_lab_is_found_by_how_its_name_begins() -> None:
    assert find_folder(LIBRARY, "02").name == SOUND
    with pytest.raises(NotFound, match="several labs begin with 2: 20-exam-objects, 21-"):
        find_folder(LIBRARY, "2")
    with pytest.raises(NotFound, match=r"there is no lab 09-hairpn \(did you mean 09-hairpin"):
        find_folder(LIBRARY, "09-hairpn")
    with pytest.raises(NotFound, match="there are no labs"):
        lab_folders(Path("/nonexistent"))


def test_hints_are_cut_at_their_headings_in_both_languages() -> None:
    lab = load_folder(LIBRARY / SOUND)
    english, korean = lab.hints(Language.EN), lab.hints(Language.KO)
    assert len(english) == len(korean) == 3
    assert all(step.startswith("## ") for step in (*english, *korean))


def test_the_same_seed_draws_the_same_faults_and_others_draw_others() -> None:
    spec = load_folder(LIBRARY / EXAM).spec
    drawn = {seed: drawn_faults(spec, mode=ProxyMode.IPTABLES, seed=seed) for seed in range(30)}
    assert all(drawn_faults(spec, mode=ProxyMode.IPTABLES, seed=seed) == faults for seed, faults in drawn.items())
    assert all(len({fault.fault for fault in faults}) == 3 for faults in drawn.values())
    assert len({frozenset(f.fault for f in faults) for faults in drawn.values()}) > 10


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "ko_KR.UTF-8"}, Language.KO),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C"}, Language.EN),
        ({"LC_MESSAGES": "ko", "LANG": "en_US.UTF-8"}, Language.KO),
        ({"LC_ALL": "", "LANG": "ko_KR"}, Language.KO),
        ({"LANG": "kok_IN"}, Language.EN),
        ({}, Language.EN),
    ],
)
def test_the_environment_chooses_the_language(environment: dict[str, str], language: Language) -> None:
    assert Language.of(environment) is language
