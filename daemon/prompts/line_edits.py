"""`line_edits`: the format of foretype's own small student. The answer names only what changes.

    <|file|>path
    <|context|>related excerpt                       in the order they became known
    <|region|>
    first line of the region<|line_0|>second line<|mark_1|>the cursor's line<|here|>fourth line<|line_3|>...
    <|diagnostic|>message                            farthest first
    <|history|>                                      changed lines, oldest first, as word diffs:
    total<|del|>removed<|add|>added<|same|> = 0        unchanged text, then what was removed and added
    <|here|>the cursor's line<|cursor|> as such a diff where the newest event changed it<|answer|>

What a keystroke changes stands last, so that everything before it is already evaluated when the next one comes: in the
region stands the cursor's line as it was before the newest event, and what this event made of it follows the rest
of the history. The region's first row is on a grid (``GRID_ROWS``), so that it does not slide with the cursor.

A line's name stands behind its text, in place of the newline: a causal model has read the line when it
reaches the name. ``<|cursor|>`` stands at the cursor; ``<|recent|>`` before text that the user has just
replaced elsewhere (the last substitution). The cursor's line is ``<|here|>``; other lines with a
``<|recent|>`` are ``<|mark_1|>``, ``<|mark_2|>``, ... from the top: naming a line is the hard part for a small
model, and most edits are at one of these. All other lines go by their number. The answer is ``<|no_edit|>``,
or for each line that changes, in the order of the region, its name and one of

    <|again|>                       the last substitution, applied to this line
    <|del|>old<|add|>new...         replacements, each on every occurrence on word boundaries
    <|add|>text                     (cursor line only) text inserted at the cursor
    <|insert|>text                  lines inserted below
    <|delete|>                      the line goes
    text                            the whole new line (or lines)

and ``<|end|>``. Its cost is in proportion to the edit, not to the region.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rapidfuzz.distance import Indel

from capture.editing.substitution import occurrences, shortest_unique_replacements, substitute
from capture.inputs import PredictionInputs
from daemon.prompts.base import Answer, CountTokens, Delimiters, NewRegion, NoEdit, NoEditReason, Prompt, Refusal
from daemon.prompts.guards import judge, no_edit_at_sight
from daemon.prompts.line_history import CURSOR_LINE_TOKENS, cursor_line_and_history, region_lines
from daemon.prompts.line_region import (
    ADD,
    AGAIN,
    ANSWER,
    CONTEXT,
    CONTROL,
    CONTROL_TOKENS,
    DEL,
    DELETE,
    DIAGNOSTIC,
    END,
    FILE,
    HERE,
    HISTORY,
    INSERT,
    LINE_NAME,
    NO_EDIT,
    REGION,
    Region,
    locate_region,
    region_of,
)
from daemon.prompts.whole_region import checked_target

CONTEXT_TOKENS = 128
DIAGNOSTIC_TOKENS = 48
MAX_DIAGNOSTICS = 3
MAX_ANSWER_TOKENS = 96
PATH_TOKENS = 24


class LineEdits:
    """The student's prompt format."""

    name = "line_edits"
    control_tokens = CONTROL_TOKENS
    delimiters = Delimiters(FILE, ANSWER)

    def render(self, inputs: PredictionInputs, count_tokens: CountTokens) -> Prompt | Refusal:
        """The prompt; refused when the region itself holds one of the format's tokens."""
        located = locate_region(inputs, count_tokens)
        if isinstance(located, Refusal):
            return located
        region, span = located
        cursor_line, history = cursor_line_and_history(inputs, region, count_tokens)
        if count_tokens(cursor_line.now) > CURSOR_LINE_TOKENS:
            return Refusal.OVER_BUDGET
        parts = [
            FILE + _clip_path(inputs.cursor_path, count_tokens) + "\n",
            *_context(inputs, count_tokens),
            REGION + "\n",
            *region_lines(region, cursor_line.before),
            *_diagnostics(inputs, count_tokens),
            HISTORY + "\n",
            *history,
            HERE + cursor_line.now,
            ANSWER,
        ]
        return Prompt(
            text="".join(parts),
            stop=(END, NO_EDIT),
            region=span,
            region_text=region.text(),
            max_answer_tokens=MAX_ANSWER_TOKENS,
            answer_copies_region=False,
        )

    def parse(self, inputs: PredictionInputs, prompt: Prompt, answer: str, *, finished: bool) -> Answer:
        """Apply the answer's line edits; whatever does not follow the format exactly is no edit."""
        refused = no_edit_at_sight(answer, finished=finished)
        if refused is not None:
            # The stop string of "no edit" is the whole answer, so nothing is left of it.
            return NoEdit(NoEditReason.SAID_SO) if finished and not answer else refused
        region = region_of(inputs, prompt.region)
        pieces = LINE_NAME.split(answer)
        names = region.names()
        if pieces[0] or len(pieces) < 3:
            return NoEdit(NoEditReason.MALFORMED)
        lines = [line + end for line, end in zip(region.lines, region.terminators, strict=True)]
        previous = -1
        for name, edit in zip(pieces[1::2], pieces[2::2], strict=True):
            index = names.index(name) if name in names else -1
            if index <= previous:
                return NoEdit(NoEditReason.MALFORMED)
            previous = index
            edited = _apply(region, index, edit)
            if edited is None:
                return NoEdit(NoEditReason.MALFORMED)
            lines[index] = edited
        text = "".join(lines)
        if previous == len(lines) - 1 and pieces[-1] == DELETE:
            # The last line was removed: its predecessor's terminator goes, so that no blank line stays.
            text = text.removesuffix("\n").removesuffix("\r")
        return judge(prompt.region_text, NewRegion(text), CONTROL_TOKENS)

    def training_target(self, inputs: PredictionInputs, prompt: Prompt, new_region: NewRegion) -> str:
        """The answer that ``parse`` turns into ``new_region``; ``<|no_edit|>`` when nothing changes."""
        if new_region.text == prompt.region_text:
            return NO_EDIT
        region = region_of(inputs, prompt.region)
        new_lines = [line.removesuffix("\r") for line in new_region.text.split("\n")]
        target = "".join(_encode(region, new_lines)) + END
        return checked_target(self, inputs, prompt, new_region, target)


# --- the prompt's other parts ------------------------------------------------------------------------------


def _context(inputs: PredictionInputs, count_tokens: CountTokens) -> list[str]:
    """Related excerpts within the budget, as they come: what became known later stands behind what was shown before.

    So what was evaluated stays evaluated. Within a file the more important excerpt is the first to get room.
    """
    chosen: list[str] = []
    left = CONTEXT_TOKENS
    for related in inputs.related_files or ():
        if related.path == inputs.cursor_path or CONTROL.search(related.path):
            continue
        for excerpt in sorted(related.excerpts, key=lambda excerpt: excerpt.order):
            if CONTROL.search(excerpt.text):
                continue
            rendered = _first_rows(f"{CONTEXT}{related.path}\n", excerpt.text.rstrip().split("\n"), left, count_tokens)
            left -= count_tokens(rendered)
            chosen += [rendered] if rendered else []
    return chosen


def _first_rows(head: str, rows: Sequence[str], room_tokens: int, count_tokens: CountTokens) -> str:
    """``head`` and as many of the first rows as fit; empty where not even the first does."""
    low, high = 0, len(rows)
    while low < high:
        middle = (low + high + 1) // 2
        fits = count_tokens(head + "\n".join(rows[:middle]) + "\n") <= room_tokens
        low, high = (middle, high) if fits else (low, middle - 1)
    return head + "\n".join(rows[:low]) + "\n" if low else ""


def _diagnostics(inputs: PredictionInputs, count_tokens: CountTokens) -> list[str]:
    """The nearest diagnostics within the budget, the nearest last; inputs hold them nearest first."""
    chosen: list[str] = []
    left = DIAGNOSTIC_TOKENS
    for item in inputs.active_buffer_diagnostics[:MAX_DIAGNOSTICS]:
        message = " ".join(item.message.split())
        if CONTROL.search(message):
            continue
        rendered = f"{DIAGNOSTIC}{message}\n"
        cost = count_tokens(rendered)
        if cost > left:
            break
        left -= cost
        chosen.append(rendered)
    return chosen[::-1]


def _clip_path(path: str, count_tokens: CountTokens) -> str:
    """The path's last components that fit."""
    components = CONTROL.sub("", path).split("/")
    while len(components) > 1 and count_tokens("/".join(components)) > PATH_TOKENS:
        components.pop(0)
    return "/".join(components)


# --- the answer --------------------------------------------------------------------------------------------


def _apply(region: Region, index: int, edit: str) -> str | None:
    """The new text of line ``index`` with its terminator, None when the edit does not follow the format."""
    line, terminator = region.lines[index], region.terminators[index]
    newline = next((end for end in (terminator, *region.terminators) if end.endswith("\n")), "\n")
    if edit == DELETE:
        return ""
    if edit == AGAIN:
        if region.substitution is None:
            return None
        edited = substitute(line, region.substitution.removed, region.substitution.added)
        return None if edited == line else edited + terminator
    if edit.startswith(INSERT):
        inserted = edit.removeprefix(INSERT)
        return None if CONTROL.search(inserted) else f"{line}\n{inserted}".replace("\n", newline) + terminator
    if edit.startswith(ADD):
        added = edit.removeprefix(ADD)
        if index != region.cursor_line or CONTROL.search(added):
            return None
        edited = line[: region.cursor_column] + added + line[region.cursor_column :]
        return edited.replace("\n", newline) + terminator
    if edit.startswith(DEL):
        edited_line = _apply_replacements(line, edit)
        return None if edited_line is None else edited_line + terminator
    return None if CONTROL.search(edit) else edit.replace("\n", newline) + terminator


def _apply_replacements(line: str, edit: str) -> str | None:
    for pair in edit.removeprefix(DEL).split(DEL):
        removed, separator, added = pair.partition(ADD)
        if not separator or not occurrences(line, removed):
            return None
        line = substitute(line, removed, added)
    return line


def _encode(region: Region, new_lines: Sequence[str]) -> Iterator[str]:
    """One edit for each region line that changes, in order."""
    names = region.names()
    for operation in _line_operations(region.lines, new_lines):
        old_start, old_end, new_start, new_end = operation
        added = list(new_lines[new_start:new_end])
        if old_start == old_end:
            yield names[old_start - 1] + _encode_insertion(region, old_start - 1, added)
            continue
        paired = min(old_end - old_start, len(added))
        for offset in range(paired):
            index = old_start + offset
            last = offset == paired - 1
            text = "\n".join(added[offset:]) if last else added[offset]
            if text != region.lines[index]:
                yield names[index] + _encode_line(region, index, text)
        for index in range(old_start + paired, old_end):
            yield names[index] + DELETE


def _encode_insertion(region: Region, index: int, added: Sequence[str]) -> str:
    at_cursor = index == region.cursor_line and region.cursor_column == len(region.lines[index])
    return (ADD + "\n" if at_cursor else INSERT) + "\n".join(added)


def _encode_line(region: Region, index: int, new: str) -> str:
    """The shortest form that turns line ``index`` into ``new`` (which may hold newlines)."""
    old = region.lines[index]
    substitution = region.substitution
    if substitution and substitute(old, substitution.removed, substitution.added) == new:
        return AGAIN
    if index == region.cursor_line:
        before, after = old[: region.cursor_column], old[region.cursor_column :]
        if len(new) >= len(old) and new.startswith(before) and new.endswith(after):
            return ADD + new[len(before) : len(new) - len(after)]
    if "\n" not in new:
        replacements = shortest_unique_replacements(old, new)
        if replacements is not None:
            encoded = "".join(f"{DEL}{item.removed}{ADD}{item.added}" for item in replacements)
            if len(encoded) - 7 * 2 * len(replacements) < len(new):  # the tokens are one token each, not text
                return encoded
    return new


def _line_operations(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """Changed blocks as (old start, old end, new start, new end), adjacent ones merged."""
    merged: list[tuple[int, int, int, int]] = []
    for operation in Indel.opcodes(old, new):
        if operation.tag == "equal":
            continue
        old_start, new_start = operation.src_start, operation.dest_start
        if merged and merged[-1][1] == old_start and merged[-1][3] == new_start:
            old_start, _, new_start, _ = merged.pop()
        merged.append((old_start, operation.src_end, new_start, operation.dest_end))
    if merged and merged[0][1] == 0:
        # Above the first line there is no line to name: the first line is rewritten, with what follows it.
        _, _, new_start, new_end = merged.pop(0)
        old_end, new_end = 1, new_end + 1
        if merged and merged[0][0] == old_end and merged[0][2] == new_end:
            _, old_end, _, new_end = merged.pop(0)
        merged.insert(0, (0, old_end, new_start, new_end))
    yield from merged
