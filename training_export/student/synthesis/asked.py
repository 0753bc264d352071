"""What is asked of a model at a moment: the patch of the excerpt, its part in one region, and what the plain rule says.

The plain rule applies the last substitution everywhere in the region (``capture/editing/substitution.py``). Whether it
is right is told for the region of `line_edits` with the estimate of three bytes a token: so no tokenizer is needed.
Knows nothing of how moments are made.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import orjson

from capture.editing.histogram import Change, changes
from capture.editing.substitution import last_substitution, substitute
from capture.editing.unified_diff import PatchError, with_file_headers, write_hunks
from capture.inputs import PredictionInputs, Span
from daemon.prompts.base import NewRegion, Refusal
from daemon.prompts.line_region import locate_region
from daemon.prompts.sections import estimate_tokens
from training_export.example import Example
from training_export.example_format.cursor_position import CursorUnreadable, write_inline
from training_export.exporting.repository_diffs import edit_history
from training_export.patches import NotSayable, patched_excerpt
from training_export.student.synthesis.moment import Moment

SYNTHETIC = "synthetic"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked in a region (bytes of the excerpt): its new text, and what the plain rule would make of it."""

    region: Span
    old: str
    new: str
    by_rule: str

    @property
    def changes(self) -> bool:
        """Whether anything changes in the region."""
        return self.new != self.old

    @property
    def rule_is_right(self) -> bool:
        """Whether the plain rule says exactly what is asked; where nothing changes, whether it says nothing."""
        return self.by_rule == self.new


def expected_excerpt(moment: Moment, inputs: PredictionInputs) -> str:
    """The excerpt once what comes next is done, as far as it lies in it. Raises NotSayable at the excerpt's edge."""
    if inputs.cursor_excerpt == moment.current:
        return moment.expected
    first = inputs.excerpt_start_row or 0
    rows = Span(first, first + inputs.cursor_excerpt.count("\n") + 1)
    found = _clipped(moment.current.split("\n"), moment.expected.split("\n"), rows)
    if found is None:
        raise NotSayable("what comes next begins in the excerpt and ends outside of it")
    return "\n".join(found)


def asked_of_region(inputs: PredictionInputs, region: Span, patch: str) -> NewRegion | None:
    """What of a patch of the excerpt is asked in ``region`` (bytes of the excerpt, whole lines).

    None where a change begins in the region and ends outside of it, or where the patch does not apply: then nothing can
    be asked there.
    """
    try:
        return _asked(inputs, region, patched_excerpt(inputs, patch))
    except PatchError:
        return None


def asked_by_rule(inputs: PredictionInputs, region: Span) -> str:
    """What the plain rule makes of the region's text; the text itself where nothing was replaced lately."""
    old = inputs.excerpt_bytes[region.start : region.end].decode()
    substitution = last_substitution(inputs.events)
    if substitution is None:
        return old
    return "\n".join(substitute(line, substitution.removed, substitution.added) for line in old.split("\n"))


def asked_at(inputs: PredictionInputs, expected: str) -> Asked | None:
    """What is asked in the region of `line_edits`; ``expected`` is the whole new excerpt.

    None where the format refuses the moment, or a change begins in the region and ends outside of it.
    """
    located = locate_region(inputs, estimate_tokens)
    if isinstance(located, Refusal):
        return None
    _, region = located
    new = _asked(inputs, region, expected)
    if new is None:
        return None
    old = inputs.excerpt_bytes[region.start : region.end].decode()
    return Asked(region, old, new.text, asked_by_rule(inputs, region))


def patch_of(moment: Moment, inputs: PredictionInputs, expected: str) -> str:
    """The patch of the excerpt, empty where nothing changes. Raises NotSayable where it would come to another edit."""
    if expected == inputs.cursor_excerpt:
        return ""
    patch = with_file_headers(write_hunks(inputs.cursor_excerpt, expected), moment.path)
    try:
        if patched_excerpt(inputs, patch) == expected:
            return patch
    except PatchError:
        pass
    raise NotSayable("no patch says what comes next: a line of it reads as a file header, or it is the last newline")


def example_of(moment: Moment, inputs: PredictionInputs, seed: int, asked: Asked | None = None) -> Example:
    """The moment as a line of the pipeline's format; ``asked`` where it is known already. Raises NotSayable."""
    expected = expected_excerpt(moment, inputs)
    patch = patch_of(moment, inputs, expected)
    if asked is None:
        asked = asked_at(inputs, expected)
    if asked is None:
        raise NotSayable("nothing can be asked in the region around the cursor")
    try:
        cursor_position = write_inline(inputs.cursor_excerpt, inputs.cursor_offset_in_excerpt)
    except CursorUnreadable as error:  # the code itself holds the mark of a cursor
        raise NotSayable(str(error)) from error
    shown = inputs.to_json()
    return Example.new(
        name=f"{moment.task}-{fingerprint(inputs, expected)}",
        tags=[SYNTHETIC, moment.task.value, moment.language],
        recently_opened_files=[{"path": path} for path in _recent(moment)],
        cursor_path=moment.path,
        cursor_position=cursor_position,
        edit_history=edit_history(inputs.events, ""),
        expected_patches=[patch],
        prompt_inputs=shown,
        foretype={
            "synthesis": {
                "task": moment.task.value,
                "kind": moment.kind,
                "language": moment.language,
                "project": moment.project,
                "path": moment.path,
                "seed": seed,
                "is_quiet": moment.is_quiet,
                "rule_is_right": asked.rule_is_right,
            }
        },
    )


def fingerprint(inputs: PredictionInputs, expected: str) -> str:
    """Equal for moments that show and expect the same, 24 hexadecimal digits."""
    shown = orjson.dumps([inputs.to_json(), expected])
    return hashlib.blake2b(shown, digest_size=12).hexdigest()


def _asked(inputs: PredictionInputs, region: Span, expected: str) -> NewRegion | None:
    old, new = inputs.excerpt_bytes, expected.encode()
    end = len(new) - (len(old) - region.end)
    if end >= region.start and new[: region.start] == old[: region.start] and new[end:] == old[region.end :]:
        return NewRegion(new[region.start : end].decode())
    rows = Span(old.count(b"\n", 0, region.start), old.count(b"\n", 0, region.end) + 1)
    found = _clipped(inputs.cursor_excerpt.split("\n"), expected.split("\n"), rows)
    return None if found is None else NewRegion("\n".join(found))


def _clipped(old: list[str], new: list[str], rows: Span) -> list[str] | None:
    """The old lines of ``rows`` with the changes that lie within them; None where one reaches over their edge."""
    lines: list[str] = []
    at = rows.start
    for change in changes(old, new):
        if not _touches(change, rows):
            continue
        part = _within(change, rows)
        if part is None:
            return None
        lines += [*old[at : part.old_start], *new[part.new_start : part.new_end]]
        at = part.old_end
    return lines + old[at : rows.end]


def _touches(change: Change, rows: Span) -> bool:
    """Whether it changes any of the rows, or puts lines between them or behind the last."""
    if change.old_start == change.old_end:  # above the first they belong to the row before, unless there is none
        first = rows.start + 1 if rows.start else 0
        return first <= change.old_start <= rows.end
    return change.old_start < rows.end and change.old_end > rows.start


def _within(change: Change, rows: Span) -> Change | None:
    """The part of a change within the rows; None where more or fewer lines came than went and it reaches further."""
    if rows.start <= change.old_start and change.old_end <= rows.end:
        return change
    if change.old_end - change.old_start != change.new_end - change.new_start:
        return None
    start, end = max(change.old_start, rows.start), min(change.old_end, rows.end)
    shift = change.new_start - change.old_start
    return Change(start, end, start + shift, end + shift)


def _recent(moment: Moment) -> list[str]:
    """The files that are open, the one worked in last first."""
    worked_in = (step.path for step in reversed(moment.steps))
    return list(dict.fromkeys([moment.path, *worked_in, *moment.texts]))
