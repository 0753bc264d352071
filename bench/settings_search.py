"""The best setting of a system: one choice after the other, each with the best of those before it.

All combinations would take many times as long. Knows nothing of how a setting is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.systems import DRAFTING, Setting, System

MeanWait = Callable[[Setting], float]  # seconds or milliseconds, infinite where no answer came


@dataclass(frozen=True, slots=True)
class Tried:
    """What was tried, and which was best. ``mean_waits`` are in the same order; None where no answer came."""

    best: Setting
    settings: tuple[Setting, ...] = ()
    mean_waits: tuple[float | None, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The form in which it is kept."""
        rows = zip(self.settings, self.mean_waits, strict=True)
        tried = [{"setting": dict(setting), "mean_wait_ms": wait} for setting, wait in rows]
        return {"best": dict(self.best), "tried": tried}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Tried:
        """Read ``to_json``."""
        tried = value["tried"]
        return cls(value["best"], tuple(t["setting"] for t in tried), tuple(t["mean_wait_ms"] for t in tried))


@dataclass(slots=True)
class _Waits:
    """Each setting is measured once."""

    mean_wait: MeanWait
    known: list[tuple[Setting, float]] = field(default_factory=list)

    def best(self, candidates: Sequence[Setting]) -> Setting:
        """The first of those that waited least; a lone candidate is not measured."""
        return candidates[0] if len(candidates) == 1 else min(candidates, key=self._of)

    def tried(self, best: Setting) -> Tried:
        finite = [None if wait == float("inf") else wait for _, wait in self.known]
        return Tried(best, tuple(setting for setting, _ in self.known), tuple(finite))

    def _of(self, setting: Setting) -> float:
        for known, wait in self.known:
            if known == setting:
                return wait
        self.known.append((setting, self.mean_wait(setting)))
        return self.known[-1][1]


def search(system: System, mean_wait: MeanWait) -> Tried:
    """Try every choice of the system, beginning with the defaults."""
    waits, best = _Waits(mean_wait), system.default_setting
    for what, choices in system.choices.items():
        best = dict(waits.best([{**best, what: name} for name in choices]))
    return waits.tried(best)


def search_again(earlier: Tried, mean_wait: MeanWait) -> Tried:
    """For a larger model of the same answers: the best setting of the smaller one, with and without drafting.

    What drafts there are to choose from was found out; whether they pay hangs on what a pass costs.
    """
    candidates: list[Setting] = [earlier.best]
    if DRAFTING in earlier.best:
        rows = zip(earlier.settings, earlier.mean_waits, strict=True)
        none = earlier.settings[0][DRAFTING]  # the default was tried first
        drafting = [(wait or float("inf"), dict(setting)) for setting, wait in rows if setting[DRAFTING] != none]
        other = min(drafting, key=lambda row: row[0])[1][DRAFTING] if earlier.best[DRAFTING] == none else none
        candidates.append({**earlier.best, DRAFTING: other})
    waits = _Waits(mean_wait)
    return waits.tried(waits.best(candidates))
