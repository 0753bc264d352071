"""A parsed file as the tasks look at it: its syntax nodes by type, in characters, and its rows.

Made once for a file and kept while the tasks go over it. Knows nothing of moments.
"""

from __future__ import annotations

from collections import defaultdict, deque
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from capture.editing.positions import utf8_length
from training_export.student.syntax.parsed import parse_text
from training_export.student.synthesis.edits import Rows
from training_export.student.synthesis.grammar import GRAMMARS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tree_sitter import Node

    from training_export.student.syntax.parsed import ParsedFile, Word

MAX_FILES_KEPT = 8


class Anatomy:
    """Nodes, rows and the language's grammar of one file."""

    def __init__(self, file: ParsedFile) -> None:
        self.file = file
        self.text = file.text
        self.grammar = GRAMMARS[file.language]
        self.rows = Rows(file.text)
        self._character_at: list[int] | None = None
        if not file.text.isascii():
            lengths = list(accumulate(map(utf8_length, file.text), initial=0))
            self._character_at = [0] * (lengths[-1] + 1)
            for character, offset_bytes in enumerate(lengths):
                self._character_at[offset_bytes] = character
        self.memo: dict[object, Any] = {}  # what a task found out about the whole file, under the function that did
        self._nodes: dict[str, list[Node]] = defaultdict(list)
        for node in _named_nodes(file.tree.root_node):
            self._nodes[node.type].append(node)

    def nodes(self, types: Iterable[str]) -> list[Node]:
        """All named nodes of these types, in the order of the text within each type."""
        return [node for type_ in sorted(types) for node in self._nodes.get(type_, ())]

    def span(self, node: Node) -> tuple[int, int]:
        """The characters of a node, end exclusive."""
        if self._character_at is None:
            return node.start_byte, node.end_byte
        return self._character_at[node.start_byte], self._character_at[node.end_byte]

    def source(self, node: Node) -> str:
        """The text of a node."""
        start, end = self.span(node)
        return self.text[start:end]

    def word_at(self, node: Node) -> Word | None:
        """The word that a node is, None where it is none of the file's words."""
        start, end = self.span(node)
        row = self.rows.row_of(start)
        column, length = start - self.rows.starts[row], end - start
        words = self.file.words.get(row, ())
        return next((word for word in words if word.start == column and word.end == column + length), None)

    def node_of(self, word: Word) -> Node | None:
        """The smallest named node that holds a word."""
        start, end = self.span_of(word)
        start_bytes = start if self._character_at is None else utf8_length(self.text[:start])
        end_bytes = start_bytes + utf8_length(self.text[start:end])
        return self.file.tree.root_node.named_descendant_for_byte_range(start_bytes, end_bytes)

    def statement_of(self, word: Word) -> Node | None:
        """The innermost statement that a word is in."""
        node = self.node_of(word)
        while node is not None and node.parent is not None and node.parent.type not in self.grammar.statements:
            node = node.parent
        return None if node is None or node.parent is None else node

    def span_of(self, word: Word) -> tuple[int, int]:
        """The characters of a word in the file's text."""
        start = self.rows.starts[word.row]
        return start + word.start, start + word.end

    def fills_rows(self, node: Node) -> bool:
        """Whether nothing else stands on the node's rows, but a comma, a semicolon or a comment behind it."""
        start, end = self.span(node)
        end -= len(self.text[start:end]) - len(self.text[start:end].rstrip())
        rows = self.rows
        first, last = rows.row_of(start), rows.row_of(end)
        before = self.text[rows.starts[first] : start]
        behind = self.text[end : rows.end_of(last)].lstrip(",;").strip()
        return not before.strip() and (not behind or behind.startswith(self.grammar.comment))

    def statements(self, container: Node) -> list[Node]:
        """The statements that stand directly in a node, without comments."""
        return [node for node in container.named_children if "comment" not in node.type]

    def row_span(self, node: Node) -> tuple[int, int]:
        """First and last row of a node, both included; a newline that ends the node belongs to the row before."""
        start, end = self.span(node)
        end -= len(self.text[start:end]) - len(self.text[start:end].rstrip())
        return self.rows.row_of(start), self.rows.row_of(max(start, end))


_recent: deque[Anatomy] = deque(maxlen=MAX_FILES_KEPT)


def still_parses(file: ParsedFile, text: str) -> bool:
    """Whether a text that ``file`` was changed to has no error of syntax."""
    return parse_text(file.language, file.project, file.path, text) is not None


def anatomy_of(file: ParsedFile) -> Anatomy:
    """The file's anatomy, made when it is first asked for."""
    for anatomy in _recent:
        if anatomy.file is file:
            return anatomy
    anatomy = Anatomy(file)
    _recent.append(anatomy)
    return anatomy


def _named_nodes(root: Node) -> Iterator[Node]:
    cursor = root.walk()
    if not cursor.goto_first_child():
        return
    while True:
        node = cursor.node
        if node is not None and node.is_named:
            yield node
        if cursor.goto_first_child() or cursor.goto_next_sibling():
            continue
        while cursor.goto_parent():
            if cursor.goto_next_sibling():
                break
        else:
            return
