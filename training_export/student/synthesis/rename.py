"""Renames begun and not finished: of locals, parameters, functions, members, types, and of what another file defines.

Many of them are laid out so that the plain rule fails: the old name also stands in strings and comments, as another
object's attribute, or in a scope that shadows it. Knows the bindings of a file; nothing of how moments are chosen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

from capture.inputs import RelatedExcerpt, RelatedFile, Span
from training_export.student.syntax.parsed import (
    Binding,
    ParsedFile,
    Word,
    WordKind,
    grammar_of,
    reserved_words,
)
from training_export.student.syntax.tables import NameKind
from training_export.student.synthesis.anatomy import anatomy_of
from training_export.student.synthesis.edits import Edit, apply_edits, offset_after, place_at
from training_export.student.synthesis.moment import Moment, Step, Surroundings, Task
from training_export.student.synthesis.names import another_name, style_of
from training_export.student.synthesis.propagation import NEAR_ROWS, Change, finished, propagated

KINDS: Final = {
    NameKind.LOCAL: "local",
    NameKind.CONSTANT: "constant",
    NameKind.PARAMETER: "parameter",
    NameKind.FUNCTION: "function",
    NameKind.METHOD: "function",
    NameKind.FIELD: "field",
    NameKind.TYPE: "type",
}
IN_OTHER_FILE: Final = "in_other_file"
SHARE_WITH_TRAPS = 0.55
SHARE_PLANTED = 0.6  # of the others: the file's own names are what is asked for
SHARE_FROM_OTHER_FILE = 0.15
SHARE_WORD_BY_WORD = 0.4  # else a row at a time
SHARE_WITH_DEFINITION = 0.6
MOST_WORDS = 60
DEFINITION_ROWS = 6
TRAP_ROWS = 14  # what is further away is in no region
_IDENTIFIER: Final = re.compile(r"[A-Za-z_]\w{2,}")
_NEVER_RENAMED: Final = frozenset(
    {"self", "cls", "this", "main", "init", "constructor", "new", "default", "test", "exports"}
)


def rename(file: ParsedFile, random: Random, surroundings: Surroundings) -> Moment | None:
    """A name changed in one place or in a few, with some still to follow."""
    if surroundings.siblings and random.random() < SHARE_FROM_OTHER_FILE:
        return _from_other_file(file, random, surroundings)
    drawn = _drawn(file, random, surroundings)
    if drawn is None:
        return None
    binding, changes, planted = drawn
    return propagated(file, random, Task.RENAME, KINDS[binding.kind], changes, planted=planted)


def renamed(file: ParsedFile, random: Random, surroundings: Surroundings) -> Moment | None:
    """The quiet counterpart: the rename has reached every place of its binding."""
    drawn = _drawn(file, random, surroundings)
    if drawn is None:
        return None
    _, changes, planted = drawn
    if len(changes) > 8:
        return None
    return finished(file, random, "renamed", changes, planted=planted)


def renamable(file: ParsedFile) -> list[Binding]:
    """Bindings that a programmer may rename here, with two words at least."""
    memo = anatomy_of(file).memo
    if renamable not in memo:
        memo[renamable] = [binding for binding in file.bindings if _is_renamable(file, binding)]
    found: list[Binding] = memo[renamable]
    return found


def changes_of(file: ParsedFile, binding: Binding, new: str, *, word_by_word: bool = False) -> list[Change]:
    """The binding's words replaced by ``new``, a change for each row that has some, or for each word."""
    rows = anatomy_of(file).rows
    groups: dict[int, list[Edit]] = {}
    for number, word in enumerate(binding.words):
        text = f"{word.text}: {new}" if word.is_shorthand else new
        edit = Edit(rows.offset(word.row, word.start), rows.offset(word.row, word.end), text)
        groups.setdefault(number if word_by_word else word.row, []).append(edit)
    return [Change(tuple(edits)) for edits in groups.values()]


def _is_renamable(file: ParsedFile, binding: Binding) -> bool:
    name, words = binding.name, binding.words
    if binding.kind not in KINDS or not binding.is_certain or not 2 <= len(words) <= MOST_WORDS:
        return False
    if len(name) < 2 or name in _NEVER_RENAMED or name.startswith("__") or words[0].text != name:
        return False
    if binding.kind in (NameKind.FIELD, NameKind.METHOD) and not binding.owner:
        return False
    first, last = words[0].row, words[-1].row
    return first != last and file.lines[first].strip() != ""


def _drawn(file: ParsedFile, random: Random, surroundings: Surroundings) -> tuple[Binding, list[Change], bool] | None:
    """A binding, what is changed, and whether the file's own text is the one that the changes come from."""
    found = renamable(file)
    if not found:
        return None
    with_traps = random.random() < SHARE_WITH_TRAPS
    if with_traps:
        trapped = _with_traps(file, found)
        if trapped and random.random() < 0.5:
            binding = random.choice(trapped)
            new = _new_name(file, random, binding.name, binding, surroundings)
            return None if new is None else (binding, _changes(file, random, binding, new), False)
    binding = random.choice(found)
    former = _trap_name(file, random, binding) if with_traps else None
    if former is not None or random.random() < SHARE_PLANTED:
        former = former or _new_name(file, random, binding.name, binding, surroundings)
        if former is None or any(word.is_shorthand for word in binding.words):
            return None
        return binding, _changes(file, random, binding, former), True
    new = _new_name(file, random, binding.name, binding, surroundings)
    return None if new is None else (binding, _changes(file, random, binding, new), False)


def _changes(file: ParsedFile, random: Random, binding: Binding, new: str) -> list[Change]:
    return changes_of(file, binding, new, word_by_word=random.random() < SHARE_WORD_BY_WORD)


def _new_name(file: ParsedFile, random: Random, old: str, binding: Binding, surroundings: Surroundings) -> str | None:
    names = surroundings.type_names if binding.kind is NameKind.TYPE else surroundings.names
    for _ in range(4):
        new = another_name(random, old, names, anatomy_of(file).grammar.compound)
        if new is not None and new not in file.names and new not in _reserved(file):
            return new
    return None


def _reserved(file: ParsedFile) -> frozenset[str]:
    return reserved_words(grammar_of(file.language, file.path))


def _with_traps(file: ParsedFile, found: Sequence[Binding]) -> list[Binding]:
    """Those near whose words the same text stands for something else, or says more than the name."""
    memo = anatomy_of(file).memo
    if _with_traps not in memo:
        memo[_with_traps] = [binding for binding in found if _has_trap(file, binding)]
    trapped: list[Binding] = memo[_with_traps]
    return trapped


def _has_trap(file: ParsedFile, binding: Binding) -> bool:
    if any(word.is_shorthand for word in binding.words):
        return True
    own = {(word.row, word.start) for word in binding.words}
    rows = {row + step for row in {word.row for word in binding.words} for step in range(-2, 3)}
    pattern = re.compile(rf"(?<!\w){re.escape(binding.name)}(?!\w)")
    return any(
        (row, match.start()) not in own
        for row in rows
        if 0 <= row < len(file.lines) and binding.name in file.lines[row]
        for match in pattern.finditer(file.lines[row])
    )


def _trap_name(file: ParsedFile, random: Random, binding: Binding) -> str | None:
    """What the binding may have been called before, so that the same text still stands near it for something else."""
    bare = {
        word.text
        for words in file.words.values()
        for word in words
        if word.kind in (WordKind.NAME, WordKind.TYPE, WordKind.KEYWORD) and not word.is_attribute
    }
    style = style_of(binding.name)
    is_member = binding.kind in (NameKind.FIELD, NameKind.METHOD)
    places = [word.row for word in binding.words]
    middle = random.choice(places)
    near = range(max(0, middle - TRAP_ROWS), min(len(file.lines), middle + TRAP_ROWS))
    taken = bare | _reserved(file) | {binding.name} | (file.names if is_member else frozenset())
    texts = {text for row in near for text in _other_texts(file.words.get(row, ()), with_attributes=not is_member)}
    candidates = sorted(text for text in texts if text not in taken and style_of(text) is style)
    return random.choice(candidates) if candidates else None


def _other_texts(words: Sequence[Word], *, with_attributes: bool) -> Iterator[str]:
    """Texts that could be names, where they stand for none: in comments and strings, and as members."""
    for word in words:
        if word.kind in (WordKind.COMMENT, WordKind.STRING):
            yield from (
                text for text in _IDENTIFIER.findall(word.text) if text.islower() or "_" in text or text != text.title()
            )
        elif word.is_attribute and with_attributes and len(word.text) > 2:
            yield word.text


def _from_other_file(file: ParsedFile, random: Random, surroundings: Surroundings) -> Moment | None:
    """The definition was renamed in a file that is open, too; here the old name is still in use."""
    pairs = [(sibling, theirs, ours) for sibling in surroundings.siblings for theirs, ours in _shared(file, sibling)]
    if not pairs:
        return None
    sibling, theirs, ours = random.choice(pairs)
    new = _new_name(file, random, theirs.name, theirs, surroundings)
    if new is None or new in sibling.names:
        return None
    there = [edit for change in changes_of(sibling, theirs, new) for edit in change.edits]
    here = [edit for change in changes_of(file, ours, new) for edit in change.edits]
    done_here = 0 if random.random() < 0.7 else random.randrange(len(here))
    steps = _renamed_there(sibling, there, random)
    expected = apply_edits(file.text, here)
    made = here[:done_here]
    current = apply_edits(file.text, made)
    offset = offset_after(here[done_here - 1].end if made else here[0].start, made)
    if not made and random.random() < 0.5:
        offset = _near(file, random, here[0].start)
    steps.append(Step(file.path, current, place_at(current, offset), random.uniform(1.0, 6.0)))
    return Moment(
        task=Task.RENAME,
        kind=IN_OTHER_FILE,
        language=file.language,
        project=file.project,
        path=file.path,
        texts={sibling.path: sibling.text, file.path: file.text},
        steps=tuple(steps),
        expected=expected,
        related=_definition(sibling, theirs, steps[-2].text) if random.random() < SHARE_WITH_DEFINITION else (),
    )


def _shared(file: ParsedFile, sibling: ParsedFile) -> list[tuple[Binding, Binding]]:
    """What the sibling defines for the whole file and this file uses under the same name."""
    if sibling.language != file.language or sibling.path == file.path:
        return []
    kinds = (NameKind.FUNCTION, NameKind.TYPE, NameKind.CONSTANT)
    theirs = {
        binding.name: binding
        for binding in sibling.bindings
        if binding.kind in kinds and binding.scope == 0 and binding.is_certain and len(binding.name) > 2
    }
    used = (NameKind.IMPORT, NameKind.UNKNOWN)
    return [
        (theirs[binding.name], binding)
        for binding in file.bindings
        if binding.kind in used
        and binding.name in theirs
        and not any(word.is_attribute for word in binding.words)
        and len(binding.words) <= MOST_WORDS
        and len({row.text for row in binding.words}) == 1
    ]


def _renamed_there(sibling: ParsedFile, edits: Sequence[Edit], random: Random) -> list[Step]:
    """The definition first, and mostly all its uses in that file as well."""
    steps = []
    stops = [1] if len(edits) == 1 else sorted({1, len(edits)})
    for count in stops:
        text = apply_edits(sibling.text, edits[:count])
        place = place_at(text, offset_after(edits[count - 1].end, edits[:count]))
        steps.append(Step(sibling.path, text, place, random.uniform(0.5, 4.0)))
    return steps


def _near(file: ParsedFile, random: Random, offset: int) -> int:
    """A place a few rows from another one, where somebody may have clicked."""
    rows = anatomy_of(file).rows
    row = max(0, min(len(file.lines) - 1, rows.row_of(offset) + random.randint(-NEAR_ROWS // 2, NEAR_ROWS // 2)))
    return rows.end_of(row)


def _definition(sibling: ParsedFile, binding: Binding, text: str) -> tuple[RelatedFile, ...]:
    """The definition as a language server gives it by now."""
    lines = text.split("\n")
    row = binding.words[0].row
    rows = Span(row, min(len(lines), row + DEFINITION_ROWS))
    shown = "".join(line + "\n" for line in lines[rows.start : rows.end])
    return (RelatedFile(sibling.path, len(lines) - 1, (RelatedExcerpt(rows, shown),)),)
