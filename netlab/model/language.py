"""The languages in which training labs speak."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Language(StrEnum):
    """What a learner reads."""

    EN = "en"
    KO = "ko"

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Language:
        """The one that the environment asks for (locale(7): the first of these that is set counts); else English."""
        asked = (environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
        chosen = next(filter(None, asked), "")
        return cls.KO if chosen.split("_")[0].split(".")[0] == cls.KO else cls.EN
