"""The syntax nodes around a cursor, from tree-sitter.

Only the cursor excerpt is parsed, never the file: the cost is bounded by the excerpt's 24 kB however large
the file is, and every range is relative to the excerpt as it must be. At the excerpt's edges the parser sees
broken code and recovers; nodes near the cursor, the ones that matter, come out whole.

A language counts when its official grammar wheel is installed; an unknown language id gives None, never a
guess by file name.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Final

from tree_sitter import Language, Parser

from capture.inputs import Span

# LSP language id -> (module of the official wheel, name of its language function)
GRAMMARS: Final[dict[str, tuple[str, str]]] = {
    "python": ("tree_sitter_python", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "javascriptreact": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "typescriptreact": ("tree_sitter_typescript", "language_tsx"),
    "go": ("tree_sitter_go", "language"),
    "rust": ("tree_sitter_rust", "language"),
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
    "java": ("tree_sitter_java", "language"),
    "ruby": ("tree_sitter_ruby", "language"),
    "shellscript": ("tree_sitter_bash", "language"),
    "sh": ("tree_sitter_bash", "language"),  # Neovim's file type
    "bash": ("tree_sitter_bash", "language"),
    "json": ("tree_sitter_json", "language"),
    "html": ("tree_sitter_html", "language"),
    "css": ("tree_sitter_css", "language"),
}


def syntax_ranges(language_id: str, excerpt: bytes, cursor_offset: int) -> tuple[Span, ...] | None:
    """Byte ranges of the nodes that contain the cursor, innermost first, without repetition.

    None where the language is unknown or its grammar is not installed.
    """
    parser = _parser(language_id)
    if parser is None:
        return None
    node = parser.parse(excerpt).root_node.descendant_for_byte_range(cursor_offset, cursor_offset)
    ranges: list[Span] = []
    while node is not None:
        span = Span(node.start_byte, node.end_byte)
        if not ranges or ranges[-1] != span:
            ranges.append(span)
        node = node.parent
    return tuple(ranges)


def error_count(language_id: str, text: bytes) -> int | None:
    """How many ERROR and missing nodes the tree of ``text`` has.

    None where the language is unknown or its grammar is not installed.
    """
    parser = _parser(language_id)
    if parser is None:
        return None
    pending = [parser.parse(text).root_node]
    count = 0
    while pending:
        node = pending.pop()
        count += node.is_error or node.is_missing
        if node.has_error:
            pending.extend(node.children)
    return count


@cache
def _parser(language_id: str) -> Parser | None:
    grammar = GRAMMARS.get(language_id)
    if grammar is None:
        return None
    module_name, function_name = grammar
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError:
        return None
    return Parser(Language(getattr(module, function_name)()))
