"""What `netlab lab` itself says to a learner, in each language."""

from __future__ import annotations

from dataclasses import dataclass

from netlab.model.language import Language


@dataclass(frozen=True, slots=True)
class Sentences:
    """Each with places for what it speaks of."""

    met: str
    unmet: str
    saw: str
    passed: str
    missing: str
    late: str
    hint_of: str
    is_new: str
    is_gone: str
    standing: str
    time_left: str
    time_over: str
    drawn: str
    script: str
    states: dict[str, str]


ENGLISH = Sentences(
    met="ok      ",
    unmet="not yet ",
    saw="saw: {observed}",
    passed="lab {lab}: solved after {minutes}",
    missing="lab {lab}: {count} of {all} not met; netlab lab hint helps",
    late="lab {lab}: all met, but after the exam's end ({minutes})",
    hint_of="hint {number} of {all}",
    is_new="lab {lab} is as it was at its start",
    is_gone="lab {lab} is gone",
    standing="lab {lab} is up in mode {mode} (seed {seed}); netlab lab check grades it",
    time_left="{minutes} left of the exam's {all}",
    time_over="the exam's {all} are over",
    drawn="The faults of seed {seed}:",
    script="The script {name}:",
    states={"new": "new", "started": "started", "tried": "tried", "solved": "solved"},
)
KOREAN = Sentences(
    met="충족    ",
    unmet="미충족  ",
    saw="관찰: {observed}",
    passed="실습 {lab}: 해결했습니다 ({minutes} 걸림)",
    missing="실습 {lab}: {all}개 중 {count}개가 아직 충족되지 않았습니다. netlab lab hint로 힌트를 볼 수 있습니다",
    late="실습 {lab}: 모두 충족했지만 시험 시간이 지났습니다 ({minutes})",
    hint_of="힌트 {number}/{all}",
    is_new="실습 {lab}을(를) 처음 상태로 되돌렸습니다",
    is_gone="실습 {lab}을(를) 종료했습니다",
    standing="실습 {lab}이(가) {mode} 모드로 실행 중입니다 (시드 {seed}). netlab lab check로 채점합니다",
    time_left="시험 시간 {all} 중 {minutes} 남았습니다",
    time_over="시험 시간 {all}이 끝났습니다",
    drawn="시드 {seed}로 뽑힌 장애:",
    script="스크립트 {name}:",
    states={"new": "시작 전", "started": "진행 중", "tried": "시도함", "solved": "해결"},
)


def words(language: Language) -> Sentences:
    """The sentences of that language."""
    return KOREAN if language is Language.KO else ENGLISH


def minutes(seconds: float, language: Language) -> str:
    """A time in minutes and seconds: `4 min 05 s`."""
    whole = max(0, round(seconds))
    form = "{}분 {:02}초" if language is Language.KO else "{} min {:02} s"
    return form.format(*divmod(whole, 60))
