r"""An example's moment, rebuilt in a checkout: the files as they were then, the edits before, where the cursor was.

The commit, then the uncommitted diff, then the edit history lead to the texts; the cursor's excerpt says whether they
are the right ones. How much of the history was on disk when the diff was taken need not be known for that: it is tried.
Texts have ``\n`` as line end. Knows nothing of git and of models.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from capture.editing.histogram import changes
from capture.editing.history import MAX_EVENTS
from capture.editing.positions import Position, utf16_length
from capture.editing.unified_diff import PatchError
from capture.inputs import EditEvent
from training_export.checkout.changes import FileChange, apply_change, read_changes, undo_change
from training_export.checkout.failure import ContextNotFound
from training_export.stage import ours

if TYPE_CHECKING:
    from training_export.example import Example

ReadText: TypeAlias = "Callable[[str], str | None]"


class EditedAt(NamedTuple):
    """One edit of the history: the file, and the row in its text as it is now where it was made."""

    path: str
    row: int


@dataclass(frozen=True, slots=True)
class Moment:
    """Paths count from the repository's root. ``texts`` are those of the cursor's file and of all that differ from the
    commit; ``edits`` are oldest first, as far as the texts of their files are known; ``events`` are all of them.
    """

    path: str
    cursor: Position
    texts: dict[str, str]
    events: tuple[EditEvent, ...]
    edits: tuple[EditedAt, ...]
    files_not_rebuilt: int = 0

    @property
    def text(self) -> str:
        """The cursor's file."""
        return self.texts[self.path]


def rebuild(example: Example, read: ReadText) -> Moment:
    """``read`` gives a file's text at the commit by its path in the repository, None where there is none.

    Raises ContextNotFound with the reason.
    """
    return _Rebuilding(example, read).moment()


class _Rebuilding:
    """One example's files, as far as they were rebuilt."""

    def __init__(self, example: Example, read: ReadText) -> None:
        self._example = example
        self._read = read
        self._path = self._resolved(example.cursor_path)
        self._history = [self._with_paths(change) for change in read_changes(example.edit_history)]
        self._uncommitted = [self._with_paths(change) for change in read_changes(example.uncommitted_diff)]
        self._events = [_event(change) for change in self._history]
        self._excerpt = _Excerpt.of(example)

    def moment(self) -> Moment:
        text, cursor = self._cursor_file()
        others = {change.where: None for change in (*self._uncommitted, *self._history) if change.where != self._path}
        rebuilt = {path: self._other_file(path) for path in others}
        texts = {self._path: text, **{path: other for path, other in rebuilt.items() if other is not None}}
        edits = tuple(EditedAt(change.where, _row_of(change)) for change in self._history if change.where in texts)
        not_rebuilt = len(others) + 1 - len(texts)
        return Moment(self._path, cursor, texts, tuple(self._events[-MAX_EVENTS:]), edits, not_rebuilt)

    def _cursor_file(self) -> tuple[str, Position]:
        """Its text, and the cursor in it. Raises ContextNotFound."""
        texts: list[str] = []
        reasons: list[str] = []
        # Patches written by hand may show fewer unchanged rows than diffs do.
        for shows_ends, held in product((True, False), self._how_much_was_held(self._path)):
            try:
                texts.append(self._text_of(self._path, held, shows_ends=shows_ends))
            except ContextNotFound as error:
                reasons.append(str(error))
        for find in (_at_its_row, _as_whole_rows, _anywhere):
            for text in texts:
                places = find(text, self._excerpt)
                if len(places) == 1:
                    return text, self._excerpt.cursor_at(text, places[0])
        put = _with_excerpt(self._on_disk(self._path), self._excerpt)
        if put is not None:
            [place] = _at_its_row(put, self._excerpt)
            return put, self._excerpt.cursor_at(put, place)
        if not texts:
            raise ContextNotFound(reasons[0])
        how_often = "more than once" if _anywhere(texts[0], self._excerpt) else "not"
        raise ContextNotFound(f"the code around the cursor is {how_often} in {self._path} as it was then")

    def _other_file(self, path: str) -> str | None:
        """Its text, None where the patches do not lead to one."""
        for shows_ends, held in product((True, False), self._how_much_was_held(path)):
            with suppress(ContextNotFound):
                return self._text_of(path, held, shows_ends=shows_ends)
        return None

    def _how_much_was_held(self, path: str) -> list[int]:
        """How many of the file's edits the uncommitted diff may hold, the likeliest first."""
        count = sum(change.where == path for change in self._history)
        if self._example.uncommitted_diff_contains_edit_history:
            return list(range(count, -1, -1))
        # Of a snapshot the diff says what was on disk, which may have been saved between two edits.
        is_unknown = ours(self._example, "snapshot") is not None and bool(self._uncommitted)
        return list(range(count, -1, -1)) if is_unknown else list(range(count + 1))

    def _text_of(self, path: str, held: int, *, shows_ends: bool) -> str:
        """The file after its diff, which holds so many of its edits already, and the others. Raises ContextNotFound."""
        text = before = self._on_disk(path)
        edits = [(index, change) for index, change in enumerate(self._history) if change.where == path]
        doing = ""
        try:
            for index, change in reversed(edits[:held]):
                doing = f"edit {index + 1} of the history is not in it"
                before = undo_change(before, change)
            for index, change in edits[held:]:
                doing = f"edit {index + 1} of the history does not apply"
                text, old_range, new_range = apply_change(text, change, shows_ends=shows_ends)
                self._events[index] = replace(self._events[index], old_range=old_range, new_range=new_range)
        except PatchError as error:
            raise ContextNotFound(f"{path} is not as the example says: {doing} ({error})") from error
        return text

    def _on_disk(self, path: str) -> str:
        """The file at the commit with its uncommitted diff. Raises ContextNotFound."""
        text = self._read(path)
        uncommitted = [change for change in self._uncommitted if change.where == path]
        if text is None:
            edits = (change for change in self._history if change.where == path)
            if all(change.old_path for change in (*uncommitted, *edits)):
                raise ContextNotFound(f"{path} is not in the repository at that revision, or is no text")
            text = ""
        try:
            for change in uncommitted:
                text, _, _ = apply_change(text, change)
        except PatchError as error:
            raise ContextNotFound(f"the uncommitted diff does not apply to {path}: {error}") from error
        return text

    def _with_paths(self, change: FileChange) -> FileChange:
        return replace(
            change,
            path=self._resolved(change.path) if change.path else "",
            old_path=self._resolved(change.old_path) if change.old_path else "",
        )

    def _resolved(self, path: str) -> str:
        """The path in the repository: Zed's histories name files from the worktree's parent folder."""
        _, slash, below = path.partition("/")
        if slash and self._read(path) is None and self._read(below) is not None:
            return below
        return path


def _event(change: FileChange) -> EditEvent:
    return EditEvent(change.where, change.old_path or change.where, change.hunks_text, predicted=change.predicted)


def _row_of(change: FileChange) -> int:
    """Where the edit was made, in the text as it was after it."""
    return max(0, change.hunks[-1].last_changed_row) if change.hunks else 0


@dataclass(frozen=True, slots=True)
class _Excerpt:
    """What stands around the cursor; ``row`` is its first row in the file where that is known."""

    text: str
    offset_bytes: int
    row: int | None

    @classmethod
    def of(cls, example: Example) -> _Excerpt:
        inputs = example.prompt_inputs
        if inputs is not None:
            return cls(inputs.cursor_excerpt, inputs.cursor_offset_in_excerpt, inputs.excerpt_start_row)
        marked = example.cursor_excerpt
        return cls(marked.text, marked.offset_bytes, None)

    def cursor_at(self, file: str, place: int) -> Position:
        """The cursor, where the excerpt begins at that index of the file's text."""
        before = file[:place] + self.text.encode()[: self.offset_bytes].decode()
        return Position(before.count("\n"), utf16_length(before[before.rfind("\n") + 1 :]))


def _at_its_row(file: str, excerpt: _Excerpt) -> list[int]:
    if excerpt.row is None:
        return []
    start = sum(len(row) + 1 for row in file.split("\n")[: excerpt.row])
    return [place for place in _as_whole_rows(file, excerpt) if place == start]


def _with_excerpt(on_disk: str, excerpt: _Excerpt) -> str | None:
    """The file on disk with the excerpt in its place, None where that cannot be said.

    For a file that was saved in the middle of an edit of the history: no patch leads from there to the editor's text,
    but the excerpt is that text, and the rows around it are rarely others.
    """
    rows, wanted = on_disk.split("\n"), excerpt.text.split("\n")
    if excerpt.row is None or excerpt.row >= len(rows):
        return None
    above, rest = rows[: excerpt.row], rows[excerpt.row :]
    found = changes(rest, wanted)
    shared = len(rest) - sum(change.old_end - change.old_start for change in found)
    if 2 * shared < len(wanted):
        return None
    is_cut = bool(found) and found[-1].old_end == len(rest) and found[-1].new_start == len(wanted)
    below = rest[found[-1].old_start :] if is_cut else []
    return "\n".join([*above, *wanted, *below])


def _as_whole_rows(file: str, excerpt: _Excerpt) -> list[int]:
    end = len(excerpt.text)
    return [
        place
        for place in _anywhere(file, excerpt)
        if file[place - 1 : place] in {"", "\n"}
        and (excerpt.text.endswith("\n") or file[place + end :][:1] in {"", "\n"})
    ]


def _anywhere(file: str, excerpt: _Excerpt) -> list[int]:
    """Every index at which the excerpt stands in the file; of nothing, those where rows begin."""
    if not excerpt.text:
        return [0] + [index + 1 for index, character in enumerate(file) if character == "\n"]
    places: list[int] = []
    at = file.find(excerpt.text)
    while at >= 0:
        places.append(at)
        at = file.find(excerpt.text, at + 1)
    return places
