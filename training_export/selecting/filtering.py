"""Which examples are wanted: by what they are of, what became of them, and what stages found. Knows no files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pathspec import GitIgnoreSpec

from capture.context.index.languages import language_of
from training_export.example import Example
from training_export.stage import FAILURES, ours

_MISSING = object()


@dataclass(frozen=True)
class Wanted:
    """Each part that is given must hold; of several values of one part, one must (of ``has`` and ``lacks``: each).

    ``paths`` are patterns as in a .gitignore. ``has`` and ``lacks`` name fields (``prompt``, ``foretype.settled``);
    null and what is empty count as not there. ``least`` and ``most`` bound metrics: one prediction must be within all.
    """

    languages: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()
    classes: frozenset[str] = frozenset()
    outcomes: frozenset[str] = frozenset()
    ratings: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    least: Mapping[str, float] = field(default_factory=dict)
    most: Mapping[str, float] = field(default_factory=dict)
    failed: frozenset[str] = frozenset()
    not_failed: frozenset[str] = frozenset()

    def holds(self, example: Example) -> bool:
        """Whether this example is one of them."""
        failures = set(ours(example, FAILURES) or {})
        return (
            _among(language(example), self.languages)
            and (not self.paths or self._spec.match_file(example.cursor_path))
            and _among(_member(example, "settle", "class"), self.classes)
            and _among(_member(example, "snapshot", "outcome"), self.outcomes)
            and (not self.ratings or rating(example) in self.ratings)
            and (not self.tags or bool(self.tags & set(example.tags)))
            and (not self.names or any(name in example.name for name in self.names))
            and all(is_there(example, part) for part in self.has)
            and not any(is_there(example, part) for part in self.lacks)
            and self._is_scored(example)
            and (not self.failed or bool(self.failed & failures))
            and not self.not_failed & failures
        )

    @cached_property
    def _spec(self) -> GitIgnoreSpec:
        return GitIgnoreSpec.from_lines(self.paths)

    def _is_scored(self, example: Example) -> bool:
        if not self.least and not self.most:
            return True
        return any(_is_within(score, self.least, self.most) for score in example.value.get("score") or ())


def language(example: Example) -> str:
    """The LSP language id: that of the snapshot, else by the file's suffix; empty where it is not known."""
    known = language_of(example.cursor_path)
    return _member(example, "snapshot", "language_id") or (known.name if known is not None else "")


def rating(example: Example) -> str:
    """``good``, ``bad`` or ``none``, whoever rated it."""
    said = {"Positive": "good", "Negative": "bad"}.get(example.rating or "", "")
    return said or _member(example, "snapshot", "rating") or "none"


def is_there(example: Example, part: str) -> bool:
    """Whether a field, named with dots, is there and neither null nor empty; false and 0 are there."""
    value: Any = example.value
    for name in part.split("."):
        value = value.get(name, _MISSING) if isinstance(value, dict) else _MISSING
    return value is not _MISSING and value is not None and value not in ("", [], {})


def _is_within(score: Mapping[str, Any], least: Mapping[str, float], most: Mapping[str, float]) -> bool:
    """A metric that could not be told is within no bounds."""
    return all(_number(score, name, "least") >= bound for name, bound in least.items()) and all(
        _number(score, name, "most") <= bound for name, bound in most.items()
    )


def _number(score: Mapping[str, Any], name: str, kind: str) -> float:
    value = score.get(name)
    unknown = float("-inf") if kind == "least" else float("inf")
    return float(value) if isinstance(value, int | float) else unknown


def _among(value: str, wanted: Iterable[str]) -> bool:
    return not wanted or value in wanted


def _member(example: Example, member: str, name: str) -> str:
    found = ours(example, member)
    return str(found.get(name) or "") if isinstance(found, dict) else ""
