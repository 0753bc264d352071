r"""What of all that is known is shown: definitions, recent files and files that change together, as related files.

Candidates compete within their group (``Group``) by rank, under a budget of bytes for each group; rows that are shown
already, or stand in the cursor's own excerpt, are not shown again. The result depends on the set of candidates alone,
never on the order in which they came.

What was shown stays as it is while somebody types, for a prompt that changes at its front is evaluated anew: given
what is ``kept``, a choice begins with exactly that, and what is new follows as entries of its own (so a file may have
two) with orders behind all kept ones of its group. Knows nothing of sources, documents or prompts.

Row ranges are half open and every text ends with ``\n``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from capture.context.definitions import Definition
from capture.editing.positions import utf8_length
from capture.inputs import ContextSource, RelatedExcerpt, RelatedFile, Span

MAX_DEFINITIONS_PER_NAME = 2  # a name with more is a guess
# Of an item that is longer, Zed too shows little more than its head
# (`crates/edit_prediction_context/src/edit_prediction_context.rs` at zed 09adbb01).
MAX_DEFINITION_BYTES = 512
ORDERS_PER_GROUP = 1000
# Where nobody said how long a file is: it goes on behind what is shown, so that a prompt says so.
_UNKNOWN_ROWS_BELOW = 1


class Group(IntEnum):
    """What a candidate is; a lower value matters more."""

    DEFINITION = 0
    RECENT = 1
    CHANGES_TOGETHER = 2


BUDGET_BYTES: Mapping[Group, int] = {Group.DEFINITION: 8192, Group.RECENT: 4096, Group.CHANGES_TOGETHER: 2048}


class Candidate(NamedTuple):
    """Rows of a file that may help; they compete in the order of these fields.

    A lower ``rank`` matters more. ``path`` is absolute, ``text`` whole rows from ``start_row`` on. ``max_row`` is the
    index of the file's last row, -1 where it is not known.
    """

    group: Group
    rank: int
    path: str
    start_row: int
    text: str
    context_source: ContextSource
    max_row: int = -1


def definition_candidates(names: Sequence[str], found: Mapping[str, Sequence[Definition]]) -> Iterator[Candidate]:
    """Candidates from the definitions of ``names``, which are in the order of their importance."""
    for rank, name in enumerate(names):
        for index, definition in enumerate(found.get(name, ())[:MAX_DEFINITIONS_PER_NAME]):
            text = first_rows_within(definition.text, MAX_DEFINITION_BYTES)
            if text.strip():
                yield Candidate(
                    Group.DEFINITION,
                    rank * MAX_DEFINITIONS_PER_NAME + index,
                    definition.path,
                    definition.start_row,
                    text,
                    definition.source,
                )


def first_rows_within(text: str, max_bytes: int) -> str:
    r"""The whole rows at the start of ``text`` that fit; each ends with ``\n``."""
    if text and not text.endswith("\n"):
        text += "\n"
    data = text.encode()
    return text if len(data) <= max_bytes else data[: data.rfind(b"\n", 0, max_bytes) + 1].decode()


def choose(
    candidates: Iterable[Candidate],
    *,
    allowed: Callable[[str], bool],
    kept: tuple[RelatedFile, ...] = (),
    visible: tuple[str, Span] | None = None,
) -> tuple[RelatedFile, ...]:
    """The related files, their paths absolute as in the candidates, most important first behind the ``kept`` ones.

    ``allowed`` is asked for every path. ``visible`` are path and rows that a model sees anyway. To choose once more
    from the same candidates, with the choice as ``kept``, changes nothing.
    """
    room = _Room.beside(kept, visible)
    pieces: list[_Piece] = []
    verdicts: dict[str, bool] = {}
    for candidate in sorted(set(candidates)):
        if candidate.path not in verdicts:
            verdicts[candidate.path] = allowed(candidate.path)
        if verdicts[candidate.path]:
            pieces += room.take(candidate)
    return (*kept, *_files(pieces))


class _Piece(NamedTuple):
    order: int
    candidate: Candidate
    start_row: int
    rows: tuple[str, ...]

    @property
    def end_row(self) -> int:
        return self.start_row + len(self.rows)


@dataclass(slots=True)
class _Room:
    """What is shown already and what may still be added."""

    shown_rows: defaultdict[str, set[int]]
    visible: tuple[str, Span] | None
    left_bytes: dict[Group, int]
    next_order: dict[Group, int]

    @classmethod
    def beside(cls, kept: Sequence[RelatedFile], visible: tuple[str, Span] | None) -> _Room:
        room = cls(defaultdict(set), visible, dict(BUDGET_BYTES), {group: group * ORDERS_PER_GROUP for group in Group})
        for file in kept:
            for excerpt in file.excerpts:
                group = Group(excerpt.order // ORDERS_PER_GROUP)
                room.shown_rows[file.path].update(range(excerpt.row_range.start, excerpt.row_range.end))
                room.left_bytes[group] -= utf8_length(excerpt.text)
                room.next_order[group] = max(room.next_order[group], excerpt.order + 1)
        return room

    def take(self, candidate: Candidate) -> Iterator[_Piece]:
        """What of the candidate is new, if there is room for all of it.

        The room must hold the whole candidate, also where some of its rows are shown already: else what did not fit the
        first time might, once others show part of it, and a choice would change with nothing new to choose from.
        """
        group = candidate.group
        if utf8_length(candidate.text) > self.left_bytes[group]:
            return
        for start_row, rows in self._new_rows(candidate):
            if not "".join(rows).strip():
                continue
            self.left_bytes[group] -= sum(map(utf8_length, rows))
            self.shown_rows[candidate.path].update(range(start_row, start_row + len(rows)))
            yield _Piece(self.next_order[group], candidate, start_row, tuple(rows))
            self.next_order[group] += 1

    def _new_rows(self, candidate: Candidate) -> list[tuple[int, list[str]]]:
        """Runs of rows that are not shown yet."""
        shown = self.shown_rows[candidate.path]
        hidden = range(0)
        if self.visible is not None and self.visible[0] == candidate.path:
            hidden = range(self.visible[1].start, self.visible[1].end)
        runs: list[tuple[int, list[str]]] = []
        text = candidate.text if candidate.text.endswith("\n") else candidate.text + "\n"
        for row, line in enumerate(text.split("\n")[:-1], start=candidate.start_row):
            if row in shown or row in hidden:
                continue
            if not runs or runs[-1][0] + len(runs[-1][1]) != row:
                runs.append((row, []))
            runs[-1][1].append(line + "\n")
        return runs


def _files(pieces: Iterable[_Piece]) -> Iterator[RelatedFile]:
    """One entry a file, its excerpts from the top down, the file with the most important excerpt first."""
    by_path: defaultdict[str, list[_Piece]] = defaultdict(list)
    for piece in sorted(pieces, key=lambda piece: piece.start_row):
        above = by_path[piece.candidate.path]
        if above and above[-1].end_row == piece.start_row and above[-1].candidate.group == piece.candidate.group:
            above[-1] = _joined(above[-1], piece)
        else:
            above.append(piece)
    for path, of_file in sorted(by_path.items(), key=lambda item: min(piece.order for piece in item[1])):
        end_row = of_file[-1].end_row
        known = max(piece.candidate.max_row for piece in of_file)
        max_row = max(known, end_row - 1) if known >= 0 else end_row + _UNKNOWN_ROWS_BELOW
        yield RelatedFile(path, max_row, tuple(map(_excerpt, of_file)))


def _joined(above: _Piece, below: _Piece) -> _Piece:
    """Two pieces without a row between them as one, as important as the more important of them."""
    first = min(above, below)
    return _Piece(first.order, first.candidate, above.start_row, (*above.rows, *below.rows))


def _excerpt(piece: _Piece) -> RelatedExcerpt:
    return RelatedExcerpt(
        Span(piece.start_row, piece.end_row), "".join(piece.rows), piece.order, piece.candidate.context_source
    )
