"""A training lab's folder as a value; every mistake in it with file and line, all of them at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from netlab.errors import InvalidInput, NotFound, Problem
from netlab.load import load_lab
from netlab.load.check import report_refusal
from netlab.load.compose import compose
from netlab.load.nearest import did_you_mean
from netlab.load.source import printable, read_text
from netlab.load.structure import check_structure
from netlab.load.tree import Cursor, Mapping, Mark, Report, plain
from netlab.model.language import Language
from netlab.model.topology import LabFile
from netlab.model.training import Lab, LabSpec
from netlab.training.checking import check_lab_spec

LAB_FILE, TOPOLOGY_FILE = "lab.yaml", "topology.yaml"
TEXTS = ("task", "hints", "solution")
FOLDER_NAME = re.compile(r"\d\d-[a-z0-9]([-a-z0-9]*[a-z0-9])?")
STEP = re.compile(r"^## ", re.MULTILINE)
START = Mark(1, 1)
RIGHT_ONES = 2
"""So many different right solutions prove that a grader asks for a state and not for a spelling."""


@dataclass(frozen=True, slots=True)
class LabFolder:
    """A lab's folder whose files are as they should be."""

    path: Path
    spec: LabSpec
    topology: LabFile

    @property
    def name(self) -> str:
        """`03-chances`: the folder's name, and the running lab's."""
        return self.path.name

    def text(self, kind: str, language: Language) -> str:
        """One of its TEXTS."""
        return _text_file(self.path, kind, language).read_text(encoding="utf-8")

    def hints(self, language: Language) -> tuple[str, ...]:
        """Its hints, each with its heading, the mildest first."""
        return tuple(f"## {step.strip()}\n" for step in STEP.split(self.text("hints", language))[1:])

    @property
    def solutions(self) -> tuple[Path, ...]:
        """Scripts that solve it, each in another way; the first is the one that is shown."""
        return tuple(sorted((self.path / "solutions").glob("*.sh")))

    @property
    def mistakes(self) -> tuple[Path, ...]:
        """Scripts that look right and are not."""
        return tuple(sorted((self.path / "wrong").glob("*.sh")))


def lab_folders(directory: Path) -> tuple[Path, ...]:
    """The folders of a directory that are training labs, or should be, in their order. NotFound: there is none."""
    found = sorted(path for path in directory.iterdir() if path.is_dir()) if directory.is_dir() else []
    labs = tuple(path for path in found if FOLDER_NAME.fullmatch(path.name) or (path / LAB_FILE).exists())
    if not labs:
        raise NotFound(f"there are no labs in {directory}")
    return labs


def find_folder(directory: Path, name: str) -> Path:
    """The folder of the lab of that name, or of the only one whose name begins so (`03`). NotFound."""
    folders = {path.name: path for path in lab_folders(directory)}
    found = [path for known, path in folders.items() if known == name] or [
        path for known, path in folders.items() if known.startswith(name)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFound(f"several labs begin with {name}: {', '.join(path.name for path in found)}")
    raise NotFound(f"there is no lab {name} ({did_you_mean(name, folders) or 'netlab lab list shows them'})")


def load_folder(path: Path) -> LabFolder:
    """The lab in that folder. InvalidInput with every problem of it."""
    problems: list[Problem] = []
    topology = _topology(path / TOPOLOGY_FILE, problems)
    report = Report(str(path / LAB_FILE))
    spec = _spec(path, topology, report, problems)
    _check_files(path, report)
    problems += report.sorted_errors()
    if problems or topology is None or spec is None:
        raise InvalidInput(problems)
    return LabFolder(path, spec, topology)


def _topology(path: Path, problems: list[Problem]) -> LabFile | None:
    try:
        return load_lab(path)
    except InvalidInput as error:
        problems += error.problems
        return None


def _spec(path: Path, topology: LabFile | None, report: Report, problems: list[Problem]) -> LabSpec | None:
    try:
        text, _ = read_text(path / LAB_FILE)
    except InvalidInput as error:
        problems += error.problems
        return None
    cursor = _document(text, report)
    if cursor is None:
        return None
    check_structure(cursor, "Lab")
    _check_name(cursor, path)
    if topology is not None:
        check_lab_spec(cursor.get("spec"), topology, topology_text=(path / TOPOLOGY_FILE).read_text())
    return None if report.errors else _built(cursor)


def _document(text: str, report: Report) -> Cursor | None:
    nodes, _ = compose(printable(text.removeprefix("\ufeff"), report), report)
    if report.errors:
        return None
    if len(nodes) != 1 or not isinstance(nodes[0], Mapping):
        report.error(START, "", "must be one document of kind Lab", "begin with apiVersion: netlab/v1, kind: Lab")
        return None
    cursor = Cursor(report, nodes[0], "", nodes[0].mark)
    for key, wanted in (("apiVersion", Lab.API_VERSION), ("kind", "Lab")):
        if cursor.get(key).text != wanted:
            cursor.get(key).error(f"must be {wanted}")
    return cursor


def _check_name(cursor: Cursor, path: Path) -> None:
    name = cursor.get("metadata", "name")
    if not FOLDER_NAME.fullmatch(path.name):
        name.error(f"the folder's name {path.name} is not NN-name", "for instance 03-chances")
    elif name.text != path.name:
        name.error(f"must be {path.name}, as the folder")


def _built(cursor: Cursor) -> LabSpec | None:
    try:
        return Lab.model_validate(plain(cursor.node) if cursor.node else {}).spec
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False, include_input=False):
            report_refusal(cursor, detail["loc"], detail["msg"])
        return None


# --- the other files


def _check_files(path: Path, report: Report) -> None:
    for kind in TEXTS:
        for language in Language:
            _check_text(_text_file(path, kind, language), report)
    _check_steps(path, report)
    for folder, least, what in (("solutions", RIGHT_ONES, "right solutions"), ("wrong", 1, "plausible wrong one")):
        scripts = sorted((path / folder).glob("*.sh"))
        if len(scripts) < least:
            report.error(START, "", f"{folder}/ has {len(scripts)} scripts (*.sh)", f"a lab has {least} {what} or more")


def _check_text(file: Path, report: Report) -> None:
    try:
        empty = not read_text(file)[0].strip()
    except InvalidInput as error:
        report.error(START, "", f"{file.name}: {error.problems[0].message}", "a lab has its texts in both languages")
    else:
        if empty:
            report.error(START, "", f"{file.name} is empty")


def _check_steps(path: Path, report: Report) -> None:
    """Both languages have the same steps of hints, one at least."""
    files = [_text_file(path, "hints", language) for language in Language]
    if not all(file.is_file() for file in files):
        return
    steps = {file.name: len(STEP.findall(file.read_text(encoding="utf-8", errors="replace"))) for file in files}
    if len(set(steps.values())) > 1 or 0 in steps.values():
        counted = ", ".join(f"{name} has {count}" for name, count in steps.items())
        report.error(START, "", f"the steps of its hints differ: {counted}", "begin each step with a line ## ...")


def _text_file(path: Path, kind: str, language: Language) -> Path:
    return path / f"{kind}.{language}.md"
