"""What the settings file says of a trial: the ``[trial]`` table, which `foretype model try` and its kin write.

A trial serves a candidate to a share of the documents. Knows nothing of the other keys, of files and of models.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class TrialSettings:
    """The table; every field is a key of it of the same name."""

    candidate: str = ""  # as `model` names one; empty: no trial
    share: float = 0.0  # of the documents, 0 to 1
    salt: str = ""  # random, made when the trial begins: which documents are the candidate's depends on it
    since: str = ""  # when the trial began, ISO 8601 with its zone
    former: str = ""  # what `model` said before a candidate was promoted; empty: none was

    @property
    def is_running(self) -> bool:
        """Whether any document is the candidate's."""
        return self.candidate != "" and self.share > 0

    @property
    def since_seconds(self) -> float | None:
        """Since the epoch, None where the table does not say."""
        return datetime.fromisoformat(self.since).timestamp() if self.since else None

    def to_table(self) -> dict[str, str | float]:
        """The keys that say something."""
        return {key: value for key, value in asdict(self).items() if value}


_KEYS = tuple(field.name for field in fields(TrialSettings))


def trial_problem(value: Any) -> str:
    """Why ``trial`` cannot have ``value``, with the cure, or an empty string."""
    if not isinstance(value, dict):
        return f"`trial` must be a table, [trial], not {_shown(value)}"
    for key, given in value.items():
        problem = _problem(key, given)
        if problem:
            return problem
    return ""


def trial_of(value: Mapping[str, Any]) -> TrialSettings:
    """The table in a value that has no problem."""
    return TrialSettings(**{**value, "share": float(value.get("share", 0))})


def _problem(key: str, given: Any) -> str:
    if key not in _KEYS:
        takes = f"it takes {', '.join(_KEYS)}; keys of the whole file stand above all tables"
        return f"unknown key `{key}` in [trial]; {takes}; `foretype model try` writes it"
    if key == "share":
        is_number = isinstance(given, int | float) and not isinstance(given, bool)
        is_share = is_number and 0 <= given <= 1
        return "" if is_share else f"`share` in [trial] must be a number from 0 to 1, not {_shown(given)}"
    if not isinstance(given, str) or "\0" in given:
        return f"`{key}` in [trial] must be a text, not {_shown(given)}"
    return (
        ""
        if key != "since" or not given or _has_zone(given)
        else (
            f"`since` in [trial] must be a time with its zone, such as 2026-11-23T09:00:00+00:00, not {_shown(given)}"
        )
    )


def _has_zone(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
