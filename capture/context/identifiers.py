"""Which names near a cursor are worth looking up: what somebody who edits there would want to see defined.

Names on the rows around the cursor and in the headers of the items that enclose it, the nearest first, each once: the
reach is Zed's (`crates/edit_prediction_context/src/edit_prediction_context.rs` at zed 09adbb01). A grammar tells names
from keywords; without one every word counts. Knows nothing of where definitions come from.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from capture.context.definitions import Identifier
from capture.editing.positions import Position, index_at_utf16, utf8_length, utf16_length
from capture.parsing import nodes_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node

    from capture.context.syntax_tree import ParsedRows

ROWS_AROUND_CURSOR = 3
MAX_IDENTIFIERS = 32
MAX_NAME_BYTES = 128
MAX_HEADER_BYTES = 2048  # of an enclosing item; a longer one is a table, not a signature

_WORD = re.compile(r"[^\W\d]\w*")
# Named leaves that are names without being called identifier: Ruby's, PHP's and the shell's.
_NAME_KINDS = frozenset({"constant", "name", "variable_name"})
# In the shell every argument is a word; these hold the ones that are names.
_WORDS_THAT_NAME = frozenset({"command_name", "function_definition"})
# An item is what a grammar calls by one of these and what has a body; a loop or a condition is none.
_ITEM_ENDINGS = ("_definition", "_declaration", "_item", "_specifier")
_ITEM_KINDS = frozenset({"method", "singleton_method", "class", "module"})

_Found = tuple[str, int, Position]  # a name, where it starts in the source, and in the document


def identifiers_near(parsed: ParsedRows, cursor: Position) -> tuple[Identifier, ...]:
    """The nearest names, by their distance in bytes; at most ``MAX_IDENTIFIERS``.

    The word that ends at the cursor is being typed and is no name yet.
    """
    row = min(max(cursor.line - parsed.first_row, 0), len(parsed.rows) - 1)
    line = parsed.rows[row]
    cursor_bytes = parsed.row_start_bytes(parsed.first_row + row) + utf8_length(
        line[: index_at_utf16(line, cursor.character_utf16)]
    )
    found = _words(parsed, cursor) if parsed.root is None else _names(parsed, parsed.root, cursor, cursor_bytes)
    nearest: dict[str, tuple[int, Position]] = {}
    for name, start_bytes, position in found:
        end_bytes = start_bytes + utf8_length(name)
        if end_bytes == cursor_bytes or end_bytes - start_bytes > MAX_NAME_BYTES or not name.strip("_"):
            continue
        place = (max(0, start_bytes - cursor_bytes, cursor_bytes - end_bytes), position)
        nearest[name] = min(place, nearest.get(name, place))
    ranked = sorted(nearest.items(), key=lambda item: item[1])
    return tuple(Identifier(name, position) for name, (_, position) in ranked[:MAX_IDENTIFIERS])


def item_headed_at(parsed: ParsedRows, cursor: Position) -> str:
    """The name of the innermost item in whose head, before its body, the cursor is; empty where it is in none.

    What the grammar cannot read is no head: it may be the body of one whose brackets are open.
    """
    row = cursor.line - parsed.first_row
    if parsed.root is None or not 0 <= row < len(parsed.rows):
        return ""
    before = parsed.rows[row][: index_at_utf16(parsed.rows[row], cursor.character_utf16)]
    cursor_bytes = parsed.row_start_bytes(cursor.line) + utf8_length(before)
    for node in nodes_at(parsed.root, cursor_bytes):
        body = node.child_by_field_name("body") if _is_item(node) else None
        if body is not None:
            name = node.child_by_field_name("name")
            is_broken = any(child.has_error for child in node.children if child.end_byte <= body.start_byte)
            is_in_head = name is not None and cursor_bytes <= body.start_byte and not is_broken
            return parsed.source[name.start_byte : name.end_byte].decode() if name is not None and is_in_head else ""
    return ""


def _names(parsed: ParsedRows, root: Node, cursor: Position, cursor_bytes: int) -> Iterator[_Found]:
    """By the grammar."""
    around = (
        parsed.row_start_bytes(cursor.line - ROWS_AROUND_CURSOR),
        parsed.row_start_bytes(cursor.line + ROWS_AROUND_CURSOR + 1),
    )
    for start_bytes, end_bytes in (around, *_headers(root, cursor_bytes)):
        for node in _name_nodes(root, start_bytes, end_bytes):
            name = parsed.source[node.start_byte : node.end_byte].decode(errors="replace")
            yield name, node.start_byte, parsed.position(node.start_point)


def _headers(root: Node, cursor_bytes: int) -> Iterator[tuple[int, int]]:
    """What stands before the bodies of the items that hold the cursor, innermost first."""
    for node in nodes_at(root, cursor_bytes):
        if _is_item(node):
            body = node.child_by_field_name("body")
            if body is not None:
                yield node.start_byte, min(body.start_byte, node.start_byte + MAX_HEADER_BYTES)


def _is_item(node: Node) -> bool:
    return node.type.endswith(_ITEM_ENDINGS) or (node.is_named and node.type in _ITEM_KINDS)


def _name_nodes(root: Node, start_bytes: int, end_bytes: int) -> Iterator[Node]:
    pending: list[tuple[Node, Node | None]] = [(root, None)]
    while pending:
        node, parent = pending.pop()
        if node.child_count:
            pending += [
                (child, node)
                for child in node.children
                if child.end_byte > start_bytes and child.start_byte < end_bytes
            ]
        elif node.is_named and not node.is_missing and _is_name(node, parent):
            yield node


def _is_name(node: Node, parent: Node | None) -> bool:
    kind = node.type
    if kind == "word":
        return parent is not None and parent.type in _WORDS_THAT_NAME
    return "identifier" in kind or kind in _NAME_KINDS


def _words(parsed: ParsedRows, cursor: Position) -> Iterator[_Found]:
    """By a pattern, for a language whose grammar is not there."""
    first = max(0, cursor.line - ROWS_AROUND_CURSOR - parsed.first_row)
    end = max(0, cursor.line + ROWS_AROUND_CURSOR + 1 - parsed.first_row)
    for row, text in enumerate(parsed.rows[first:end], start=first):
        row_start_bytes = parsed.row_start_bytes(parsed.first_row + row)
        for word in _WORD.finditer(text):
            before = text[: word.start()]
            position = Position(parsed.first_row + row, utf16_length(before))
            yield word.group(), row_start_bytes + utf8_length(before), position
