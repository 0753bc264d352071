"""One source file parsed: its words line by line, its scopes and blocks, and which words stand for the same thing.

Bindings are good enough for renames inside a file: parameters, locals, functions, types, and members through ``self``
and its like, with shadowing. Where a file leaves open what a name stands for, its binding says that it is not sure
(`Binding.is_certain`). Knows nothing of edits.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, cached_property
from typing import TYPE_CHECKING, Final, Protocol

from tree_sitter import Language

from capture.editing.syntax import GRAMMARS, parser_of
from capture.parsing import TakesTooLong
from training_export.student.syntax.tables import SYNTAXES, NameKind, Syntax

if TYPE_CHECKING:
    from tree_sitter import Tree

PARSE_SECONDS: Final = 2.0
_FIXED_VALUES: Final = frozenset(
    {"True", "False", "None", "true", "false", "null", "nil", "undefined", "self", "Self", "this"}
)


class WordKind(StrEnum):
    """What a word is."""

    NAME = "name"
    KEYWORD = "keyword"
    STRING = "string"
    NUMBER = "number"
    COMMENT = "comment"
    OPERATOR = "operator"
    TYPE = "type"


@dataclass(frozen=True, slots=True)
class Word:
    """A token of one row, or its part in it; columns in characters, ``end`` exclusive.

    ``previous`` and ``following`` are the texts of the words beside it, also in other rows. ``scope`` is an index into
    `ParsedFile.scopes`. ``is_attribute``: it names a member of something. ``is_shorthand``: it names a variable and a
    field at once, so that a rename of the one must write out both.
    """

    kind: WordKind
    text: str
    row: int
    start: int
    end: int
    previous: str
    following: str
    scope: int
    is_attribute: bool = False
    is_definition: bool = False
    is_shorthand: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """Rows in which the ``names`` it defines count; ``end_row`` exclusive, ``parent`` -1 for the file itself."""

    first_row: int
    end_row: int
    parent: int
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of a body from ``first_row`` to ``end_row`` (exclusive) under the row of its header.

    Where blocks have braces the closing one is on ``end_row``.
    """

    header: int
    first_row: int
    end_row: int


@dataclass(frozen=True, slots=True)
class Binding:
    """All words of one thing, in the order of the file. ``owner`` is the type that a member belongs to."""

    kind: NameKind
    name: str
    words: tuple[Word, ...]
    scope: int
    is_certain: bool
    owner: str = ""


class Source(Protocol):
    """A file as sources hand it over."""

    @property
    def language(self) -> str:
        """LSP's name of its language."""
        ...

    @property
    def project(self) -> str:
        """Which project it is part of."""
        ...

    @property
    def path(self) -> str:
        """Where it is in the project."""
        ...

    @property
    def text(self) -> str:
        """Its content."""
        ...


class ParsedFile:
    """A file whose syntax is right. What is not asked for is not worked out."""

    def __init__(self, language: str, project: str, path: str, text: str, tree: Tree) -> None:
        self.language = language
        self.project = project
        self.path = path
        self.text = text
        self.tree = tree
        self.source = text.encode()
        self.lines: tuple[str, ...] = tuple(text.split("\n"))

    def __repr__(self) -> str:
        return f"ParsedFile({self.path!r})"

    @property
    def syntax(self) -> Syntax:
        """The names of its language's nodes."""
        return SYNTAXES[grammar_of(self.language, self.path)]

    @property
    def words(self) -> Mapping[int, tuple[Word, ...]]:
        """The words of each row that has some, from left to right."""
        return self._analysis.words

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The file's own scope first, each behind its parent."""
        return self._analysis.scopes

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Bodies over several rows, in the order of their first rows."""
        return self._analysis.blocks

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """Everything that a name in the file stands for, in the order in which it is first named."""
        return self._analysis.bindings

    def binding(self, word: Word) -> Binding | None:
        """What a word of this file stands for; None for one that is no name, or names nothing in this file."""
        return self._analysis.binding_of.get((word.row, word.start))

    def references(self, word: Word) -> tuple[Word, ...]:
        """All words that stand for the same as ``word``, itself among them; empty where it stands for nothing."""
        found = self.binding(word)
        return () if found is None else found.words

    @cached_property
    def names(self) -> frozenset[str]:
        """The texts of all names and types in it."""
        kinds = (WordKind.NAME, WordKind.TYPE)
        return frozenset(word.text for words in self.words.values() for word in words if word.kind in kinds)

    @cached_property
    def _analysis(self) -> Analysis:
        from training_export.student.syntax.analysis import analysed  # noqa: PLC0415 (it imports this module)

        return analysed(self)


@dataclass(frozen=True, slots=True)
class Analysis:
    """What one walk through the tree comes to; ``binding_of`` is by row and column."""

    words: Mapping[int, tuple[Word, ...]]
    scopes: tuple[Scope, ...]
    blocks: tuple[Block, ...]
    bindings: tuple[Binding, ...]
    binding_of: Mapping[tuple[int, int], Binding]


def parse(source: Source) -> ParsedFile | None:
    """The file; None where its language is not one of ours, its syntax is wrong, or it takes too long to parse."""
    return parse_text(source.language, source.project, source.path, source.text)


def parse_text(language: str, project: str, path: str, text: str) -> ParsedFile | None:
    """`parse` for a text that is nobody's."""
    grammar = grammar_of(language, path)
    parser = parser_of(grammar)
    if grammar not in SYNTAXES or parser is None or "\r" in text:
        return None
    try:
        tree = parser.parse(text.encode(), limit_seconds=PARSE_SECONDS)
    except TakesTooLong:
        return None
    return None if tree.root_node.has_error else ParsedFile(language, project, path, text, tree)


def grammar_of(language: str, path: str) -> str:
    """The grammar that reads a file: TypeScript with elements in it has one of its own."""
    if language in ("typescript", "tsx") and path.endswith(".tsx"):
        return "typescriptreact"
    return language


@cache
def reserved_words(grammar: str) -> frozenset[str]:
    """Words that are no names in a language: every keyword of its grammar, and what stands for fixed values."""
    module_name, function_name = GRAMMARS[grammar]
    language = Language(getattr(importlib.import_module(module_name), function_name)())
    kinds = (
        language.node_kind_for_id(number)
        for number in range(language.node_kind_count)
        if not language.node_kind_is_named(number)
    )
    return frozenset(kind for kind in kinds if kind and kind[0].isalpha()) | _FIXED_VALUES


def replaced(line: str, words: Sequence[Word], text: str) -> str:
    """``line`` with these words of it replaced; one that names a field, too, is written out with both names."""
    for word in sorted(words, key=lambda found: -found.start):
        new = f"{word.text}: {text}" if word.is_shorthand else text
        line = line[: word.start] + new + line[word.end :]
    return line
