"""An edit history from a patch: what a session would have recorded had it watched those edits being made.

The patch leads to the file as it is now. It is taken back hunk by hunk, oldest text first, and then made
again in an ``EditingState``, so that a prediction on the command line sees exactly what it would see in an
editor. Edits of other files, whose text is not at hand, are taken from the patch as they stand. Knows nothing
of models.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from capture.editing.positions import ContentChange
from capture.editing.state import EditingState
from capture.editing.unified_diff import (
    FileEnd,
    Hunk,
    PatchError,
    apply_patch,
    parse_patch,
    with_file_headers,
    write_hunks,
)
from capture.inputs import EditEvent
from daemon.errors import BadArgument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capture.editing.positions import Position
    from capture.inputs import PredictionInputs

SECONDS_BETWEEN_EDITS = 60  # hunks of a patch are edits of their own: nothing says that they belong together


@dataclass(frozen=True, slots=True)
class Step:
    """One hunk: the rows it found and the rows it left, and where they begin (0-based, in the new text)."""

    path: str
    old: str
    new: str
    new_start_row: int


class Replay:
    """A file with a past."""

    def __init__(self, uri: str, path: str, text: str, patch: str, language_id: str) -> None:
        """Raises BadArgument when the patch does not lead to ``text``."""
        steps = list(_steps(patch if "--- " in patch else with_file_headers(patch, path)))
        ours = [step for step in steps if _is_same_file(step.path, path)]
        if patch.strip() and not steps:
            raise BadArgument("the history holds no hunk; it must be a unified diff")
        if steps and not ours and len({step.path for step in steps}) == 1:
            raise BadArgument(f"the history is about {steps[0].path}, not about {path}")
        self._uri = uri
        clock = count(step=SECONDS_BETWEEN_EDITS)
        self._editing = EditingState(lambda: float(next(clock)))
        self._others = tuple(_event(step) for step in steps if step not in ours)
        texts = _texts_before(text, ours)
        self.document = self._editing.open(uri, texts[0], path=path, version=0, language_id=language_id)
        for version, later in enumerate(texts[1:], start=1):
            self._editing.change(uri, version, [ContentChange(None, later)])

    def inputs(self, position: Position) -> PredictionInputs:
        """What a model may see with the cursor at ``position``; other files' edits are the older ones."""
        inputs = self._editing.inputs(self._uri, position)
        return replace(inputs, events=(*self._others, *inputs.events))


def _steps(patch: str) -> Iterator[Step]:
    row_delta = 0
    for event in parse_patch(patch):
        if isinstance(event, FileEnd):
            row_delta = 0
            continue
        new = _new_text(event)
        yield Step(event.path, event.context, new, (event.start_row or 0) + row_delta)
        row_delta += new.count("\n") - event.context.count("\n")


def _new_text(hunk: Hunk) -> str:
    text = hunk.context.encode()
    for edit in reversed(hunk.edits):
        text = text[: edit.range.start] + edit.text.encode() + text[edit.range.end :]
    return text.decode()


def _texts_before(text: str, steps: list[Step]) -> list[str]:
    """The file before the first step, after each of them, and as it is now; with its own line ends."""
    windows = "\r\n" in text
    texts = [text.replace("\r\n", "\n") if windows else text]
    for number, step in reversed(list(enumerate(steps, start=1))):
        backwards = write_hunks(step.new, step.old, old_start_row=step.new_start_row, new_start_row=step.new_start_row)
        try:
            before, _ = apply_patch(with_file_headers(backwards, step.path), texts[0], trust_rows=True)
        except PatchError as error:
            raise BadArgument(
                f"the history does not lead to the file: the lines that its edit {number} leaves are not"
                " in it (the file must hold the text after the history)"
            ) from error
        texts.insert(0, before)
    return [earlier.replace("\n", "\r\n") for earlier in texts[:-1]] + [text] if windows else texts


def _event(step: Step) -> EditEvent:
    start = step.new_start_row
    hunks = write_hunks(step.old, step.new, old_start_row=start, new_start_row=start)
    return EditEvent(step.path, step.path, hunks)


def _is_same_file(named: str, path: str) -> bool:
    """Patches name files from the root of a repository; that is the end of a longer path."""
    ours, theirs = PurePosixPath(path).parts, PurePosixPath(named).parts
    shorter = min(len(ours), len(theirs))
    return shorter > 0 and ours[-shorter:] == theirs[-shorter:]
