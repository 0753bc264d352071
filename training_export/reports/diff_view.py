"""An example's text before, the wanted edit and predicted ones, side by side over the same rows.

The lines are counted and cut, so that a page stays of a size whatever the texts are. Knows nothing of runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from capture.editing.histogram import changes
from capture.editing.unified_diff import PatchError, apply_patch, extract_cursor
from training_export.reports.markup import Content, Markup, join, tag

CONTEXT_ROWS: Final = 3
FAR_ROWS: Final = 15
MAX_ROWS: Final = 60  # of one panel
MAX_LINE: Final = 240  # characters
KEPT, ADDED, DELETED = " ", "+", "-"
_ALIKE: Final = 3  # lines that share less than a third are two lines, not one that was changed
_FOUR: Final = 4  # panels stand better two by two
_CLASSES: Final = {KEPT: None, ADDED: "added", DELETED: "deleted"}


@dataclass(frozen=True, slots=True)
class Panel:
    """A patch of the text and what to call it; ``patch`` None where there is none, ``note`` says what else is known."""

    title: str
    patch: str | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Line:
    """``row`` is 0-based in the text before, for added lines that of the line behind them."""

    sign: str
    text: str
    row: int
    mark: tuple[int, int] | None = None  # the part of the line that differs from its counterpart


def side_by_side(before: str, cursor_offset_bytes: int, panels: Sequence[Panel], *, first_row: int = 0) -> Markup:
    """The panels over the rows that any of them changes; ``first_row`` is that of the text's first line in its file."""
    rows = _rows(before)
    found = [(panel, _lines(rows, panel.patch, before)) for panel in panels]
    start, end = _window(rows, before, cursor_offset_bytes, [lines for _, lines in found if lines is not None])
    shown = [_before_panel(rows, before, cursor_offset_bytes, start, end, first_row)]
    for panel, lines in found:
        shown.append(_panel(panel, lines, start, end, first_row))
    return tag("div", shown, class_="panels pairs" if len(shown) == _FOUR else "panels")


def plain_diff(diff: str) -> Markup:
    """A unified diff as it is written, coloured by its signs."""
    lines = _rows(diff)
    return _code(
        [tag("span", _cut(line), class_=f"line {_CLASSES.get(line[:1]) or ''}".strip()) for line in lines[-MAX_ROWS:]],
        [f"{len(lines) - MAX_ROWS} lines above are not shown"] if len(lines) > MAX_ROWS else [],
    )


def _before_panel(rows: Sequence[str], before: str, cursor: int, start: int, end: int, first_row: int) -> Markup:
    head = before.encode()[:cursor].decode(errors="ignore")
    cursor_row, column = head.count("\n"), len(head.rpartition("\n")[2])
    lines = []
    for row in range(start, end):
        line = rows[row]
        content: Content = _cut(line)
        if row == cursor_row and column <= MAX_LINE:
            content = [line[:column], tag("span", class_="cursor", title="the cursor"), _cut(line[column:])]
        lines.append(_numbered(first_row + row, KEPT, content))
    return tag("figure", tag("figcaption", "before"), _code(lines, _omitted(len(rows), start, end)), class_="panel")


def _panel(panel: Panel, lines: list[_Line] | None, start: int, end: int, first_row: int) -> Markup:
    caption = tag("figcaption", panel.title, tag("span", panel.note, class_="note") if panel.note else None)
    if panel.patch is None:
        body = tag("p", "no patch", class_="nothing")
    elif lines is None:
        body = join([tag("p", "does not apply to this text:", class_="nothing"), plain_diff(panel.patch)])
    elif all(line.sign == KEPT for line in lines):
        body = tag("p", "no edit", class_="nothing")
    else:
        shown = [line for line in lines if start <= line.row < end or (line.sign == ADDED and line.row == end)]
        body = _code(
            [
                _numbered(None if line.sign == ADDED else first_row + line.row, line.sign, _marked(line))
                for line in shown[: 2 * MAX_ROWS]
            ],
            [f"{len(shown) - 2 * MAX_ROWS} more lines"] if len(shown) > 2 * MAX_ROWS else [],
        )
    return tag("figure", caption, body, class_="panel")


def _numbered(row: int | None, sign: str, content: Content) -> Markup:
    number = tag("span", "" if row is None else str(row + 1), class_="number")
    classes = " ".join(filter(None, ("line", _CLASSES[sign])))
    return tag("span", number, tag("span", sign, class_="sign"), content, class_=classes)


def _code(lines: Sequence[Content], notes: Sequence[str]) -> Markup:
    return tag("pre", lines, [tag("span", note, class_="line omitted") for note in notes], dir_="ltr")


def _marked(line: _Line) -> Content:
    if line.mark is None:
        return _cut(line.text)
    start, end = line.mark
    return [line.text[:start], tag("mark", line.text[start:end]), _cut(line.text[end:])]


def _cut(line: str) -> str:
    return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]} … {len(line) - MAX_LINE} more characters"


def _omitted(count: int, start: int, end: int) -> list[str]:
    left = count - (end - start)
    return [f"{left} more rows"] if left else []


def _rows(text: str) -> list[str]:
    lines = text.split("\n")
    return lines[:-1] if len(lines) > 1 and not lines[-1] else lines


def _lines(rows: list[str], patch: str | None, before: str) -> list[_Line] | None:
    """All lines before and after, None where there is no patch or it does not apply."""
    if patch is None:
        return None
    try:
        after = _rows(apply_patch(extract_cursor(patch)[0], before, trust_rows=True)[0])
    except PatchError:
        return None
    return list(_compared(rows, after))


def _compared(old: list[str], new: list[str]) -> Iterator[_Line]:
    at = 0
    for change in changes(old, new):
        yield from (_Line(KEPT, old[row], row) for row in range(at, change.old_start))
        deleted, added = old[change.old_start : change.old_end], new[change.new_start : change.new_end]
        marks = [_differing(one, other) for one, other in zip(deleted, added, strict=False)]
        for index, line in enumerate(deleted):
            yield _Line(DELETED, line, change.old_start + index, marks[index][0] if index < len(marks) else None)
        for index, line in enumerate(added):
            yield _Line(ADDED, line, change.old_end, marks[index][1] if index < len(marks) else None)
        at = change.old_end
    yield from (_Line(KEPT, old[row], row) for row in range(at, len(old)))


def _differing(one: str, other: str) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    """The middle in which two lines differ, where they have something in common around it."""
    shortest = min(len(one), len(other))
    if max(len(one), len(other)) > MAX_LINE:
        return None, None
    start = next((index for index in range(shortest) if one[index] != other[index]), shortest)
    end = next((index for index in range(shortest - start) if one[-1 - index] != other[-1 - index]), shortest - start)
    common = one[:start].strip() + one[len(one) - end :].strip()
    if len(common) * _ALIKE < len(one.strip()):
        return None, None
    return (start, len(one) - end), (start, len(other) - end)


def _window(rows: Sequence[str], before: str, cursor: int, edits: Sequence[Sequence[_Line]]) -> tuple[int, int]:
    """The rows to show: all that are changed, the cursor's if it is not far, some around them, at most `MAX_ROWS`."""
    cursor_row = before.encode()[:cursor].count(b"\n")
    changed = [line.row for lines in edits for line in lines if line.sign != KEPT] or [cursor_row]
    if min(changed) - FAR_ROWS <= cursor_row <= max(changed) + FAR_ROWS:
        changed.append(cursor_row)
    start = max(0, min(changed) - CONTEXT_ROWS)
    end = min(len(rows), max(changed) + CONTEXT_ROWS + 1)
    return start, min(end, start + MAX_ROWS)
