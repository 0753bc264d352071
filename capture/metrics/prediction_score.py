"""The score of one prediction, under the keys of Zed's ``PredictionScore``, so that files move between the tools.

Keys and their order are those of `edit_prediction_metrics` (prediction_score.rs at zed 09adbb01). Knows nothing of
how a score comes about.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from capture.metrics.characters import shortest_single
from capture.metrics.chr_f import BETA
from capture.metrics.counts import MatchCounts
from capture.metrics.location import LocationMatch

_SINGLE_PRECISION_KEYS = ("delta_chr_f", "reversal_ratio")
_LOCATION_KEYS = ("editable_context_coverage", "jump_location")
_NULLABLE_KEYS = ("wrong_editable_region",)  # written as null, not left out


@dataclass(frozen=True, slots=True)
class PredictionScore:
    """The metrics of one prediction; the modules of this package say what each means.

    `delta_chr_f` is 0 to 100, rates and ratios are 0 to 1, "chars" are UTF-8 bytes, `cursor_distance` is bytes. None
    is what could not be said: no cursor, no patch, or nothing to compare with.
    """

    delta_chr_f: float = 0.0
    delta_chr_f_true_positives: int = 0
    delta_chr_f_false_positives: int = 0
    delta_chr_f_false_negatives: int = 0
    delta_chr_f_precision: float = 0.0
    delta_chr_f_recall: float = 0.0
    delta_chr_f_beta: float = BETA
    braces_disbalance: int = 0
    exact_lines_tp: int = 0
    exact_lines_fp: int = 0
    exact_lines_fn: int = 0
    reversal_ratio: float = 0.0
    cursor_distance: int | None = None
    cursor_exact_match: bool | None = None
    wrong_editable_region: bool | None = None
    has_isolated_whitespace_changes: bool = False
    inserted_tokens: int = 0
    deleted_tokens: int = 0
    kept_rate: float | None = None
    recall_rate: float | None = None
    kept_chars: int | None = None
    correctly_deleted_chars: int | None = None
    discarded_chars: int | None = None
    cumulative_logprob: float | None = None
    avg_logprob: float | None = None
    editable_context_coverage: LocationMatch | None = None
    jump_location: LocationMatch | None = None

    @property
    def delta_chr_f_counts(self) -> MatchCounts:
        """N-grams of the two edits that agree or not."""
        return MatchCounts(
            self.delta_chr_f_true_positives, self.delta_chr_f_false_positives, self.delta_chr_f_false_negatives
        )

    @property
    def exact_lines(self) -> MatchCounts:
        """Changed lines of the two patches that agree or not."""
        return MatchCounts(self.exact_lines_tp, self.exact_lines_fp, self.exact_lines_fn)

    def to_json(self) -> dict[str, Any]:
        """Zed's keys in Zed's order; what is None is left out, except `wrong_editable_region`."""
        value: dict[str, Any] = {}
        for key in (field.name for field in fields(self)):
            part = getattr(self, key)
            if isinstance(part, LocationMatch):
                value[key] = part.to_json()
            elif part is not None or key in _NULLABLE_KEYS:
                value[key] = shortest_single(part) if key in _SINGLE_PRECISION_KEYS else part
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> PredictionScore:
        """Read Zed's form, older ones included: a missing key means the default. Unknown keys are ignored."""
        known = {field.name: value[field.name] for field in fields(cls) if value.get(field.name) is not None}
        for key in _LOCATION_KEYS:
            if key in known:
                known[key] = LocationMatch.from_json(known[key])
        return cls(**known)
