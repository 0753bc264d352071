"""A mistake that a language server reports, and its fix: the file as it is.

The mistake is planted where somebody may make it while typing a line, or in a line further up. Its quiet relatives: a
mistake far away, and one that was just put right while the report still stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Final

from training_export.student.syntax.parsed import ParsedFile, Word, WordKind
from training_export.student.syntax.tables import NameKind
from training_export.student.synthesis.anatomy import Anatomy, anatomy_of
from training_export.student.synthesis.edits import Edit, apply_edits, offset_after, place_at, without_rows
from training_export.student.synthesis.finish import typable_rows
from training_export.student.synthesis.leftovers import definition_left
from training_export.student.synthesis.messages import MESSAGES
from training_export.student.synthesis.moment import Diagnosed, Moment, Place, Step, Task
from training_export.student.synthesis.parameter import functions_called
from training_export.student.synthesis.propagation import moment_of
from training_export.student.synthesis.repeat import arguments_of

if TYPE_CHECKING:
    from training_export.student.synthesis.moment import Surroundings

FAR_ROWS = 40
TRIES = 12
SHARE_TYPED = 0.7  # of mistakes that stand in the line typed last
_CLOSED: Final = {")": "(", "]": "[", "}": "{"}
_ERROR, _WARNING, _HINT = 1, 2, 4


@dataclass(frozen=True, slots=True)
class Mistake:
    """``edits`` lead from the file to the mistake; it is reported at these characters of the file's text.

    ``length`` is that of the reported text once the mistake is made.
    """

    kind: str
    edits: tuple[Edit, ...]
    reported_at: int
    length: int
    message: str
    severity: int = _ERROR


def diagnostic(file: ParsedFile, random: Random, surroundings: Surroundings) -> Moment | None:
    """A mistake in the line just typed, or near it, with its report."""
    del surroundings
    if random.random() < 0.15:
        return _unused(file, random)
    mistake = _mistake(file, random)
    return None if mistake is None else _reported(anatomy_of(file), random, mistake)


def diagnosed_far(file: ParsedFile, random: Random, surroundings: Surroundings) -> Moment | None:
    """The quiet moment after a line was typed, with a mistake reported far from it."""
    del surroundings
    anatomy, mistake = anatomy_of(file), _mistake(file, random)
    if mistake is None:
        return None
    text = apply_edits(file.text, mistake.edits)
    at = place_at(text, offset_after(mistake.reported_at, mistake.edits))
    shift = text.count("\n") - file.text.count("\n")
    rows = [row for row in typable_rows(file) if abs(row - at.row) > FAR_ROWS]
    if not rows or shift:
        return None
    row = random.choice(rows)
    typed = anatomy.file.lines[row]
    before = apply_edits(file.text, [*mistake.edits, without_rows(anatomy.rows, row, row + 1)])
    step = Step(file.path, text, Place(row, len(typed)), random.uniform(0.3, 3.0))
    moment = moment_of(file, Task.QUIET, "diagnosed_far", [step], text, before=before)
    return None if moment is None else replace(moment, diagnostics=(_diagnosed(text, mistake),))


def diagnosed_fixed(file: ParsedFile, random: Random, surroundings: Surroundings) -> Moment | None:
    """The quiet moment after a mistake was put right; the server has not noticed yet in half of them."""
    del surroundings
    mistake = _mistake(file, random)
    if mistake is None:
        return None
    before = apply_edits(file.text, mistake.edits)
    newest = mistake.edits[-1]
    step = Step(file.path, file.text, place_at(file.text, newest.end), random.uniform(0.3, 3.0))
    moment = moment_of(file, Task.QUIET, "diagnosed_fixed", [step], file.text, before=before)
    if moment is None or random.random() < 0.5:
        return moment
    place = place_at(file.text, mistake.reported_at)
    end = min(place.column + mistake.length, len(file.lines[place.row]))
    stale = Diagnosed(place.row, min(place.column, end), end, mistake.message, mistake.severity)
    return replace(moment, diagnostics=(stale,))


def _reported(anatomy: Anatomy, random: Random, mistake: Mistake) -> Moment | None:
    file, rows = anatomy.file, anatomy.rows
    text = apply_edits(file.text, mistake.edits)
    row = rows.row_of(mistake.edits[0].start)
    if random.random() < SHARE_TYPED and all(rows.row_of(edit.start) == row for edit in mistake.edits):
        before = apply_edits(file.text, [without_rows(rows, row, row + 1)])
        cursor = Place(row, len(text.split("\n")[row]))
    else:  # the text that is wrong was typed in the middle of the line
        before = file.text
        newest = mistake.edits[-1]
        cursor = place_at(text, offset_after(newest.end, mistake.edits))
        if newest.text == "":
            return None  # who deletes something may well mean it
    step = Step(file.path, text, cursor, random.uniform(1.0, 5.0))
    moment = moment_of(file, Task.DIAGNOSTIC, mistake.kind, [step], file.text, before=before)
    return None if moment is None else replace(moment, diagnostics=(_diagnosed(text, mistake),))


def _diagnosed(text: str, mistake: Mistake) -> Diagnosed:
    place = place_at(text, offset_after(mistake.reported_at, mistake.edits))
    line = text.split("\n")[place.row]
    start = min(place.column, len(line))
    return Diagnosed(place.row, start, min(start + mistake.length, len(line)), mistake.message, mistake.severity)


def _mistake(file: ParsedFile, random: Random) -> Mistake | None:
    anatomy = anatomy_of(file)
    makers: list[Callable[[Anatomy, Random], Iterator[Mistake]]] = [
        _misspelt,
        _misspelt,
        _one_too_many,
        _not_awaited,
        _constant,
        _unclosed,
        _missing,
    ]
    for make in random.sample(makers, len(makers)):
        for mistake in make(anatomy, random):
            return mistake
    return None


def _message(anatomy: Anatomy, random: Random, kind: str, **parts: str | int) -> str | None:
    messages = MESSAGES[anatomy.file.language].get(kind)
    return None if messages is None else random.choice(messages).format(**parts)


def _unused(file: ParsedFile, random: Random) -> Moment | None:
    """The report of what a deletion left behind."""
    found = definition_left(file, random)
    if found is None:
        return None
    moment, binding = found
    kind = "unused_import" if binding.kind is NameKind.IMPORT else "unused"
    message = _message(anatomy_of(file), random, kind, name=binding.name)
    word = binding.words[0]
    # The deleted use stood below its definition, or the rows of this one have moved.
    if message is None or word.row >= len(moment.current.split("\n")):
        return None
    line = moment.current.split("\n")[word.row]
    if line[word.start : word.end] != word.text:
        return None
    reported = Diagnosed(word.row, word.start, word.end, message, random.choice((_ERROR, _WARNING, _HINT)))
    return replace(moment, task=Task.DIAGNOSTIC, kind=kind, diagnostics=(reported,))


def _misspelt(anatomy: Anatomy, random: Random) -> Iterator[Mistake]:
    """One use of a name that the file knows, with a slip of the fingers."""
    file = anatomy.file
    bindings = [found for found in file.bindings if found.is_certain and len(found.name) > 3 and len(found.words) > 1]
    for binding in random.sample(bindings, min(len(bindings), TRIES)):
        word = random.choice(binding.words[1:])
        wrong = misspelt(random, word.text)
        if word.is_definition or word.is_shorthand or wrong in file.names or not binding.words[0].is_definition:
            continue
        kind = "attribute" if word.is_attribute else "undefined"
        if word.is_attribute and not binding.owner:
            continue
        message = _message(anatomy, random, kind, name=wrong, owner=binding.owner)
        if message is not None:
            start, end = anatomy.span_of(word)
            yield Mistake("misspelt", (Edit(start, end, wrong),), start, len(wrong), message)


def misspelt(random: Random, name: str) -> str:
    """The name with two letters exchanged, one missing, or one typed twice; never its first."""
    at = random.randrange(1, len(name) - 1)
    slip = random.randrange(3)
    if slip == 0 and name[at] != name[at + 1]:
        return name[:at] + name[at + 1] + name[at] + name[at + 2 :]
    if slip == 1:
        return name[:at] + name[at + 1 :]
    return name[:at] + name[at] + name[at:]


def _one_too_many(anatomy: Anatomy, random: Random) -> Iterator[Mistake]:
    """An argument more than the function has parameters, at the end."""
    functions = functions_called(anatomy)
    for function in random.sample(functions, min(len(functions), TRIES)):
        call = random.choice(function.calls)
        arguments = arguments_of(call)
        name = function.definition.child_by_field_name("name")
        if not arguments or name is None or call.start_point.row != call.end_point.row:
            continue
        value = random.choice([value for value in anatomy.grammar.values if "=" not in value])
        end = anatomy.span(arguments[-1])[1]
        count = len(function.parameters)
        message = _message(anatomy, random, "too_many", count=count, given=count + 1, name=anatomy.source(name))
        if message is not None:
            start, behind = anatomy.span(call)
            yield Mistake("too_many", (Edit(end, end, f", {value}"),), start, behind - start, message)


def _not_awaited(anatomy: Anatomy, random: Random) -> Iterator[Mistake]:
    """``await`` forgotten before, or behind, a call."""
    waiting = anatomy.nodes(("await", "await_expression"))
    for node in random.sample(waiting, min(len(waiting), TRIES)):
        start, end = anatomy.span(node)
        awaited = node.named_children[0] if node.named_children else None
        if awaited is None or node.start_point.row != node.end_point.row:
            continue
        inner_start, inner_end = anatomy.span(awaited)
        edit = Edit(start, inner_start, "") if inner_start > start else Edit(inner_end, end, "")
        name = anatomy.source(awaited).split("(")[0]
        message = _message(anatomy, random, "await", name=name)
        if message is not None:
            yield Mistake("await", (edit,), inner_start, inner_end - inner_start, message, random.choice((1, 2)))


def _constant(anatomy: Anatomy, random: Random) -> Iterator[Mistake]:
    """A variable that is assigned to later on, declared so that it must not be."""
    for before, after in anatomy.grammar.mutable:
        for binding in random.sample(anatomy.file.bindings, len(anatomy.file.bindings)):
            definition = binding.words[0]
            words = anatomy.file.words.get(definition.row, ())
            index = words.index(definition) if definition in words else 0
            assigned = [word for word in binding.words[1:] if word.following in ("=", "+=", "-=", "++")]
            if not index or words[index - 1].text != before or not assigned:
                continue
            message = _message(anatomy, random, "constant", name=binding.name)
            if message is None:
                continue
            start = anatomy.span_of(words[index - 1])[0]
            end = anatomy.span_of(words[index - 1])[1] if after else anatomy.span_of(definition)[0]
            reported = anatomy.span_of(assigned[0])[0]
            yield Mistake("constant", (Edit(start, end, after),), reported, len(binding.name), message)


def _unclosed(anatomy: Anatomy, random: Random) -> Iterator[Mistake]:
    """The last bracket of a line forgotten."""
    file = anatomy.file
    for row in _some_rows(file, random):
        closing = [word for word in file.words[row] if word.kind is WordKind.OPERATOR and word.text in _CLOSED]
        if not closing:
            continue
        word = closing[-1]
        opening = _opening(file.words[row], word)
        if opening is None:
            continue
        message = _message(anatomy, random, "unclosed", opened=_CLOSED[word.text], closed=word.text)
        if message is not None:
            yield Mistake("unclosed", (Edit(*anatomy.span_of(word), ""),), anatomy.span_of(opening)[0], 1, message)


def _opening(words: tuple[Word, ...], closing: Word) -> Word | None:
    """The bracket in the same row that ``closing`` closes."""
    depth = 0
    for word in reversed(words[: words.index(closing) + 1]):
        depth += (word.text == closing.text) - (word.text == _CLOSED[closing.text])
        if not depth:
            return word
    return None


def _missing(anatomy: Anatomy, random: Random) -> Iterator[Mistake]:
    """What every statement of its kind ends with, forgotten."""
    file = anatomy.file
    for row in _some_rows(file, random):
        word = file.words[row][-1]
        if word.text not in anatomy.grammar.endings or len(file.words[row]) < 3:
            continue
        message = _message(anatomy, random, "missing", missing=word.text)
        if message is not None:
            start, end = anatomy.span_of(word)
            start = len(anatomy.text[:start].rstrip(" "))
            yield Mistake("missing", (Edit(start, end, ""),), start - 1, 1, message)


def _some_rows(file: ParsedFile, random: Random) -> list[int]:
    rows = typable_rows(file)
    return random.sample(rows, min(len(rows), TRIES))
