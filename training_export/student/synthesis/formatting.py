"""Similar lines written another way: quotes, names, idioms, semicolons, trailing commas.

One line was converted, those like it near by follow, each with words of its own: what a substitution cannot say. What
is not like it stays: a string that holds the other quote, a name of one part, a line whose end is not a statement's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING, Final

from training_export.student.syntax.parsed import ParsedFile, Word, WordKind
from training_export.student.synthesis.anatomy import Anatomy, anatomy_of, still_parses
from training_export.student.synthesis.conversions import CONVERSIONS
from training_export.student.synthesis.edits import Edit, apply_edits
from training_export.student.synthesis.finish import bracketed_rows
from training_export.student.synthesis.moment import Moment, Task
from training_export.student.synthesis.names import Style, joined, parts_of, style_of
from training_export.student.synthesis.propagation import Change, finished, propagated
from training_export.student.synthesis.repeat import is_bound

if TYPE_CHECKING:
    from training_export.student.synthesis.moment import Surroundings

GAP_ROWS = 5  # between two places of one conversion
MOST_PLACES = 12
TRIES = 8
_STRING: Final = re.compile(r"([A-Za-z]{0,2})([\"'`])([^\"'`\\]*)\2")
_KEY: Final = re.compile(r"[\"'`]?([A-Za-z]\w*)[\"'`]?")

Found = tuple[str, list[Change]]
Maker = Callable[[Anatomy], Iterator[Found]]


def formatting(file: ParsedFile, random: Random, surroundings: Surroundings) -> Moment | None:
    """One of the kinds, begun on one line or on some."""
    del surroundings
    for kind, changes in _some(file, random):
        moment = propagated(file, random, Task.FORMATTING, kind, changes)
        if moment is not None:
            return moment
    return None


def formatted(file: ParsedFile, random: Random, surroundings: Surroundings) -> Moment | None:
    """The quiet moment after the last line alike was converted."""
    del surroundings
    for _, changes in _some(file, random):
        return finished(file, random, "formatted", changes)
    return None


def _some(file: ParsedFile, random: Random) -> Iterator[Found]:
    """Conversions of two places and more near each other, after which the file still parses."""
    anatomy = anatomy_of(file)
    for make in random.sample(_MAKERS, len(_MAKERS)):
        groups: list[Found] | None = anatomy.memo.get(make)
        if groups is None:
            groups = anatomy.memo[make] = list(make(anatomy))
        for kind, changes in random.sample(groups, min(len(groups), TRIES)):
            edits = [edit for change in changes for edit in change.edits]
            if still_parses(file, apply_edits(file.text, edits)):
                yield kind, changes


def _idioms(anatomy: Anatomy) -> Iterator[Found]:
    """A pattern of one line's code rewritten, see ``conversions.py``."""
    for pattern, new in CONVERSIONS[anatomy.file.language]:
        found = []
        for match in pattern.finditer(anatomy.text):
            edit = Edit(match.start(), match.end(), match.expand(new))
            if "\n" not in match[0] and edit.text != match[0] and _begins_word(anatomy, match.start()):
                found.append(edit)
        for group in _near_each_other(anatomy, found):
            yield "idiom", group


def _quotes(anatomy: Anatomy) -> Iterator[Found]:
    """All strings of some lines in the other quotes."""
    for old, new in anatomy.grammar.quotes:
        found = []
        for words in anatomy.file.words.values():
            for word in words:
                match = _STRING.fullmatch(word.text) if word.kind is WordKind.STRING else None
                if match is not None and match[2] == old and len(word.text) > 2:
                    found.append(Edit(*anatomy.span_of(word), f"{match[1]}{new}{match[3]}{new}"))
        for group in _near_each_other(anatomy, found):
            yield "quotes", group


def _names(anatomy: Anatomy) -> Iterator[Found]:
    """Keys of neighbouring lines in another style; only strings and names that nothing in the file defines."""
    for style in _OTHER_STYLES:
        found = [
            Edit(*anatomy.span_of(word), new)
            for words in anatomy.file.words.values()
            for word in words[:3]
            if (new := _restyled(anatomy, words, word, *style)) is not None
        ]
        for group in _near_each_other(anatomy, found):
            yield "names", group


_OTHER_STYLES: Final = ((Style.SNAKE, Style.CAMEL), (Style.CAMEL, Style.SNAKE), (Style.SNAKE, Style.UPPER))


def _restyled(anatomy: Anatomy, words: Sequence[Word], word: Word, old: Style, new: Style) -> str | None:
    """The key in the other style, None for what is no key, or has no other style."""
    if word.following not in (":", "=", "=>", ",") or word.kind not in (WordKind.STRING, WordKind.NAME):
        return None
    match = _KEY.fullmatch(word.text)
    if match is None or len(parts_of(match[1])) < 2 or style_of(match[1]) is not old:
        return None
    if word.kind is WordKind.NAME and (word is not words[0] or word.is_definition or is_bound(anatomy.file, word)):
        return None
    written = joined(parts_of(match[1]), new)
    return word.text.replace(match[1], written) if written != match[1] else None


def _semicolons(anatomy: Anatomy) -> Iterator[Found]:
    """Semicolons at the ends of statements, where the language can do without."""
    if not anatomy.grammar.optional_semicolons:
        return
    ends = sorted({anatomy.span(node)[1] for node in anatomy.nodes(_ENDED) if anatomy.fills_rows(node)})
    has = [Edit(end - 1, end, "") for end in ends if anatomy.text[end - 1] == ";"]
    lacks = [Edit(end, end, ";") for end in ends if anatomy.text[end - 1] not in ";}" and anatomy.text[end:][:1] != ";"]
    for found in (has, lacks):
        for group in _near_each_other(anatomy, found):
            yield "semicolons", group


_ENDED: Final = ("expression_statement", "lexical_declaration", "variable_declaration", "return_statement")


def _trailing_commas(anatomy: Anatomy) -> Iterator[Found]:
    """Commas behind the last elements of lists that are closed on a line of their own."""
    if not anatomy.grammar.optional_commas:
        return
    has, lacks = [], []
    for first, last in bracketed_rows(anatomy):
        end = anatomy.rows.end_of(last - 1)
        words = anatomy.file.words.get(last - 1, ())
        opening = anatomy.file.words.get(first, ())
        if last - first < 2 or not words or words[-1].kind is WordKind.COMMENT or not opening:
            continue
        if words[-1].text == ",":
            has.append(Edit(end - 1, end, ""))
        elif opening[-1].text in ("(", "[") or (last - first > 2 and _row_ends(anatomy, last - 2) == ","):
            lacks.append(Edit(end, end, ","))
    for found in (has, lacks):
        for group in _near_each_other(anatomy, found):
            yield "trailing_commas", group


def _row_ends(anatomy: Anatomy, row: int) -> str:
    words = anatomy.file.words.get(row, ())
    return words[-1].text if words else ""


def _begins_word(anatomy: Anatomy, offset: int) -> bool:
    """Whether the code has a word at this place, so that it lies in no comment and in no longer string."""
    row = anatomy.rows.row_of(offset)
    column = offset - anatomy.rows.starts[row]
    column += len(anatomy.file.lines[row][column:]) - len(anatomy.file.lines[row][column:].lstrip())
    words = anatomy.file.words.get(row, ())
    return any(word.start == column and word.kind is not WordKind.COMMENT for word in words)


def _near_each_other(anatomy: Anatomy, found: Sequence[Edit]) -> Iterator[list[Change]]:
    """The places of a conversion that follow one another within a few rows, what is in one row as one change."""
    by_row: dict[int, list[Edit]] = {}
    for edit in sorted(found):
        row = by_row.setdefault(anatomy.rows.row_of(edit.start), [])
        if not row or row[-1].end <= edit.start:
            row.append(edit)
    for gap_rows in (GAP_ROWS, 1):
        groups: list[list[int]] = []
        for place in by_row:
            if groups and place - groups[-1][-1] <= gap_rows:
                groups[-1].append(place)
            else:
                groups.append([place])
        # What goes through all of a file is done a paragraph at a time.
        for rows in groups:
            if 2 <= len(rows) <= MOST_PLACES:
                yield [Change(tuple(by_row[row])) for row in rows]
        by_row = {row: by_row[row] for rows in groups if len(rows) > MOST_PLACES for row in rows}


_MAKERS: Final[tuple[Maker, ...]] = (_idioms, _idioms, _quotes, _names, _semicolons, _trailing_commas)
