"""A moment played into the daemon's own editing state: its files opened, its steps typed, its inputs read.

Each step becomes the changes an editor would send for it, so events join, split and fall out of the history as they do
in a session. Knows nothing of tasks or of what is expected.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from capture.editing.histogram import changes
from capture.editing.positions import ContentChange, Position, Range, common_prefix, utf16_length
from capture.editing.state import EditingState
from capture.inputs import ActiveBufferDiagnostic, PredictionInputs
from training_export.importing.moment import language_id
from training_export.student.synthesis.moment import Moment, Place

if TYPE_CHECKING:
    from capture.editing.document import Document

_LINE_END: Final = 1 << 30  # positions behind a line's end mean its end


def played(moment: Moment) -> PredictionInputs:
    """The inputs at the end of the moment. Raises ValueError where its parts do not fit each other."""
    seconds = 0.0
    state = EditingState(lambda: seconds)
    texts = dict(moment.texts)
    if moment.path not in texts or (moment.steps and moment.steps[-1].path != moment.path):
        raise ValueError(f"{moment.path} is not open, or the last step is in another file")
    for path, text in texts.items():
        state.open(path, text, path=path, language_id=language_id(path))
    for step in moment.steps:
        seconds += step.seconds
        found = list(content_changes(texts[step.path], step.text))
        if found:
            state.change(step.path, None, found)
        texts[step.path] = step.text
    document = state.document(moment.path)
    if document is None or document.text != moment.current:
        raise ValueError(f"{moment.path}: an editor does not come to the same text")
    position = _position(document, moment.cursor)
    return state.inputs(
        moment.path, position, related_files=moment.related, diagnostics=_diagnostics(moment, document, position)
    )


def content_changes(old: str, new: str) -> Iterator[ContentChange]:
    """What an editor sends for one act, from the top down: each range counts in the text as the changes before left it.

    As many lines for as many are changed one by one, each where it differs.
    """
    old_lines, new_lines = old.split("\n"), new.split("\n")
    for change in changes(old_lines, new_lines):
        removed = old_lines[change.old_start : change.old_end]
        added = new_lines[change.new_start : change.new_end]
        if len(removed) == len(added):
            for row, (before, after) in enumerate(zip(removed, added, strict=True), change.new_start):
                if before != after:
                    yield _line_change(row, before, after)
        else:
            yield _block_change(change.new_start, removed, added, rows_below=len(new_lines) - change.new_end)


def _line_change(row: int, before: str, after: str) -> ContentChange:
    start = common_prefix(before, after)
    behind = min(common_prefix(before[::-1], after[::-1]), min(len(before), len(after)) - start)
    end = len(before) - behind
    where = Range(Position(row, utf16_length(before[:start])), Position(row, utf16_length(before[:end])))
    return ContentChange(where, after[start : len(after) - behind])


def _block_change(row: int, removed: list[str], added: list[str], *, rows_below: int) -> ContentChange:
    """Lines replaced by more or fewer: only what differs, where the first is the beginning of what it becomes."""
    if removed and added:
        before, after = "\n".join(removed), "\n".join(added)
        same = common_prefix(before, after)
        behind = min(common_prefix(before[::-1], after[::-1]), min(len(before), len(after)) - same)
        where = Range(_after(row, before[:same]), _after(row, before[: len(before) - behind]))
        return ContentChange(where, after[same : len(after) - behind])
    if rows_below:  # whole rows, each with its newline
        text = "".join(line + "\n" for line in added)
        return ContentChange(Range(Position(row, 0), Position(row + len(removed), 0)), text)
    # At the text's end the newline in front comes or goes with them.
    start = Position(row - 1, _LINE_END) if row else Position(0, 0)
    end = Position(row + len(removed) - 1, _LINE_END) if removed else start
    return ContentChange(Range(start, end), "".join("\n" + line for line in added))


def _after(row: int, text: str) -> Position:
    """The position behind ``text``, which begins with the row."""
    return Position(row + text.count("\n"), utf16_length(text[text.rfind("\n") + 1 :]))


def _position(document: Document, place: Place) -> Position:
    if not 0 <= place.row < document.row_count or not 0 <= place.column <= len(line := document.line(place.row)):
        raise ValueError(f"the cursor at {place} lies outside the text")
    return Position(place.row, utf16_length(line[: place.column]))


def _diagnostics(moment: Moment, document: Document, cursor: Position) -> tuple[ActiveBufferDiagnostic, ...]:
    if not moment.diagnostics:
        return ()
    # The daemon's own store chooses and cuts them; it comes with the language server's libraries.
    from daemon.lsp.diagnostics import DiagnosticsStore  # noqa: PLC0415
    from daemon.lsp.documents import OpenDocument  # noqa: PLC0415

    opened = OpenDocument(moment.path, moment.path, language_id(moment.path), document)
    store = DiagnosticsStore()
    said = []
    for found in moment.diagnostics:
        line = document.line(found.row)
        where = [
            {"line": found.row, "character": utf16_length(line[:column])}
            for column in (found.start_column, found.end_column)
        ]
        said.append(
            {"range": {"start": where[0], "end": where[1]}, "message": found.message, "severity": found.severity}
        )
    store.replace(opened, said)
    return store.near(opened, cursor)
