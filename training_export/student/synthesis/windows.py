"""Editing moments made from finished source files: what a programmer had just done, and what they do next.

Works on a window of whole lines of one Python file. Five tasks and their quiet counterparts: a rename to propagate, a
change to repeat on lines of the same shape, a line or a block to finish, and moments where nothing should change (the
rename is done, the change was a single one, the line is complete, something was erased on purpose). Deterministic by
seed. Knows nothing of models or of any prompt format.
"""

from __future__ import annotations

import builtins
import keyword
import re
import tokenize
from collections import defaultdict
from collections.abc import Callable, Sequence
from random import Random

from capture.editing.substitution import last_substitution, substitute
from training_export.student.moments import Case, ParsedFile, Window, Word, replace_words

MIN_WINDOW_LINES, MAX_WINDOW_LINES = 6, 24
# Never renamed: not the programmer's names.
FIXED_NAMES = frozenset({*keyword.kwlist, *keyword.softkwlist, *dir(builtins), "self", "cls"})


class Synthesiser:
    """Makes cases from one file after the other; ``names`` are identifiers to rename to."""

    def __init__(self, random: Random, names: Sequence[str], max_window_lines: int = MAX_WINDOW_LINES) -> None:
        self.random = random
        self.names = names
        self.max_window_lines = max_window_lines

    def case(self, file: ParsedFile, task: str) -> Case | None:
        """One case of ``task`` from a random window, None when this window has none."""
        random = self.random
        height = random.randint(MIN_WINDOW_LINES, self.max_window_lines)
        first = random.randrange(max(1, len(file.lines) - height))
        window = Window(file, first, min(first + height, len(file.lines)))
        return TASKS[task](self, window)

    def new_name(self, old: str) -> str:
        """Another name: one of the corpus's, or a variation of the old one."""
        random = self.random
        if random.random() < 0.5:
            return random.choice(self.names)
        part = random.choice(self.names).split("_")[0]
        return random.choice([f"{old}_{part}", f"{part}_{old}", f"new_{old}", f"{old}s", f"{old}2", f"_{old}", part])


def _rename_groups(window: Window) -> list[list[list[Word]]]:
    """Names that stand on two lines or more of one scope: for each, its words line by line."""
    groups: dict[tuple[str, int, bool], dict[int, list[Word]]] = defaultdict(lambda: defaultdict(list))
    for row, words in window.words.items():
        for word in words:
            if word.kind != tokenize.NAME or word.text in FIXED_NAMES or len(word.text) < 2:
                continue
            own_attribute = word.previous == "."
            keyword_argument = word.following == "=" and word.depth > 0 and word.previous in "(,"
            if keyword_argument and window.lines[row].lstrip().startswith("def "):
                keyword_argument = False
            if keyword_argument:
                continue
            if own_attribute and not window.lines[row][: word.start].endswith("self."):
                continue
            scope = -2 if own_attribute else window.scopes[row]
            groups[word.text, scope, own_attribute][row].append(word)
    return [[rows[row] for row in sorted(rows)] for rows in groups.values() if len(rows) >= 2]


def rename(synthesiser: Synthesiser, window: Window, *, finished: bool = False) -> Case | None:
    """A name changed in one place (or in the first few), the others of its scope still to follow."""
    random = synthesiser.random
    groups = _rename_groups(window)
    if not groups:
        return None
    lines = random.choice(groups)
    old_name = lines[0][0].text
    new_name = synthesiser.new_name(old_name)
    if new_name == old_name or not new_name.isidentifier() or new_name in FIXED_NAMES:
        return None
    rows = [words[0].row - window.first for words in lines]
    full = {row: replace_words(window.lines[row], words, new_name) for row, words in zip(rows, lines, strict=True)}
    start = 0 if random.random() < 0.8 else random.randrange(len(rows))
    done = len(rows) if finished else 1
    if not finished and random.random() < 0.3:
        done = random.randint(1, len(rows) - 1)
    order = [rows[(start + index) % len(rows)] for index in range(done)]
    edited = {row: full[row] for row in order}
    last_words = lines[rows.index(order[-1])]
    if len(last_words) > 1 and not finished and random.random() < 0.5:
        edited[order[-1]] = replace_words(window.lines[order[-1]], last_words[:1], new_name)
        last_words = last_words[:1]
    current = window.text(edited)
    expected = window.text(full)
    if (current == expected) is not finished:
        return None
    growth = len(new_name) - len(old_name)
    column = last_words[-1].end + growth * len(last_words)
    steps = [window.text(), current]
    if len(order) > 1 and random.random() < 0.5:
        steps.insert(1, window.text({row: full[row] for row in order[:-1]}))
    return window.case("quiet_renamed" if finished else "rename", steps, (order[-1], column), expected)


def quiet_renamed(synthesiser: Synthesiser, window: Window) -> Case | None:
    """A rename that has reached every place of its scope."""
    return rename(synthesiser, window, finished=True)


def _shape(words: Sequence[Word]) -> tuple[object, ...]:
    """What two similar lines share: kinds of their words; punctuation and keywords stay themselves."""
    return tuple(word.text if word.kind == tokenize.OP or keyword.iskeyword(word.text) else word.kind for word in words)


def _other_text(synthesiser: Synthesiser, word: Word) -> str | None:
    """Another token of the same kind."""
    random = synthesiser.random
    if word.kind == tokenize.NUMBER:
        return str(random.choice([0, 1, 2, 3, 4, 8, 10, 16, 32, 60, 64, 100, 255, 1000, random.randint(2, 999)]))
    if word.kind == tokenize.STRING and len(word.text) > 2:
        if random.random() < 0.4 and word.text[0] in "'\"" and word.text[0] * 3 not in word.text:
            quote = '"' if word.text[0] == "'" else "'"
            return quote + word.text[1:-1] + quote if quote not in word.text else None
        return word.text[0] + random.choice(synthesiser.names) + word.text[-1] if word.text[0] in "'\"" else None
    if word.kind == tokenize.NAME and word.text not in keyword.kwlist and word.text not in ("self", "cls"):
        return random.choice([random.choice(synthesiser.names), synthesiser.new_name(word.text)])
    return None


def _alike(window: Window, row: int, word: Word) -> list[tuple[int, Word]]:
    """Lines of the same shape that hold the same word at the same place, ``row`` first."""
    words = window.words[row]
    place = words.index(word)
    shape = _shape(words)
    return [
        (other, items[place])
        for other, items in window.words.items()
        if len(items) == len(words) and items[place].text == word.text and _shape(items) == shape
    ]


def repeat(synthesiser: Synthesiser, window: Window) -> Case | None:
    """A word changed on one line; lines of the same shape hold the same word."""
    random = synthesiser.random
    candidates = [
        (row, word)
        for row, words in window.words.items()
        for word in words
        if len(words) > 2 and word.kind in (tokenize.NAME, tokenize.NUMBER, tokenize.STRING)
    ]
    random.shuffle(candidates)
    for row, word in candidates[:20]:
        alike = _alike(window, row, word)
        if len(alike) < 2 or any(window.lines[a] == window.lines[b] for a, _ in alike for b, _ in alike if a != b):
            continue
        new = _other_text(synthesiser, word)
        if new is None or new == word.text:
            continue
        full = {other: replace_words(window.lines[other], [item], new) for other, item in alike}
        done = 1 if random.random() < 0.7 else random.randint(1, len(alike) - 1)
        edited = {other: full[other] for other, _ in alike[:done]}
        last_row, last_word = alike[done - 1]
        cursor = (last_row, last_word.start + len(new))
        return window.case("repeat", [window.text(), window.text(edited)], cursor, window.text(full))
    return None


def repeat_insertion(synthesiser: Synthesiser, window: Window) -> Case | None:
    """An argument added to one call; the other calls of the same function on lines alike follow."""
    random = synthesiser.random
    calls: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row, words in window.words.items():
        for word in words:
            match = re.match(r"\([^()\n]+\)", window.lines[row][word.end :])
            if word.kind == tokenize.NAME and word.following == "(" and match and word.previous != "def":
                calls[word.text].append((row, word.end + match.end() - 1))
    groups = [places for places in calls.values() if len({row for row, _ in places}) == len(places) >= 2]
    if not groups:
        return None
    places = random.choice(groups)
    name = random.choice(synthesiser.names)
    value = random.choice([name, "True", "None", "0", "1", f'"{name}"'])
    argument = random.choice([f", {name}", f", {name}={value}"])
    full = {row: window.lines[row][:column] + argument + window.lines[row][column:] for row, column in places}
    done = 1 if random.random() < 0.7 else random.randint(1, len(places) - 1)
    edited = {row: full[row] for row, _ in places[:done]}
    row, column = places[done - 1]
    steps = [window.text(), window.text(edited)]
    return window.case("repeat", steps, (row, column + len(argument)), window.text(full))


def quiet_single(synthesiser: Synthesiser, window: Window) -> Case | None:
    """A word changed on one line; it stands elsewhere too, but on lines that are not alike."""
    random = synthesiser.random
    candidates = [
        (row, word)
        for row, words in window.words.items()
        for word in words
        if word.kind in (tokenize.NUMBER, tokenize.STRING)
        or (word.kind == tokenize.NAME and word.previous == ".")
        or (word.kind == tokenize.NAME and keyword.iskeyword(word.text))
        or word.text in ("True", "False", "None")
    ]
    random.shuffle(candidates)
    for row, word in candidates[:10]:
        if word.text in ("True", "False", "None"):
            new: str | None = random.choice([text for text in ("True", "False", "None") if text != word.text])
        else:
            new = _other_text(synthesiser, word)
        if new is None or new == word.text or len(_alike(window, row, word)) > 1:
            continue
        current = window.text({row: replace_words(window.lines[row], [word], new)})
        return window.case("quiet_single", [window.text(), current], (row, word.start + len(new)), current)
    return None


# Where a person pauses inside a line: the weight of stopping behind a character (zeta.md 3.9).
_PAUSE_WEIGHTS = ((",;:([{", 10), (")]}", 8), (" \t", 6), (".+-*/=<>&|!", 5))


def _pause_column(random: Random, line: str) -> int:
    indent = len(line) - len(line.lstrip())
    columns = range(indent + 1, len(line))
    weights = []
    for column in columns:
        character, following = line[column - 1], line[column]
        weight = next((value for characters, value in _PAUSE_WEIGHTS if character in characters), 1)
        if weight == 1 and (character.isalnum() or character == "_"):
            weight = 1 if following.isalnum() or following == "_" else 8
        weights.append(weight)
    return random.choices(columns, weights)[0]


def _typable_rows(window: Window) -> list[int]:
    return [row for row, line in enumerate(window.lines) if row > 0 and len(line.strip()) >= 6 and window.words[row]]


def finish_line(synthesiser: Synthesiser, window: Window) -> Case | None:
    """A line being typed; the rest of it is next. What stood below is there or not yet written."""
    random = synthesiser.random
    rows = _typable_rows(window)
    if not rows:
        return None
    row = random.choice(rows)
    line = window.lines[row]
    column = _pause_column(random, line)
    partial = line[:column]
    below = window.lines[row + 1 :] if random.random() < 0.6 else []
    above = window.lines[:row]
    old_line = [] if random.random() < 0.7 else [line[: len(line) - len(line.lstrip())]]
    return window.case(
        "finish",
        ["\n".join([*above, *old_line, *below]), "\n".join([*above, partial, *below])],
        (row, column),
        "\n".join([*above, line, *below]),
    )


def finish_block(synthesiser: Synthesiser, window: Window) -> Case | None:
    """A header line is complete; the first line of its body is next."""
    random = synthesiser.random
    rows = [
        row
        for row in _typable_rows(window)
        if window.lines[row].rstrip().endswith(":") and row + 1 < len(window.lines) and window.lines[row + 1].strip()
    ]
    if not rows:
        return None
    row = random.choice(rows)
    above, header, body = window.lines[:row], window.lines[row], window.lines[row + 1]
    return window.case(
        "finish",
        ["\n".join(above), "\n".join([*above, header])],
        (row, len(header)),
        "\n".join([*above, header, body]),
    )


def quiet_typed(synthesiser: Synthesiser, window: Window) -> Case | None:
    """A line was just completed between lines that were already there."""
    rows = _typable_rows(window)
    if not rows:
        return None
    row = synthesiser.random.choice(rows)
    lines = window.lines
    before = "\n".join([*lines[:row], *lines[row + 1 :]])
    return window.case("quiet_typed", [before, window.text()], (row, len(lines[row])), window.text())


def quiet_deleted(synthesiser: Synthesiser, window: Window) -> Case | None:
    """Lines were deleted on purpose; they must not come back."""
    random = synthesiser.random
    rows = _typable_rows(window)
    if len(rows) < 4:
        return None
    row = random.choice(rows)
    height = random.randint(1, 3)
    lines = [*window.lines[:row], *window.lines[row + height :]]
    if row >= len(lines):
        return None
    current = "\n".join(lines)
    return window.case("quiet_deleted", [window.text(), current], (row, 0), current)


def quiet_erased(synthesiser: Synthesiser, window: Window) -> Case | None:
    """A name was erased to be typed anew: not the moment to say anything."""
    random = synthesiser.random
    groups = _rename_groups(window)
    if not groups:
        return None
    word = random.choice(random.choice(groups))[0]
    row = word.row - window.first
    kept = word.text[: random.randrange(len(word.text))] if random.random() < 0.5 else ""
    current = window.text({row: replace_words(window.lines[row], [word], kept)})
    return window.case("quiet_erased", [window.text(), current], (row, word.start + len(kept)), current)


def quiet_opened(synthesiser: Synthesiser, window: Window) -> Case | None:
    """A file that was just opened: nothing was done yet, so nothing is next."""
    rows = _typable_rows(window)
    if not rows:
        return None
    row = synthesiser.random.choice(rows)
    cursor = (row, synthesiser.random.randint(0, len(window.lines[row])))
    return window.case("quiet_opened", [window.text()], cursor, window.text())


TASKS: dict[str, Callable[[Synthesiser, Window], Case | None]] = {
    "rename": rename,
    "repeat": repeat,
    "repeat_insertion": repeat_insertion,
    "finish_line": finish_line,
    "finish_block": finish_block,
    "quiet_renamed": quiet_renamed,
    "quiet_single": quiet_single,
    "quiet_typed": quiet_typed,
    "quiet_deleted": quiet_deleted,
    "quiet_erased": quiet_erased,
    "quiet_opened": quiet_opened,
}

# Shares of the training set; more than a quarter is quiet.
MIXTURE = {
    "rename": 0.26,
    "repeat": 0.12,
    "repeat_insertion": 0.06,
    "finish_line": 0.20,
    "finish_block": 0.04,
    "quiet_renamed": 0.09,
    "quiet_single": 0.09,
    "quiet_typed": 0.07,
    "quiet_deleted": 0.03,
    "quiet_erased": 0.04,
}

# For a student that rewrites whole regions: copying alone, then edits, too, but hardly any text of its own, which a
# small student gets wrong anyway.
JUST_OPENED = {"quiet_opened": 1.0}
COPY_MIXTURE = {
    "rename": 0.30,
    "repeat": 0.14,
    "repeat_insertion": 0.08,
    "finish_line": 0.08,
    "quiet_renamed": 0.10,
    "quiet_single": 0.10,
    "quiet_typed": 0.10,
    "quiet_deleted": 0.05,
    "quiet_erased": 0.05,
}


def defeats_plain_rule(case: Case) -> bool:
    """Whether replacing every occurrence of the last substitution gives something else than expected."""
    return rule_baseline(case) != case.expected


def rule_baseline(case: Case) -> str:
    """What the plain rule predicts: the newest one-word replacement, applied to the whole window."""
    substitution = last_substitution(case.inputs().events)
    if substitution is None:
        return case.current
    return "\n".join(substitute(line, substitution.removed, substitution.added) for line in case.current.split("\n"))
