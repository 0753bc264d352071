"""An example as a page for a terminal. Knows nothing of files or options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.text import Text

from training_export.example import Example

CURSOR: Final = "\u2038"  # a caret; on a terminal it is shown inverse
_DIFF_STYLES: Final = (("---", "bold"), ("+++", "bold"), ("@@", "cyan"), ("-", "red"), ("+", "green"))
# What would steer the terminal is shown as its picture; a newline and a tab stay.
_VISIBLE: Final = {
    **{code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
    **dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), 0xFFFD),
}


def page(example: Example, where: str) -> Iterator[Text]:
    """The page's lines: name, origin, the excerpt with its cursor, history, patches, what stages found."""
    yield Text(f"{_plain(example.name)}  ", "bold").append(_plain(where), "dim")
    origin = " @ ".join(part for part in (example.repository_url, example.revision) if part)
    yield Text(_plain(origin) or "(no repository)", "dim" if not origin else "")
    if example.tags:
        yield Text(f"tags: {_plain(', '.join(example.tags))}")
    if example.reasoning:
        yield from _section("Reasoning", [Text(line) for line in _lines(example.reasoning)])
    yield from _section(example.cursor_path or "(no path)", _excerpt(example))
    yield from _section("Edit history", _diff(example.edit_history))
    count = len(example.expected_patches)
    for index, patch in enumerate(example.expected_patches):
        of = f" {index + 1} of {count}" if count > 1 else ""
        yield from _section(f"Expected patch{of}", _diff(patch))
    if not count:
        yield from _section("Expected patch", _diff(""))
    if example.rejected_patch is not None:
        yield from _section("Rejected patch", _diff(example.rejected_patch))
    for index, prediction in enumerate(example.predictions):
        title = f"Prediction {index + 1} by {prediction.provider}"
        shown = prediction.actual_patch if prediction.error is None else f"error: {prediction.error}"
        yield from _section(title, _diff(shown or ""))
    yield Text()


def _section(title: str, lines: list[Text]) -> Iterator[Text]:
    yield Text()
    yield Text(_plain(title), "bold underline")
    yield from lines


def _excerpt(example: Example) -> list[Text]:
    """Every line, the cursor's with an arrow and the cursor in it."""
    found = example.cursor_excerpt
    before = found.text.encode()[: found.offset_bytes].decode()
    cursor_row = before.count("\n")
    head = _plain(before.rpartition("\n")[2])
    shown = []
    rows = _plain(found.text).split("\n")
    if cursor_row < len(rows) - 1 and not rows[-1]:
        rows.pop()
    for row, line in enumerate(rows):
        if row == cursor_row:
            shown.append(Text.assemble(("> ", "bold"), head, (CURSOR, "reverse"), line[len(head) :]))
        else:
            shown.append(Text(f"  {line}"))
    return shown


def _diff(diff: str) -> list[Text]:
    if not diff:
        return [Text("(none)", "dim")]
    return [
        Text(line, next((style for start, style in _DIFF_STYLES if line.startswith(start)), ""))
        for line in _lines(diff)
    ]


def _lines(text: str) -> list[str]:
    return _plain(text.removesuffix("\n")).split("\n")


def _plain(text: str) -> str:
    return text.translate(_VISIBLE)
