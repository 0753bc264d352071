"""One snapshot that is still open: a prediction that was returned, its region, and what became of it so far.

Knows nothing of other snapshots, of when it settles or of what is done with it then.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from capture.metrics.kept_rate import kept_rate
from capture.metrics.syntax_errors import syntax_errors
from capture.parsing import BETWEEN_KEYS_SECONDS
from capture.settling.followed_region import FollowedRegion
from capture.snapshot.parts import MAX_REGION_BYTES, PredictionRecord, Region, Repository, span_problem
from capture.snapshot.snapshot import Outcome, Snapshot, State

if TYPE_CHECKING:
    from capture.editing.document import Document
    from capture.inputs import EditEvent, PredictionInputs, Span

UNDECIDED = "nothing had become of it when the snapshot ended"


@dataclass(frozen=True, slots=True)
class Returned:
    """A prediction as it was returned, an empty one too, and all that was known then.

    ``prediction_id`` is what later signals name; it is empty where none can. ``region`` is in bytes of the excerpt.
    ``model`` is its name, never the path of its file; ``left_out`` counts parts that were taken out of the inputs.
    """

    prediction_id: str
    workspace_id: str
    language_id: str
    prompt_format: str
    model: str
    client_name: str
    inputs: PredictionInputs
    region: Span
    prediction: PredictionRecord
    left_out: int = 0

    def snapshot(self, created_at: float) -> Snapshot:
        """What would be stored if it ended at once. Raises ValueError, naming the member, where nothing may be."""
        problem = span_problem(self.region.start, self.region.end, self.inputs.excerpt_bytes)
        if problem:
            raise ValueError(f"region {problem}")
        if len(self.region) > MAX_REGION_BYTES:
            raise ValueError(f"region is longer than {MAX_REGION_BYTES} bytes")
        text = self.inputs.excerpt_bytes[self.region.start : self.region.end].decode()
        return Snapshot(
            id=uuid.uuid4().hex,
            state="unsettled",
            workspace_id=self.workspace_id,
            created_at=created_at,
            finalised_at=created_at,
            language_id=self.language_id,
            path=self.inputs.cursor_path,
            prompt_format=self.prompt_format,
            model=self.model,
            client_name=self.client_name,
            inputs=self.inputs,
            region=Region(self.region.start, self.region.end, text, text_unsettled=text),
            prediction=self.prediction,
            left_out=self.left_out,
        )


class OpenSnapshot:
    """Owned by `Settling`. Times are seconds of its clock; ``created_at`` is one since the epoch.

    ``last_edit_at`` is when its region was last edited, at first when it was opened. ``repository`` is set by whoever
    finds it out, at any time before the end; ``is_over`` then. ``waiting`` is a newer one about overlapping text, which
    takes its place if it is accepted; ``mark`` is the moment from which on later events are its own. Raises ValueError,
    naming the member, for what no snapshot may hold.
    """

    def __init__(
        self, returned: Returned, document: Document, where: Span, *, now_seconds: float, created_at: float
    ) -> None:
        self._begun = returned.snapshot(created_at)
        self.prediction_id = returned.prediction_id
        self.document = document
        self.region = FollowedRegion(where)
        self.opened_at = self.last_edit_at = now_seconds
        self.mark = 0
        self.repository: Repository | None = None
        self.waiting: OpenSnapshot | None = None
        self.is_over = False
        self._outcome: Outcome | None = None
        self._reason = ""
        self._shown_at: float | None = None
        self._decided_at: float | None = None

    @property
    def id(self) -> str:
        """The snapshot's, not the prediction's."""
        return self._begun.id

    @property
    def workspace_id(self) -> str:
        """Of the workspace that gave its consent."""
        return self._begun.workspace_id

    @property
    def touched_paths(self) -> tuple[str, ...]:
        """The file it is about and those of the edit events the model saw, each once."""
        inputs = self._begun.inputs
        return tuple(dict.fromkeys((inputs.cursor_path, *(event.path for event in inputs.events))))

    @property
    def was_accepted(self) -> bool:
        """In whole or in part."""
        return self._outcome in ("accepted", "partially_accepted")

    @property
    def gives_way(self) -> bool:
        """Whether a newer one about the same text is worth more: nothing was said of it and nothing changed since."""
        decided = self.was_accepted or self._outcome == "rejected"
        return not decided and self.region.text_in(self.document) == self._begun.region.text_before

    def shown(self, now_seconds: float) -> None:
        """The editor drew it; only the first time counts."""
        if self._shown_at is None and self._outcome is None:
            self._shown_at = now_seconds

    def decided(self, outcome: Outcome, reason: str, now_seconds: float) -> None:
        """What became of it; the first verdict counts, save that the rest may be accepted after a part.

        What was accepted or rejected was seen; what was ignored, or not shown, is told apart by whether it was.
        """
        if self._outcome is not None and (self._outcome, outcome) != ("partially_accepted", "accepted"):
            return
        if outcome in ("ignored", "not_shown"):
            outcome = "not_shown" if self._shown_at is None else "ignored"
        else:
            self.shown(now_seconds)
        self._outcome, self._reason, self._decided_at = outcome, reason, now_seconds

    def finalised(
        self, state: State, text: str, later_events: tuple[EditEvent, ...], *, now_seconds: float
    ) -> Snapshot:
        """What is stored of it, with ``text`` in its region."""
        begun = self._begun
        before, predicted = begun.region.text_before, begun.prediction.new_region_text
        settled, unsettled = (text, None) if state == "settled" else (None, text)
        outcome, reason = self._outcome, self._reason
        if outcome is None:
            outcome = "not_shown" if self._shown_at is None else "ignored"
            reason = begun.prediction.reason or UNDECIDED
        comparable = settled is not None and predicted is not None
        return replace(
            begun,
            state=state,
            # Not the time of day: that may have been set back meanwhile.
            finalised_at=begun.created_at + max(0.0, now_seconds - self.opened_at),
            region=replace(begun.region, text_settled=settled, text_unsettled=unsettled),
            outcome=outcome,
            outcome_reason=reason,
            shown_after_ms=self._after_ms(self._shown_at),
            decided_after_ms=self._after_ms(self._decided_at),
            kept_rate=kept_rate(before, predicted or "", text).kept_rate if comparable else None,
            later_events=later_events,
            repository=self.repository,
            syntax_errors=(
                None
                if predicted is None
                else syntax_errors(begun.language_id, before, predicted, limit_seconds=BETWEEN_KEYS_SECONDS)
            ),
        )

    def _after_ms(self, at_seconds: float | None) -> int | None:
        return None if at_seconds is None else max(0, round(1000 * (at_seconds - self.opened_at)))
