"""One snapshot as one example: the moment in Zed's words, what became of it in ours, and nothing that was not captured.

How the text settled is what the user wrote, not what a model should be taught: it goes to ``foretype.settled``. Only
for evaluation does it become the expected patch, with the model's own answer as the prediction to be scored. Knows
nothing of files, stores or which snapshots are wanted.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from capture.inputs import Span
from daemon.prompts.base import NewRegion, NoEditReason
from training_export.errors import ExampleRejected
from training_export.example import Example
from training_export.example_format.cursor_position import CursorUnreadable, write_inline
from training_export.example_format.records import ExamplePrediction, Rating
from training_export.exporting.repository_diffs import edit_history, holds_history, uncommitted_diff
from training_export.patches import NotSayable, patch_of_region
from training_export.stage import OURS

if TYPE_CHECKING:
    from capture.snapshot.snapshot import Snapshot

ID_CHARACTERS = 12  # of a name: enough for names of one file to differ
_RATINGS: dict[str, Rating] = {"good": "Positive", "bad": "Negative"}
# Why the model gave no new text although it answered: it meant that nothing should change.
_NO_EDITS = (NoEditReason.SAID_SO.value, NoEditReason.UNCHANGED.value)


def example_of(snapshot: Snapshot, *, for_eval: bool = False) -> Example:
    """The example; ``for_eval`` adds what is expected and what was predicted.

    Raises ExampleRejected where the snapshot cannot be said as an example.
    """
    inputs, repository = snapshot.inputs, snapshot.repository
    prefix = "" if repository is None else repository.prefix
    diffs = () if repository is None else repository.diffs
    try:
        cursor_position = write_inline(inputs.cursor_excerpt, inputs.cursor_offset_in_excerpt)
    except CursorUnreadable as error:
        raise ExampleRejected("inputs.cursor_excerpt", str(error)) from error
    return Example.new(
        name=f"{PurePosixPath(snapshot.path).stem}-{snapshot.id[:ID_CHARACTERS]}",
        repository_url=(repository.url if repository is not None else "") or inputs.repo_url or "",
        revision="" if repository is None else repository.revision,
        tags=_tags(snapshot),
        uncommitted_diff=uncommitted_diff(diffs, prefix),
        uncommitted_diff_contains_edit_history=holds_history(diffs, inputs.events),
        cursor_path=prefix + snapshot.path,
        cursor_position=cursor_position,
        edit_history=edit_history(inputs.events, prefix),
        expected_patches=_expected_patches(snapshot) if for_eval else [],
        rejected_patch=_rejected_patch(snapshot),
        rating=_RATINGS.get(snapshot.rating),
        prompt_inputs=inputs.to_json(),
        predictions=[_own_prediction(snapshot).to_json()] if for_eval else [],
        **{OURS: _ours(snapshot, prefix)},
    )


def is_for_evaluation(snapshot: Snapshot) -> bool:
    """Whether it is known what would have been right: the text settled, or a person called the answer good."""
    return snapshot.state == "settled" or _liked_answer(snapshot) is not None


def _tags(snapshot: Snapshot) -> list[str]:
    tags = [f"outcome:{snapshot.outcome}"]
    if snapshot.outcome == "rejected" and snapshot.outcome_reason:
        tags.append(f"rejection:{snapshot.outcome_reason}")
    if snapshot.rating:
        tags.append(f"rating:{snapshot.rating}")
    return tags


def _ours(snapshot: Snapshot, prefix: str) -> dict[str, Any]:
    region, errors = snapshot.region, snapshot.syntax_errors
    repository, prediction = snapshot.repository, snapshot.prediction
    found: dict[str, Any] = {
        "snapshot": {
            "id": snapshot.id,
            "schema_version": snapshot.schema_version,
            "state": snapshot.state,
            "workspace_id": snapshot.workspace_id,
            "created_at": snapshot.created_at,
            "finalised_at": snapshot.finalised_at,
            "language_id": snapshot.language_id,
            "path": snapshot.path,
            "client": snapshot.client_name,
            "model": snapshot.model,
            "prompt_format": snapshot.prompt_format,
            "confidence": prediction.confidence,
            "origin": prediction.origin,
            "reason": prediction.reason,
            "outcome": snapshot.outcome,
            "outcome_reason": snapshot.outcome_reason,
            "shown_after_ms": snapshot.shown_after_ms,
            "decided_after_ms": snapshot.decided_after_ms,
            "rating": snapshot.rating,
            "kept_rate": snapshot.kept_rate,
            "repository_prefix": prefix,
            "diffs_left_out": "" if repository is None else repository.diffs_left_out,
            "syntax_errors": None if errors is None else {"before": errors.before, "after": errors.after},
            "redactions": snapshot.redactions,
            "left_out": snapshot.left_out,
        },
        "region": {"start": region.start_bytes, "end": region.end_bytes},
        "settled": region.text_settled,
        "unsettled": region.text_unsettled,
        "predicted": prediction.new_region_text,
        "later_events": [event.to_json() for event in snapshot.later_events] or None,
    }
    return {member: value for member, value in found.items() if value is not None}


def _patch(snapshot: Snapshot, text: str) -> str:
    """The patch that makes the region's text ``text``, empty where it is that already; raises NotSayable."""
    where = Span(snapshot.region.start_bytes, snapshot.region.end_bytes)
    return patch_of_region(snapshot.inputs, where, NewRegion(text))


def _expected_patches(snapshot: Snapshot) -> list[str]:
    """An empty patch says that nothing should have changed."""
    wanted = [text for text in (snapshot.region.text_settled, _liked_answer(snapshot)) if text is not None]
    try:
        return [_patch(snapshot, text) for text in dict.fromkeys(wanted)]
    except NotSayable as error:
        raise ExampleRejected("region", str(error)) from error


def _liked_answer(snapshot: Snapshot) -> str | None:
    return snapshot.prediction.new_region_text if snapshot.rating == "good" else None


def _rejected_patch(snapshot: Snapshot) -> str | None:
    """The answer, where a person turned it down and did not come to the same text after all."""
    text = snapshot.prediction.new_region_text
    if text is None or text == snapshot.region.text_settled:
        return None
    if snapshot.rating != "bad" and (snapshot.outcome != "rejected" or snapshot.rating == "good"):
        return None
    try:
        return _patch(snapshot, text) or None
    except NotSayable:  # the answer is still in `foretype.predicted`
        return None


def _own_prediction(snapshot: Snapshot) -> ExamplePrediction:
    """What was answered then. Its confidence is no mean of log probabilities, so it is not given as one.

    What the rule wrote does not count as the model's.
    """
    author = "rule" if snapshot.prediction.origin == "rule" else snapshot.prompt_format
    provider, text = f"{author}:{snapshot.model}", snapshot.prediction.new_region_text
    if text is None:
        reason = snapshot.prediction.reason
        if reason in _NO_EDITS:
            return ExamplePrediction("", provider, actual_patch="")
        return ExamplePrediction("", provider, error=reason or "the model gave no answer")
    try:
        return ExamplePrediction(text, provider, actual_patch=_patch(snapshot, text))
    except NotSayable as error:
        return ExamplePrediction(text, provider, error=str(error))
