"""Score one prediction: every metric at once.

Put together as in `edit_prediction_metrics` (prediction_score.rs at zed 09adbb01). Knows nothing of examples, files
or models.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from capture.editing.unified_diff import PatchError, apply_patch
from capture.metrics.characters import is_blank, single_precision
from capture.metrics.chr_f import DeltaChrF, delta_chr_f
from capture.metrics.counts import MatchCounts
from capture.metrics.documents import ComparedTexts, compared_texts
from capture.metrics.kept_rate import kept_rate
from capture.metrics.lines import (
    braces_disbalance,
    exact_lines,
    has_isolated_whitespace,
    is_wrong_editable_region,
    token_changes,
)
from capture.metrics.location import ContextExcerpt, LocationMatch, editable_context_coverage, patch_location_match
from capture.metrics.prediction_score import PredictionScore
from capture.metrics.reversal import reversal_ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from capture.inputs import EditEvent


@dataclass(frozen=True, slots=True)
class ExpectedPatch:
    """One of the edits that were wanted, and ``text`` after it.

    ``cursor_offset`` is where the cursor should be, in bytes of the new editable region.
    """

    patch: str
    text: str
    cursor_offset: int | None = None


@dataclass(frozen=True, slots=True)
class PredictedCursor:
    """Where a prediction puts the cursor: 0-based row of the new text, byte offset in the new editable region."""

    row: int
    editable_region_offset: int | None = None


@dataclass(frozen=True, slots=True)
class RecentEdits:
    """What the programmer did before, for the reversal ratio; events oldest first, the start row 0-based."""

    events: Sequence[EditEvent]
    cursor_path: str
    excerpt_start_row: int | None = None


def prepare_expected_patches(
    patches_and_cursors: Sequence[tuple[str, int | None]], original_text: str, old_editable_region: str | None = None
) -> list[ExpectedPatch]:
    """Apply each expected patch, and place its cursor.

    A cursor offset is counted in the patch's hunks, as by `unified_diff.extract_cursor`. With the old text of the
    editable region it is moved to where the first hunk applies there; None if the patch does not. Raises
    PatchError (a ValueError) when a patch does not apply to ``original_text``.
    """
    return [
        ExpectedPatch(patch, apply_patch(patch, original_text)[0], _placed(patch, cursor, old_editable_region))
        for patch, cursor in patches_and_cursors
    ]


def score_prediction(
    original_text: str,
    expected_patches: Sequence[ExpectedPatch],
    actual_patch: str | None,
    *,
    actual_cursor: PredictedCursor | None = None,
    recent_edits: RecentEdits | None = None,
    context: Sequence[ContextExcerpt] | None = None,
    cumulative_logprob: float | None = None,
    avg_logprob: float | None = None,
) -> PredictionScore:
    """Score ``actual_patch`` (None: no prediction) against the best fitting of the expected ones.

    Best is the highest delta chrF, then exact lines F1, then jump location F1, and among equals the last. Without
    expected patches the wanted edit is none. A patch that does not apply counts as no change. With ``context``
    both patches are applied to its excerpts by path and all excerpts touched are compared as one text; without
    it they are applied to ``original_text``, whatever path they name.
    """
    moment = _Moment(original_text, actual_patch or "", recent_edits, context)
    best = _last_best(
        [_Candidate(expected, moment) for expected in expected_patches or [ExpectedPatch("", original_text)]]
    )
    tokens = token_changes(moment.patch)
    expected_cursor = best.expected.cursor_offset
    return replace(
        best.score(),
        cursor_distance=_cursor_distance(expected_cursor, actual_cursor),
        cursor_exact_match=_is_cursor_exact(expected_cursor, actual_cursor),
        wrong_editable_region=None if actual_patch is None else is_wrong_editable_region(actual_patch),
        has_isolated_whitespace_changes=has_isolated_whitespace(
            moment.patch, None if actual_cursor is None else actual_cursor.row
        ),
        inserted_tokens=tokens.inserted,
        deleted_tokens=tokens.deleted,
        cumulative_logprob=cumulative_logprob,
        avg_logprob=avg_logprob,
        editable_context_coverage=_best_coverage(expected_patches, context),
    )


class _Moment:
    """What stays the same for all expected patches."""

    def __init__(
        self, text: str, patch: str, recent_edits: RecentEdits | None, context: Sequence[ContextExcerpt] | None
    ) -> None:
        self.text = text
        self.patch = patch
        self.context = context
        self._recent_edits = recent_edits

    @cached_property
    def predicted_text(self) -> str:
        """``text`` after the prediction."""
        try:
            return apply_patch(self.patch, self.text)[0]
        except PatchError:
            return self.text

    @property
    def cursor_path(self) -> str | None:
        """The file the excerpt is of."""
        return None if self._recent_edits is None else self._recent_edits.cursor_path

    def reversal_ratio(self, predicted: str | None) -> float:
        """Of a prediction that turned ``text`` into ``predicted``; 0 where either side is unknown."""
        edits = self._recent_edits
        if edits is None or predicted is None:
            return 0.0
        return reversal_ratio(self.text, edits.events, predicted, edits.cursor_path, edits.excerpt_start_row)


class _Candidate:
    """The prediction compared with one expected patch."""

    def __init__(self, expected: ExpectedPatch, moment: _Moment) -> None:
        self.expected = expected
        self._moment = moment
        self._texts = _texts(expected, moment)
        self._chr_f = _delta_chr_f(self._texts)
        self._lines = exact_lines(expected.patch, moment.patch)
        self._location = patch_location_match(expected.patch, moment.patch)
        self.rank = (self._chr_f.score, self._lines.f1, self._location.lines_f1)

    def score(self) -> PredictionScore:
        """What depends on the expected patch."""
        score = PredictionScore(
            delta_chr_f=single_precision(self._chr_f.score),
            delta_chr_f_true_positives=self._chr_f.counts.tp,
            delta_chr_f_false_positives=self._chr_f.counts.fp,
            delta_chr_f_false_negatives=self._chr_f.counts.fn,
            delta_chr_f_precision=self._chr_f.precision,
            delta_chr_f_recall=self._chr_f.recall,
            delta_chr_f_beta=self._chr_f.beta,
            exact_lines_tp=self._lines.tp,
            exact_lines_fp=self._lines.fp,
            exact_lines_fn=self._lines.fn,
            jump_location=self._location,
        )
        if self._texts is None:
            return score
        kept = kept_rate(self._texts.original, self._texts.actual, self._texts.expected)
        return replace(
            score,
            braces_disbalance=self._texts.added_disbalance,
            reversal_ratio=self._moment.reversal_ratio(self._texts.predicted_cursor_text),
            kept_rate=kept.kept_rate,
            recall_rate=kept.recall_rate,
            kept_chars=kept.kept,
            correctly_deleted_chars=kept.correctly_deleted,
            discarded_chars=kept.discarded,
        )


def _texts(expected: ExpectedPatch, moment: _Moment) -> ComparedTexts | None:
    """The texts to compare; None where there is context and neither patch fits any of it."""
    if moment.context is not None:
        texts = compared_texts(expected.patch, moment.patch, moment.context, moment.cursor_path)
        if texts is not None or not (is_blank(expected.patch) and is_blank(moment.patch)):
            return texts
    actual = moment.predicted_text
    added = braces_disbalance(actual) - braces_disbalance(moment.text)
    return ComparedTexts(moment.text, expected.text, actual, max(0, added), predicted_cursor_text=actual)


def _delta_chr_f(texts: ComparedTexts | None) -> DeltaChrF:
    if texts is None:
        return DeltaChrF(0.0, 0.0, 0.0, MatchCounts())
    return delta_chr_f(texts.original, texts.expected, texts.actual)


def _last_best(candidates: Sequence[_Candidate]) -> _Candidate:
    return max(reversed(candidates), key=lambda candidate: candidate.rank)


def _best_coverage(
    expected_patches: Sequence[ExpectedPatch], context: Sequence[ContextExcerpt] | None
) -> LocationMatch | None:
    if context is None:
        return None
    coverages = [editable_context_coverage(expected.patch, context) for expected in expected_patches]
    return max(reversed(coverages), key=lambda coverage: (coverage.lines_f1, coverage.files_f1), default=None)


def _placed(patch: str, cursor_offset: int | None, old_editable_region: str | None) -> int | None:
    if cursor_offset is None or old_editable_region is None:
        return cursor_offset
    try:
        return cursor_offset + (apply_patch(patch, old_editable_region)[1] or 0)
    except PatchError:
        return None


def _cursor_distance(expected_offset: int | None, actual: PredictedCursor | None) -> int | None:
    if expected_offset is None or actual is None:
        return None
    return abs(expected_offset - (actual.editable_region_offset or 0))


def _is_cursor_exact(expected_offset: int | None, actual: PredictedCursor | None) -> bool | None:
    """None where no cursor was expected or predicted; wrong where only one of the two was."""
    if expected_offset is None and actual is None:
        return None
    return _cursor_distance(expected_offset, actual) == 0
