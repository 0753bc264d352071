"""A parameter added, taken away or moved at a function's definition, and the calls of it to follow.

Works on functions that the file itself defines and calls, always by position. Also a constructor's parameter and the
line of its body that keeps it, where the parameter beside it has such a line. Knows nothing of types.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from training_export.student.synthesis.anatomy import Anatomy, anatomy_of, still_parses
from training_export.student.synthesis.edits import Edit, without_rows
from training_export.student.synthesis.moment import Moment, Task
from training_export.student.synthesis.names import Style, joined, parts_of
from training_export.student.synthesis.propagation import Change, propagated
from training_export.student.synthesis.repeat import arguments_of

if TYPE_CHECKING:
    from tree_sitter import Node

    from training_export.student.syntax.parsed import ParsedFile
    from training_export.student.synthesis.moment import Surroundings

MOST_CALLS = 12
TRIES = 8
SHARE_OF_FIELDS = 0.3
SHARE_SHOWN = 0.4  # of parameters whose value a first call shows
# Receivers and markers that no caller passes.
NOT_PASSED = frozenset({"self_parameter", "positional_separator", "keyword_separator", "comment"})
OWN_NAMES = frozenset({"self", "cls", "this"})


@dataclass(frozen=True, slots=True)
class Called:
    """A function and its calls in the same file; the calls pass every parameter by its position."""

    definition: Node
    holder: Node  # of the parameters, with the brackets
    parameters: tuple[Node, ...]
    calls: tuple[Node, ...]
    arguments: tuple[Node, ...]  # what holds those of each call, with the brackets


def parameter(file: ParsedFile, random: Random, surroundings: Surroundings) -> Moment | None:
    """One of the kinds, the definition changed first."""
    anatomy = anatomy_of(file)
    if random.random() < SHARE_OF_FIELDS:
        moment = _field(anatomy, random)
        if moment is not None:
            return moment
    functions = functions_called(anatomy)
    random.shuffle(functions)
    for function in functions[:TRIES]:
        makers = [_added, _removed, _reordered]
        random.shuffle(makers)
        for make in makers:
            moment = make(anatomy, random, function, surroundings)
            if moment is not None and still_parses(file, moment.expected):
                return moment
    return None


def _added(anatomy: Anatomy, random: Random, function: Called, surroundings: Surroundings) -> Moment | None:
    """A parameter that callers pass under its own name, or as the first of them shows."""
    name = _new_name(anatomy, random, surroundings)
    if name is None:
        return None
    value, fewest_done = name, 1
    if random.random() < SHARE_SHOWN:
        value, fewest_done = random.choice(_positional(anatomy)), 2
    changes = _put_in_everywhere(anatomy, random, function, name, [value] * len(function.calls))
    return propagated(
        anatomy.file, random, Task.PARAMETER, "added", changes, first=0, fewest_done=fewest_done, jumps=True
    )


def _removed(anatomy: Anatomy, random: Random, function: Called, surroundings: Surroundings) -> Moment | None:
    """A parameter taken away that the file does not have: everybody passes something else."""
    name = _new_name(anatomy, random, surroundings)
    if name is None:
        return None
    values = [random.choice([name, *_positional(anatomy)]) for _ in function.calls]
    changes = _put_in_everywhere(anatomy, random, function, name, values)
    return propagated(anatomy.file, random, Task.PARAMETER, "removed", changes, first=0, planted=True, jumps=True)


def _reordered(anatomy: Anatomy, random: Random, function: Called, surroundings: Surroundings) -> Moment | None:
    """Two neighbouring parameters change places."""
    del surroundings
    if len(function.parameters) < 2:
        return None
    which = random.randrange(len(function.parameters) - 1)
    if "=" in "".join(anatomy.source(node) for node in function.parameters[which : which + 2]):
        return None
    swaps = [_swap(anatomy, function.parameters, which)]
    swaps += [_swap(anatomy, arguments_of(call), which) for call in function.calls]
    changes = [swap for swap in swaps if swap is not None]
    if len(changes) < len(swaps):
        return None
    return propagated(anatomy.file, random, Task.PARAMETER, "reordered", changes, first=0, jumps=True)


def _field(anatomy: Anatomy, random: Random) -> Moment | None:
    """A parameter typed whose line in the body looks like its neighbour's for the parameter beside it."""
    definitions = anatomy.nodes(anatomy.grammar.functions)
    for definition in random.sample(definitions, len(definitions)):
        parameters, body = _parameters(anatomy, definition), definition.child_by_field_name("body")
        if body is None or len(parameters) < 2:
            continue
        which = random.randrange(1, len(parameters))
        row = _modelled_row(
            anatomy, body, _name_of(anatomy, parameters[which - 1]), _name_of(anatomy, parameters[which])
        )
        if row is None:
            continue
        missing = [_deletion(anatomy, parameters, which), without_rows(anatomy.rows, row, row + 1)]
        changes = [Change((edit,)) for edit in missing]
        moment = propagated(anatomy.file, random, Task.PARAMETER, "field", changes, first=0, planted=True)
        if moment is not None:
            return moment
    return None


def _modelled_row(anatomy: Anatomy, body: Node, model: str, name: str) -> int | None:
    """The row of ``body`` that is the one before it with ``name`` for ``model``, and nothing more of ``name``."""
    first, last = anatomy.row_span(body)
    lines = anatomy.file.lines
    rows = [row for row in range(first + 1, last + 1) if re.search(rf"\b{re.escape(name)}\b", lines[row])]
    if len(rows) != 1 or not model or not name:
        return None
    row = rows[0]
    modelled = re.sub(rf"\b{re.escape(model)}\b", name, lines[row - 1])
    modelled = modelled.replace(_capitalised(model), _capitalised(name))
    return row if modelled == lines[row] != lines[row - 1] else None


def functions_called(anatomy: Anatomy) -> list[Called]:
    """The functions of the file that it calls itself, and every reference to which is a plain call."""
    found = anatomy.memo.get(functions_called)
    if found is None:
        found = [called for node in anatomy.nodes(anatomy.grammar.functions) if (called := _called(anatomy, node))]
        anatomy.memo[functions_called] = found
    return list(found)


def _called(anatomy: Anatomy, definition: Node) -> Called | None:
    name = definition.child_by_field_name("name")
    word = None if name is None else anatomy.word_at(name)
    parameters = _parameters(anatomy, definition)
    if word is None or any(
        anatomy.source(node)[0] in "*.{[(" or len(node.children_by_field_name("name")) > 1 for node in parameters
    ):
        return None
    holder, binding = definition.child_by_field_name("parameters"), anatomy.file.binding(word)
    if holder is None or binding is None or not binding.is_certain:
        return None
    ends = {anatomy.span_of(reference)[1] for reference in binding.words}
    ends.discard(anatomy.span_of(word)[1])
    calls = [call for end, call in _calls_by_end(anatomy).items() if end in ends]
    if not 1 <= len(calls) == len(ends) <= MOST_CALLS:
        return None
    calls.sort(key=lambda call: call.start_byte)
    passed = [arguments_of(call) for call in calls]
    if any(len(found) != len(parameters) or "=" in "".join(map(anatomy.source, found)) for found in passed):
        return None
    arguments = tuple(found for call in calls if (found := call.child_by_field_name("arguments")) is not None)
    return Called(definition, holder, parameters, tuple(calls), arguments)


def _calls_by_end(anatomy: Anatomy) -> dict[int, Node]:
    """Calls by the offset at which the called name ends."""
    found: dict[int, Node] | None = anatomy.memo.get(_calls_by_end)
    if found is None:
        found = {}
        for call in anatomy.nodes(anatomy.grammar.calls):
            callee = call.child_by_field_name("function") or call.child_by_field_name("constructor")
            if callee is not None:
                found[anatomy.span(callee)[1]] = call
        anatomy.memo[_calls_by_end] = found
    return found


def _parameters(anatomy: Anatomy, definition: Node) -> tuple[Node, ...]:
    """The parameters that callers pass."""
    holder = definition.child_by_field_name("parameters")
    named = [] if holder is None else holder.named_children
    return tuple(node for node in named if node.type not in NOT_PASSED and anatomy.source(node) not in OWN_NAMES)


def _put_in_everywhere(
    anatomy: Anatomy, random: Random, function: Called, name: str, values: Sequence[str]
) -> list[Change]:
    """A last parameter in the definition, and a last argument in every call."""
    written = random.choice(anatomy.grammar.parameter).format(name)
    changes = [_put_in(anatomy, function.holder, written)]
    changes += [_put_in(anatomy, holder, value) for holder, value in zip(function.arguments, values, strict=True)]
    return changes


def _put_in(anatomy: Anatomy, holder: Node, text: str) -> Change:
    """``text`` as the last element of a bracketed list."""
    if holder.named_children:
        offset = anatomy.span(holder.named_children[-1])[1]
        return Change((Edit(offset, offset, f", {text}"),))
    offset = anatomy.span(holder)[1] - 1
    return Change((Edit(offset, offset, text),))


def _positional(anatomy: Anatomy) -> list[str]:
    return [value for value in anatomy.grammar.values if "=" not in value]


def _capitalised(name: str) -> str:
    return name[:1].upper() + name[1:]


def _deletion(anatomy: Anatomy, elements: Sequence[Node], which: int) -> Edit:
    if which + 1 < len(elements):
        return Edit(anatomy.span(elements[which])[0], anatomy.span(elements[which + 1])[0], "")
    before = elements[which].prev_named_sibling
    start = anatomy.span(before)[1] if before is not None else anatomy.span(elements[which])[0]
    return Edit(start, anatomy.span(elements[which])[1], "")


def _swap(anatomy: Anatomy, elements: Sequence[Node], which: int) -> Change | None:
    first, second = elements[which], elements[which + 1]
    one, other = anatomy.source(first), anatomy.source(second)
    if one == other:
        return None
    return Change((Edit(*anatomy.span(first), other), Edit(*anatomy.span(second), one)))


def _name_of(anatomy: Anatomy, parameter: Node) -> str:
    """The parameter's name, empty where it has none of its own."""
    for field in anatomy.grammar.parameter_names:
        named = parameter.child_by_field_name(field)
        if named is not None:
            return anatomy.source(named) if anatomy.source(named).isidentifier() else ""
    found = re.match(r"\w+", anatomy.source(parameter))
    return found[0] if found else ""


def _new_name(anatomy: Anatomy, random: Random, surroundings: Surroundings) -> str | None:
    parts = parts_of(random.choice(surroundings.names))[:2]
    if not parts or parts[0].isdigit():
        return None
    name = joined(parts, Style.SNAKE if anatomy.grammar.compound is Style.SNAKE else Style.CAMEL)
    return name if name.isidentifier() and name not in anatomy.text else None
