"""One walk through a file's tree: words, scopes, blocks, and what every name in it may stand for.

The tables say what each node means (``tables.py``); the names found here are bound by ``binding.py``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from training_export.student.syntax.binding import Mention, OpenScope, Role, bound
from training_export.student.syntax.leaves import Leaf, Words
from training_export.student.syntax.mentions import MACRO_TOKENS, Frame, Mentions
from training_export.student.syntax.parsed import Analysis, Block, ParsedFile, Scope, Word, WordKind
from training_export.student.syntax.tables import BUILT_IN_TYPES, NameKind, ScopeKind, Syntax

if TYPE_CHECKING:
    from tree_sitter import Node

_FORMAT_CAPTURE: Final = re.compile(r"(?<!\{)(?:\{\{)*\{([a-z_]\w*)(?=[:}])")
_RECEIVED_TYPE: Final = re.compile(r"\[.*", re.DOTALL)


def analysed(file: ParsedFile) -> Analysis:
    """The whole analysis of a file."""
    return _Walk(file).analysis()


class _Walk:
    """Collects while it goes through the tree once."""

    def __init__(self, file: ParsedFile) -> None:
        self._file = file
        self._syntax: Syntax = file.syntax
        self._source = file.source
        self._leaves: list[Leaf] = []
        self._scopes: list[OpenScope] = [OpenScope(ScopeKind.FILE, -1, 0, len(file.lines))]
        self._blocks: list[Block] = []
        self._supers: dict[str, set[str]] = defaultdict(set)
        self._first_parts: dict[int, int] = {}  # of a scope, where the first of its parts starts
        self._mentions = Mentions(file.source, file.syntax, self._scopes)

    def analysis(self) -> Analysis:
        self._walk()
        words, mentions = Words(self._source, self._file.lines).of(self._leaves)
        bindings, binding_of = bound(words, mentions, self._scopes, self._supers, self._syntax)
        scopes = tuple(
            Scope(scope.first_row, scope.end_row, scope.parent, frozenset(scope.defined)) for scope in self._scopes
        )
        by_row: defaultdict[int, list[Word]] = defaultdict(list)
        for word in words:
            by_row[word.row].append(word)
        rows = {row: tuple(found) for row, found in by_row.items()}
        self._blocks.sort(key=lambda block: (block.first_row, -block.end_row))
        return Analysis(rows, scopes, tuple(self._blocks), bindings, binding_of)

    def _walk(self) -> None:
        cursor = self._file.tree.root_node.walk()
        frames = [Frame("", None, 0, len(self._source), 0)]
        while True:
            node = cursor.node
            assert node is not None  # noqa: S101  a cursor always stands somewhere; tells mypy
            if node.is_named or node.child_count:
                frame = self._enter(node, cursor.field_name, frames[-1])
                if not self._is_leaf(node, frame) and cursor.goto_first_child():
                    frames.append(frame)
                    continue
                self._leaf(node, frame, frames)
            else:  # most of all nodes: punctuation and keywords
                above = frames[-1]
                if above.in_string:
                    kind = WordKind.STRING
                else:
                    kind = WordKind.KEYWORD if node.type[:1].isalpha() else WordKind.OPERATOR
                self._leaves.append(Leaf(kind, node.start_byte, node.end_byte, above.scope))
            while not cursor.goto_next_sibling():
                if not cursor.goto_parent():
                    return
                frames.pop()

    def _enter(self, node: Node, field_name: str | None, above: Frame) -> Frame:
        place = (above.type, field_name)
        frame = Frame(
            node.type, field_name, node.start_byte, node.end_byte, above.scope, own=above.own, owner=above.owner,
            is_inert=above.is_inert, hoists=above.hoists, in_string=above.in_string, children=node.child_count,
        )  # fmt: skip
        if self._is_outside(place, above):
            frame.scope = self._scopes[above.scope].parent
            if self._scopes[above.scope].kind is ScopeKind.CLASS:
                frame.owner = ""
        if frame.children:
            self._take_in(node, frame, place, above)
        else:
            self._carry_binding(frame, place, above)
        return frame

    def _is_outside(self, place: tuple[str, str | None], above: Frame) -> bool:
        """Whether it belongs to the scope around the one that it stands in."""
        if self._scopes[above.scope].parent < 0:
            return False
        if place in self._syntax.outside_first:
            return self._first_parts.setdefault(above.scope, above.start) == above.start
        return place in self._syntax.outside

    def _take_in(self, node: Node, frame: Frame, place: tuple[str, str | None], above: Frame) -> None:
        """What a node with others below it changes for them."""
        syntax, kind = self._syntax, frame.type
        if place in syntax.inert or (above.type, None) in syntax.inert or kind in syntax.inert_types:
            frame.is_inert = True
        frame.hoists = frame.hoists or kind in syntax.hoisting
        if kind in syntax.strings:
            frame.in_string = True
        elif kind in syntax.interpolations:
            frame.in_string = False
        self._carry_binding(frame, place, above)
        if place in syntax.heritage:
            self._extends(node, above)
        scope_kind = syntax.scopes.get(kind)
        if scope_kind is not None:
            self._open_scope(node, frame, scope_kind)
        if kind in syntax.bodies:
            self._block(node, above)

    def _carry_binding(self, frame: Frame, place: tuple[str, str | None], above: Frame) -> None:
        """Whether names here are being bound: as the table says, or as the pattern around them does."""
        syntax = self._syntax
        kind = syntax.binds.get(place)
        if kind is None and place[1] is not None and not frame.field:
            kind = syntax.binds.get((above.type, None))
        if kind is not None:
            frame.binds, frame.bound_from = kind, self._bound_from(above, frame)
        elif above.binds is not None:
            table = syntax.imports if above.binds is NameKind.IMPORT else syntax.patterns
            fields = table.get(above.type)
            if fields is not None and (None in fields or frame.field in fields) and frame.field != "type":
                frame.binds, frame.bound_from = above.binds, above.bound_from

    def _bound_from(self, declaration: Frame, part: Frame) -> int:
        if not self._syntax.ordered:
            return 0
        how = self._syntax.bound_from.get(declaration.type)
        if how is None:
            return part.start
        return declaration.end if how == "end" else part.end

    def _open_scope(self, node: Node, frame: Frame, kind: ScopeKind) -> None:
        self._scopes.append(OpenScope(kind, frame.scope, node.start_point.row, node.end_point.row + 1))
        outer, frame.scope = frame.scope, len(self._scopes) - 1
        name_field = self._syntax.classes.get(frame.type)
        if name_field is not None:
            name = node.child_by_field_name(name_field)
            if name is not None:
                frame.owner, frame.own = self._mentions.bare(name.start_byte, name.end_byte), self._syntax.own
        elif kind is ScopeKind.CLASS:
            frame.owner = ""
        receiver = node.child_by_field_name("receiver")
        if receiver is not None:
            self._receive(receiver, frame)
        self._scopes[frame.scope].owner = frame.owner
        if frame.type in ("function_definition", "function_item"):
            name = node.child_by_field_name("name")
            if name is not None:
                self._scopes[frame.scope].function = self._mentions.bare(name.start_byte, name.end_byte)
                if self._scopes[outer].kind is ScopeKind.CLASS and self._scopes[frame.scope].function == "__init__":
                    self._scopes[frame.scope].function = self._scopes[outer].owner

    def _receive(self, receiver: Node, frame: Frame) -> None:
        """A method of Go's: its receiver is the object itself."""
        text = self._source[receiver.start_byte + 1 : receiver.end_byte - 1].decode()
        name, _, owner = text.strip().partition(" ")
        frame.owner = _RECEIVED_TYPE.sub("", owner.strip().lstrip("*"))
        frame.own = frozenset({name}) if owner else frozenset()

    def _extends(self, node: Node, above: Frame) -> None:
        if above.owner or self._scopes[above.scope].owner:
            owner = above.owner or self._scopes[above.scope].owner
            self._supers[owner].update(re.findall(r"\w+", self._mentions.text(node.start_byte, node.end_byte)))

    def _block(self, node: Node, above: Frame) -> None:
        first, last = node.start_point.row, node.end_point.row
        if self._syntax.has_braces:
            if last > first + 1:
                self._blocks.append(Block(first, first + 1, last))
        elif self._source[above.start : node.start_byte].find(b"\n") >= 0:
            text = self._source[: node.start_byte].rstrip()
            header = text.count(b"\n")
            if header < first:
                self._blocks.append(Block(header, first, last + 1))

    def _is_leaf(self, node: Node, frame: Frame) -> bool:
        """Whether it is one word: also a string without anything to read in it, or a comment."""
        if not frame.children or frame.type in self._syntax.comments or frame.type in BUILT_IN_TYPES:
            return True
        if frame.type in self._syntax.strings:
            return not any(child.type in self._syntax.interpolations for child in node.children)
        return frame.in_string and frame.type not in self._syntax.interpolations

    def _leaf(self, node: Node, frame: Frame, frames: list[Frame]) -> None:
        kind = self._kind(node, frame)
        if kind is WordKind.STRING and frame.type == "string_literal" and frames[-1].type == MACRO_TOKENS:
            self._formatted(frame)
            return
        leaf = Leaf(kind, frame.start, frame.end, frame.scope)
        is_name = frame.type in self._syntax.names or frame.type in self._syntax.attributes
        if is_name or frame.type in self._syntax.types:
            leaf.mention = self._mentions.of(frame, frames)
        elif frame.type == "self" and frames[-1].type == MACRO_TOKENS:
            leaf.kind = WordKind.KEYWORD
        self._leaves.append(leaf)

    def _kind(self, node: Node, frame: Frame) -> WordKind:
        syntax, kind = self._syntax, frame.type
        if kind in syntax.comments:
            return WordKind.COMMENT
        if kind in syntax.strings or frame.in_string:
            return WordKind.STRING
        if kind in syntax.names or kind in syntax.attributes or kind in syntax.inert_types:
            return WordKind.NAME
        if kind in syntax.types or kind in BUILT_IN_TYPES:
            return WordKind.TYPE
        if kind in syntax.numbers:
            return WordKind.NUMBER
        if kind in syntax.fixed or (not node.is_named and kind[:1].isalpha()):
            return WordKind.KEYWORD
        return WordKind.OPERATOR

    def _formatted(self, frame: Frame) -> None:
        """A string that a macro formats: the names in its braces are names like any other."""
        text = self._mentions.text(frame.start, frame.end)
        at = 0
        for found in _FORMAT_CAPTURE.finditer(text):
            self._piece(frame, text, at, found.start(1))
            start = frame.start + len(text[: found.start(1)].encode())
            mention = Mention(found[1], Role.REFERENCE, frame.scope, start)
            self._leaves.append(Leaf(WordKind.NAME, start, start + len(found[1].encode()), frame.scope, mention))
            at = found.end(1)
        self._piece(frame, text, at, len(text))

    def _piece(self, frame: Frame, text: str, start: int, end: int) -> None:
        first = frame.start + len(text[:start].encode())
        self._leaves.append(Leaf(WordKind.STRING, first, first + len(text[start:end].encode()), frame.scope))
