r"""The editing state of one session: its open documents, one edit history, and the inputs made from both.

A document opened late simply starts with the text it has then. What a model sees has rows that end with
``\n``; `EditingState.to_document` takes a model's edits back to the document's own positions and line ends.
`inputs_after` makes the inputs of an edit that nobody made yet. Pure: no I/O, no event loop; time comes from the
clock it is given.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from capture.editing.document import AppliedEdit, Document
from capture.editing.excerpt import (
    BYTES_PER_TOKEN,
    CURSOR_EXCERPT_TOKENS,
    cursor_excerpt_rows,
    excerpt_ranges,
    line_tokens,
)
from capture.editing.history import MAX_EVENTS, History, HistoryState, Rows, TextBefore, compose
from capture.editing.positions import ContentChange, Position, Range, content_of, index_at_utf16, utf8_length
from capture.editing.syntax import syntax_ranges
from capture.editing.unified_diff import CONTEXT_LINES, write_hunks
from capture.inputs import ActiveBufferDiagnostic, EditEvent, PredictionInputs, RelatedFile, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from capture.editing.line_diff import TextEdit

MAX_CHANGES_OF_AN_ACCEPTANCE = 16  # an editor applies an accepted prediction in one notification of few changes


@dataclass(frozen=True, slots=True)
class _Expected:
    """The rows an accepted prediction leads to: ``old_rows`` (of the text before) become ``text``."""

    old_rows: Span
    text: str
    row_count: int


@dataclass(frozen=True, slots=True)
class _LastChange:
    """The latest notification of a document, kept until the next in case it turns out to be an acceptance."""

    version_before: int
    edit: AppliedEdit
    history_before: HistoryState
    history_after: HistoryState


@dataclass(slots=True)
class _OpenFile:
    document: Document
    path: str
    language_id: str
    expected: _Expected | None = None
    last_change: _LastChange | None = None


class EditObserver(Protocol):
    """Who is told of each change of a text at the moment it is made, before the next is."""

    def edited(self, document: Document, path: str, edit: AppliedEdit) -> None:
        """The document has just applied ``edit``; ``path`` is the one to display."""

    def predicted(self, document: Document) -> None:
        """The document's latest changes did what was predicted."""


class EditingState:
    """Owner of one session's documents and history. Not thread-safe.

    ``clock`` gives seconds that never go backwards; ``observer`` hears of every change. A uri is an opaque key. Methods
    that take a uri raise KeyError when it is not open.
    """

    def __init__(self, clock: Callable[[], float], observer: EditObserver | None = None) -> None:
        self._files: dict[str, _OpenFile] = {}
        self._history = History(clock)
        self._observer = observer

    def open(self, uri: str, text: str, *, path: str, version: int = 0, language_id: str = "") -> Document:
        """Start following a text; ``path`` is the one to display. Opening again replaces the text."""
        if uri in self._files:
            self.close(uri)
        document = Document(text, version=version)
        self._files[uri] = _OpenFile(document, path, language_id)
        return document

    def close(self, uri: str) -> None:
        """Stop following a text; its events stay in the history."""
        self._history.finish(self._files.pop(uri).document)

    def document(self, uri: str) -> Document | None:
        """The open document, or None."""
        file = self._files.get(uri)
        return None if file is None else file.document

    def language_id(self, uri: str) -> str:
        """The LSP language id the document was opened with."""
        return self._files[uri].language_id

    @property
    def uris(self) -> tuple[str, ...]:
        """What is open, in the order it was opened."""
        return tuple(self._files)

    @property
    def events(self) -> tuple[EditEvent, ...]:
        """The edit history, oldest first."""
        return self._history.events()

    def change(self, uri: str, version: int | None, changes: Iterable[ContentChange]) -> list[AppliedEdit]:
        """Apply one notification's changes and record them; see `Document.change` for versions."""
        file = self._files[uri]
        document = file.document
        version_before, history_before = document.version, self._history.state
        whole: AppliedEdit | None = None
        count = 0

        def record(edit: AppliedEdit) -> None:
            nonlocal whole, count
            self._history.record(document, file.path, edit)
            if self._observer is not None:
                self._observer.edited(document, file.path, edit)
            count += 1
            if count <= MAX_CHANGES_OF_AN_ACCEPTANCE:
                whole = edit if whole is None else compose(whole, edit, document)

        edits = document.change(version, changes, record)
        expected, file.expected, file.last_change = file.expected, None, None
        if whole is not None and count <= MAX_CHANGES_OF_AN_ACCEPTANCE:
            file.last_change = _LastChange(version_before, whole, history_before, self._history.state)
            if expected is not None:
                self._record_as_predicted(file, file.last_change, expected)
        return edits

    @contextmanager
    def supposing(self, uri: str, change: ContentChange, *, predicted: bool = False) -> Iterator[Position | None]:
        """The state as one more change would make it, as long as the context lasts; nothing else may change it then.

        ``predicted`` says that it accepts a prediction. Gives the position behind the change, None where it changes
        nothing.
        """
        file, history_before = self._files[uri], self._history.state
        with file.document.supposing(change) as edit:
            if edit is not None:
                self._history.record(file.document, file.path, edit, predicted=predicted)
            try:
                yield None if edit is None else file.document.position_at(edit.start_bytes + edit.new_bytes)
            finally:
                self._history.restore(history_before)

    def mark_accepted(self, uri: str, edits: Sequence[ContentChange], *, version: int) -> bool:
        """The user accepted a prediction: ``edits``, whose ranges all count in the text of ``version``.

        Its change becomes a predicted event, whether it comes next or came just before. True when it is
        awaited or found; false when the document has moved on.
        """
        file = self._files[uri]
        if not edits or any(edit.range is None for edit in edits):
            return False
        if version == file.document.version:
            file.expected = _expected(file.document, edits)
            return True
        last = file.last_change
        if last is None or last.version_before != version or self._history.state is not last.history_after:
            return False
        return self._record_as_predicted(file, last, _expected(TextBefore(file.document, last.edit), edits))

    def inputs(
        self,
        uri: str,
        position: Position,
        *,
        path: str | None = None,
        related_files: tuple[RelatedFile, ...] | None = None,
        diagnostics: tuple[ActiveBufferDiagnostic, ...] = (),
    ) -> PredictionInputs:
        """Everything a model may see with the cursor at ``position``.

        ``path`` is the one to display, by default that of `open`.
        """
        file = self._files[uri]
        around = _Around.of(file.document, file.document.clamp(position), file.language_id)
        return PredictionInputs(
            cursor_path=file.path if path is None else path,
            cursor_excerpt=around.excerpt,
            cursor_offset_in_excerpt=around.cursor_offset,
            excerpt_ranges=excerpt_ranges(around.excerpt.encode(), around.cursor_offset, around.nodes or ()),
            excerpt_start_row=around.start_row,
            events=self._history.events(),
            related_files=related_files,
            active_buffer_diagnostics=diagnostics,
            syntax_ranges=around.nodes,
        )

    def to_document(self, uri: str, inputs: PredictionInputs, edits: Iterable[TextEdit]) -> list[ContentChange]:
        """Edits of the excerpt as changes of the document, all ranges in the text ``inputs`` came from."""
        document = self._files[uri].document
        first_row = inputs.excerpt_start_row or 0
        data = inputs.excerpt_bytes

        def position(offset: int) -> Position:
            row_start = data.rfind(b"\n", 0, offset) + 1
            return document.position(first_row + data.count(b"\n", 0, offset), offset - row_start)

        return [
            ContentChange(
                Range(position(edit.range.start), position(edit.range.end)),
                edit.text.replace("\n", document.line_ending),
            )
            for edit in edits
        ]

    def _record_as_predicted(self, file: _OpenFile, last: _LastChange, expected: _Expected) -> bool:
        """Record the last change anew as an accepted prediction, if it did what that predicted."""
        edit, document = last.edit, file.document
        new_rows = Span(expected.old_rows.start, expected.old_rows.end + edit.row_delta)
        if (
            document.row_count != expected.row_count
            or edit.start_row < expected.old_rows.start
            or edit.old_end_row > expected.old_rows.end
            or document.text_of_rows(new_rows) != expected.text
        ):
            return False
        self._history.restore(last.history_before)
        self._history.record(document, file.path, edit, predicted=True)
        if self._observer is not None:
            self._observer.predicted(document)
        file.last_change = None
        return True


def inputs_after(
    inputs: PredictionInputs, edit: AppliedEdit, text: Rows, position: Position, *, language_id: str
) -> PredictionInputs:
    """``inputs`` as they would be had the user accepted a prediction that did ``edit`` and led to ``text``.

    ``position`` is the cursor in ``text``. What the user accepts is an event of its own here, also where the history
    would have joined it to an acceptance just before.
    """
    around = _Around.of(text, position, language_id)
    event = _accepted_event(inputs.cursor_path, edit, text)
    return replace(
        inputs,
        cursor_excerpt=around.excerpt,
        cursor_offset_in_excerpt=around.cursor_offset,
        excerpt_ranges=excerpt_ranges(around.excerpt.encode(), around.cursor_offset, around.nodes or ()),
        excerpt_start_row=around.start_row,
        events=(*inputs.events, event)[-MAX_EVENTS:] if event.diff else inputs.events,
        syntax_ranges=around.nodes,
    )


@dataclass(frozen=True, slots=True)
class _Around:
    """The rows around a cursor that a model may see, and the syntax nodes that hold the cursor."""

    excerpt: str
    start_row: int
    cursor_offset: int
    nodes: tuple[Span, ...] | None

    @classmethod
    def of(cls, text: Rows, position: Position, language_id: str) -> _Around:
        """``position`` lies in the text."""
        cursor_row = position.line
        # A row costs at least one token, so the excerpt lies inside this window.
        first_row = max(0, cursor_row - CURSOR_EXCERPT_TOKENS)
        window = text.rows(first_row, cursor_row + CURSOR_EXCERPT_TOKENS + 1)
        row_in_window = cursor_row - first_row
        # In a small file every row fits, and none need be counted by itself.
        rows = Span(0, len(window))
        if len(window) + utf8_length("".join(window)) // BYTES_PER_TOKEN > CURSOR_EXCERPT_TOKENS:
            rows = cursor_excerpt_rows(
                lambda row: line_tokens(utf8_length(content_of(window[row]))), len(window), row_in_window
            )
        above = window[rows.start : row_in_window]
        line = content_of(window[row_in_window])
        before_cursor = _without_terminators([*above, line[: index_at_utf16(line, position.character_utf16)]])
        excerpt = _without_terminators(window[rows.start : rows.end])
        cursor_offset = utf8_length(before_cursor)
        nodes = syntax_ranges(language_id, excerpt.encode(), cursor_offset)
        return cls(excerpt, first_row + rows.start, cursor_offset, nodes)


def _without_terminators(rows: list[str]) -> str:
    r"""The rows with ``\n`` between them and nothing after the last."""
    text = "".join(rows)
    if "\r" in text:
        return "\n".join(map(content_of, rows))
    return text[:-1] if rows[-1].endswith("\n") else text


def _accepted_event(path: str, edit: AppliedEdit, text: Rows) -> EditEvent:
    """The event that accepting a prediction becomes in the history."""
    first_row = max(0, edit.start_row - CONTEXT_LINES)
    old = TextBefore(text, edit).rows(first_row, edit.old_end_row + CONTEXT_LINES)
    new = text.rows(first_row, edit.new_end_row + CONTEXT_LINES)
    diff = write_hunks(_with_plain_ends(old), _with_plain_ends(new), old_start_row=first_row, new_start_row=first_row)
    return EditEvent(
        path=path,
        old_path=path,
        diff=diff,
        old_range=Span(edit.start_bytes, edit.start_bytes + edit.old_bytes),
        new_range=Span(edit.start_bytes, edit.start_bytes + edit.new_bytes),
        predicted=True,
    )


def _with_plain_ends(rows: Iterable[str]) -> str:
    contents = ((row, content_of(row)) for row in rows)
    return "".join(content + "\n" if len(row) > len(content) else content for row, content in contents)


def _expected(text: Rows, edits: Sequence[ContentChange]) -> _Expected:
    """What ``edits`` make of the rows they touch, with one row around them."""
    ranges = [edit.range for edit in edits if edit.range is not None]
    lines = [position.line for where in ranges for position in (where.start, where.end)]
    rows = Span(max(0, min(lines) - 1), min(text.row_count, max(lines) + 2))
    part = Document("".join(text.rows(rows.start, rows.end)))
    rows_before = part.row_count
    for where, new_text in sorted(
        ((edit.range, edit.text) for edit in edits if edit.range is not None),
        key=lambda pair: pair[0].start,
        reverse=True,
    ):
        start, end = (
            Position(position.line - rows.start, position.character_utf16) for position in (where.start, where.end)
        )
        part.apply(ContentChange(Range(start, end), new_text))
    return _Expected(rows, part.text, text.row_count + part.row_count - rows_before)
