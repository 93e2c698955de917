"""What a learner did is remembered, and what was never written by netlab is not overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.cli.training_words import ENGLISH, KOREAN, minutes
from netlab.errors import InvalidInput
from netlab.model.language import Language
from netlab.model.modes import ProxyMode
from netlab.model.training import LabGrade, RequirementResult
from netlab.training.desk import answered, tried
from netlab.training.progress import LabProgress, ProgressFile, Session, state_file

LAB = "03-chances"
SESSION = Session(folder="/labs/03-chances", mode=ProxyMode.IPTABLES, seed=7, started=100.0)


def grade(*, met: bool, seconds: float, in_time: bool = True) -> LabGrade:
    result = RequirementResult(name="even", says="...", met=met)
    return LabGrade(
        lab=LAB,
        title="",
        mode=ProxyMode.IPTABLES,
        seed=7,
        passed=met and in_time,
        in_time=in_time,
        seconds=seconds,
        requirements=(result,),
    )


def test_a_lab_is_new_then_started_then_tried_then_solved() -> None:
    known = LabProgress()
    assert known.state == "new"
    known = known.model_copy(update={"session": SESSION})
    assert known.state == "started"
    known = tried(known, grade(met=False, seconds=20.0), at=120.0)
    assert (known.state, known.attempts[0].unmet) == ("tried", ("even",))
    known = tried(known, grade(met=True, seconds=60.0), at=160.0)
    assert (known.state, known.solved_in_seconds) == ("solved", 60.0)


def test_the_last_answer_to_a_question_counts() -> None:
    known = LabProgress(session=SESSION)
    for key, value in (("holder", "node/n1"), ("port", "80"), ("holder", "none")):
        known = answered(known, key, value)
    assert known.session is not None
    assert known.session.answers == {"holder": "none", "port": "80"}
    assert answered(LabProgress(), "holder", "none") == LabProgress(), "a lab that is not started has no answers"


def test_the_best_time_stays() -> None:
    known = LabProgress()
    for seconds in (60.0, 30.0, 90.0):
        known = tried(known, grade(met=True, seconds=seconds), at=0.0)
    assert (known.solved_in_seconds, len(known.attempts)) == (30.0, 3)


def test_what_came_after_an_exam_s_end_is_not_solved() -> None:
    assert tried(LabProgress(), grade(met=True, seconds=4000.0, in_time=False), at=0.0).state == "tried"


def test_progress_outlives_the_process(tmp_path: Path) -> None:
    path = tmp_path / "state" / "netlab" / "training.json"
    assert ProgressFile(path).of(LAB) == LabProgress()
    ProgressFile(path).change(LAB, lambda known: known.model_copy(update={"session": SESSION, "hints": 2}))
    ProgressFile(path).change("01-other", lambda known: known)
    found = ProgressFile(path).read().labs
    assert set(found) == {LAB, "01-other"}
    assert (found[LAB].session, found[LAB].hints) == (SESSION, 2)


def test_a_file_that_is_no_progress_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "training.json").write_text("{")
    with pytest.raises(InvalidInput, match=r"training\.json: cannot be understood"):
        ProgressFile(tmp_path / "training.json").read()


def test_the_state_folder_is_the_one_of_the_base_directory_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")
    assert state_file() == Path("/somewhere/netlab/training.json")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert state_file() == Path("/home/somebody/.local/state/netlab/training.json")


def test_both_languages_say_everything_with_the_same_places_to_fill() -> None:
    for name in ENGLISH.__slots__:
        english, korean = getattr(ENGLISH, name), getattr(KOREAN, name)
        if isinstance(english, str):
            assert sorted(part.split("}")[0] for part in english.split("{")[1:]) == sorted(
                part.split("}")[0] for part in korean.split("{")[1:]
            ), name
    assert (minutes(65, Language.EN), minutes(65, Language.KO)) == ("1 min 05 s", "1분 05초")
