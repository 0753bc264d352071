"""``score``: how good every prediction of an example is, under the keys of Zed's ``PredictionScore``.

An example becomes the arguments of `score_prediction` as in Zed's `score.rs` (at 09adbb01), with three differences,
each where Zed's way compares things that are not alike: cursor markers are taken out of predicted patches (expected
ones lose theirs there too), patches whose rows are counted from the excerpt's start are counted from the file's, as
context is, and without a start row the excerpt is compared alone. Knows nothing of files or reports.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from capture.editing.unified_diff import CURSOR_MARKER, Hunk, PatchError, apply_patch, extract_cursor, parse_patch
from capture.inputs import PredictionInputs, RelatedExcerpt, Span
from capture.metrics.location import ContextExcerpt
from capture.metrics.score import (
    ExpectedPatch,
    PredictedCursor,
    RecentEdits,
    prepare_expected_patches,
    score_prediction,
)
from daemon.prompts.zed.hashed_markers import related_file_patch_path
from training_export.example import Example
from training_export.example_format.records import ExamplePrediction
from training_export.stage import Concurrency, Findings, Work, ours

RELATED_BYTES: Final = 12_000  # what Zed's `eval` looks at: 4000 tokens of 3 bytes
_HUNK_HEADER: Final = re.compile(r"^@@ -(\d{1,10})((?:,\d+)?) \+(\d{1,10})(?!\d)", re.MULTILINE)
_TEACHERS: Final = ("teacher:", "teacher-non-batching:")  # Zed's teachers whose prompt marks the editable region
_REGION_START, _REGION_END = "<|editable_region_start|>\n", "\n<|editable_region_end|>"


class NotScorable(ValueError):
    """The example lacks what scores are made of; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class ScoreStage:
    """``related_bytes`` is how much of the related files is compared; what matters most comes first."""

    related_bytes: int = RELATED_BYTES

    name: ClassVar[str] = "score"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = (
        "cursor_path",
        "expected_patches",
        "prompt_inputs",
        "prompt.input",
        "prompt.provider",
        "predictions",
        "foretype.region",
    )
    writes: ClassVar[tuple[str, ...]] = ("score",)
    concurrency: ClassVar[Concurrency] = Concurrency.PROCESSES

    def settings(self) -> Mapping[str, Any]:
        """The bytes of related files."""
        return {"related_bytes": self.related_bytes}

    def opened(self) -> AbstractContextManager[Work]:
        """Nothing to open."""
        return nullcontext(self.findings)

    def findings(self, example: Example) -> Findings:
        """A score for every prediction, or the reason why there is none; an old score goes then."""
        try:
            moment = ScoredMoment(example, self.related_bytes)
        except NotScorable as error:
            return Findings(fields={"score": None}, failure=str(error))
        scores = [moment.score(prediction) for prediction in example.predictions]
        return Findings(fields={"score": scores}, tallies=moment.tallies)


class ScoredMoment:
    """What the predictions of one example are compared with."""

    def __init__(self, example: Example, related_bytes: int) -> None:
        """Raises NotScorable."""
        if example.prompt_inputs is None:
            raise NotScorable("there are no prompt_inputs, so no text that a patch could be applied to")
        if not example.predictions:
            raise NotScorable("there are no predictions to score; ask for some with `foretype distill`")
        self._inputs = example.prompt_inputs
        self._region = _region(example, self._inputs)
        self._expected = list(
            self._prepared(example.expected_patches, _old_region(example, self._inputs, self._region))
        )
        self._edits = RecentEdits(self._inputs.events, example.cursor_path, self._inputs.excerpt_start_row)
        self._context = None if self._inputs.excerpt_start_row is None else _context(self._inputs, related_bytes)
        self.tallies: Counter[str] = Counter()
        if not example.expected_patches:
            self.tallies["examples without an expected patch"] = 1

    def score(self, prediction: ExamplePrediction) -> dict[str, Any]:
        """The score of one prediction, as JSON; without a patch it is that of no edit."""
        self.tallies["predictions scored"] += 1
        if prediction.actual_patch is None:
            self.tallies["predictions that could not be read"] += 1
            return self._scored(prediction, None, None)
        patch, cursor_in_hunks = extract_cursor(prediction.actual_patch)
        try:
            text, offset = apply_patch(patch, self._inputs.cursor_excerpt)
        except PatchError:
            self.tallies["predictions that do not apply"] += 1
            return self._scored(prediction, patch, _given_cursor(prediction))
        cursor = _given_cursor(prediction)
        if cursor is None and cursor_in_hunks is not None:
            cursor = self._marked_cursor(text, cursor_in_hunks, offset or 0)
        patch, shifted_rows = self._in_file_rows(patch, offset)
        if cursor is not None:
            cursor = replace(cursor, row=cursor.row + shifted_rows)
        return self._scored(prediction, patch, cursor)

    def _scored(
        self, prediction: ExamplePrediction, patch: str | None, cursor: PredictedCursor | None
    ) -> dict[str, Any]:
        return score_prediction(
            self._inputs.cursor_excerpt,
            self._expected,
            patch,
            actual_cursor=cursor,
            recent_edits=self._edits,
            context=self._context,
            cumulative_logprob=prediction.cumulative_logprob,
            avg_logprob=prediction.avg_logprob,
        ).to_json()

    def _prepared(self, patches: tuple[str, ...], old_region: str | None) -> Iterator[ExpectedPatch]:
        text = self._inputs.cursor_excerpt
        for index, written in enumerate(patches):
            patch, cursor = extract_cursor(written)
            try:
                [prepared] = prepare_expected_patches([(patch, cursor)], text, old_region)
                offset = apply_patch(patch, text)[1]
            except PatchError as error:
                raise NotScorable(f"expected_patches[{index}] does not apply to the excerpt: {error}") from error
            yield replace(prepared, patch=self._in_file_rows(patch, offset)[0])

    def _marked_cursor(self, new_text: str, cursor_in_hunks: int, first_hunk_offset: int) -> PredictedCursor:
        """The cursor that the patch itself marks; both offsets are bytes."""
        in_excerpt = first_hunk_offset + cursor_in_hunks
        in_region = cursor_in_hunks if self._region is None else in_excerpt - self._region.start
        return PredictedCursor(new_text.encode()[:in_excerpt].count(b"\n"), max(0, in_region))

    def _in_file_rows(self, patch: str, first_hunk_offset: int | None) -> tuple[str, int]:
        """The patch with rows of the file where it has rows of the excerpt, and by how many it was moved."""
        start_row = self._inputs.excerpt_start_row or 0
        first = next((event for event in parse_patch(patch) if isinstance(event, Hunk)), None)
        if not start_row or first is None or first_hunk_offset is None:
            return patch, 0
        if self._inputs.excerpt_bytes[:first_hunk_offset].count(b"\n") != first.start_row:
            return patch, 0
        moved = _HUNK_HEADER.sub(lambda found: _moved_header(found, start_row), patch)
        return moved, start_row


def _moved_header(found: re.Match[str], rows: int) -> str:
    return f"@@ -{int(found[1]) + rows}{found[2]} +{int(found[3]) + rows}"


def _given_cursor(prediction: ExamplePrediction) -> PredictedCursor | None:
    cursor = prediction.actual_cursor
    return None if cursor is None else PredictedCursor(cursor.row, cursor.editable_region_offset)


def _region(example: Example, inputs: PredictionInputs) -> Span | None:
    """``foretype.region``; raises NotScorable where it is no part of the excerpt."""
    found = ours(example, "region")
    if found is None:
        return None
    try:
        region = Span.from_json(found)
        inputs.excerpt_bytes[region.start : region.end].decode()
        if 0 <= region.start <= region.end <= len(inputs.excerpt_bytes):
            return region
    except (KeyError, TypeError, UnicodeDecodeError):
        pass
    raise NotScorable("foretype.region is no part of the excerpt")


def _old_region(example: Example, inputs: PredictionInputs, region: Span | None) -> str | None:
    """The text in which cursors are counted: that of our region, or of the one a teacher of Zed's was shown."""
    if region is not None:
        return inputs.excerpt_bytes[region.start : region.end].decode()
    prompt = example.prompt
    if prompt is None or not prompt.provider.startswith(_TEACHERS):
        return None
    _, start, rest = prompt.input.rpartition(_REGION_START)
    shown, end, _ = rest.rpartition(_REGION_END)
    return shown.replace(CURSOR_MARKER, "") if start and end else None


def _context(inputs: PredictionInputs, related_bytes: int) -> list[ContextExcerpt]:
    """The excerpt around the cursor, then what of the related files is within the limit, paths as patches have them."""
    start_row = inputs.excerpt_start_row or 0
    text = inputs.cursor_excerpt
    row_count = text.count("\n") + (bool(text) and not text.endswith("\n"))
    context = [ContextExcerpt(inputs.cursor_path, Span(start_row, start_row + row_count), text)]
    chosen = chosen_excerpts(inputs, related_bytes)
    for file_index, file in enumerate(inputs.related_files or ()):
        path = related_file_patch_path(inputs.cursor_path, file.path)
        context += [
            ContextExcerpt(path, _rows_with_text(excerpt), excerpt.text)
            for excerpt_index, excerpt in enumerate(file.excerpts)
            if (file_index, excerpt_index) in chosen
        ]
    return context


def chosen_excerpts(inputs: PredictionInputs, related_bytes: int) -> set[tuple[int, int]]:
    """File and index of the related excerpts that fit, the lowest ``order`` first; rows shown already cost nothing."""
    candidates = sorted(
        (excerpt.order, file_index, excerpt_index)
        for file_index, file in enumerate(inputs.related_files or ())
        for excerpt_index, excerpt in enumerate(file.excerpts)
    )
    chosen: set[tuple[int, int]] = set()
    shown: dict[int, set[int]] = {}
    left = related_bytes
    for _, file_index, excerpt_index in candidates:
        excerpt = (inputs.related_files or ())[file_index].excerpts[excerpt_index]
        rows = shown.setdefault(file_index, set())
        sizes = _row_bytes(excerpt)
        cost = sum(size for row, size in sizes.items() if row not in rows)
        if 0 < cost <= left:
            left -= cost
            rows.update(sizes)
            chosen.add((file_index, excerpt_index))
    return chosen


def _rows_with_text(excerpt: RelatedExcerpt) -> Span:
    """Its rows, as far as there is text for them: whoever claims four billion rows would have them all counted."""
    rows = excerpt.row_range
    return Span(rows.start, max(rows.start, min(rows.end, rows.start + excerpt.text.count("\n") + 1)))


def _row_bytes(excerpt: RelatedExcerpt) -> dict[int, int]:
    """The size of each row that the excerpt has text for, its line end included."""
    *lines, last = excerpt.text.encode().split(b"\n")
    sizes = [len(line) + 1 for line in lines] + [len(last)] * bool(last)
    return dict(zip(range(excerpt.row_range.start, excerpt.row_range.end), sizes, strict=False))
