"""Whatever becomes of a valid file, reading it gives a lab or a list of problems that lie in the file. Nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netlab.errors import InvalidInput
from netlab.load import load_objects, parse_lab
from netlab.load.source import decode
from netlab.load.tree import Plain
from netlab.model.topology import LabFile

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
TEXTS = tuple(path.read_text() for path in sorted(TOPOLOGIES.glob("*.yaml")) if path.stat().st_size < 4500)
TREES = tuple(json.dumps(list(yaml.safe_load_all(text))) for text in TEXTS)
EXPECTATIONS = [json.dumps(line) for tree in TREES for line in json.loads(tree)[0]["spec"]["expect"]]
KEYS = sorted({word for text in TEXTS for word in re.findall(r"(\w+):", text)})
WORDS = sorted({word for text in TEXTS for word in re.findall(r"[^\s{}\[\],]+", text)})
LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**25), 10**25),
    st.integers(-2, 70000),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=12),
    st.sampled_from(
        ["10.0.0.0/8", "0.0.0.0/0", "::/0", "fd00::/64", "10.96.0.1", "::1", "None", "a" * 300, "1-2", "a/b"]
    ),
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=5)), inner, max_size=3),
    ),
    max_leaves=4,
)
BUDGET = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}


def holds(text: str, read: Callable[[str], object]) -> None:
    """The one property: a value, or problems at places that are there."""
    try:
        read(text)
    except InvalidInput as error:
        problems = error.problems
    else:
        return
    lines = LINE_BREAK.split(text.removeprefix("\ufeff"))
    assert problems
    for problem in problems:
        assert 1 <= problem.line <= len(lines), problem
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1, problem
        assert problem.message
        assert len(str(problem)) < 1000


def read_lab(text: str) -> None:
    lab = parse_lab(text, file="mutant.yaml")
    assert isinstance(lab, LabFile)
    assert lab.topology.metadata.name
    lab.model_dump_json(by_alias=True)


def read_objects(text: str) -> None:
    load_objects(text, "mutant.yaml")


def spots(value: Plain, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of everything inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(spot for key, child in inner for spot in spots(child, (*path, key)))]


@st.composite
def mutated_trees(draw: st.DrawFn) -> str:
    """A valid file in which some keys are renamed, values changed, parts removed, moved or doubled."""
    documents: Plain = json.loads(draw(st.sampled_from(TREES)))
    for _ in range(draw(st.integers(1, 4))):
        everywhere = [spot for spot in spots(documents) if spot]
        if not everywhere:
            break
        *way, last = draw(st.sampled_from(everywhere))
        parent = documents
        for key in way:
            parent = parent[key]  # type: ignore[index,call-overload]
        match draw(st.sampled_from(["value", "value", "delete", "rename", "double", "wrap", "move"])):
            case "value":
                parent[last] = draw(VALUES)  # type: ignore[index,call-overload]
            case "delete":
                del parent[last]  # type: ignore[union-attr,arg-type]
            case "rename" if isinstance(parent, dict):
                parent[draw(st.one_of(st.sampled_from(KEYS), st.text(max_size=8)))] = parent.pop(str(last), None)
            case "double" if isinstance(parent, list):
                parent.append(parent[int(last)])
            case "move":
                parent[last] = json.loads(draw(st.sampled_from(EXPECTATIONS)))  # type: ignore[index,call-overload]
            case _:
                parent[last] = [parent[last]]  # type: ignore[index,call-overload]
    if draw(st.booleans()):
        return "\n---\n".join(json.dumps(document, indent=draw(st.sampled_from([None, 1]))) for document in documents)
    return yaml.dump_all(documents, Dumper=yaml.CSafeDumper, allow_unicode=True)


@st.composite
def mutated_texts(draw: st.DrawFn) -> str:
    """A valid file whose lines are deleted, doubled, swapped, indented, cut and spliced with another's."""
    lines = draw(st.sampled_from(TEXTS)).split("\n")
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, max(0, len(lines) - 1)))
        match draw(st.sampled_from(["delete", "double", "swap", "indent", "cut", "splice", "insert"])):
            case "delete":
                del lines[at : at + draw(st.integers(1, 4))]
            case "double":
                lines[at:at] = lines[at : at + draw(st.integers(1, 20))]
            case "swap" if lines:
                other = draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
            case "indent" if lines:
                lines[at] = draw(st.sampled_from([" ", "\t", "- ", "  ", "? ", "&a ", "*a ", "<<: "])) + lines[at]
            case "cut" if lines:
                lines[at] = lines[at][: draw(st.integers(0, 30))]
            case "splice":
                lines[at:at] = draw(st.sampled_from(TEXTS)).split("\n")[: draw(st.integers(0, 60))]
            case _:
                lines.insert(
                    at,
                    draw(
                        st.sampled_from(["---", "...", "]", "{", '"', "%YAML 1.2", "a: *b", "!!x y", "# x", "\u2028"])
                    ),
                )
    return "\n".join(lines)


@settings(max_examples=900, **BUDGET)
@given(mutated_trees())
def test_a_file_with_other_keys_and_values_is_a_lab_or_has_problems_at_places_inside_it(text: str) -> None:
    holds(text, read_lab)


@settings(max_examples=900, **BUDGET)
@given(mutated_texts())
def test_a_file_with_lines_out_of_order_is_a_lab_or_has_problems_at_places_inside_it(text: str) -> None:
    holds(text, read_lab)


@settings(max_examples=500, **BUDGET)
@given(mutated_trees())
def test_manifests_with_other_keys_and_values_are_objects_or_have_problems_at_places_inside_them(text: str) -> None:
    holds(text, read_objects)


@settings(max_examples=500, **BUDGET)
@given(st.sampled_from(TEXTS), st.integers(0, 3000), st.binary(max_size=8), st.integers(0, 8))
def test_a_file_with_noise_in_it_is_a_lab_or_has_problems_at_places_inside_it(
    text: str, at: int, noise: bytes, removed: int
) -> None:
    data = text.encode()
    spoiled = data[:at] + noise + data[at + removed :]
    readable = spoiled.decode("utf-8", errors="replace")
    holds(readable, lambda _: read_lab(decode(spoiled, file="mutant.yaml")))


@settings(max_examples=300, **BUDGET)
@given(st.text(max_size=60))
def test_any_text_is_a_lab_or_has_problems_at_places_inside_it(text: str) -> None:
    holds(text, read_lab)
