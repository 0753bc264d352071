"""A change as a sequence of single lines taken out and put in, in the order in which somebody may have done it.

``Script.texts(n)`` are the files after the first ``n`` of them; after all they are as the change left them. Knows
nothing of where to split, of cursors or of patches' form.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from capture.editing.histogram import changes
from capture.editing.unified_diff import FileStatus, Hunk, PatchError, apply_patch, parse_patch, with_file_headers
from training_export.importing.changes import ChangeSet, TextChange, ending_as, lines_of
from training_export.importing.ordering import Group, ordered

_NEW_FILE: Final = re.compile(r"(?m)^(?=---[ \t])")
_NEW_HUNK: Final = re.compile(r"(?m)^(?=@@[ \t])")


class NotReplayable(ValueError):
    """The lines in the order that was given do not lead to the files that were committed."""


@dataclass(frozen=True, slots=True)
class LineEdit:
    """One line: put in before the line that is on ``row`` now, or the line on ``row`` taken out.

    "Now" is after all edits before this one. ``group`` tells edits that belong together.
    """

    path: str
    row: int
    text: str
    is_insertion: bool
    group: int


@dataclass(frozen=True)
class Script:
    """``before`` are the texts to begin with; a file that is not there yet is missing. ``edits`` lead to ``after``.

    ``whole`` are deletions and renames of whole files, which nobody types.
    """

    before: dict[str, str]
    after: dict[str, str]
    edits: tuple[LineEdit, ...]
    whole: tuple[TextChange, ...]

    def texts(self, count: int) -> dict[str, str]:
        """The files after the first ``count`` edits."""
        return self.edited(self.before, self.edits[:count])

    def edited(self, texts: dict[str, str], edits: Sequence[LineEdit]) -> dict[str, str]:
        """``texts`` after ``edits``. Raises NotReplayable where a line that is taken out is not there."""
        by_path: defaultdict[str, list[LineEdit]] = defaultdict(list)
        for edit in edits:
            by_path[edit.path].append(edit)
        return {**texts, **{path: self._edited(path, texts.get(path, ""), found) for path, found in by_path.items()}}

    def _edited(self, path: str, text: str, edits: Sequence[LineEdit]) -> str:
        lines = lines_of(text)
        for edit in edits:
            if edit.is_insertion:
                lines.insert(edit.row, edit.text)
            elif edit.row >= len(lines) or lines.pop(edit.row) != edit.text:
                raise NotReplayable(f"line {edit.row + 1} of {path} is not the one that is taken out")
        return "\n".join(lines) + ("\n" if lines and self.ends_with_newline(path) else "")

    def ends_with_newline(self, path: str) -> bool:
        """Whether the texts of this file do, all of them."""
        return self._ends[path]

    @cached_property
    def _ends(self) -> dict[str, bool]:
        texts = {**self.before, **{path: text for path, text in self.after.items() if text}}
        return {path: not text or text.endswith("\n") for path, text in texts.items()}


def script_of(change_set: ChangeSet) -> Script:
    """The change as a sequence of lines, in the order that it names or else in ours.

    Raises NotReplayable where the named order leads elsewhere.
    """
    typed = [change for change in change_set.changes if change.after is not None]
    after = {change.path: change.after for change in typed if change.after is not None}
    before = {
        change.path: ending_as(change.before, after[change.path]) for change in typed if change.before is not None
    }
    whole = tuple(change for change in change_set.changes if change.after is None or change.path != change.new_path)
    if change_set.reordered is not None:
        edits = tuple(_given_edits(change_set.reordered, before, after))
    else:
        edits = tuple(_edits(ordered([group for path in after for group in _groups(path, before, after)])))
    script = Script(before, after, edits, whole)
    if script.texts(len(edits)) != after:
        raise NotReplayable("the changed lines, put in one after the other, do not give the files of the commit")
    return script


def _groups(path: str, before: dict[str, str], after: dict[str, str]) -> Iterator[Group]:
    old, new = lines_of(before.get(path, "")), lines_of(after[path])
    index = 0
    for change in changes(old, new):
        removed = tuple(old[change.old_start : change.old_end])
        added = new[change.new_start : change.new_end]
        for part in [added] if removed else _paragraphs(added):
            yield Group(path, index, change.old_start, removed, tuple(part))
            index += 1


def _paragraphs(lines: Sequence[str]) -> Iterator[Sequence[str]]:
    """New lines in the pieces in which they are typed: a piece begins behind a blank line, as far left as the first."""
    left = min((_indentation(line) for line in lines if line.strip()), default=0)
    start = 0
    for row in range(1, len(lines)):
        begins = lines[row].strip() and not lines[row - 1].strip() and _indentation(lines[row]) == left
        if begins and any(line.strip() for line in lines[start:row]):
            yield lines[start:row]
            start = row
    yield lines[start:]


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _edits(groups: Sequence[Group]) -> Iterator[LineEdit]:
    done: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)  # index of a group, and by how many rows it grew
    for number, group in enumerate(groups):
        row = group.row + sum(rows for index, rows in done[group.path] if index < group.index)
        yield from _edits_of(group, row, number)
        done[group.path].append((group.index, len(group.added) - len(group.removed)))


def _edits_of(group: Group, row: int, number: int) -> Iterator[LineEdit]:
    """As many lines for as many are replaced one by one, as one does it; else the old ones go first."""
    path = group.path
    if len(group.removed) == len(group.added):
        for at, (old, new) in enumerate(zip(group.removed, group.added, strict=True), row):
            yield LineEdit(path, at, old, is_insertion=False, group=number)
            yield LineEdit(path, at, new, is_insertion=True, group=number)
        return
    for old in group.removed:
        yield LineEdit(path, row, old, is_insertion=False, group=number)
    for at, new in enumerate(group.added, row):
        yield LineEdit(path, at, new, is_insertion=True, group=number)


def _given_edits(patch: str, before: dict[str, str], after: dict[str, str]) -> Iterator[LineEdit]:
    """The lines of a patch whose hunks apply one after the other, also to the same file again."""
    texts = dict(before)
    for number, (path, hunk) in enumerate(_hunks(patch)):
        old = texts.get(path, "")
        try:
            new = apply_patch(hunk, old, trust_rows=True)[0]
        except PatchError as error:
            raise NotReplayable(f"hunk {number + 1} of the reordered commit, of {path}: {error}") from error
        new = ending_as(new, after.get(path, "\n"))
        shift = 0
        for change in changes(lines_of(old), lines_of(new)):
            removed = tuple(lines_of(old)[change.old_start : change.old_end])
            added = tuple(lines_of(new)[change.new_start : change.new_end])
            yield from _edits_of(Group(path, 0, 0, removed, added), change.old_start + shift, number)
            shift += len(added) - len(removed)
        texts[path] = new


def _hunks(patch: str) -> Iterator[tuple[str, str]]:
    """Every hunk as a patch of its own, with the file it is of."""
    for section in _NEW_FILE.split(patch):
        head, *hunks = _NEW_HUNK.split(section)
        for hunk in hunks:
            found = [event for event in parse_patch(head + hunk) if isinstance(event, Hunk)]
            if found and found[0].edits and found[0].status is not FileStatus.DELETED:
                yield found[0].path, with_file_headers(hunk, found[0].path)
