"""The syntax nodes around a cursor, from tree-sitter.

Only the cursor excerpt is parsed, never the file: the cost is bounded by the excerpt's 24 kB however large
the file is, and every range is relative to the excerpt as it must be. At the excerpt's edges the parser sees
broken code and recovers; nodes near the cursor, the ones that matter, come out whole. What takes too long
to parse, or is nested too deeply, has no syntax.

A language counts when its official grammar wheel is installed; an unknown language id gives None, never a
guess by file name.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Final

from tree_sitter import Language

from capture.inputs import Span
from capture.parsing import BETWEEN_KEYS_SECONDS, BoundedParser, TakesTooLong, nodes_at

COUNT_SECONDS = 1.0  # where nobody waits for a key: code of a megabyte takes less

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
    "csharp": ("tree_sitter_c_sharp", "language"),
    "php": ("tree_sitter_php", "language_php"),
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

    None where the language is unknown, its grammar is not installed, or the text takes too long.
    """
    parser = parser_of(language_id)
    if parser is None:
        return None
    try:
        tree = parser.parse(excerpt, limit_seconds=BETWEEN_KEYS_SECONDS)
    except TakesTooLong:
        return None
    ranges: list[Span] = []
    for node in nodes_at(tree.root_node, cursor_offset):
        span = Span(node.start_byte, node.end_byte)
        if not ranges or ranges[-1] != span:
            ranges.append(span)
    return tuple(ranges) or None


def error_count(language_id: str, text: bytes, *, limit_seconds: float = COUNT_SECONDS) -> int | None:
    """How many ERROR and missing nodes the tree of ``text`` has.

    None where the language is unknown, its grammar is not installed, or the text takes longer than ``limit_seconds``
    of processor time to parse.
    """
    parser = parser_of(language_id)
    if parser is None:
        return None
    try:
        tree = parser.parse(text, limit_seconds=limit_seconds)
    except TakesTooLong:
        return None
    pending = [tree.root_node]
    count = 0
    while pending:
        node = pending.pop()
        count += node.is_error or node.is_missing
        if node.has_error:
            pending.extend(node.children)
    return count


@cache
def parser_of(language_id: str) -> BoundedParser | None:
    """The parser of a language, None where it is unknown or its grammar is not installed. Not for threads."""
    grammar = GRAMMARS.get(language_id)
    if grammar is None:
        return None
    module_name, function_name = grammar
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError:
        return None
    return BoundedParser(Language(getattr(module, function_name)()))
