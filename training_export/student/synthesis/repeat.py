"""One call, literal, operator or keyword changed, and the lines like it to follow.

Lines are alike that have the same shape (the kinds of their words; operators and keywords stay themselves) and the
same word at the same place; calls are alike that call the same thing with as many arguments. What only looks the same
stays: the word on a line of another shape, in a string or a comment, a call with other arguments.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING, Final

from capture.editing.substitution import occurrences
from training_export.student.syntax.parsed import ParsedFile, Word, WordKind
from training_export.student.synthesis.anatomy import Anatomy, anatomy_of, still_parses
from training_export.student.synthesis.edits import Edit, apply_edits
from training_export.student.synthesis.moment import Moment, Task
from training_export.student.synthesis.names import another_name
from training_export.student.synthesis.propagation import NEAR_ROWS, Change, finished, propagated

if TYPE_CHECKING:
    from tree_sitter import Node

    from training_export.student.synthesis.moment import Surroundings

MOST_PLACES = 24  # of one change: nobody makes more by hand
TRIES = 12
SHARE_OF_TRAPS = 0.4  # of exchanged words: those that also stand near by where they must stay
_NUMBERS: Final = ("0", "1", "2", "3", "4", "8", "10", "16", "24", "32", "60", "64", "100", "128", "255", "500", "1000")
_QUOTES: Final = "\"'`"


def repeat(file: ParsedFile, random: Random, surroundings: Surroundings) -> Moment | None:
    """A change of one of the kinds, repeated on some of its places."""
    return _made(file, random, surroundings, quiet=False)


def repeated(file: ParsedFile, random: Random, surroundings: Surroundings) -> Moment | None:
    """The quiet moment after such a change reached the last of its places."""
    return _made(file, random, surroundings, quiet=True)


def _made(file: ParsedFile, random: Random, surroundings: Surroundings, *, quiet: bool) -> Moment | None:
    kinds = list(_KINDS)
    weights = [_KINDS[kind] for kind in kinds]
    for _ in range(3):
        make = random.choices(kinds, weights)[0]
        found = make(file, random, surroundings)
        if found is None:
            continue
        kind, changes = found
        if quiet:
            return finished(file, random, "repeated", changes)
        moment = propagated(file, random, Task.REPEAT, kind, changes)
        if moment is not None:
            return moment
    return None


Found = tuple[str, list[Change]]


def _exchanged(file: ParsedFile, random: Random, surroundings: Surroundings) -> Found | None:
    """A word exchanged for another on lines that are alike."""
    anatomy = anatomy_of(file)
    wants_trap = random.random() < SHARE_OF_TRAPS
    for tried, (kind, words) in enumerate(_drawn(file, random, _exchangeable)):
        new = _other_text(anatomy, random, words[0], surroundings)
        if new is None or new == words[0].text:
            continue
        if tried < TRIES - 3 and _has_trap(file, words) is not wants_trap:
            continue
        edits = [Edit(*anatomy.span_of(word), new) for word in words]
        # One text may be several operators, and a name of the corpus a keyword here.
        if kind == "literal" or still_parses(file, apply_edits(file.text, edits)):
            return kind, [Change((edit,)) for edit in edits]
    return None


def _inserted(file: ParsedFile, random: Random, surroundings: Surroundings) -> Found | None:
    """A modifier, an operator or a call added at the same place of lines that are alike."""
    del surroundings
    anatomy = anatomy_of(file)
    grammar = anatomy.grammar
    for _, words in _drawn(file, random, _extendable):
        word = words[0]
        modifiers = [text for text, before in grammar.modifiers if word.text in before]
        if modifiers and _is_first(file, word):
            text, column = random.choice(modifiers), 0
        elif word.kind is not WordKind.NAME or word.previous in (".", "::") or word.is_definition:
            continue
        elif random.random() < 0.6 and word.following in (")", ",", ";", "]", "") and word.previous != "":
            text, column = random.choice(grammar.after_names), 1
        elif word.previous in ("(", ",", "=", "return", "[", ":", ":="):
            text, column = random.choice(grammar.before_names), 0
        else:
            continue
        changes = []
        for word in words:
            offset = anatomy.span_of(word)[column]
            changes.append(Change((Edit(offset, offset, text),)))
        if still_parses(file, apply_edits(file.text, [change.edits[0] for change in changes])):
            return ("modifier" if modifiers else "insertion"), changes
    return None


def _call_changed(file: ParsedFile, random: Random, surroundings: Surroundings) -> Found | None:
    """An argument added to, taken from or wrapped in all calls of one thing with as many arguments."""
    anatomy = anatomy_of(file)
    groups = calls_alike(anatomy)
    random.shuffle(groups)
    for calls in groups[:TRIES]:
        change = random.choice((_argument_added, _argument_added, _argument_removed, _argument_wrapped))
        found = change(anatomy, random, calls, surroundings)
        if found is None:
            continue
        edits = [edit for part in found[1] for edit in part.edits]
        if still_parses(file, apply_edits(file.text, edits)):
            return found
    return None


def _argument_added(
    anatomy: Anatomy, random: Random, calls: Sequence[Node], surroundings: Surroundings
) -> Found | None:
    values = [*anatomy.grammar.values, *random.sample(surroundings.names, min(2, len(surroundings.names)))]
    value = random.choice(values)
    in_front = random.random() < 0.3 and "=" not in value
    changes = []
    for call in calls:
        arguments = arguments_of(call)
        if not in_front and arguments[-1].type == "keyword_argument" and "=" not in value:
            return None  # no language takes one by position behind one by name
        offset = anatomy.span(arguments[0])[0] if in_front else anatomy.span(arguments[-1])[1]
        changes.append(Change((Edit(offset, offset, f"{value}, " if in_front else f", {value}"),)))
    return "argument", changes


def _argument_removed(
    anatomy: Anatomy, random: Random, calls: Sequence[Node], surroundings: Surroundings
) -> Found | None:
    del surroundings
    count = len(arguments_of(calls[0]))
    if count < 2:
        return None
    which = random.randrange(count)
    return "argument_removed", [Change((argument_deletion(anatomy, call, which),)) for call in calls]


def _argument_wrapped(
    anatomy: Anatomy, random: Random, calls: Sequence[Node], surroundings: Surroundings
) -> Found | None:
    del surroundings
    which = random.randrange(len(arguments_of(calls[0])))
    wrapper = random.choice(anatomy.grammar.wrappers)
    changes = []
    for call in calls:
        arguments = arguments_of(call)
        if "=" in anatomy.source(arguments[which]) or anatomy.source(arguments[which])[0] in "*.":
            return None
        start, end = anatomy.span(arguments[which])
        changes.append(Change((Edit(start, start, f"{wrapper}("), Edit(end, end, ")"))))
    return "wrapped_argument", changes


_KINDS: Final[dict[Callable[[ParsedFile, Random, Surroundings], Found | None], float]] = {
    _exchanged: 0.64,
    _inserted: 0.14,
    _call_changed: 0.22,
}


def calls_alike(anatomy: Anatomy) -> list[list[Node]]:
    """Calls of the same thing with as many arguments, one to a row; groups of two and more."""
    groups: dict[tuple[str, int], list[Node]] = defaultdict(list)
    for call in anatomy.nodes(anatomy.grammar.calls):
        callee = call.child_by_field_name("function") or call.child_by_field_name("constructor")
        arguments = arguments_of(call)
        if callee is None or not arguments or call.start_point.row != call.end_point.row:
            continue
        groups[anatomy.source(callee), len(arguments)].append(call)
    return [
        calls
        for (callee, _), calls in groups.items()
        if 2 <= len({call.start_point.row for call in calls}) == len(calls) <= MOST_PLACES
        and not _is_defined_here(anatomy, calls[0])
        and len(callee) < 40
    ]


def argument_deletion(anatomy: Anatomy, call: Node, which: int) -> Edit:
    """Deletes the argument with its comma and the space beside it."""
    arguments = arguments_of(call)
    if which + 1 < len(arguments):
        return Edit(anatomy.span(arguments[which])[0], anatomy.span(arguments[which + 1])[0], "")
    start = anatomy.span(arguments[which - 1])[1] if which else anatomy.span(arguments[0])[0]
    return Edit(start, anatomy.span(arguments[which])[1], "")


def arguments_of(call: Node) -> list[Node]:
    """What a call passes, one node each."""
    holder = call.child_by_field_name("arguments")
    return [] if holder is None else [node for node in holder.named_children if "comment" not in node.type]


def _is_defined_here(anatomy: Anatomy, call: Node) -> bool:
    """Whether the called thing is bound in this file: then its definition would have to change, too."""
    callee = call.child_by_field_name("function") or call.child_by_field_name("constructor")
    word = None if callee is None else anatomy.word_at(callee)
    return word is not None and is_bound(anatomy.file, word)


def is_bound(file: ParsedFile, word: Word) -> bool:
    """Whether the file itself defines what the word names."""
    return any(reference.is_definition for reference in file.references(word))


def _drawn(
    file: ParsedFile, random: Random, kind_of: Callable[[Anatomy, Word], str | None]
) -> Iterator[tuple[str, list[Word]]]:
    """Some groups of words at the same place of lines that are alike, with the kind that ``kind_of`` finds."""
    anatomy = anatomy_of(file)
    groups = _words_alike(anatomy)
    tried = 0
    for index in random.sample(range(len(groups)), len(groups)):
        kind = kind_of(anatomy, groups[index][0])
        if kind is None:
            continue
        tried += 1
        yield kind, groups[index]
        if tried == TRIES:
            return


def _words_alike(anatomy: Anatomy) -> list[list[Word]]:
    found = anatomy.memo.get(_words_alike)
    if found is None:
        found = anatomy.memo[_words_alike] = list(_words_at_alike_places(anatomy.file))
    return found


def _words_at_alike_places(file: ParsedFile) -> Iterator[list[Word]]:
    by_shape: dict[tuple[str, ...], list[tuple[Word, ...]]] = defaultdict(list)
    for words in file.words.values():
        code = tuple(word for word in words if word.kind is not WordKind.COMMENT)
        if len(code) > 2:
            by_shape[shape_of(code)].append(code)
    for rows in by_shape.values():
        if not 2 <= len(rows) <= 10 * MOST_PLACES:
            continue
        for place in range(len(rows[0])):
            same: dict[str, list[Word]] = defaultdict(list)
            for row in rows:
                same[row[place].text].append(row[place])
            yield from (words for words in same.values() if 2 <= len(words) <= MOST_PLACES)


def shape_of(words: Sequence[Word]) -> tuple[str, ...]:
    """What two lines that are alike share."""
    fixed = (WordKind.OPERATOR, WordKind.KEYWORD)
    return tuple(word.text if word.kind in fixed else word.kind for word in words)


def _exchangeable(anatomy: Anatomy, word: Word) -> str | None:
    """The kind of change that this word offers, None for none."""
    if any(word.text in group for group in anatomy.grammar.exchanges):
        return "operator" if word.kind is WordKind.OPERATOR else "keyword"
    if word.kind is WordKind.NUMBER:
        return "literal" if word.text.replace(".", "").isdecimal() else None
    if word.kind is WordKind.STRING:
        return "literal" if len(word.text) > 2 and word.text[0] in _QUOTES and word.text[-1] == word.text[0] else None
    if word.kind not in (WordKind.NAME, WordKind.TYPE) or word.is_definition or len(word.text) < 2:
        return None
    kind = "attribute" if word.is_attribute else "type" if word.kind is WordKind.TYPE else None
    if word.following in ("(", "!"):
        kind = "call"
    return None if kind is None or is_bound(anatomy.file, word) else kind


def _extendable(anatomy: Anatomy, word: Word) -> str | None:
    takes_modifier = any(word.text in before for _, before in anatomy.grammar.modifiers)
    return "insertion" if word.kind is WordKind.NAME or takes_modifier else None


def _other_text(anatomy: Anatomy, random: Random, word: Word, surroundings: Surroundings) -> str | None:
    """Another word of the same kind."""
    groups = [group for group in anatomy.grammar.exchanges if word.text in group]
    if groups:
        return random.choice([text for text in random.choice(groups) if text != word.text])
    if word.kind is WordKind.NUMBER:
        if "." in word.text:
            return f"{random.choice((0, 0, 1, 2))}.{random.choice((1, 2, 25, 5, 75, 9, 95))}"
        return random.choice((*_NUMBERS, str(random.randint(2, 999))))
    if word.kind is WordKind.STRING:
        inner = word.text[1:-1]
        name = (
            another_name(random, inner, surroundings.names, anatomy.grammar.compound) if inner.isidentifier() else None
        )
        new = name or random.choice((f"{inner}_{random.randint(2, 9)}", *random.sample(surroundings.names, 1)))
        return word.text[0] + new + word.text[0]
    return another_name(random, word.text, surroundings.names, anatomy.grammar.compound)


def _is_first(file: ParsedFile, word: Word) -> bool:
    return not file.lines[word.row][: word.start].strip()


def _has_trap(file: ParsedFile, words: Sequence[Word]) -> bool:
    """Whether the word also stands near one of its places where it is not to change."""
    text = words[0].text
    places: dict[int, int] = defaultdict(int)
    for word in words:
        places[word.row] += 1
    row = words[0].row
    near = range(max(0, row - NEAR_ROWS), min(len(file.lines), row + NEAR_ROWS + 1))
    return any(len(occurrences(file.lines[other], text)) > places[other] for other in near)
