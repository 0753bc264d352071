"""What a name is where it stands: a definition, a reference, a member, an argument's name, or nothing in this file.

Asks the tables about the nodes on the way to the name; the names are bound by ``binding.py``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from training_export.student.syntax.binding import Mention, OpenScope, Role
from training_export.student.syntax.tables import JSX_NAMES, NameKind, ScopeKind, Syntax

MACRO_TOKENS: Final = "token_tree"
_GENERICS: Final = re.compile(r"<.*|\[.*", re.DOTALL)
_MAX_CALLEE_BYTES: Final = 200


@dataclass(slots=True)
class Frame:
    """A node on the way to a leaf, and what holds below it."""

    type: str
    field: str | None
    start: int
    end: int
    scope: int
    binds: NameKind | None = None
    bound_from: int = 0
    owner: str = ""
    own: frozenset[str] = frozenset()
    is_inert: bool = False
    hoists: bool = False
    in_string: bool = False
    children: int = 0


class Mentions:
    """Finds out what the names of one file are; ``scopes`` are those opened so far."""

    def __init__(self, source: bytes, syntax: Syntax, scopes: Sequence[OpenScope]) -> None:
        self._source = source
        self._syntax = syntax
        self._scopes = scopes

    def of(self, frame: Frame, frames: Sequence[Frame]) -> Mention:
        """The name in ``frame``, a leaf below ``frames``."""
        syntax, above = self._syntax, frames[-1]
        mention = Mention(self.text(frame.start, frame.end), Role.REFERENCE, frame.scope, frame.start)
        mention.is_shorthand = frame.type in syntax.shorthands or above.type in syntax.shorthands
        if self._is_inert(mention.name, frame, above):
            mention.role = Role.NOTHING
        elif not self._is_member(mention, frame, frames) and not self._is_special(mention, frame, frames):
            if frame.binds is not None and self._binds(mention.name, frame, above):
                self._define(mention, frame, frames)
            elif above.type in ("global_statement", "nonlocal_statement"):
                self._scopes[frame.scope].elsewhere[mention.name] = above.type == "global_statement"
        return mention

    def _is_inert(self, name: str, frame: Frame, above: Frame) -> bool:
        """Whether it stands for nothing in this file."""
        syntax = self._syntax
        if above.is_inert or (above.type, frame.field) in syntax.inert:
            return True
        if above.type in syntax.inert_types or frame.type in syntax.inert_types:
            return True
        return above.type in JSX_NAMES and name[:1].islower()

    def _is_member(self, mention: Mention, frame: Frame, frames: Sequence[Frame]) -> bool:
        """Whether it names somebody's member, whose is then noted."""
        syntax, above = self._syntax, frames[-1]
        place = (above.type, frame.field)
        is_path_start = above.type == "dotted_name" and above.start == frame.start
        if place in syntax.accesses and not is_path_start:
            self._access(mention, frame, frames, syntax.accesses[place])
            if frame.binds is NameKind.IMPORT and mention.role is Role.ATTRIBUTE and above.type != "dotted_name":
                mention.role, mention.kind = Role.DEFINITION, NameKind.IMPORT
        elif place in syntax.members:
            mention.role, mention.kind, mention.owner = Role.MEMBER, syntax.members[place], self._member_owner(frames)
            if not mention.owner:
                mention.role = Role.ATTRIBUTE
        elif frame.type in syntax.attributes:
            mention.role = Role.ATTRIBUTE
        elif above.type == "literal_element" and self._key_of_literal(frames):
            self._access(mention, frame, frames[:-1], "literal")
        else:
            return False
        return True

    def _is_special(self, mention: Mention, frame: Frame, frames: Sequence[Frame]) -> bool:
        """Whether it is in one of the places that no table describes."""
        above = frames[-1]
        if above.type == "keyword_argument" and frame.field == "name":
            mention.role, mention.receiver = Role.ARGUMENT, self._callee(frames)
        elif above.type == MACRO_TOKENS:
            self._in_macro(mention, frame, frames)
        elif above.type == "export_specifier":
            mention.role = Role.EXPORT if frame.field == "name" else Role.NOTHING
        elif above.type == "import_specifier" and frame.field == "name":
            mention.role = Role.NOTHING if self._has_alias(above) else Role.DEFINITION
            mention.kind = NameKind.IMPORT
        else:
            return False
        return True

    def _define(self, mention: Mention, frame: Frame, frames: Sequence[Frame]) -> None:
        assert frame.binds is not None  # noqa: S101  asked before; tells mypy
        mention.role, mention.kind, mention.bound_from = Role.DEFINITION, frame.binds, frame.bound_from
        mention.scope = self._home(frame)
        scope = self._scopes[mention.scope]
        if scope.kind is ScopeKind.CLASS and mention.kind not in (NameKind.TYPE, NameKind.PARAMETER):
            mention.role, mention.owner = Role.MEMBER, scope.owner
            is_function = mention.kind is NameKind.FUNCTION
            mention.kind = NameKind.METHOD if is_function else NameKind.FIELD
        elif scope.kind is ScopeKind.FILE and mention.kind is NameKind.LOCAL:
            mention.kind = NameKind.CONSTANT
        elif mention.kind is NameKind.CONSTANT and scope.kind is not ScopeKind.FILE:
            mention.kind = NameKind.LOCAL
        hoisted = mention.kind in (NameKind.FUNCTION, NameKind.TYPE, NameKind.CONSTANT, NameKind.IMPORT)
        if hoisted or scope.kind is ScopeKind.FILE:
            mention.bound_from = 0
        if mention.kind is NameKind.LOCAL or mention.kind is NameKind.CONSTANT:
            self._note_function(mention, frame, frames)
        is_property = mention.kind is NameKind.PARAMETER and frames[-1].type.endswith("_parameter")
        if is_property and self._source[frames[-1].start : frame.start].strip() not in (b"", b"mut", b"*", b"**"):
            mention.is_open = True  # a parameter that is a field of its class, too

    def _note_function(self, mention: Mention, frame: Frame, frames: Sequence[Frame]) -> None:
        """``const f = () => ...`` names a function."""
        if frames[-1].type == "variable_declarator":
            rest = self._source[frame.end : frames[-1].end].lstrip(b" =\n")
            if re.match(rb"(async\b\s*)?(function\b|\([^()]*\)\s*(:[^=]*)?=>|\w+\s*=>)", rest):
                mention.kind = NameKind.FUNCTION

    def _home(self, frame: Frame) -> int:
        """The scope in which a name is bound that stands in the frame's."""
        home = frame.scope
        if frame.hoists or not (self._syntax.has_braces or self._scopes[home].kind is not ScopeKind.BLOCK):
            while self._scopes[home].kind is ScopeKind.BLOCK:
                home = self._scopes[home].parent
        return home

    def _binds(self, name: str, frame: Frame, above: Frame) -> bool:
        if name == "_":
            return False
        if above.type == "dotted_name" and above.binds is not NameKind.IMPORT and above.children > 1:
            return False  # a value that is matched
        if above.type == "field_pattern" and frame.type not in self._syntax.shorthands:
            return frame.field == "pattern"
        is_pattern = frame.binds in (NameKind.LOCAL, NameKind.PARAMETER)
        return self._syntax.binds_upper_case or not is_pattern or not name[:1].isupper()

    def _access(self, mention: Mention, frame: Frame, frames: Sequence[Frame], how: str) -> None:
        above = frames[-1]
        mention.role = Role.ATTRIBUTE
        if how == "literal":
            mention.receiver = self._literal_type(frames)
        else:
            mention.receiver = self.text(above.start, frame.start).rstrip(" \n\t.?!:->")
        if mention.receiver in above.own or (how == "literal" and mention.receiver == "Self"):
            mention.role, mention.owner = Role.OWN, above.owner

    def _in_macro(self, mention: Mention, frame: Frame, frames: Sequence[Frame]) -> None:
        before = self._source[max(0, frame.start - 2) : frame.start]
        after = self._source[frame.end : frame.end + 2]
        if before.endswith(b".") and before != b"..":
            start = frame.start - 1
            receiver = re.search(rb"[\w.]*$", self._source[frames[-1].start : start])
            mention.role, mention.receiver = Role.ATTRIBUTE, receiver[0].decode() if receiver else "?"
        elif before == b"::":
            receiver = re.search(rb"[\w:]*$", self._source[frames[-1].start : frame.start - 2])
            mention.role, mention.receiver = Role.ATTRIBUTE, receiver[0].decode() if receiver else "?"
        elif after[:1] == b":" and after != b"::":
            mention.role, mention.receiver = Role.ATTRIBUTE, "?"
        if mention.role is Role.ATTRIBUTE and mention.receiver in frames[-1].own:
            mention.role, mention.owner = Role.OWN, frames[-1].owner

    def _key_of_literal(self, frames: Sequence[Frame]) -> bool:
        """Whether this is the key of a struct's literal in Go: one of a map is a value like any other."""
        if len(frames) < 3 or frames[-1].field != "key" or frames[-2].type != "keyed_element":
            return False
        return not self._literal_type(frames[:-1]).startswith("map")

    def _literal_type(self, frames: Sequence[Frame]) -> str:
        """The type that a literal, or a pattern, is of; ``?`` where that is not said."""
        at = len(frames) - 1
        while at > 0 and frames[at].type not in ("composite_literal", "struct_expression", "struct_pattern"):
            if frames[at].type == "literal_element" and frames[at].field != "key":
                return "?"
            at -= 1
        if at <= 0 or at + 1 >= len(frames):
            return "?"
        return self.bare(frames[at].start, frames[at + 1].start).rstrip("{ \n")

    def _member_owner(self, frames: Sequence[Frame]) -> str:
        """The class that a member is defined in; none where an object or a type's literal holds it."""
        for frame in reversed(frames):
            if frame.type in ("object", "object_type", "type_alias_declaration"):
                return ""
            if frame.type in self._syntax.classes or frame.type == "method_declaration":
                return frame.owner
        return ""

    def _callee(self, frames: Sequence[Frame]) -> str:
        for frame in reversed(frames):
            if frame.type == "call":
                text = self.text(frame.start, min(frame.end, frame.start + _MAX_CALLEE_BYTES))
                return text.partition("(")[0].strip()
        return "?"

    def _has_alias(self, above: Frame) -> bool:
        return re.search(rb"\bas\b", self._source[above.start : above.end]) is not None

    def bare(self, start: int, end: int) -> str:
        """A type's name without its parameters."""
        return _GENERICS.sub("", self.text(start, end)).strip().lstrip("&*").strip()

    def text(self, start: int, end: int) -> str:
        """The text of some bytes."""
        return self._source[start:end].decode(errors="replace")
