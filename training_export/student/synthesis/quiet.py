"""Moments in which nothing should change: what was done is done, or nobody can know yet what is meant.

The last edit is often one that a careless model takes back or repeats. Works on words and rows; knows nothing of how
moments are chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from training_export.student.syntax.parsed import ParsedFile, Word, WordKind, replaced
from training_export.student.synthesis.anatomy import anatomy_of
from training_export.student.synthesis.moment import Moment, Place, Step, Surroundings, Task
from training_export.student.synthesis.names import another_name
from training_export.student.synthesis.rename import renamable, renamed

MOST_ROWS_DELETED = 3
MIN_TYPED_CHARACTERS = 6
TRIES = 12
_NUMBERS: Final = ("0", "1", "2", "3", "5", "8", "10", "16", "30", "60", "64", "100", "255", "500", "1000")

Quiet = Callable[[ParsedFile, Random, Surroundings], Moment | None]


def quiet(file: ParsedFile, random: Random, surroundings: Surroundings) -> Moment | None:
    """One of them, the kinds in proportion to `WEIGHTS`."""
    make = random.choices([make for make, _ in WEIGHTS], [weight for _, weight in WEIGHTS])[0]
    return make(file, random, surroundings)


def single(file: ParsedFile, random: Random, _surroundings: Surroundings) -> Moment | None:
    """A number, a string or a keyword changed in one place, and no row like it holds the same."""
    grammar = anatomy_of(file).grammar
    for word in _some_words(file, random):
        new = _other_value(word, random, grammar.exchanges)
        if new is None or new == word.text or _stands_alike(file, word):
            continue
        return _one_row(
            file, random, "single", word.row, replaced(file.lines[word.row], [word], new), word.start + len(new)
        )
    return None


def switched(file: ParsedFile, random: Random, _surroundings: Surroundings) -> Moment | None:
    """One use of a name replaced by another name of the same scope; neither repeated elsewhere nor taken back."""
    found = renamable(file)
    if len(found) < 2:
        return None
    binding = random.choice(found)
    word = random.choice(binding.words[1:])
    others = [
        other.name
        for other in found
        if other.scope == binding.scope and other.name != binding.name and other.kind is binding.kind
    ]
    if word.is_definition or word.is_shorthand or not others:
        return None
    new = random.choice(others)
    line = replaced(file.lines[word.row], [word], new)
    return _one_row(file, random, "single", word.row, line, word.start + len(new))


def typed(file: ParsedFile, random: Random, _surroundings: Surroundings) -> Moment | None:
    """A row was just completed between rows that were there already."""
    rows = _whole_rows(file)
    if not rows:
        return None
    row = random.choice(rows)
    lines = file.lines
    indentation = lines[row][: len(lines[row]) - len(lines[row].lstrip())]
    without = "\n".join([*lines[:row], *lines[row + 1 :]])
    begun = "\n".join([*lines[:row], indentation, *lines[row + 1 :]])
    before = without if random.random() < 0.6 else begun
    steps = [Step(file.path, file.text, Place(row, len(lines[row])), random.uniform(0.3, 3.0))]
    if random.random() < 0.4:
        column = random.randint(len(indentation), len(lines[row]))
        half = "\n".join([*lines[:row], lines[row][:column], *lines[row + 1 :]])
        steps.insert(0, Step(file.path, half, Place(row, column), random.uniform(0.3, 3.0)))
    return _quiet(file, "typed", before, steps)


def deleted(file: ParsedFile, random: Random, _surroundings: Surroundings) -> Moment | None:
    """Rows were deleted on purpose; they must not come back."""
    rows = _whole_rows(file)
    if len(rows) < 4:
        return None
    row = random.choice(rows)
    lines = file.lines
    end = row + random.randint(1, MOST_ROWS_DELETED)
    if end >= len(lines):
        return None
    current = "\n".join([*lines[:row], *lines[end:]])
    return _quiet(file, "deleted", file.text, [Step(file.path, current, Place(row, 0), random.uniform(0.3, 3.0))])


def erased(file: ParsedFile, random: Random, _surroundings: Surroundings) -> Moment | None:
    """A word was erased, wholly or from its end, to be typed anew: not the moment to say anything."""
    names = [word for word in _some_words(file, random) if word.kind in (WordKind.NAME, WordKind.STRING, WordKind.TYPE)]
    if not names:
        return None
    word = names[0]
    line = file.lines[word.row]
    kept = random.randrange(len(word.text)) if random.random() < 0.5 else 0
    current = line[: word.start + kept] + line[word.end :]
    return _one_row(file, random, "erased", word.row, current, word.start + kept)


def opened(file: ParsedFile, random: Random, _surroundings: Surroundings) -> Moment | None:
    """The file was just opened, or is read: the cursor is somewhere."""
    row = random.randrange(len(file.lines))
    place = Place(row, random.randint(0, len(file.lines[row])))
    return Moment(
        Task.QUIET, "opened", file.language, file.project, file.path, {file.path: file.text}, (), file.text, place
    )


def moved(file: ParsedFile, random: Random, surroundings: Surroundings) -> Moment | None:
    """Something was done and is done; then the cursor went elsewhere."""
    before = random.choice((single, typed, deleted))(file, random, surroundings)
    if before is None:
        return None
    lines = before.current.split("\n")
    row = max(0, min(len(lines) - 1, before.cursor.row + random.choice((-1, 1)) * random.randint(1, 20)))
    step = Step(file.path, before.current, Place(row, random.randint(0, len(lines[row]))), random.uniform(1.0, 8.0))
    return _quiet(file, "moved", before.texts[file.path], [*before.steps, step])


def mid_word(file: ParsedFile, random: Random, surroundings: Surroundings) -> Moment | None:
    """A row of its own begins with the first letters of a name that stands nowhere yet."""
    rows = _whole_rows(file)
    name = another_name(
        random, random.choice(surroundings.names), surroundings.names, anatomy_of(file).grammar.compound
    )
    if not rows or name is None or name in file.names:
        return None
    row = random.choice(rows)
    line = file.lines[row]
    begun = line[: len(line) - len(line.lstrip())] + name[: random.randint(1, min(3, len(name)))]
    lines = [*file.lines[:row], begun, *file.lines[row:]]
    step = Step(file.path, "\n".join(lines), Place(row, len(begun)), random.uniform(0.2, 1.5))
    return _quiet(file, "mid_word", file.text, [step])


def undo(file: ParsedFile, random: Random, surroundings: Surroundings) -> Moment | None:
    """Something was done and taken back: neither once more, nor anything else."""
    found = random.choice((single, switched, typed, deleted, renamed))(file, random, surroundings)
    if found is None:
        return None
    before, first = found.texts[file.path], found.steps[0]
    rows = before.split("\n")
    row = min(first.cursor.row, len(rows) - 1)
    place = Place(row, min(first.cursor.column, len(rows[row])))
    steps = [first, Step(file.path, before, place, random.uniform(0.5, 4.0))]
    return Moment(Task.QUIET, "undo", file.language, file.project, file.path, {file.path: before}, tuple(steps), before)


def _one_row(file: ParsedFile, random: Random, kind: str, row: int, line: str, column: int) -> Moment | None:
    lines = [*file.lines[:row], line, *file.lines[row + 1 :]]
    step = Step(file.path, "\n".join(lines), Place(row, column), random.uniform(0.3, 3.0))
    return _quiet(file, kind, file.text, [step])


def _quiet(file: ParsedFile, kind: str, before: str, steps: list[Step]) -> Moment | None:
    current = steps[-1].text
    if current == before:
        return None
    return Moment(Task.QUIET, kind, file.language, file.project, file.path, {file.path: before}, tuple(steps), current)


def _whole_rows(file: ParsedFile) -> list[int]:
    """Rows with some code, not the first; rows in the middle of a string or a comment are like any other."""
    memo = anatomy_of(file).memo
    if _whole_rows not in memo:
        memo[_whole_rows] = [
            row for row in sorted(file.words) if row > 0 and len(file.lines[row].strip()) >= MIN_TYPED_CHARACTERS
        ]
    found: list[int] = memo[_whole_rows]
    return found


def _some_words(file: ParsedFile, random: Random) -> list[Word]:
    """A few words from rows here and there."""
    rows = sorted(file.words)
    drawn = [random.choice(file.words[random.choice(rows)]) for _ in range(TRIES)] if rows else []
    return [word for word in drawn if word.kind not in (WordKind.COMMENT, WordKind.OPERATOR) or len(word.text) == 2]


def _other_value(word: Word, random: Random, exchanges: tuple[tuple[str, ...], ...]) -> str | None:
    groups = [group for group in exchanges if word.text in group]
    if groups:
        return random.choice([text for text in random.choice(groups) if text != word.text])
    if word.kind is WordKind.NUMBER:
        return random.choice(_NUMBERS)
    quotes = word.text[:1]
    if word.kind is WordKind.STRING and len(word.text) > 4 and quotes in "\"'`" and word.text.endswith(quotes):
        inner = word.text[1:-1].split(" ")
        place = random.randrange(len(inner))
        kept = (
            [*inner[:place], *inner[place + 1 :]] if len(inner) > 2 else [inner[0] + random.choice(("s", "2", "_new"))]
        )
        return quotes + " ".join(kept) + quotes
    return None


def _stands_alike(file: ParsedFile, word: Word) -> bool:
    """Whether another row of the same shape holds the same word at the same place: then it may be meant as well."""
    own = file.words[word.row]
    place = own.index(word)
    shape = [_shape(other) for other in own]
    for row, words in file.words.items():
        if row == word.row or len(words) != len(own) or words[place].text != word.text:
            continue
        if [_shape(other) for other in words] == shape:
            return True
    return False


def _shape(word: Word) -> str:
    return word.text if word.kind in (WordKind.OPERATOR, WordKind.KEYWORD) else word.kind.value


WEIGHTS: Final[tuple[tuple[Quiet, float], ...]] = (
    (renamed, 0.24),
    (single, 0.14),
    (switched, 0.09),
    (typed, 0.17),
    (deleted, 0.08),
    (erased, 0.09),
    (opened, 0.03),
    (moved, 0.06),
    (mid_word, 0.05),
    (undo, 0.05),
)
