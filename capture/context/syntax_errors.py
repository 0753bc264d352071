"""The least that can be said of a text's errors: what its grammar cannot make sense of.

For documents that nobody else reports diagnostics of. What reaches into the cursor's row is left out: there somebody
is typing, and an unfinished row is no error. Knows nothing of diagnostics' budgets or of who shows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from capture.editing.positions import Position, Range

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node

    from capture.context.syntax_tree import ParsedRows

MAX_PROBLEMS = 20
MAX_QUOTED_CHARACTERS = 24


@dataclass(frozen=True, slots=True)
class SyntaxProblem:
    """Something that does not belong there, or is missing; positions are the document's."""

    range: Range
    message: str


def syntax_problems(parsed: ParsedRows, cursor: Position) -> tuple[SyntaxProblem, ...]:
    """The nearest problems, nearest first, at most ``MAX_PROBLEMS``.

    None at all where only a part of the text was parsed: at the ends of a part everything looks broken.
    """
    if parsed.root is None or not parsed.is_whole:
        return ()
    problems = [
        _problem(parsed, node)
        for node in _broken(parsed.root)
        if not node.start_point.row <= cursor.line <= node.end_point.row
    ]
    problems.sort(key=lambda problem: (abs(problem.range.start.line - cursor.line), problem.range.start))
    return tuple(problems[:MAX_PROBLEMS])


def _broken(root: Node) -> Iterator[Node]:
    """The outermost ERROR nodes, and missing ones outside of them."""
    pending = [root]
    while pending:
        node = pending.pop()
        if node.is_error or node.is_missing:
            yield node
        elif node.has_error:
            pending += node.children


def _problem(parsed: ParsedRows, node: Node) -> SyntaxProblem:
    """An error over several rows is drawn to the first of them: that is where it begins to go wrong."""
    start, end = node.start_point, node.end_point
    if end.row > start.row:
        row_end_bytes = len(parsed.rows[start.row].encode())
        end_position = parsed.position((start.row, row_end_bytes))
    else:
        end_position = parsed.position(end)
    where = Range(parsed.position(start), end_position)
    if node.is_missing:
        return SyntaxProblem(where, f"syntax error: missing {node.type}")
    quoted = parsed.source[node.start_byte : node.end_byte].decode(errors="replace").strip()
    if "\n" in quoted or not 0 < len(quoted) <= MAX_QUOTED_CHARACTERS:
        return SyntaxProblem(where, "syntax error")
    return SyntaxProblem(where, f"syntax error: unexpected {quoted}")
