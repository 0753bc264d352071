"""Makes a typing session of what the hub tells about one file.

Follows the text in a document of its own, by the rules the hub's own follows: a version that does not rise is not
trusted, and a whole text counts as the smallest change that leads to it. One ``didChange`` is one keystroke, however
many changes it holds; time counts from the first. Knows nothing of sockets, files or clocks.

What kind a keystroke was is read from its change: something came in, ``type``; something only went, ``erase``; what a
prediction said, ``accept``, unless that is one character, which is as likely to have been typed. An undo looks like
either of the first two, so there is no ``undo`` in a recording.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from capture.editing.document import Document, SyncState
from capture.editing.line_diff import minimal_edits
from capture.editing.positions import ContentChange, Position, Range, encodable
from capture.typing_session import CHARACTERS_PER_WORD, Header, Keystroke, Kind, Session, sha256
from daemon.recording.events import Accepted, Changed, CursorAt, Unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.recording.events import Begun, Event


@dataclass(frozen=True, slots=True)
class _Edit:
    """A change that has a range, and where it starts in the text before."""

    range: Range
    text: str
    start_bytes: int


@dataclass(frozen=True, slots=True)
class _LastChange:
    """The latest change, in case it turns out to be an acceptance; ``index`` is its keystroke's."""

    index: int
    edit: _Edit
    version_before: int
    text_before: str


class Recorder:
    """One recording, from the text before its first change on."""

    def __init__(self, begun: Begun) -> None:
        self._begun = begun
        self._document = Document(begun.text, version=begun.version)
        self._first_text = self._document.text
        self._keystrokes: list[Keystroke] = []
        self._first_seconds = 0.0
        self._last: _LastChange | None = None
        self._expected: str | None = None  # the text that an accepted prediction leads to, until the next change
        self._cursor_told = True  # whether the editor said where the last change left the cursor

    @property
    def text(self) -> str:
        """The text as it is now."""
        return self._document.text

    @property
    def keystrokes(self) -> tuple[Keystroke, ...]:
        """What was recorded until now."""
        return tuple(self._keystrokes)

    def take(self, event: Event) -> None:
        """Follow one event; what does not concern the text is let pass."""
        if isinstance(event, Changed):
            self._change(event)
        elif isinstance(event, CursorAt):
            self._cursor_at(event)
        elif isinstance(event, Accepted):
            self._accept(event)
        elif isinstance(event, Unreadable):
            self._document.sync_state = SyncState.UNSYNCED

    def session(self, name: str) -> Session:
        """The recording until now, as a session of that name."""
        header = Header(
            session=name,
            simulated="",
            seed=0,
            words_per_minute=words_per_minute(self._keystrokes),
            language_id=self._begun.language_id,
            path=self._begun.path,
            keystrokes=len(self._keystrokes),
            final_text_sha256=sha256(self.text),
            text=self._first_text,
        )
        return Session(header, self.keystrokes)

    def _change(self, event: Changed) -> None:
        version_before, text_before = self._document.version, self._document.text
        sent = _as_sent(event.changes, self._document)
        self._document.change(event.version, event.changes)
        expected, self._expected, self._last = self._expected, None, None
        if self.text == text_before:
            return
        edit = sent or _smallest(text_before, self.text)
        kind: Kind = "accept" if expected == self.text else "type" if edit.text else "erase"
        self._last = _LastChange(len(self._keystrokes), edit, version_before, text_before)
        self._cursor_told = False
        self._press(event.at_seconds, kind, ContentChange(edit.range, edit.text), self._end_of(edit))

    def _cursor_at(self, event: CursorAt) -> None:
        if not self._keystrokes or self._document.sync_state is SyncState.UNSYNCED:
            return
        if event.version not in (None, self._document.version):
            return
        cursor = self._document.clamp(event.position)
        told, self._cursor_told = self._cursor_told, True
        if cursor == self._keystrokes[-1].cursor:
            return
        edit = None if self._last is None else self._last.edit
        if not told and edit is not None and edit.range.start <= cursor <= self._end_of(edit):
            # A bracket that the editor closed, a snippet: the key itself left the cursor inside what came in.
            self._keystrokes[-1] = replace(self._keystrokes[-1], cursor=cursor)
            return
        self._press(event.at_seconds, "move", None, cursor)

    def _accept(self, event: Accepted) -> None:
        if event.version == self._document.version:
            self._expected = _after(self.text, event.edits)
            return
        last = self._last
        if last is None or last.version_before != event.version or _after(last.text_before, event.edits) != self.text:
            return
        if len(last.edit.text) != 1 or last.edit.range.start != last.edit.range.end:
            self._keystrokes[last.index] = replace(self._keystrokes[last.index], kind="accept")

    def _press(self, at_seconds: float, kind: Kind, change: ContentChange | None, cursor: Position) -> None:
        if not self._keystrokes:
            self._first_seconds = at_seconds
        at_ms = round(1000 * (at_seconds - self._first_seconds))
        self._keystrokes.append(Keystroke(at_ms, kind, change, cursor))

    def _end_of(self, edit: _Edit) -> Position:
        return self._document.position_at(edit.start_bytes + len(edit.text.encode()))


def words_per_minute(keystrokes: Sequence[Keystroke]) -> int:
    """The pace of consecutive typed keys, by the median time between two; 0 where no two follow each other."""
    typed = [
        after.at_ms - before.at_ms for before, after in pairwise(keystrokes) if before.kind == after.kind == "type"
    ]
    return round(60_000 / (CHARACTERS_PER_WORD * max(1.0, median(typed)))) if typed else 0


def _as_sent(changes: Sequence[ContentChange], before: Document) -> _Edit | None:
    """The one change of a notification, where it has a range and is alone."""
    if len(changes) != 1 or changes[0].range is None:
        return None
    start, end = sorted((before.clamp(changes[0].range.start), before.clamp(changes[0].range.end)))
    return _Edit(Range(start, end), encodable(changes[0].text), before.offset_bytes(start))


def _smallest(before: str, after: str) -> _Edit:
    """One edit from the first difference to the last; there must be one."""
    edits = minimal_edits(before, after)
    start_bytes, end_bytes = edits[0].range.start, edits[-1].range.end
    old, new = before.encode(), after.encode()
    document = Document(before)
    where = Range(document.position_at(start_bytes), document.position_at(end_bytes))
    return _Edit(where, new[start_bytes : len(new) - len(old) + end_bytes].decode(), start_bytes)


def _after(text: str, edits: Sequence[ContentChange]) -> str:
    """The text after edits whose ranges all count in it."""
    document = Document(text)
    ranged = [(edit.range, edit) for edit in edits if edit.range is not None]
    for _, edit in sorted(ranged, key=lambda pair: pair[0].start, reverse=True):
        document.apply(edit)
    return document.text
