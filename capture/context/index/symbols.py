"""The symbols that one file defines, from its syntax tree. Pure; knows nothing of other files, nor of the disk.

Which nodes are definitions is said by queries in the form of tree-sitter's code navigation: ``@definition.KIND`` is the
item, ``@name`` its name (https://tree-sitter.github.io/tree-sitter/4-code-navigation.html). ``@constant_name`` is a
name that counts where it is in capitals.
"""

from __future__ import annotations

import importlib
import importlib.resources
import re
import sys
import time
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Final

from tree_sitter import Language, Query, QueryCursor, QueryError

from capture.parsing import BoundedParser, TakesTooLong

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tree_sitter import Node

    from capture.context.index.languages import IndexedLanguage

PARSE_SECONDS = 0.5  # of processor time; 256 kB of code take 0.1 s
SEARCH_SECONDS = 0.5  # the same, for what was parsed
MAX_SYMBOLS = 5_000  # of one file: more is generated
MAX_NAME_CHARACTERS = 128
MAX_PIECES = 20_000  # of a text that does not parse: to search it takes time with their square
MATCH_LIMIT = 16_384  # unfinished matches at a time; tags of comments in front of items make many
# A name that several patterns find has the kind that says most: these fit any value, and any callable.
_VAGUE_KINDS: Final = {"constant": 2, "variable": 2, "function": 1}
# Fields are named like everything else (`name`, `path`, `value`): found by name alone they are mostly the wrong ones.
_UNWANTED: Final = b"@definition.field"
# What depends on a node's text: `BoundedParser` says why that is not asked for.
_OF_TEXT: Final = re.compile(rb"#[\w-]+\?")
_IN_CAPITALS: Final = re.compile(rb"[A-Z][A-Z0-9_]*")


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name and the whole item that defines it, decorators included.

    Rows and bytes are half open; the bytes are those of whole rows.
    """

    name: str
    kind: str
    start_row: int
    end_row: int
    start_byte: int
    end_byte: int


@dataclass(frozen=True, slots=True)
class _Find:
    pattern: int
    name: Node
    kind: str
    item: Node


class GrammarUnusable(Exception):
    """A grammar is not installed, or is of a version that our tags do not fit; the message names it and says which."""


@cache
def tagger_of(language: IndexedLanguage) -> Tagger:
    """The tagger of a language, made once. Raises GrammarUnusable."""
    try:
        return Tagger(language)
    except ModuleNotFoundError:
        raise GrammarUnusable(f"{language.module} is not installed") from None
    except QueryError:
        raise GrammarUnusable(f"{language.module} is of another version than foretype needs") from None


class Tagger:
    """Finds the symbols of files in one language."""

    def __init__(self, language: IndexedLanguage, clock: Callable[[], float] = time.thread_time) -> None:
        module = importlib.import_module(language.module)
        grammar = Language(getattr(module, language.function)())
        tags = language.more_tags + "\n" + _tags_of_wheel(language.module)
        self._clock = clock
        self._parser = BoundedParser(grammar, clock)
        self._query = _definitions_only(Query(grammar, tags), tags.encode())
        self._around, self._blocks = language.around, language.blocks

    def symbols(self, source: bytes) -> tuple[Symbol, ...]:
        """What ``source`` (UTF-8) defines, in the order of the names in it; at most ``MAX_SYMBOLS``.

        Raises TakesTooLong.
        """
        root = self._parser.parse(source, limit_seconds=PARSE_SECONDS).root_node
        # A search cannot be given up half-way: that ends the process (tree-sitter 0.26.1).
        if root.has_error and root.child_count > MAX_PIECES:
            raise TakesTooLong
        end_seconds = self._clock() + SEARCH_SECONDS
        found: dict[int, _Find] = {}  # by where the name starts
        for find in self._finds(root, source):
            known = found.get(find.name.start_byte)
            found[find.name.start_byte] = find if known is None else _joined(known, find)
            if self._clock() > end_seconds:
                raise TakesTooLong
        # `typedef struct point {...} point;` names one item twice: once is enough.
        symbols: dict[tuple[str, int, int], Symbol] = {}
        for start in sorted(found):
            symbol = self._symbol(found[start], source)
            if symbol is not None:
                symbols.setdefault((symbol.name, symbol.start_row, symbol.end_row), symbol)
            if len(symbols) == MAX_SYMBOLS:
                break
            if self._clock() > end_seconds:
                raise TakesTooLong
        return tuple(symbols.values())

    def _finds(self, root: Node, source: bytes) -> Iterator[_Find]:
        for pattern, captures in QueryCursor(self._query, match_limit=MATCH_LIMIT).matches(root):
            key = next(key for key in captures if key.startswith("definition."))
            constants = (
                name
                for name in captures.get("constant_name", ())
                if _IN_CAPITALS.fullmatch(source, name.start_byte, name.end_byte)
            )
            for name in (*captures.get("name", ()), *constants):
                # To ask a name without bytes, one that is missing, for its parent ends the process in a deep tree.
                if name.start_byte < name.end_byte and not (self._blocks and _is_mere_mention(name)):
                    yield _Find(pattern, name, key.removeprefix("definition."), captures[key][0])

    def _symbol(self, find: _Find, source: bytes) -> Symbol | None:
        text, item = source[find.name.start_byte : find.name.end_byte].decode(), find.item
        if len(text) > MAX_NAME_CHARACTERS:
            return None
        if self._around or self._blocks:
            parent = item.parent
            while parent is not None and parent.type in self._around:
                item, parent = parent, parent.parent
            if parent is not None and parent.type in self._blocks:
                return None
        start, end = item.start_point, item.end_point
        end_byte, end_row = item.end_byte, end.row
        if end.column > 0 or end.row == start.row:
            newline = source.find(b"\n", end_byte)
            end_byte, end_row = (len(source) if newline < 0 else newline + 1), end.row + 1
        return Symbol(
            sys.intern(text), sys.intern(find.kind), start.row, end_row, item.start_byte - start.column, end_byte
        )


def _tags_of_wheel(module_name: str) -> str:
    """The tags query that the grammar's authors ship, empty where they ship none."""
    file = importlib.resources.files(module_name) / "queries" / "tags.scm"
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _definitions_only(query: Query, source: bytes) -> Query:
    """The query without what finds references: most of its matches, and the index has no use for them.

    What a wheel's own query finds by a text, our tags find without.
    """
    for pattern in range(query.pattern_count):
        text = source[query.start_byte_for_pattern(pattern) : query.end_byte_for_pattern(pattern)]
        if b"@definition." not in text or _UNWANTED in text or _OF_TEXT.search(text):
            query.disable_pattern(pattern)
    if "doc" in (query.capture_name(index) for index in range(query.capture_count)):
        query.disable_capture("doc")
    return query


def _is_mere_mention(name: Node) -> bool:
    """Whether this is `struct name` where a value of that type is declared: C's tags take it for a definition.

    Asked only where there are such: to find a node's parent takes time with the number of nodes before it.
    """
    parent = name.parent
    return parent is not None and parent.type.endswith("_specifier") and parent.child_by_field_name("body") is None


def _joined(one: _Find, other: _Find) -> _Find:
    """Two finds of one name: the item by our own tags, which come first, and the kind that says more."""
    first = min(one, other, key=lambda find: find.pattern)
    telling = min(one, other, key=lambda find: (_VAGUE_KINDS.get(find.kind, 0), find.pattern))
    return replace(first, kind=telling.kind)
