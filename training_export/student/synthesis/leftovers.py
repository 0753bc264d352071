"""What a deletion leaves behind: a definition that nobody uses any more, or uses of what is gone.

A definition goes where everything that used it went; a use goes where it is a statement of its own, or one of several
elements. Files whose leftovers are parts of other things offer nothing. Knows nothing of types.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, Final

from training_export.student.syntax.tables import NameKind
from training_export.student.synthesis.anatomy import Anatomy, anatomy_of, still_parses
from training_export.student.synthesis.edits import Edit, apply_edits, without_rows
from training_export.student.synthesis.moment import Moment, Task
from training_export.student.synthesis.propagation import Change, propagated

if TYPE_CHECKING:
    from tree_sitter import Node

    from training_export.student.syntax.parsed import Binding, ParsedFile, Word
    from training_export.student.synthesis.moment import Surroundings

MOST_USES = 4
MOST_ROWS_OF_USE = 5
MOST_ROWS_OF_DEFINITION = 12
TRIES = 12
_KINDS: Final = (NameKind.LOCAL, NameKind.CONSTANT, NameKind.IMPORT, NameKind.FUNCTION)
# Words at the start of a statement that others see.
_SHARED: Final = frozenset({"export", "pub", "global", "nonlocal"})


def leftovers(file: ParsedFile, random: Random, surroundings: Surroundings) -> Moment | None:
    """A definition or its uses deleted, the other to follow."""
    del surroundings
    anatomy = anatomy_of(file)
    found = list(_candidates(file))
    for binding in random.sample(found, min(len(found), TRIES)):
        makers = [_definition_left, _uses_left]
        random.shuffle(makers)
        for make in makers:
            moment = make(anatomy, random, binding)
            if moment is not None:
                return moment
    return None


def definition_left(file: ParsedFile, random: Random) -> tuple[Moment, Binding] | None:
    """A moment in which a definition is left, and what it defines."""
    anatomy = anatomy_of(file)
    found = list(_candidates(file))
    for binding in random.sample(found, min(len(found), TRIES)):
        moment = _definition_left(anatomy, random, binding)
        if moment is not None:
            return moment, binding
    return None


def _candidates(file: ParsedFile) -> Iterator[Binding]:
    for binding in file.bindings:
        if binding.kind in _KINDS and binding.is_certain and 2 <= len(binding.words) <= MOST_USES + 1:
            definitions = [word for word in binding.words if word.is_definition]
            if len(definitions) == 1 and definitions[0] is binding.words[0]:
                yield binding


def _definition_left(anatomy: Anatomy, random: Random, binding: Binding) -> Moment | None:
    """The statement with all uses was deleted."""
    statements = [anatomy.statement_of(use) for use in binding.words[1:]]
    statement = statements[0]
    if statement is None or any(other != statement for other in statements) or _matters(anatomy, statement):
        return None
    deleted = _rows_of(anatomy, statement, MOST_ROWS_OF_USE)
    if deleted is None:
        return None
    edits = [deleted]
    for left in _left_without(anatomy, statement):
        gone = _definition_edit(anatomy, left, left.words[0])
        if gone is None:
            return None
        edits.append(gone)
    return _moment(anatomy, random, "definition", edits) if len(edits) > 1 else None


def _left_without(anatomy: Anatomy, statement: Node) -> list[Binding]:
    """What nothing uses any more once the statement is gone."""
    first, last = anatomy.row_span(statement)
    return [
        binding
        for binding in anatomy.file.bindings
        if binding.kind in _KINDS
        and len(binding.words) > 1
        and binding.words[0].is_definition
        and all(first <= word.row <= last for word in binding.words[1:])
        and not first <= binding.words[0].row <= last
    ]


def _matters(anatomy: Anatomy, statement: Node) -> bool:
    """Whether what stands below needs the statement: its value is returned, or it defines something."""
    if statement.type in anatomy.grammar.returns or statement.type not in anatomy.grammar.plain_statements:
        return True
    first, last = anatomy.row_span(statement)
    words = [word for row in range(first, last + 1) for word in anatomy.file.words.get(row, ())]
    return any(word.is_definition and len(anatomy.file.references(word)) > 1 for word in words)


def _uses_left(anatomy: Anatomy, random: Random, binding: Binding) -> Moment | None:
    """The definition was deleted."""
    definition, *uses = binding.words
    gone = _definition_edit(anatomy, binding, definition)
    if gone is None:
        return None
    edits = [gone]
    for use in uses:
        edit = _use_edit(anatomy, use)
        if edit is None:
            return None
        if edit not in edits:
            edits.append(edit)
    return _moment(anatomy, random, "uses", edits)


def _moment(anatomy: Anatomy, random: Random, kind: str, edits: list[Edit]) -> Moment | None:
    """All deletions but the first are still to come."""
    if any(a.start < b.end and b.start < a.end for i, a in enumerate(edits) for b in edits[:i]):
        return None
    if not still_parses(anatomy.file, apply_edits(anatomy.text, edits)):
        return None
    changes = [Change((edit,)) for edit in edits]
    return propagated(anatomy.file, random, Task.LEFTOVERS, kind, changes, first=0, jumps=True)


def _definition_edit(anatomy: Anatomy, binding: Binding, definition: Word) -> Edit | None:
    """What deletes the definition, None where it is shared or defines something else, too."""
    statement = anatomy.statement_of(definition)
    if statement is None:
        return None
    first, last = anatomy.row_span(statement)
    words = [word for row in range(first, last + 1) for word in anatomy.file.words.get(row, ())]
    if not words or words[0].text in _SHARED or (binding.scope == 0 and _is_public(anatomy, binding)):
        return None
    others = [word for word in words if word.is_definition and word is not definition]
    if binding.kind is NameKind.IMPORT and others:
        return element_deletion(anatomy, anatomy.node_of(definition))
    if others and binding.kind is not NameKind.FUNCTION:
        return None
    if first and binding.kind is NameKind.FUNCTION and anatomy.file.lines[first - 1].strip():
        return None  # what stands above belongs to it
    return _rows_of(anatomy, statement, MOST_ROWS_OF_DEFINITION)


def _is_public(anatomy: Anatomy, binding: Binding) -> bool:
    """Whether other files may use a name of the whole file."""
    if binding.kind is NameKind.IMPORT:
        return False
    if not anatomy.grammar.braces:
        return not binding.name.startswith("_")
    return binding.name[:1].isupper()


def _use_edit(anatomy: Anatomy, use: Word) -> Edit | None:
    statement = anatomy.statement_of(use)
    if statement is None:
        return None
    node = anatomy.node_of(use)
    holder = None if node is None else node.parent
    if holder is not None and holder.type in anatomy.grammar.lists and holder.named_child_count > 2:
        return element_deletion(anatomy, node)
    if statement.type not in anatomy.grammar.plain_statements or anatomy.row_span(statement)[0] != use.row:
        return None
    text = anatomy.source(statement)
    return _rows_of(anatomy, statement, 1) if text.startswith(use.text) else None


def element_deletion(anatomy: Anatomy, node: Node | None) -> Edit | None:
    """What deletes a node that is one of several elements between commas, with its comma."""
    while node is not None and node.parent is not None and node.parent.named_child_count == 1:
        if anatomy.span(node) != anatomy.span(node.parent):
            return None
        node = node.parent
    if node is None or node.parent is None or node.parent.named_child_count < 2:
        return None
    following, before = node.next_sibling, node.prev_sibling
    start, end = anatomy.span(node)
    if following is not None and anatomy.source(following) == ",":
        behind = anatomy.span(following)[1]
        if before is not None and anatomy.source(before) in ("(", "[", "{", ",", "import"):
            trailing = anatomy.text[behind:].split("\n")[0]
            spaces = len(trailing) - len(trailing.lstrip(" "))
            return Edit(start, behind + (spaces if trailing.strip() else 0), "")
    if before is not None and anatomy.source(before) == ",":
        return Edit(anatomy.span(before)[0], end, "")
    return None


def _rows_of(anatomy: Anatomy, statement: Node, most: int) -> Edit | None:
    """What deletes a statement's rows, and the blank ones below where one stands above, too."""
    first, last = anatomy.row_span(statement)
    if last - first >= most or not anatomy.fills_rows(statement):
        return None
    lines, end = anatomy.file.lines, last + 1
    if first == 0 or not lines[first - 1].strip():
        while end < len(lines) - 1 and not lines[end].strip():
            end += 1
    return without_rows(anatomy.rows, first, end)
