"""Scores of many judged cases: student, student with ranking, rule and silence side by side, by any grouping.

Every figure is a `Share`, so that it carries its number of cases. Knows nothing of how it is shown.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from daemon.engine.messages import Origin
from training_export.student.evaluation.judging import Judged
from training_export.student.evaluation.shares import Share

QUIET: Final = "quiet"  # the task whose moments want no edit
ALL: Final = "all"
Key = Callable[[Judged], str]
# Languages that count as one where cases are counted.
FAMILIES: Final[Mapping[str, str]] = {
    "javascript": "JavaScript/TypeScript",
    "typescript": "JavaScript/TypeScript",
    "tsx": "JavaScript/TypeScript",
    "javascriptreact": "JavaScript/TypeScript",
    "typescriptreact": "JavaScript/TypeScript",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One group of cases, all shares of those that come out right unless said otherwise.

    ``alone`` and ``alone_gated``: the student's own decode, without and at the gate; ``ranked`` and ``ranked_gated``
    what is chosen among it, the rule's proposals and no edit; None where nothing was ranked. ``where_rule_fails`` is
    ``alone`` on the cases that the rule gets wrong, ``ranked_where_rule_fails`` likewise. ``quiet``: no edit is
    shown at the gate; ``shown_right``: of the shown ones. Both as the daemon shows them by default.
    """

    name: str
    alone: Share
    alone_gated: Share
    ranked: Share | None
    ranked_gated: Share | None
    rule: Share
    never: Share
    where_rule_fails: Share
    ranked_where_rule_fails: Share | None
    quiet: Share
    shown_right: Share

    @property
    def count(self) -> int:
        """Cases."""
        return self.alone.total

    def to_json(self) -> dict[str, Any]:
        """For a program to read."""
        found = {field: getattr(self, field) for field in self.__slots__ if field != "name"}
        shares = {field: None if share is None else share.to_json() for field, share in found.items()}
        return {"name": self.name, "cases": self.count, **shares}


def row(name: str, cases: Sequence[Judged], limit: float) -> Row:
    """The scores of a group at a gate."""
    ranked = [case.ranked for case in cases if case.ranked is not None]
    hard = [case for case in cases if not case.rule_is_right]
    return Row(
        name=name,
        alone=Share.of(case.alone.is_right for case in cases),
        alone_gated=Share.of(case.alone.is_right_when(limit) for case in cases),
        ranked=Share.of(outcome.is_right for outcome in ranked) if ranked else None,
        ranked_gated=Share.of(outcome.is_right_when(limit) for outcome in ranked) if ranked else None,
        rule=Share.of(case.rule_is_right for case in cases),
        never=Share.of(case.wants_quiet for case in cases),
        where_rule_fails=Share.of(case.alone.is_right for case in hard),
        ranked_where_rule_fails=(
            Share.of(case.ranked.is_right for case in hard if case.ranked is not None) if ranked else None
        ),
        quiet=Share.of(not case.default.is_shown(limit) for case in cases),
        shown_right=Share.of(case.default.is_right for case in cases if case.default.is_shown(limit)),
    )


def grouped(cases: Iterable[Judged], key: Key) -> dict[str, list[Judged]]:
    """The cases by what ``key`` says of them, groups in the order of their names."""
    groups: dict[str, list[Judged]] = defaultdict(list)
    for case in cases:
        groups[key(case)].append(case)
    return {name: groups[name] for name in sorted(groups)}


def rows(cases: Sequence[Judged], limit: float, key: Key) -> list[Row]:
    """One row a group."""
    return [row(name, members, limit) for name, members in grouped(cases, key).items()]


def of_task(judged: Judged) -> str:
    """Its task."""
    return judged.case.task


def of_language(judged: Judged) -> str:
    """Its language."""
    return judged.case.language


def of_task_and_language(judged: Judged) -> str:
    """Both."""
    return f"{judged.case.task}, {judged.case.language}"


def of_kind(judged: Judged) -> str:
    """Task and kind."""
    return f"{judged.case.task}: {judged.case.kind}" if judged.case.kind else judged.case.task


def fewest_cases(cases: Iterable[Judged], tasks: Sequence[str], families: Sequence[str]) -> tuple[str, int]:
    """Of these tasks and languages, the two with the fewest cases, and how many these are."""
    found = Counter((judged.case.task, FAMILIES.get(judged.case.language, judged.case.language)) for judged in cases)
    task, family = min(((task, family) for task in tasks for family in families), key=lambda group: found[group])
    return f"{task}, {family}", found[task, family]


def by_origin(cases: Iterable[Judged], limit: float) -> dict[Origin, Share]:
    """Of what is shown at the gate, how much is right, by who wrote it; authors of nothing left out."""
    shown = [case.default for case in cases if case.default.is_shown(limit)]
    shares = {origin: Share.of(one.is_right for one in shown if one.origin is origin) for origin in Origin}
    return {origin: share for origin, share in shares.items() if share.total}


@dataclass(frozen=True, slots=True)
class Latency:
    """What the worker took, in milliseconds: cold prompts, other engines beside it. Medians of the token counts."""

    count: int
    p50_ms: float
    p95_ms: float
    prompt_tokens: float
    answer_tokens: float

    def to_json(self) -> dict[str, Any]:
        """For a program to read."""
        return {key: round(value, 2) for key, value in asdict(self).items()}


def latency(cases: Sequence[Judged]) -> Latency:
    """Over one case or more."""
    milliseconds = sorted(1000 * judged.answer.seconds for judged in cases)
    return Latency(
        count=len(cases),
        p50_ms=_percentile(milliseconds, 50),
        p95_ms=_percentile(milliseconds, 95),
        prompt_tokens=_percentile(sorted(judged.answer.prompt_tokens for judged in cases), 50),
        answer_tokens=_percentile(sorted(judged.answer.answer_tokens for judged in cases), 50),
    )


def _percentile(ascending: Sequence[float], percent: int) -> float:
    """The smallest value that so many percent of all do not exceed."""
    return ascending[max(0, -(-len(ascending) * percent // 100) - 1)]
