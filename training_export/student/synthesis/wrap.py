"""Statements put into a block or taken out of one, and the values that a function returns wrapped one after the other.

Whoever puts lines into a block types what stands around them; the lines' indentation comes next. Where only the header
is typed, the block reaches to the next blank line. Knows nothing of what a header means.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING

from training_export.student.syntax.parsed import ParsedFile, WordKind
from training_export.student.synthesis.anatomy import Anatomy, anatomy_of, still_parses
from training_export.student.synthesis.edits import Edit, apply_edits, offset_after, place_at, without_rows
from training_export.student.synthesis.moment import Moment, Place, Step, Task
from training_export.student.synthesis.propagation import Change, moment_of, propagated

if TYPE_CHECKING:
    from tree_sitter import Node

    from training_export.student.synthesis.moment import Surroundings

MOST_ROWS = 8
TRIES = 12
_NAMELESS = ("lambda", "closure", "arrow_function", "function_expression", "literal")
SHARE_CLOSED = 0.6  # of blocks whose end is typed, or taken away, before the lines between


def wrap(file: ParsedFile, random: Random, surroundings: Surroundings) -> Moment | None:
    """One of the three kinds."""
    makers = [_put_in, _taken_out, _returns]
    random.shuffle(makers)
    for make in makers:
        moment = make(anatomy_of(file), random, surroundings)
        if moment is not None:
            return moment
    return None


def _put_in(anatomy: Anatomy, random: Random, surroundings: Surroundings) -> Moment | None:
    """A header typed above statements, perhaps the end below them, too."""
    file, rows, grammar = anatomy.file, anatomy.rows, anatomy.grammar
    for first, last in _paragraphs(anatomy, random):
        indent = _indent_of(file.lines[first])
        header = indent + random.choice(grammar.headers).format(_name(anatomy, random, surroundings, first))
        closer = f"\n{indent}}}" if grammar.braces else ""
        inside = [
            Edit(rows.starts[row], rows.starts[row], indent_unit(anatomy))
            for row in range(first, last + 1)
            if file.lines[row].strip()
        ]
        above = Edit(rows.starts[first], rows.starts[first], f"{header}\n")
        below = Edit(rows.end_of(last), rows.end_of(last), closer)
        # Two edits at one offset: the first row gets both in one.
        both = Edit(above.start, above.end, above.text + inside[0].text)
        expected = apply_edits(file.text, [both, *inside[1:], below])
        if not still_parses(file, expected):
            continue
        text = apply_edits(file.text, [above])
        steps = [Step(file.path, text, Place(first, len(header)), random.uniform(1.0, 4.0))]
        if grammar.braces and random.random() < SHARE_CLOSED:
            text = apply_edits(file.text, [above, below])
            cursor = place_at(text, offset_after(rows.end_of(last), [above]) + len(closer))
            steps.append(Step(file.path, text, cursor, random.uniform(0.5, 3.0)))
        moment = moment_of(file, Task.WRAP, "put_in", steps, expected)
        if moment is not None:
            return moment
    return None


def _taken_out(anatomy: Anatomy, random: Random, surroundings: Surroundings) -> Moment | None:
    """A block's header deleted, perhaps its end, too; what stood in it moves out."""
    del surroundings
    file, rows, grammar = anatomy.file, anatomy.rows, anatomy.grammar
    for header, first, last in _plain_blocks(anatomy, random):
        unit = len(_indent_of(file.lines[first])) - len(_indent_of(file.lines[header]))
        body = [row for row in range(first, last + 1) if file.lines[row].strip()]
        if unit <= 0 or any(len(_indent_of(file.lines[row])) < unit for row in body):
            continue
        gone = without_rows(rows, header, first)
        end = [without_rows(rows, last + 1, last + 2)] if grammar.braces else []
        moved = [Edit(rows.starts[row], rows.starts[row] + unit, "") for row in body]
        expected = apply_edits(file.text, [gone, *moved, *end])
        if not still_parses(file, expected):
            continue
        text = apply_edits(file.text, [gone])
        steps = [Step(file.path, text, Place(header, 0), random.uniform(1.0, 4.0))]
        if end and random.random() < SHARE_CLOSED:
            text = apply_edits(file.text, [gone, *end])
            steps.append(Step(file.path, text, place_at(text, offset_after(end[0].start, [gone])), 1.0))
        moment = moment_of(file, Task.WRAP, "taken_out", steps, expected)
        if moment is not None:
            return moment
    return None


def _returns(anatomy: Anatomy, random: Random, surroundings: Surroundings) -> Moment | None:
    """What a function returns wrapped in the first of its returns, the others to follow."""
    del surroundings
    functions = anatomy.nodes(anatomy.grammar.functions)
    returns: dict[int, list[tuple[int, int]]] = {}
    for node in anatomy.nodes(anatomy.grammar.returns):
        value = node.named_children[0] if len(node.named_children) == 1 else None
        owner = _function_around(anatomy, node)
        if value is not None and owner is not None and value.start_point.row == value.end_point.row:
            returns.setdefault(owner.id, []).append(anatomy.span(value))
    candidates = [found for function in functions if len(found := returns.get(function.id, [])) > 1]
    for found in random.sample(candidates, min(len(candidates), TRIES)):
        before, after = random.choice(anatomy.grammar.returned).split("{}")
        changes = []
        for start, end in sorted(found):
            edits = [Edit(start, start, before), Edit(end, end, after)]
            changes.append(Change(tuple(edit for edit in edits if edit.text)))
        edits = [edit for change in changes for edit in change.edits]
        if not still_parses(anatomy.file, apply_edits(anatomy.text, edits)):
            continue
        moment = propagated(anatomy.file, random, Task.WRAP, "returns", changes)
        if moment is not None:
            return moment
    return None


def indent_unit(anatomy: Anatomy) -> str:
    """What one level of the file is indented by."""
    found: str | None = anatomy.memo.get(indent_unit)
    if found is None:
        steps: Counter[str] = Counter()
        for block in anatomy.file.blocks:
            outer, inner = _indent_of(anatomy.file.lines[block.header]), _indent_of(anatomy.file.lines[block.first_row])
            if inner.startswith(outer) and len(inner) > len(outer):
                steps[inner[len(outer) :]] += 1
        found = anatomy.memo[indent_unit] = steps.most_common(1)[0][0] if steps else "    "
    return found


def _paragraphs(anatomy: Anatomy, random: Random) -> Iterator[tuple[int, int]]:
    """First and last row of statements of a function up to a blank line or the end of their block."""
    lines = anatomy.file.lines
    containers = [node for node in anatomy.nodes(anatomy.grammar.statements) if node.parent is not None]
    for container in random.sample(containers, min(len(containers), TRIES)):
        statements = anatomy.statements(container)
        if not statements or not all(anatomy.fills_rows(node) for node in statements):
            continue
        spans = [anatomy.row_span(node) for node in statements]
        first = random.choice(spans)[0]
        last = next(
            (end for start, end in spans if start >= first and (end + 1 >= len(lines) or not lines[end + 1].strip())),
            spans[-1][1],
        )
        if last - first < MOST_ROWS and _function_around(anatomy, container) and _may_move(anatomy, first, last):
            yield first, last


def _plain_blocks(anatomy: Anatomy, random: Random) -> Iterator[tuple[int, int, int]]:
    """Header, first and last row of blocks that are a statement of their own, without an ``else``."""
    containers = [node for node in anatomy.nodes(anatomy.grammar.statements) if node.parent is not None]
    for container in random.sample(containers, len(containers)):
        block = container
        while block.parent is not None and block.parent.type not in anatomy.grammar.statements:
            block = block.parent
        if not any(part in block.type for part in ("if", "for", "with", "while", "expression_statement", "unsafe")):
            continue
        (header, end), (first, last) = anatomy.row_span(block), anatomy.row_span(container)
        if container.children and container.children[0].type == "{":  # the braces belong to it
            first, last = first + 1, last - 1
        is_whole = first == header + 1 and end == last + anatomy.grammar.braces and anatomy.fills_rows(block)
        is_plain = not anatomy.grammar.braces or anatomy.file.lines[end].strip() == "}"
        defines = any(word.is_definition for word in anatomy.file.words.get(header, ()))
        if is_whole and is_plain and not defines and 0 <= last - first < MOST_ROWS and _may_move(anatomy, first, last):
            yield header, first, last


def _may_move(anatomy: Anatomy, first: int, last: int) -> bool:
    """Whether no string goes on over the ends of these rows: its text would change with the indentation."""
    fixed: set[int] | None = anatomy.memo.get(_may_move)
    if fixed is None:
        strings = anatomy.nodes(anatomy.file.syntax.strings)
        fixed = {row for node in strings for row in range(node.start_point.row + 1, node.end_point.row + 1)}
        anatomy.memo[_may_move] = fixed
    return not any(row in fixed for row in range(first, last + 1))


def _function_around(anatomy: Anatomy, node: Node) -> Node | None:
    """The innermost function that a node is in; None where that one has no name."""
    around = node.parent
    while around is not None and around.type not in anatomy.grammar.functions:
        if any(part in around.type for part in _NAMELESS):
            return None
        around = around.parent
    return around


def _name(anatomy: Anatomy, random: Random, surroundings: Surroundings, row: int) -> str:
    """What a header may test or go through: a name of the rows below it, or any."""
    near = [
        word.text
        for words in (anatomy.file.words.get(other, ()) for other in range(row, row + 2))
        for word in words
        if word.kind is WordKind.NAME and not word.is_attribute and not word.is_definition
    ]
    return random.choice(near) if near else random.choice(surroundings.names)


def _indent_of(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
