"""``targets``: chosen predictions become what should come next, and what that makes stale goes.

As Zed's ``ep distill``, and stricter: what holds a mark or a sentinel, cannot be read or has failed never becomes a
target. No edit is a target like any other: ``expected_patches`` is then ``[""]``, while ``[]`` says that nobody knows.
Knows nothing of teachers or files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from capture.editing.unified_diff import (
    CURSOR_MARKER,
    FileEnd,
    PatchError,
    apply_patch,
    encode_cursor,
    extract_cursor,
    parse_patch,
    split_lines,
)
from daemon.prompts.sections import contains_special_tokens
from training_export.example import Example
from training_export.example_format.records import ExamplePrediction
from training_export.stage import OURS, Concurrency, Findings, Work
from training_export.stages.repair import PROVIDER as REPAIR
from training_export.stages.repair import REPAIRED
from training_export.teachers.prompt import FORBIDDEN

NO_TARGET: Final = "no target"


class NotATarget(ValueError):
    """A prediction that no model should learn; the message says why."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Which predictions are chosen.

    A repair stands in for what it repairs: for all the others, unless it names one. ``provider`` takes those of one
    provider as they are instead. ``best`` takes so many by score, 0 all. ``drops_no_edits`` leaves out those that
    change nothing. ``keeps_predictions`` leaves predictions and verdicts in the example; scores are stale and go.
    """

    provider: str = ""
    best: int = 0
    drops_no_edits: bool = False
    keeps_predictions: bool = False

    name: ClassVar[str] = "targets"
    version: ClassVar[int] = 1
    # What is set only where there is a target is read, too.
    reads: ClassVar[tuple[str, ...]] = (
        *("predictions", "score", "qa", "prompt", "expected_patches"),
        *("prompt_inputs", "cursor_position"),
    )
    writes: ClassVar[tuple[str, ...]] = ("expected_patches", "prompt", "predictions", "score", "qa")
    concurrency: ClassVar[Concurrency] = Concurrency.PROCESSES

    def settings(self) -> Mapping[str, Any]:
        """See `Stage`."""
        return {
            "provider": self.provider,
            "best": self.best,
            "drops_no_edits": self.drops_no_edits,
            "keeps_predictions": self.keeps_predictions,
        }

    def opened(self) -> AbstractContextManager[Work]:
        """Nothing to open."""
        return nullcontext(self.findings)

    def findings(self, example: Example) -> Findings:
        """The targets. Where there are predictions and none will do, ``expected_patches`` is emptied.

        An example without predictions keeps what it has: it was written by hand, or has its targets.
        """
        if not example.predictions:
            if example.expected_patches:
                return Findings(tallies={"targets kept": 1})
            return Findings(failure="there are no predictions to choose from; ask for some with `foretype distill`")
        if self.best and len(example.score) != len(example.predictions):
            return _none("--best needs a score for every prediction; run `foretype score` first")
        counts: Counter[str] = Counter()
        targets: list[str] = []
        refused = ""
        for prediction in self._chosen(example):
            try:
                targets.append(target_of(example, prediction))
            except NotATarget as error:
                refused = refused or f"{prediction.provider}: {error}"
                counts["predictions refused"] += 1
        targets = [target for target in dict.fromkeys(targets) if target or not self.drops_no_edits]
        targets = targets[: self.best] if self.best else targets
        if not targets:
            return _none(refused or self._why_nothing_was_chosen(example), counts)
        counts += Counter(
            {"examples with targets": 1, "targets": len(targets), "targets of no edit": targets.count("")}
        )
        return Findings(fields=_cleared(targets, keeps=self.keeps_predictions), tallies=counts)

    def _why_nothing_was_chosen(self, example: Example) -> str:
        if self._chosen(example):
            return "all that were chosen are no edit"
        return f"none is of provider {self.provider!r}"

    def _chosen(self, example: Example) -> list[ExamplePrediction]:
        """The predictions to choose from; by score where the best are wanted."""
        predictions = list(enumerate(example.predictions))
        if self.provider:
            chosen = [(index, one) for index, one in predictions if one.provider == self.provider]
        else:
            chosen = _repaired(example, predictions)
        scores = example.score
        if self.best and len(scores) == len(predictions):
            chosen.sort(key=lambda numbered: -scores[numbered[0]].delta_chr_f)
        return [prediction for _, prediction in chosen]


def target_of(example: Example, prediction: ExamplePrediction) -> str:
    """The prediction as a target: a patch with the cursor in it, empty for no edit.

    Every target passes here. Raises NotATarget for what was not read, is no patch, or holds a mark, a control token
    or a sentinel anywhere but for one cursor in an added line.
    """
    if prediction.error is not None:
        raise NotATarget(f"it failed ({prediction.error})")
    if prediction.actual_patch is None:
        raise NotATarget("it was never read into a patch")
    patch = prediction.actual_patch
    if not [event for event in parse_patch(patch) if not isinstance(event, FileEnd)]:
        if any(line.strip() and not line.startswith(("--- ", "+++ ")) for line in split_lines(patch)):
            raise NotATarget("its patch is no unified diff")
        return ""
    target = _with_cursor(example, prediction)
    without_cursor = extract_cursor(target)[0]
    contents = "\n".join(line[1:] for line in split_lines(without_cursor))
    for token in FORBIDDEN:
        if contains_special_tokens(without_cursor, (token,)) or contains_special_tokens(contents, (token,)):
            raise NotATarget(f"its patch holds {token.rstrip()!r}, which belongs to prompts and not to code")
    if target.count(CURSOR_MARKER) > 1:
        raise NotATarget("its patch marks the cursor more than once")
    return target


def _with_cursor(example: Example, prediction: ExamplePrediction) -> str:
    """The patch with the predicted cursor in it, if that stands in a line the first hunk adds."""
    patch = prediction.actual_patch or ""
    if CURSOR_MARKER in patch or prediction.actual_cursor is None or patch.count("\n@@") != 1:
        return patch
    try:
        _, hunk_offset = apply_patch(patch, example.original_text, trust_rows=True)
    except PatchError:
        return patch
    return encode_cursor(patch, prediction.actual_cursor.offset - (hunk_offset or 0))


def _repaired(
    example: Example, predictions: list[tuple[int, ExamplePrediction]]
) -> list[tuple[int, ExamplePrediction]]:
    """The repairs, and the predictions for which none stands in."""
    repairs = [(index, one) for index, one in predictions if one.provider == REPAIR]
    if not repairs:
        return predictions
    named = [(example.value["predictions"][index].get(OURS) or {}).get(REPAIRED) for index, _ in repairs]
    if None in named:
        return repairs
    return [(index, one) for index, one in predictions if index not in named]


def _none(reason: str, counts: Mapping[str, float] | None = None) -> Findings:
    failure = f"no prediction can be a target: {reason}"
    return Findings(fields=_cleared([]), failure=failure, tallies={**(counts or {}), NO_TARGET: 1})


def _cleared(targets: list[str], *, keeps: bool = False) -> dict[str, Any]:
    """The fields to set. Without targets the predictions stay: they are what shows why."""
    fields: dict[str, Any] = {"expected_patches": targets, "prompt": None, "score": None}
    return fields if keeps or not targets else {**fields, "predictions": None, "qa": None}
