"""Many scores in one summary, under the keys of Zed's ``eval --summary-json``.

Averages and their precision are those of `edit_prediction_metrics` (summary.rs at zed 09adbb01). Knows nothing of
examples or files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from capture.metrics.characters import shortest_single, single_precision
from capture.metrics.counts import MatchCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from capture.metrics.location import LocationMatch
    from capture.metrics.prediction_score import PredictionScore

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class QaVerdict:
    """What a judge said of a prediction: whether it takes back the programmer's edits, and 1 (reject) to 5 (accept)."""

    reverts_edits: bool | None = None
    confidence: int | None = None


def summarize(
    scores: Sequence[PredictionScore],
    qa: Sequence[QaVerdict | None] = (),
    retrieved_context_bytes: Sequence[int | None] = (),
) -> dict[str, Any]:
    """The summary as a JSON object; a key is left out where no score has anything to say of it.

    ``qa`` and ``retrieved_context_bytes`` are parallel to ``scores`` where given. The bytes are to be counted once
    per example: None for further predictions of the same one. Raises ValueError where the lengths differ.
    """
    for parallel in (qa, retrieved_context_bytes):
        if parallel and len(parallel) != len(scores):
            raise ValueError(f"{len(parallel)} values for {len(scores)} scores")
    count = len(scores)
    chr_f = sum((score.delta_chr_f_counts for score in scores), MatchCounts())
    lines = sum((score.exact_lines for score in scores), MatchCounts())
    verdicts = [verdict for verdict in qa if verdict is not None]
    reverts = _given(verdict.reverts_edits for verdict in verdicts)
    confidences = _given(verdict.confidence for verdict in verdicts)
    exact_cursors = _given(score.cursor_exact_match for score in scores)
    distances = _given(score.cursor_distance for score in scores)
    wrong_regions = _given(score.wrong_editable_region for score in scores)
    isolated = [score.has_isolated_whitespace_changes for score in scores]
    kept_rates = _given(score.kept_rate for score in scores)
    recall_rates = _given(score.recall_rate for score in scores)
    context_bytes = _given(retrieved_context_bytes)
    summary: dict[str, Any] = {
        "total_examples": count,
        "avg_delta_chr_f": _single_mean_or_zero([score.delta_chr_f for score in scores]),
        "delta_chr_f_beta": scores[-1].delta_chr_f_beta if scores else 0.0,
        "delta_chr_f_true_positives": chr_f.tp,
        "delta_chr_f_false_positives": chr_f.fp,
        "delta_chr_f_false_negatives": chr_f.fn,
        "delta_chr_f_precision": _mean([score.delta_chr_f_precision for score in scores]) or 0.0,
        "delta_chr_f_recall": _mean([score.delta_chr_f_recall for score in scores]) or 0.0,
        "avg_braces_disbalance": _single_mean([score.braces_disbalance for score in scores]) or 0.0,
        "exact_lines_true_positives": lines.tp,
        "exact_lines_false_positives": lines.fp,
        "exact_lines_false_negatives": lines.fn,
        "exact_lines_precision": lines.precision,
        "exact_lines_recall": lines.recall,
        "exact_lines_f1": lines.f1,
        "avg_reversal_ratio": _single_mean_or_zero([score.reversal_ratio for score in scores]),
        "qa_avg_reverts_edits": _single_mean(reverts),
        "qa_avg_confidence": _single_mean(confidences),
        "cursor_exact_match_rate": _single_mean(exact_cursors),
        "cursor_exact_matches": _total(exact_cursors),
        "cursor_avg_distance": _single_mean(distances),
        "cursor_total_evaluated": len(exact_cursors) or None,
        "wrong_editable_region_rate": _single_mean(wrong_regions),
        "isolated_whitespace_rate": _single_mean(isolated),
        "isolated_whitespace_count": _total(isolated),
        "avg_kept_rate": _mean(kept_rates),
        "kept_rate_examples": len(kept_rates) or None,
        "avg_recall_rate": _mean(recall_rates),
        "recall_rate_examples": len(recall_rates) or None,
        "total_kept_chars": _total(_given(score.kept_chars for score in scores)),
        "total_correctly_deleted_chars": _total(_given(score.correctly_deleted_chars for score in scores)),
        "total_discarded_chars": _total(_given(score.discarded_chars for score in scores)),
        **_locations("editable_context", _given(score.editable_context_coverage for score in scores)),
        **_locations("jump_location", _given(score.jump_location for score in scores)),
        "avg_retrieved_context_bytes": _mean(context_bytes),
        "total_retrieved_context_bytes": _total(context_bytes),
        "retrieved_context_examples": len(context_bytes) or None,
    }
    # Zed writes this one as null where there is no score.
    return {key: value for key, value in summary.items() if value is not None or key == "isolated_whitespace_rate"}


def _locations(name: str, matches: Sequence[LocationMatch]) -> dict[str, Any]:
    """Rates averaged over the scores, counts summed."""
    if not matches:
        return {}
    described: dict[str, Any] = {f"{name}_examples": len(matches)}
    for part in ("lines", "files"):
        for rate in ("precision", "recall", "f1"):
            described[f"avg_{name}_{part}_{rate}"] = _mean([getattr(match, f"{part}_{rate}") for match in matches])
        for kind in ("tp", "fp", "fn"):
            described[f"{name}_{part}_{kind}"] = sum(getattr(match, f"{part}_{kind}") for match in matches)
    return described


def _given(values: Iterable[Value | None]) -> list[Value]:
    return [value for value in values if value is not None]


def _total(values: Sequence[int]) -> int | None:
    return sum(values) if values else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _single_mean(values: Sequence[float]) -> float | None:
    return shortest_single(sum(values) / len(values)) if values else None


def _single_mean_or_zero(values: Sequence[float]) -> float:
    """Summed up in single precision too."""
    total = 0.0
    for value in values:
        total = single_precision(total + value)
    return shortest_single(total / len(values)) if values else 0.0
