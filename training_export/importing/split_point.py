"""Where a change is cut into what somebody did already and what comes next, and where the cursor is then.

Either the next line is half typed and the cursor is in it, or the cursor is where the last edit was (of five, four
times) or where the next one will be (once), now and then a few columns beside it. What comes next is then in the same
line, near, far or in another file: that is its kind. Draws from the random numbers it is given and from nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Final

from capture.context.index.languages import language_of
from daemon.errors import BadArgument
from training_export.importing.changes import lines_of
from training_export.importing.partial_line import PartialLine, partial_line
from training_export.importing.script import LineEdit, Script
from training_export.importing.service_files import is_service_file

_PLACE: Final = re.compile(r"[0-9]+|[0-9]*\.[0-9]+")
NEAR_ROWS: Final = 30
DRAWS: Final = 10  # until a split is given up that is in a file of programs
AT_LAST_EDIT: Final = 0.8
BESIDE: Final = 0.2
MOST_COLUMNS_BESIDE: Final = 5
# Inside a group of lines one types on; before the first of a group one may still be elsewhere.
TYPES_AT_A_NEW_PLACE: Final = 0.5


class Kind(Enum):
    """Where the next edit is, seen from the cursor."""

    FIM = "fim"
    NEAR = "same-file-near"
    FAR = "same-file-far"
    CROSS_FILE = "cross-file"
    NOTHING = "nothing-left"


@dataclass(frozen=True, slots=True)
class WantedSplit:
    """What ``--split`` asks for: a kind, a place (a share of all, or of those of the kind, or an index), or both."""

    kind: Kind | None = None
    share: float | None = None
    index: int | None = None

    @classmethod
    def read(cls, text: str) -> WantedSplit:
        """``0.5``, ``12``, ``fim``, ``fim:0.5``, ``fim:2``; raises BadArgument for anything else."""
        kinds = {kind.value: kind for kind in Kind if kind is not Kind.NOTHING}
        name, colon, place = text.partition(":") if text[:1].isalpha() else ("", "", text)
        is_place = bool(_PLACE.fullmatch(place)) if colon or not name else not place
        if (name and name not in kinds) or not is_place or ("." in place and float(place) > 1):
            raise BadArgument(
                f"{text!r} is no split: give a share with a dot (0.5), a number of changed lines (12), or one of "
                f"{', '.join(kinds)}, also with a place among those (fim:0.5, fim:2)"
            )
        if "." in place:
            return cls(kinds.get(name), share=float(place))
        return cls(kinds.get(name), index=int(place) if place else None)


@dataclass(frozen=True, slots=True)
class Split:
    """The first ``count`` edits are made, and ``partial`` of the next is typed. ``column`` counts characters."""

    count: int
    partial: PartialLine | None
    path: str
    row: int
    column: int
    kind: Kind


class NoSplit(ValueError):
    """The change has no place to be cut that was asked for; the message says why."""


def choose(script: Script, wanted: WantedSplit | None, languages: frozenset[str], random: Random) -> Split:
    """One way to cut it. ``languages`` are ids, of one of which the file with the cursor is; empty means any.

    Raises NoSplit.
    """
    total = len(script.edits)
    found: Iterator[Split | None]
    if wanted is None:
        found = (_draw(script, random.randint(1, total), None, random) for _ in range(DRAWS))
    elif wanted.kind is None:
        count = wanted.index if wanted.index is not None else round((wanted.share or 0) * total)
        if count > total:
            raise NoSplit(f"the change has only {total} changed lines")
        found = (_draw(script, count, None, random) for _ in range(DRAWS))
    else:
        found = _of_kind(script, wanted, wanted.kind, random)
    refusal = (
        "the change has no place of this kind" if wanted and wanted.kind else "nothing is there to put a cursor in"
    )
    for split in found:
        if split is None:
            continue
        next_edit = script.edits[split.count] if split.count < total else None
        if is_service_file(split.path) or (next_edit is not None and is_service_file(next_edit.path)):
            refusal = "changes are in lock files, generated files and the like only"
        elif languages and not is_of(split.path, languages):
            refusal = f"no change is in a file of {', '.join(sorted(languages))}"
        else:
            return split
    raise NoSplit(refusal)


def is_of(path: str, languages: frozenset[str]) -> bool:
    """Whether the file at ``path`` is of one of these languages, by its suffix."""
    language = language_of(path)
    return language is not None and language.name in languages


def _of_kind(script: Script, wanted: WantedSplit, kind: Kind, random: Random) -> Iterator[Split | None]:
    """The splits of a kind: the one at the place that is wanted, else all of them in random order."""
    counts = list(range(1, len(script.edits)))
    if wanted.share is None and wanted.index is None:
        random.shuffle(counts)
        for count in counts:
            split = _draw(script, count, kind, random)
            if split is not None and split.kind is kind:
                yield split
        return
    found = [split for count in counts if (split := _draw(script, count, kind, random)) and split.kind is kind]
    if wanted.index is not None:
        yield from found[wanted.index : wanted.index + 1]
    elif found:
        yield found[min(len(found) - 1, int((wanted.share or 0) * len(found)))]


def _draw(script: Script, count: int, kind: Kind | None, random: Random) -> Split | None:
    """What may be the case after ``count`` edits; None where no file with the cursor would be there."""
    last = script.edits[count - 1] if count else None
    following = script.edits[count] if count < len(script.edits) else None
    if following is not None and last is not None and _types_on(last, following, kind, random):
        replaced = last.text if _takes_out_the_same_line(last, following) else ""
        partial = partial_line(replaced, following.text, random)
        if partial is not None:
            return Split(count, partial, following.path, following.row, len(partial.typed), Kind.FIM)
    here = _place(script, count, last, following, random)
    if here is None:
        return None
    path, row, column = here
    if following is None or count == 0:
        reached = Kind.NOTHING
    elif following.path != path:
        reached = Kind.CROSS_FILE
    else:
        reached = Kind.NEAR if abs(following.row - row) <= NEAR_ROWS else Kind.FAR
    return Split(count, None, path, row, column, reached)


def _types_on(last: LineEdit, following: LineEdit, kind: Kind | None, random: Random) -> bool:
    if not following.is_insertion or kind not in {None, Kind.FIM}:
        return False
    if kind is Kind.FIM or last.group == following.group:
        return True
    return random.random() < TYPES_AT_A_NEW_PLACE


def _takes_out_the_same_line(last: LineEdit, following: LineEdit) -> bool:
    return not last.is_insertion and (last.path, last.row, last.group) == (
        following.path,
        following.row,
        following.group,
    )


def _place(
    script: Script, count: int, last: LineEdit | None, following: LineEdit | None, random: Random
) -> tuple[str, int, int] | None:
    """Path, row and column (characters) of a cursor that is in no half typed line."""
    at_last = following is None or random.random() < AT_LAST_EDIT
    edit = last if last is not None and at_last else following or last
    if edit is None:
        return None
    texts = script.texts(count)
    if edit.path not in texts and edit is following and last is not None:
        edit = last  # the file that comes next is not made yet
    if edit.path not in texts:
        return None
    lines = [*lines_of(texts[edit.path]), ""]
    row = min(edit.row, len(lines) - 1)
    if not script.ends_with_newline(edit.path) and row == len(lines) - 1 and row > 0:
        row -= 1  # no row begins behind the last line
    line = lines[row]
    column = len(line) if edit is last and edit.is_insertion else len(line) - len(line.lstrip())
    if random.random() < BESIDE:
        column += random.choice((-1, 1)) * random.randint(1, MOST_COLUMNS_BESIDE)
    return edit.path, row, max(0, min(column, len(line)))
