"""Names bound: which mentions in a file stand for the same thing, as far as the file alone can tell.

A bare name is looked for from its scope outwards, past classes; members go by the class they belong to, classes that
extend each other in the file counting as one. What the file leaves open makes a binding uncertain: an attribute of an
object whose class nobody knows, a parameter named in a call of who knows what. Knows nothing of trees.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from training_export.student.syntax.parsed import Binding, Word
from training_export.student.syntax.tables import NameKind, ScopeKind, Syntax

_PLAIN: Final = re.compile(r"[A-Za-z_]\w*")
Key = tuple[str, int | str, str, int]


class Role(Enum):
    """How a name is used where it stands."""

    REFERENCE = "reference"
    DEFINITION = "definition"
    MEMBER = "member"  # the definition of a field or a method
    OWN = "own"  # an attribute of the object itself
    ATTRIBUTE = "attribute"  # of something else
    ARGUMENT = "argument"  # the name of a parameter in a call
    EXPORT = "export"  # a reference by whose name others import
    NOTHING = "nothing"

    @property
    def is_attribute(self) -> bool:
        """Whether it names a member, of whatever."""
        return self in (Role.MEMBER, Role.OWN, Role.ATTRIBUTE)


@dataclass(slots=True)
class Mention:
    """A name at one place. ``scope`` is where it is looked for, or bound; it counts from ``bound_from`` (byte) on."""

    name: str
    role: Role
    scope: int
    at: int
    kind: NameKind = NameKind.UNKNOWN
    bound_from: int = 0
    owner: str = ""
    receiver: str = ""
    is_shorthand: bool = False
    is_open: bool = False


@dataclass(slots=True)
class OpenScope:
    """A scope while names are bound: ``defined`` has the bytes from which each name counts, in order.

    ``elsewhere`` are names that this scope takes from another: from the file's where True, else from a function around
    it. ``function`` is the name of the function whose parameters it holds, ``owner`` that of a class.
    """

    kind: ScopeKind
    parent: int
    first_row: int
    end_row: int
    defined: dict[str, list[int]] = field(default_factory=dict)
    elsewhere: dict[str, bool] = field(default_factory=dict)
    owner: str = ""
    function: str = ""


@dataclass(slots=True)
class _Group:
    kind: NameKind
    scope: int
    owner: str
    words: list[Word] = field(default_factory=list)
    is_certain: bool = True


def bound(
    words: Sequence[Word],
    mentions: Sequence[tuple[int, Mention]],
    scopes: Sequence[OpenScope],
    supers: Mapping[str, set[str]],
    syntax: Syntax,
) -> tuple[tuple[Binding, ...], dict[tuple[int, int], Binding]]:
    """All bindings in the order of their first words, and the binding of each word by row and column."""
    return _Binder(words, mentions, scopes, supers, syntax).bind()


class _Binder:
    def __init__(
        self,
        words: Sequence[Word],
        mentions: Sequence[tuple[int, Mention]],
        scopes: Sequence[OpenScope],
        supers: Mapping[str, set[str]],
        syntax: Syntax,
    ) -> None:
        self._words = words
        self._mentions = mentions
        self._scopes = scopes
        self._supers = supers
        self._syntax = syntax
        self._groups: dict[Key, _Group] = {}
        self._classes: set[str] = set()
        self._parameters: defaultdict[str, dict[str, list[Key]]] = defaultdict(lambda: defaultdict(list))

    def bind(self) -> tuple[tuple[Binding, ...], dict[tuple[int, int], Binding]]:
        self._classes = {scope.owner for scope in self._scopes if scope.owner}
        for _, mention in self._mentions:
            if mention.role is Role.DEFINITION:
                self._declare(mention)
        open_attributes: list[Mention] = []
        for index, mention in self._mentions:
            key = self._key(mention)
            if key is None:
                continue
            group = self._groups.get(key)
            if group is None:
                group = self._groups[key] = _Group(mention.kind, mention.scope, mention.owner)
            self._join(group, key, mention)
            group.words.append(self._words[index])
            if key[0] == "attribute":
                open_attributes.append(mention)
        self._doubt(open_attributes)
        return self._bindings()

    def _declare(self, mention: Mention) -> None:
        scope = self._scopes[mention.scope]
        found = scope.defined.setdefault(mention.name, [])
        if not found:
            found.append(mention.bound_from)
        elif self._syntax.separate and mention.bound_from not in found and mention.bound_from:
            found.append(mention.bound_from)
            found.sort()

    def _key(self, mention: Mention) -> Key | None:
        role = mention.role
        if role is Role.NOTHING:
            return None
        if role in (Role.MEMBER, Role.OWN):
            return self._member(mention.owner, mention.name)
        if role is Role.ATTRIBUTE:
            last = mention.receiver.rpartition(".")[2].rpartition("::")[2]
            if last in self._classes and mention.receiver in (last, f"Self::{last}"):
                return self._member(last, mention.name)
            return ("attribute", mention.receiver, mention.name, 0)
        if role is Role.ARGUMENT:
            return self._argument(mention)
        if role is Role.DEFINITION:
            key = self._of_definition(mention)
            if mention.kind is NameKind.PARAMETER and (function := self._scopes[mention.scope].function):
                self._parameters[function][mention.name].append(key)
            return key
        return self._resolved(mention.name, mention.scope, mention.at) or ("unknown", 0, mention.name, 0)

    def _of_definition(self, mention: Mention) -> Key:
        home = self._redirected(mention.name, mention.scope)
        if home != mention.scope:
            return self._resolved(mention.name, home, mention.at) or ("name", home, mention.name, 0)
        found = self._scopes[mention.scope].defined[mention.name]
        from_byte = mention.bound_from if mention.bound_from in found else found[0]
        return ("name", mention.scope, mention.name, from_byte)

    def _resolved(self, name: str, start: int, at: int) -> Key | None:
        scope = start
        while scope >= 0:
            scope = self._redirected(name, scope)
            found = self._scopes[scope]
            if found.kind is ScopeKind.CLASS and not self._syntax.has_braces:
                # Python alone: what a class defines counts in its own body, not in its methods.
                if scope == start and ("member", self._root(found.owner), name, 0) in self._members:
                    return self._member(found.owner, name)
            elif name in found.defined:
                starts = found.defined[name]
                if not self._syntax.ordered:
                    return ("name", scope, name, starts[0])
                before = [from_byte for from_byte in starts if from_byte <= at]
                if before:
                    return ("name", scope, name, before[-1])
            scope = found.parent
        return None

    @property
    def _members(self) -> set[Key]:
        if not hasattr(self, "_known_members"):
            self._known_members = {
                self._member(mention.owner, mention.name)
                for _, mention in self._mentions
                if mention.role is Role.MEMBER
            }
        return self._known_members

    def _redirected(self, name: str, scope: int) -> int:
        """Where a ``global`` or ``nonlocal`` in the scope says that the name is."""
        is_global = self._scopes[scope].elsewhere.get(name)
        if is_global is None:
            return scope
        if is_global:
            return 0
        parent = self._scopes[scope].parent
        while parent > 0 and name not in self._scopes[parent].defined:
            parent = self._scopes[parent].parent
        return max(0, parent)

    def _member(self, owner: str, name: str) -> Key:
        return ("member", self._root(owner), name, 0)

    def _root(self, owner: str) -> str:
        """The class in the file that all classes extend which this one belongs to."""
        seen = {owner}
        while True:
            above = sorted((self._supers.get(owner, set()) & self._classes) - seen)
            if not above:
                return owner
            owner = above[0]
            seen.add(owner)

    def _argument(self, mention: Mention) -> Key | None:
        """A parameter of the one function of that name in the file; where there is none, of something unknown."""
        function = mention.receiver.rpartition(".")[2]
        found = self._functions().get(function, {}).get(mention.name, [])
        if len(found) == 1:
            return found[0]
        return ("argument", mention.receiver, mention.name, 0)

    def _functions(self) -> Mapping[str, Mapping[str, list[Key]]]:
        if not hasattr(self, "_known_functions"):
            known: defaultdict[str, dict[str, list[Key]]] = defaultdict(lambda: defaultdict(list))
            for _, mention in self._mentions:
                if mention.role is Role.DEFINITION and mention.kind is NameKind.PARAMETER:
                    function = self._scopes[mention.scope].function
                    if function:
                        known[function][mention.name].append(self._of_definition(mention))
            self._known_functions = known
        return self._known_functions

    def _join(self, group: _Group, key: Key, mention: Mention) -> None:
        if mention.role in (Role.DEFINITION, Role.MEMBER) and (
            group.kind is NameKind.UNKNOWN or mention.kind in (NameKind.FUNCTION, NameKind.METHOD)
        ):
            group.kind = mention.kind
        if key[0] == "name" and isinstance(key[1], int):
            group.scope = key[1]
        if key[0] == "member":
            group.owner = str(key[1])
            if group.kind is NameKind.UNKNOWN:
                group.kind = NameKind.FIELD
        if mention.is_open or mention.role is Role.EXPORT:
            group.is_certain = False

    def _doubt(self, attributes: Sequence[Mention]) -> None:
        """What may be meant by names whose owner is not known is not certain."""
        doubtful = {mention.name for mention in attributes if self._may_be_ours(mention)}
        shorthands = {mention.name for _, mention in self._mentions if mention.is_shorthand}
        arguments: defaultdict[str, set[str]] = defaultdict(set)
        for _, mention in self._mentions:
            if mention.role is Role.ARGUMENT:
                arguments[mention.name].add(mention.receiver.rpartition(".")[2])
        for key, group in self._groups.items():
            if key[0] in ("attribute", "argument", "unknown"):
                group.is_certain = False
            elif key[0] == "member":
                is_declared = not self._syntax.has_braces or key in self._members
                if key[2] in doubtful or key[2] in shorthands or not key[1] or not is_declared:
                    group.is_certain = False
            elif group.kind is NameKind.PARAMETER:
                function = self._scopes[group.scope].function
                known = self._functions().get(function, {}).get(key[2], [])
                if function in arguments[key[2]] and len(known) != 1:
                    group.is_certain = False

    def _may_be_ours(self, mention: Mention) -> bool:
        """Whether the receiver may be an object of a class of this file: a variable, of which nobody knows more."""
        if mention.receiver in ("?", "super()", "super"):
            return True
        if not _PLAIN.fullmatch(mention.receiver):
            return False
        key = self._resolved(mention.receiver, mention.scope, mention.at)
        if key is None:
            return False
        return self._groups[key].kind is not NameKind.IMPORT if key in self._groups else True

    def _bindings(self) -> tuple[tuple[Binding, ...], dict[tuple[int, int], Binding]]:
        found: list[Binding] = []
        binding_of: dict[tuple[int, int], Binding] = {}
        for key, group in self._groups.items():
            words = tuple(sorted(group.words, key=lambda word: (word.row, word.start)))
            binding = Binding(group.kind, key[2], words, group.scope, group.is_certain, group.owner)
            found.append(binding)
            binding_of.update(((word.row, word.start), binding) for word in words)
        found.sort(key=lambda binding: (binding.words[0].row, binding.words[0].start))
        return tuple(found), binding_of
