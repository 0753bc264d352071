"""V0304VariableEdit: no fixed region; the model names the lines around what it replaces.

An answer is: lines that stand before the change, ``<|fim_middle|>``, the new lines, ``<|fim_suffix|>``, lines
that stand behind it. No lines before mean the start of the context, none behind its end; an empty answer
changes nothing. ``apply_variable_edit`` and ``variable_edit_target`` are as trusting as Zed (`zeta_prompt` at
09adbb01): the first place that fits is taken. ``VariableEdit`` wants one place only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from capture.editing.excerpt import ranges_of_inputs
from capture.editing.unified_diff import PatchError, split_lines
from capture.inputs import PredictionInputs, Span
from daemon.prompts.base import NoEditReason
from daemon.prompts.zed.format import CURSOR_MARKER, QWEN, SpecialTokens, ZetaFormat
from daemon.prompts.zed.layouts import CursorSectionLast, CursorText
from daemon.prompts.zed.marker_spans import MarkerError
from daemon.prompts.zed.markers import insert_cursor, newline_terminated
from daemon.prompts.zed.truncation import drops_the_end

CONTEXT_LINES = 2  # that a target shows on either side, and more where these occur twice

# Where the inputs have no syntax ranges: the largest precomputed context there is.
PRECOMPUTED_CONTEXTS = ("editable_350_context_1024", "editable_350_context_512", "editable_350_context_150")


def variable_edit_ranges(
    inputs: PredictionInputs, editable_tokens: int, context_tokens: int
) -> tuple[Span, Span] | None:
    """The whole context twice: all of it may change."""
    if inputs.syntax_ranges is not None:
        return ranges_of_inputs(inputs, editable_tokens, context_tokens)
    contexts = (inputs.excerpt_ranges.get(key) for key in PRECOMPUTED_CONTEXTS)
    context = next((found for found in contexts if found is not None), None)
    return None if context is None else (context, context)


def apply_variable_edit(context: str, output: str) -> tuple[Span, str]:
    """The bytes of the context that Zed replaces for an answer, and the new text.

    Raises MarkerError when there is no ``<|fim_middle|>`` or the lines around the change are not found.
    """
    data = context.encode()
    if QWEN.middle not in output:
        raise MarkerError(f"no {QWEN.middle} in the answer")
    before, rest = _split_at(output, QWEN.middle)
    new_text, behind = _split_at(rest, QWEN.suffix)
    if not before:
        behind = behind.removeprefix("\n")
    start = _first_place(data, before.encode()) + len(before.encode())
    end = start + _first_place(data[start:], behind.encode()) if behind else len(data)
    return Span(start, end), new_text


def variable_edit_target(old_text: str, patch: str, cursor_offset: int | None) -> str:
    """The answer that Zed writes for a patch: one span that holds all its changes.

    Hunks are searched by their text alone, each behind the one before. Raises PatchError where one is not
    found. The cursor is written only where it lies in the new lines.
    """
    new_text, first_hunk_start = _patched(old_text.encode(), list(_read_hunks(patch)))
    old_lines, new_lines = split_lines(old_text), split_lines(new_text.decode())
    change = _ChangedLines.between(old_lines, new_lines)
    if change.first == change.old_end == change.new_end:
        return ""
    written = "".join(f"{line}\n" for line in new_lines[change.first : change.new_end]).encode()
    if cursor_offset is not None:
        lead_bytes = sum(len(line.encode()) + 1 for line in new_lines[: change.first])
        cursor = first_hunk_start + cursor_offset - lead_bytes
        if 0 <= cursor <= len(written):
            written = insert_cursor(written, cursor)

    start = max(0, change.first - CONTEXT_LINES)
    while start > 0 and _times(old_lines, old_lines[start : change.first]) > 1:
        start -= 1
    end = min(len(old_lines), change.old_end + CONTEXT_LINES)
    while end < len(old_lines) and _times(old_lines, old_lines[change.old_end : end]) > 1:
        end += 1
    return _answer(old_lines[start : change.first], written.decode(), old_lines[change.old_end : end])


class VariableEdit:
    """The whole context with the cursor; answers name the lines around the change.

    The last line of the context counts as a whole line though no newline follows it.
    """

    def show(self, region: bytes, cursor_offset: int) -> bytes:
        """The region with the cursor, closed by a newline."""
        return newline_terminated(insert_cursor(region, cursor_offset))

    def read(self, region: bytes, answer: bytes, cursor_offset: int) -> bytes:
        """The region with the span replaced; raises MarkerError unless there is one place for it."""
        del cursor_offset
        span, new_text = _only_place(newline_terminated(region).decode(), answer.decode())
        region = newline_terminated(region)
        return region[: span.start] + new_text.encode() + region[span.end :]

    def doubt(self, region: bytes, answer: bytes, cursor_offset: int) -> NoEditReason | None:
        """There must be one place for the answer, and one that reaches to the end must not shorten it.

        An answer that ends behind ``<|fim_suffix|>`` may have lost the lines that stand behind the change.
        """
        del cursor_offset
        context = newline_terminated(region).decode()
        try:
            span, new_text = _only_place(context, answer.decode())
        except MarkerError:
            return NoEditReason.MALFORMED
        replaced = context.encode()[span.start : span.end].decode()
        if span.end < len(context.encode()):
            return None
        shortens = new_text.count("\n") < replaced.count("\n")
        return NoEditReason.MALFORMED if shortens or drops_the_end(replaced, new_text) else None

    def write(self, region: bytes, new_region: bytes, cursor_offset: int | None) -> bytes:
        """The changed lines and the cursor's between lines that occur once, empty where nothing changed.

        Where no lines before the change occur once, it reaches back to the start; likewise to the end.
        """
        if new_region == region:
            return b""
        marked = new_region if cursor_offset is None else insert_cursor(new_region, cursor_offset)
        old_lines, new_lines = _whole_lines(region.decode()), _whole_lines(marked.decode())
        change = _ChangedLines.between(old_lines, new_lines)
        first, old_end = change.first, change.old_end

        start = max(0, first - CONTEXT_LINES)
        while start > 0 and _times(old_lines, old_lines[start:first]) > 1:
            start -= 1
        if _times(old_lines, old_lines[start:first]) > 1:
            start = first = 0
        # With nothing before it, a blank line behind is read as part of the marker's line.
        while first == 0 and old_end < len(old_lines) and not old_lines[old_end]:
            old_end += 1
        end = min(len(old_lines), old_end + CONTEXT_LINES)
        while end < len(old_lines) and _times(old_lines[first:], old_lines[old_end:end]) > 1:
            end += 1
        if _times(old_lines[first:], old_lines[old_end:end]) > 1:
            old_end = end = len(old_lines)

        new_end = change.new_end + old_end - change.old_end
        written = "".join(f"{line}\n" for line in new_lines[first:new_end])
        return _answer(old_lines[start:first], written, old_lines[old_end:end]).encode()


@dataclass(frozen=True, slots=True)
class _ChangedLines:
    """What lies between the lines that two texts have in common at their start and at their end."""

    first: int
    old_end: int
    new_end: int

    @classmethod
    def between(cls, old: Sequence[str], new: Sequence[str]) -> _ChangedLines:
        shorter = min(len(old), len(new))
        first = next((row for row in range(shorter) if old[row] != new[row]), shorter)
        limit = shorter - first
        common = next((row for row in range(limit) if old[-1 - row] != new[-1 - row]), limit)
        return cls(first, len(old) - common, len(new) - common)


@dataclass(slots=True)
class _HunkText:
    """A hunk's old text, and what replaces ranges (bytes) of it."""

    old: bytes = b""
    edits: list[tuple[int, int, bytes]] = field(default_factory=list)

    def extend(self, deleted: bytes, added: bytes) -> None:
        """Lines go or come at the end of the old text so far; touching edits are one."""
        start, end = len(self.old), len(self.old) + len(deleted)
        self.old += deleted
        if self.edits and self.edits[-1][1] == start:
            before = self.edits.pop()
            start, added = before[0], before[2] + added
        self.edits.append((start, end, added))

    @property
    def new(self) -> bytes:
        """The hunk's new text."""
        kept_from = [0, *(end for _, end, _ in self.edits)]
        kept_to = [*(start for start, _, _ in self.edits), len(self.old)]
        added = [*(text for _, _, text in self.edits), b""]
        return b"".join(self.old[a:b] + text for a, b, text in zip(kept_from, kept_to, added, strict=True))


def _read_hunks(patch: str) -> Iterator[_HunkText]:
    """The hunks of a patch in the reading of this format: headers of files are skipped wherever they are."""
    hunk: _HunkText | None = None
    for line in split_lines(patch):
        if line.startswith("@@"):
            if hunk is not None and (hunk.old or hunk.edits):
                yield hunk
            hunk = _HunkText()
        elif line.startswith(("---", "+++")) or hunk is None:
            continue
        elif line.startswith("+"):
            hunk.extend(b"", f"{line[1:]}\n".encode())
        elif line.startswith("-"):
            hunk.extend(f"{line[1:]}\n".encode(), b"")
        else:
            hunk.old += f"{line.removeprefix(' ')}\n".encode()
    if hunk is not None and (hunk.old or hunk.edits):
        yield hunk


def _patched(text: bytes, hunks: Sequence[_HunkText]) -> tuple[bytes, int]:
    """The text with every hunk applied, and where the first one was found (0 without any)."""
    first_start: int | None = None
    reached = 0
    for hunk in hunks:
        start = text.find(hunk.old, reached)
        if start < 0:
            raise PatchError("a hunk's lines are not in the text behind the hunk before it")
        if first_start is None:
            first_start = start
        text = text[:start] + hunk.new + text[start + len(hunk.old) :]
        reached = start + len(hunk.new)
    return text, first_start or 0


def _split_at(text: str, marker: str) -> tuple[str, str]:
    """What stands before and behind a marker, preferably one at the end of a line; nothing behind without one."""
    before, found, behind = text.partition(marker + "\n")
    if not found:
        before, found, behind = text.partition(marker)
    return before, behind


def _first_place(data: bytes, wanted: bytes) -> int:
    """Where ``wanted`` first stands at the start of a line; places it occupies are not searched again."""
    at = data.find(wanted)
    while at > 0 and data[at - 1 : at] != b"\n":
        at = data.find(wanted, at + len(wanted))
    if at < 0:
        raise MarkerError("lines around the change are not in the context")
    return at


def _only_place(context: str, answer: str) -> tuple[Span, str]:
    """The same as `apply_variable_edit` for an answer in whole lines that fits at one place; else MarkerError."""
    if answer.count(QWEN.middle) != 1 or answer.count(QWEN.suffix) != 1 or QWEN.suffix not in _behind_middle(answer):
        raise MarkerError("the answer does not have each marker once, in order")
    before, rest = _split_at(answer, QWEN.middle)
    new_text, behind = _split_at(rest, QWEN.suffix)
    if behind and not behind.endswith("\n"):
        behind += "\n"  # the last newline of an answer is easily lost
    if any(text and not text.endswith("\n") for text in (before, new_text)):
        raise MarkerError("a marker stands inside a line")
    if not before:
        behind = behind.removeprefix("\n")
    data = context.encode()
    starts = _line_places(data, before.encode()) if before else [0]
    if len(starts) != 1:
        raise MarkerError("the lines before the change are not in the context once")
    start = starts[0] + len(before.encode())
    ends = _line_places(data[start:], behind.encode()) if behind else [len(data) - start]
    if len(ends) != 1:
        raise MarkerError("the lines behind the change are not in the context once")
    return Span(start, start + ends[0]), new_text


def _behind_middle(answer: str) -> str:
    return answer.partition(QWEN.middle)[2]


def _line_places(data: bytes, wanted: bytes) -> list[int]:
    """Every line start at which ``wanted`` stands."""
    starts = [0, *(offset + 1 for offset, byte in enumerate(data) if byte == 0x0A)]
    return [start for start in starts if data.startswith(wanted, start)]


def _times(lines: Sequence[str], wanted: Sequence[str]) -> int:
    """At how many rows the wanted lines stand."""
    last_row = len(lines) - len(wanted)
    return sum(list(lines[row : row + len(wanted)]) == list(wanted) for row in range(last_row + 1))


def _whole_lines(text: str) -> list[str]:
    """Lines of a text that ends in a newline; a carriage return is part of its line."""
    return text.removesuffix("\n").split("\n")


def _answer(before: Sequence[str], new_text: str, behind: Sequence[str]) -> str:
    return "".join(
        (*(f"{line}\n" for line in before), f"{QWEN.middle}\n{new_text}{QWEN.suffix}\n", *(f"{x}\n" for x in behind))
    )


def _read_span(region: bytes, answer: bytes) -> tuple[Span, bytes]:
    span, new_text = apply_variable_edit(region.decode(), answer.decode())
    return span, new_text.encode()


def _cursor_section(tokens: SpecialTokens, text: CursorText) -> str:
    return f"{text.region}{tokens.prefix}\n"


V0304_VARIABLE_EDIT = ZetaFormat(
    name="V0304VariableEdit",
    editable_tokens=1024,
    context_tokens=0,
    max_prompt_tokens=4096,
    tokens=QWEN,
    clash_tokens=(QWEN.prefix, QWEN.suffix, QWEN.middle, QWEN.file, CURSOR_MARKER),
    zed_stop_tokens=(),
    end_marker="",
    instruction_part=QWEN.file,
    response_part=QWEN.prefix,
    region=VariableEdit(),
    layout=CursorSectionLast(_cursor_section),
    ranges=variable_edit_ranges,
    read_span=_read_span,
    patch_target=variable_edit_target,
)
