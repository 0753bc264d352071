"""Many scores in one summary, under the keys of Zed's ``eval --summary-json``.

Averages and their precision are those of `edit_prediction_metrics` (summary.rs at zed 09adbb01). Knows nothing of
examples or files.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from capture.metrics.characters import shortest_single, single_precision
from capture.metrics.counts import MatchCounts

if TYPE_CHECKING:
    from capture.metrics.location import LocationMatch
    from capture.metrics.prediction_score import PredictionScore

_AVERAGED: Final = (  # fields of a score; None says nothing
    "delta_chr_f_precision",
    "delta_chr_f_recall",
    "braces_disbalance",
    "cursor_exact_match",
    "cursor_distance",
    "wrong_editable_region",
    "has_isolated_whitespace_changes",
    "kept_rate",
    "recall_rate",
    "kept_chars",
    "correctly_deleted_chars",
    "discarded_chars",
)


@dataclass(frozen=True, slots=True)
class QaVerdict:
    """What a judge said of a prediction: whether it takes back the programmer's edits, and 1 (reject) to 5 (accept)."""

    reverts_edits: bool | None = None
    confidence: int | None = None


@dataclass(slots=True)
class _Average:
    """Of those values that there are; ``total`` stays an int where all of them are."""

    total: float = 0
    count: int = 0

    def add(self, value: float | None) -> None:
        if value is not None:
            self.total += value
            self.count += 1

    @property
    def sum(self) -> float | None:
        return self.total if self.count else None

    @property
    def mean(self) -> float | None:
        return self.total / self.count if self.count else None

    @property
    def single_mean(self) -> float | None:
        return shortest_single(self.total / self.count) if self.count else None


@dataclass(slots=True)
class _SingleAverage:
    """Summed up in single precision too; 0 where there is no value."""

    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        self.total = single_precision(self.total + value)
        self.count += 1

    @property
    def mean(self) -> float:
        return shortest_single(self.total / self.count) if self.count else 0.0


@dataclass(slots=True)
class _Locations:
    """Rates are averaged over the scores, counts summed."""

    examples: int = 0
    rates: defaultdict[str, _Average] = field(default_factory=lambda: defaultdict(_Average))
    counts: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, match: LocationMatch | None) -> None:
        if match is None:
            return
        self.examples += 1
        for part in ("lines", "files"):
            for rate in ("precision", "recall", "f1"):
                self.rates[f"{part}_{rate}"].add(getattr(match, f"{part}_{rate}"))
            for kind in ("tp", "fp", "fn"):
                self.counts[f"{part}_{kind}"] += getattr(match, f"{part}_{kind}")

    def to_json(self, name: str) -> dict[str, Any]:
        if not self.examples:
            return {}
        described: dict[str, Any] = {f"{name}_examples": self.examples}
        for part in ("lines", "files"):
            for rate in ("precision", "recall", "f1"):
                described[f"avg_{name}_{part}_{rate}"] = self.rates[f"{part}_{rate}"].mean
            for kind in ("tp", "fp", "fn"):
                described[f"{name}_{part}_{kind}"] = self.counts[f"{part}_{kind}"]
        return described


class ScoreSummary:
    """Totals over the scores it was told; keeps none of them."""

    def __init__(self) -> None:
        """Begin with no score."""
        self._count = 0
        self._beta = 0.0
        self._chr_f = MatchCounts()
        self._lines = MatchCounts()
        self._delta_chr_f = _SingleAverage()
        self._reversal_ratio = _SingleAverage()
        self._averages = {key: _Average() for key in _AVERAGED}
        self._reverts = _Average()
        self._confidence = _Average()
        self._context_bytes = _Average()
        self._coverage = _Locations()
        self._jumps = _Locations()

    def add(
        self, score: PredictionScore, verdict: QaVerdict | None = None, retrieved_context_bytes: int | None = None
    ) -> None:
        """Count one prediction.

        The bytes are to be counted once per example: None for further predictions of the same one.
        """
        self._count += 1
        self._beta = score.delta_chr_f_beta
        self._chr_f += score.delta_chr_f_counts
        self._lines += score.exact_lines
        self._delta_chr_f.add(score.delta_chr_f)
        self._reversal_ratio.add(score.reversal_ratio)
        for key, average in self._averages.items():
            average.add(getattr(score, key))
        if verdict is not None:
            self._reverts.add(verdict.reverts_edits)
            self._confidence.add(verdict.confidence)
        self._context_bytes.add(retrieved_context_bytes)
        self._coverage.add(score.editable_context_coverage)
        self._jumps.add(score.jump_location)

    def to_json(self) -> dict[str, Any]:
        """Zed's keys in Zed's order; a key is left out where no score has anything to say of it."""
        averages = self._averages
        cursors = averages["cursor_exact_match"]
        isolated = averages["has_isolated_whitespace_changes"]
        summary: dict[str, Any] = {
            "total_examples": self._count,
            "avg_delta_chr_f": self._delta_chr_f.mean,
            "delta_chr_f_beta": self._beta,
            "delta_chr_f_true_positives": self._chr_f.tp,
            "delta_chr_f_false_positives": self._chr_f.fp,
            "delta_chr_f_false_negatives": self._chr_f.fn,
            "delta_chr_f_precision": averages["delta_chr_f_precision"].mean or 0.0,
            "delta_chr_f_recall": averages["delta_chr_f_recall"].mean or 0.0,
            "avg_braces_disbalance": averages["braces_disbalance"].single_mean or 0.0,
            "exact_lines_true_positives": self._lines.tp,
            "exact_lines_false_positives": self._lines.fp,
            "exact_lines_false_negatives": self._lines.fn,
            "exact_lines_precision": self._lines.precision,
            "exact_lines_recall": self._lines.recall,
            "exact_lines_f1": self._lines.f1,
            "avg_reversal_ratio": self._reversal_ratio.mean,
            "qa_avg_reverts_edits": self._reverts.single_mean,
            "qa_avg_confidence": self._confidence.single_mean,
            "cursor_exact_match_rate": cursors.single_mean,
            "cursor_exact_matches": cursors.sum,
            "cursor_avg_distance": averages["cursor_distance"].single_mean,
            "cursor_total_evaluated": cursors.count or None,
            "wrong_editable_region_rate": averages["wrong_editable_region"].single_mean,
            "isolated_whitespace_rate": isolated.single_mean,
            "isolated_whitespace_count": isolated.sum,
            "avg_kept_rate": averages["kept_rate"].mean,
            "kept_rate_examples": averages["kept_rate"].count or None,
            "avg_recall_rate": averages["recall_rate"].mean,
            "recall_rate_examples": averages["recall_rate"].count or None,
            "total_kept_chars": averages["kept_chars"].sum,
            "total_correctly_deleted_chars": averages["correctly_deleted_chars"].sum,
            "total_discarded_chars": averages["discarded_chars"].sum,
            **self._coverage.to_json("editable_context"),
            **self._jumps.to_json("jump_location"),
            "avg_retrieved_context_bytes": self._context_bytes.mean,
            "total_retrieved_context_bytes": self._context_bytes.sum,
            "retrieved_context_examples": self._context_bytes.count or None,
        }
        # Zed writes this one as null where there is no score.
        return {key: value for key, value in summary.items() if value is not None or key == "isolated_whitespace_rate"}
