"""Text being written: the rest of a line, what stands in a block whose header is complete, and what closes it.

Pauses inside a line are where programmers pause (zeta.md 3.9). What stands below may be there already or not yet be
written; where it is not, the text still ends between two statements.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING, Final

from training_export.student.syntax.parsed import ParsedFile, WordKind
from training_export.student.synthesis.anatomy import Anatomy, anatomy_of
from training_export.student.synthesis.edits import Edit, apply_edits, without_rows
from training_export.student.synthesis.moment import Moment, Place, Step, Task
from training_export.student.synthesis.propagation import moment_of

if TYPE_CHECKING:
    from tree_sitter import Node

    from training_export.student.synthesis.moment import Surroundings

LONG_CHARACTERS, LONG_TOKENS = 8, 2  # a remainder that is worth predicting
SHARE_LONG = 0.75
SHARE_BELOW_STANDS = 0.6
SHARE_TYPED_BEFORE = 0.35
SHARE_CLOSED = 0.3  # of lines whose brackets the editor has closed
MOST_ROWS_NEXT = 3
MOST_ROWS_CLOSED = 12
TRIES = 12
_TOKEN: Final = re.compile(r"\w+|[^\w\s]")
_CLOSING: Final = re.compile(r"\s*[)\]}][)\]};,]*$")
_PAIRS: Final = {"(": ")", "[": "]", "{": "}"}
# Where a person pauses inside a line: the weight of stopping behind a character.
_PAUSES: Final = ((",;:([{", 10), (")]}", 8), (" \t", 6), (".+-*/=<>&|!", 5))


def finish_line(file: ParsedFile, random: Random, surroundings: Surroundings) -> Moment | None:
    """A line being typed, the rest of it to come: "long" where that is worth predicting, else "short"."""
    del surroundings
    anatomy = anatomy_of(file)
    candidates = typable_rows(file)
    if not candidates:
        return None
    wants_long = random.random() < SHARE_LONG
    for _ in range(TRIES):
        row = random.choice(candidates)
        line = file.lines[row]
        column = pause_column(random, line)
        if _is_long(line[column:]) is not wants_long:
            continue
        moment = _being_typed(anatomy, random, row, column, "long" if wants_long else "short")
        if moment is not None:
            return moment
    return None


def finish_block(file: ParsedFile, random: Random, surroundings: Surroundings) -> Moment | None:
    """A header whose body is to come, a statement whose successor is, or a block without its closing."""
    del surroundings
    makers = [_body, _next_statement, _closing]
    random.shuffle(makers)
    if random.random() < 0.4:
        makers.insert(0, _body)
    for make in makers:
        moment = make(anatomy_of(file), random)
        if moment is not None:
            return moment
    return None


def typable_rows(file: ParsedFile) -> list[int]:
    """Rows of code, not too short to pause in."""
    return [
        row
        for row, words in file.words.items()
        if any(word.kind is not WordKind.COMMENT for word in words[:1]) and len(file.lines[row].strip()) >= 6
    ]


def pause_column(random: Random, line: str) -> int:
    """A column inside the line's text, likely one where a person pauses."""
    indent = len(line) - len(line.lstrip())
    columns = range(indent + 1, len(line.rstrip()))
    weights = []
    for column in columns:
        character, following = line[column - 1], line[column]
        weight = next((value for characters, value in _PAUSES if character in characters), 3)
        if character.isalnum() or character == "_":
            weight = 1 if following.isalnum() or following == "_" else 8
        weights.append(weight)
    return random.choices(columns, weights)[0]


def _is_long(rest: str) -> bool:
    return len(rest) >= LONG_CHARACTERS and len(_TOKEN.findall(rest)) >= LONG_TOKENS


def _being_typed(anatomy: Anatomy, random: Random, row: int, column: int, kind: str) -> Moment | None:
    file, rows = anatomy.file, anatomy.rows
    line = file.lines[row]
    partial = line[:column]
    if random.random() < SHARE_CLOSED:
        partial += _closers(partial, line[column:])
    unwritten: list[Edit] = []
    if random.random() >= SHARE_BELOW_STANDS:
        unwritten = _rest_of_block(anatomy, row)
    first = row
    if random.random() < SHARE_TYPED_BEFORE:
        fewest = max(0, row - random.randint(1, 3))
        while first > fewest and file.lines[first - 1].strip():
            first -= 1
    steps = []
    for typed in range(first, row):
        edits = [*unwritten, without_rows(rows, typed + 1, row + 1)]
        text = apply_edits(file.text, edits)
        steps.append(Step(file.path, text, Place(typed, len(file.lines[typed])), random.uniform(1.0, 4.0)))
    start = rows.starts[row]
    text = apply_edits(file.text, [*unwritten, Edit(start, rows.end_of(row), partial)])
    steps.append(Step(file.path, text, Place(row, column), random.uniform(0.3, 3.0)))
    expected = apply_edits(file.text, unwritten)
    before = apply_edits(file.text, [*unwritten, without_rows(rows, first, row + 1)])
    return _written(file, Task.FINISH_LINE, kind, before, steps, expected)


def _written(
    file: ParsedFile, task: Task, kind: str, before: str, steps: Sequence[Step], expected: str
) -> Moment | None:
    """The moment that begins with ``before`` in place of the file's own text."""
    moment = moment_of(file, task, kind, steps, expected, before=before)
    return None if moment is None or before == moment.current else moment


def _closers(partial: str, rest: str) -> str:
    """The brackets an editor has put behind the cursor, as far as they belong there."""
    closers: list[str] = []
    quote = ""
    for character in partial:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'`":
            quote = character
        elif character in _PAIRS:
            closers.insert(0, _PAIRS[character])
        elif closers and character == closers[0]:
            closers.pop(0)
    position = 0
    for closer in closers:
        position = rest.find(closer, position) + 1
        if not position:
            return ""
    return "" if quote else "".join(closers)


def _rest_of_block(anatomy: Anatomy, row: int) -> list[Edit]:
    """What deletes the statements below the one that is this row; nothing where it is none, or the last."""
    for container in anatomy.nodes(anatomy.grammar.statements):
        statements = anatomy.statements(container)
        for statement, following in itertools.pairwise(statements):
            if anatomy.row_span(statement) == (row, row) and anatomy.fills_rows(statement):
                first, end = anatomy.row_span(following)[0], anatomy.row_span(statements[-1])[1] + 1
                is_whole = anatomy.fills_rows(statements[-1]) and anatomy.fills_rows(following)
                return [without_rows(anatomy.rows, first, end)] if is_whole else []
    return []


def _body(anatomy: Anatomy, random: Random) -> Moment | None:
    """The header is complete; its whole body comes next where it is short, else its first statement."""
    for statements in _blocks(anatomy, random):
        first_row, last_row = anatomy.row_span(statements[0])[0], anatomy.row_span(statements[-1])[1]
        header = first_row - 1
        if header < 0 or not anatomy.file.lines[header].strip() or header not in anatomy.file.words:
            continue
        last_next = last_row
        if last_row - first_row >= MOST_ROWS_NEXT:
            last_next = anatomy.row_span(statements[0])[1]
            if last_next - first_row >= MOST_ROWS_NEXT:
                continue
        moment = _rows_to_come(anatomy, random, "body", (first_row, last_next), last_row, typed_from=header)
        if moment is not None:
            return moment
    return None


def _next_statement(anatomy: Anatomy, random: Random) -> Moment | None:
    """A statement was typed; the one below it in the same block comes next."""
    for statements in _blocks(anatomy, random):
        if len(statements) < 2:
            continue
        index = random.randrange(1, len(statements))
        typed, following = anatomy.row_span(statements[index - 1]), anatomy.row_span(statements[index])
        if following[0] != typed[1] + 1 or following[1] - following[0] >= MOST_ROWS_NEXT or typed[1] - typed[0] > 5:
            continue
        last_row = anatomy.row_span(statements[-1])[1]
        moment = _rows_to_come(anatomy, random, "statement", following, last_row, typed_from=typed[0])
        if moment is not None:
            return moment
    return None


def _rows_to_come(
    anatomy: Anatomy, random: Random, kind: str, next_rows: tuple[int, int], last_row: int, *, typed_from: int
) -> Moment | None:
    """Rows above were just typed; ``next_rows`` come next, and the block's rows below them stand or are unwritten."""
    file, rows = anatomy.file, anatomy.rows
    first, last = next_rows
    unwritten = []
    if last < last_row and random.random() >= SHARE_BELOW_STANDS:
        unwritten = [without_rows(rows, last + 1, last_row + 1)]
    expected = apply_edits(file.text, unwritten)
    missing = without_rows(rows, first, last + 1)
    place = Place(first - 1, len(file.lines[first - 1]))
    if random.random() < 0.5:  # the next line is begun
        indent = _indent_of(file.lines[first])
        missing = Edit(rows.starts[first], rows.end_of(last), indent)
        place = Place(first, len(indent))
    text = apply_edits(file.text, [*unwritten, missing])
    end = last + 1
    if kind == "body" and _CLOSING.match(file.lines[last_row + 1] if last_row + 1 < len(file.lines) else ""):
        end = last_row + 2  # the editor put it there with the header
    before = apply_edits(file.text, [*unwritten, without_rows(rows, typed_from, end)])
    step = Step(file.path, text, place, random.uniform(0.3, 3.0))
    return _written(file, Task.FINISH_BLOCK, kind, before, [step], expected)


def _closing(anatomy: Anatomy, random: Random) -> Moment | None:
    """A block was typed, and what closes it is missing."""
    file, rows = anatomy.file, anatomy.rows
    closings = [(first, last) for first, last in bracketed_rows(anatomy) if 2 <= last - first <= MOST_ROWS_CLOSED]
    if not closings:
        return None
    first, last = random.choice(closings)
    missing = without_rows(rows, last, last + 1)
    place = Place(last - 1, len(file.lines[last - 1]))
    if random.random() < 0.5:
        indent = _indent_of(file.lines[last])
        missing = Edit(rows.starts[last], rows.end_of(last), indent)
        place = Place(last, len(indent))
    before = apply_edits(file.text, [without_rows(rows, first + random.randint(0, 1), last + 1)])
    step = Step(file.path, apply_edits(file.text, [missing]), place, random.uniform(0.3, 3.0))
    return _written(file, Task.FINISH_BLOCK, "closing", before, [step], file.text)


def bracketed_rows(anatomy: Anatomy) -> list[tuple[int, int]]:
    """First and last row of everything whose closing brackets have a row of their own."""
    found = anatomy.memo.get(bracketed_rows)
    if found is None:
        found = anatomy.memo[bracketed_rows] = list(_found_brackets(anatomy))
    return found


def _found_brackets(anatomy: Anatomy) -> Iterator[tuple[int, int]]:
    opened: list[tuple[str, int]] = []
    for row in sorted(anatomy.file.words):
        words = anatomy.file.words[row]
        for word in words:
            if word.kind is not WordKind.OPERATOR:
                continue
            if word.text in _PAIRS:
                opened.append((_PAIRS[word.text], row))
            elif opened and word.text == opened[-1][0]:
                first = opened.pop()[1]
                if first < row and word is words[0] and _CLOSING.match(anatomy.file.lines[row]):
                    yield first, row


def _blocks(anatomy: Anatomy, random: Random) -> Iterator[list[Node]]:
    """The statements of some blocks, each on rows of its own."""
    containers = [node for node in anatomy.nodes(anatomy.grammar.statements) if node.parent is not None]
    for container in random.sample(containers, min(len(containers), TRIES)):
        statements = anatomy.statements(container)
        if statements and all(anatomy.fills_rows(node) for node in statements):
            yield statements


def _indent_of(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
