"""From the engine's answer to what an editor may be shown.

The new region becomes one minimal edit near the cursor, in LSP positions (rows from 0, columns in UTF-16
units) and with the document's own line ends; or it becomes ``Nothing``, with the reason. ``as_ghost_text``
turns an edit into the narrower form that inline completion can draw. Knows nothing of sessions, clients or
the engine's insides.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from capture.editing.line_diff import minimal_edits
from capture.editing.positions import Position, Range, utf16_length
from capture.inputs import EMPTY_SPAN, Span
from daemon.engine.messages import Counters, EngineAnswer, Origin
from daemon.file_edits import RowsRewritten, nearest_rewrite
from daemon.next_places import PlaceKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from capture.inputs import PredictionInputs
    from daemon.file_edits import Text

# Hunks with at most this many unchanged rows between them are shown as one edit; as Zed groups them.
MAX_ROWS_BETWEEN_HUNKS = 1

# What a model's tokenizer or prompt may leak: <|...|>, <[fim-...]>, DeepSeek's form with wide bars, cursor
# marks between triangles, and the words of Zed's formats.
_CONTROL_TOKEN = re.compile(
    r"<\|[^|<>\s]{1,40}\|>|<\[[a-z]+-[a-z]+\]>|<\uff5c[^\uff5c]{1,40}\uff5c>"
    r"|\u25c1[a-z_]{1,20}\u25b7|NO_EDITS|KEEP_PREVIOUS|</s>"
)


class Source(StrEnum):
    """How a prediction came about; all but the first and the last cost no model call. Who wrote it says ``Origin``."""

    MODEL = "model"  # the engine's answer about this very text
    UNCHANGED = "unchanged"  # an earlier answer; what was typed since has been taken back
    TYPED_INTO = "typed into"  # an earlier answer, of which the person has typed the beginning
    MOVED = "moved"  # an earlier answer about rows that nobody touched since
    REST = "rest"  # another part of the answer of which one part was accepted
    AHEAD = "ahead"  # the engine's answer about this text, computed before the person accepted or typed


@dataclass(frozen=True, slots=True)
class TextEdit:
    """Replace ``range`` by ``text``, which has the document's line ends."""

    range: Range
    text: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """What may be shown for one version of one document.

    A list of edits from the start, though it holds one now; ``replaced`` is the text under each of them.
    ``rest`` is what else the answer changes, from the top down, too far away to be shown along with it.
    ``confidence`` is between 0 and 1; ``seconds`` is what the engine took, and with the counters zero where the
    ``source`` is an earlier prediction. ``origin`` says who wrote the text. What an earlier prediction has become keeps
    its ``id`` and its ``origin``. ``place`` says why it is where it is.
    """

    uri: str
    version: int
    edits: tuple[TextEdit, ...]
    replaced: tuple[str, ...]
    confidence: float = 1.0
    counters: Counters = field(default_factory=Counters)
    seconds: float = 0.0
    source: Source = Source.MODEL
    origin: Origin = Origin.MODEL
    rest: tuple[TextEdit, ...] = ()
    place: PlaceKind = PlaceKind.HERE
    id: str = field(default_factory=lambda: secrets.token_hex(8))


@dataclass(frozen=True, slots=True)
class Nothing:
    """No prediction; ``reason`` is a sentence for status.

    ``seen_rows`` of the document are those that the model could have changed, empty where that is not known.
    """

    reason: str
    seen_rows: Span = EMPTY_SPAN


def to_prediction(
    inputs: PredictionInputs, answer: EngineAnswer, uri: str, document: Text, *, min_confidence: float
) -> Prediction | Nothing:
    """The edit nearest the cursor that ``answer`` makes to ``document``, or why there is none.

    ``inputs`` must have been taken from ``document`` as it is.
    """
    refusal = _refusal(answer, min_confidence)
    if refusal:
        return Nothing(refusal)
    rewrite = (
        nearest_rewrite(inputs, answer.file_edits, document) if answer.file_edits else _region_rewrite(inputs, answer)
    )
    if isinstance(rewrite, str):
        return Nothing(rewrite)
    new_text = _with_plain_newlines(rewrite.new_text)
    if _control_tokens(new_text) > _control_tokens(rewrite.old_text):
        return Nothing("the answer contains control tokens")
    hunks = _hunks(rewrite.old_text, new_text, rewrite.start_bytes)
    if not hunks:
        return Nothing("the answer equals the current text")
    groups = _groups(rewrite.text, hunks)
    if rewrite.first_row + rewrite.text.count(b"\n") == document.row_count - 1:
        groups[-1] = _off_the_last_line(rewrite.text, groups[-1])
    nearest = _nearest(groups, rewrite.cursor_bytes)
    edits = [_joined(rewrite.text, rewrite.first_row, group, document) for group in groups]
    edit = edits.pop(nearest)
    return Prediction(
        uri=uri,
        version=document.version,
        edits=(edit,),
        replaced=(document.text_in(edit.range),),
        confidence=answer.confidence,
        counters=answer.counters,
        seconds=answer.seconds,
        origin=answer.origin,
        rest=tuple(edits),
    )


def as_ghost_text(prediction: Prediction, cursor: Position, line: str, line_end: str) -> Prediction | None:
    """``prediction`` in the form inline completion can draw, or None when it can not.

    That is: one edit on the cursor's line that contains the cursor, leaves the text before it as it is, and
    keeps the text after it as a subsequence of the new text. ``line`` is the cursor's, without its line end.
    """
    edit = prediction.edits[0]
    if (
        edit.range.start == edit.range.end == Position(cursor.line + 1, 0)
        and edit.text.endswith(line_end)
        and cursor.character_utf16 == utf16_length(line)
    ):
        # A new line below the cursor is the same as one typed at the end of the cursor's line.
        shifted = TextEdit(Range(cursor, cursor), line_end + edit.text.removesuffix(line_end))
        return replace(prediction, edits=(shifted,), replaced=("",))
    if edit.range.start.line != cursor.line or edit.range.end.line != cursor.line:
        return None
    return _around_cursor(prediction, edit, cursor, line)


def together(prediction: Prediction, document: Text) -> Prediction:
    """``prediction`` with all that its answer changes: the edit nearest the cursor first, the others from the top."""
    edits = (*prediction.edits, *prediction.rest)
    return replace(prediction, edits=edits, replaced=tuple(document.text_in(edit.range) for edit in edits), rest=())


def joined(edits: Sequence[TextEdit], document: Text) -> TextEdit:
    """One edit that does what all ``edits``, which do not overlap, do together."""
    in_order = sorted(edits, key=lambda edit: edit.range.start)
    reached, text = in_order[0].range.start, ""
    for edit in in_order:
        text += document.text_in(Range(reached, edit.range.start)) + edit.text
        reached = edit.range.end
    return TextEdit(Range(in_order[0].range.start, reached), text)


def within(prediction: Prediction, where: Range, line: str) -> Prediction | None:
    """The same change said of the wider range ``where`` of ``line``; None when it reaches beyond."""
    edit = prediction.edits[0]
    if not where.start <= edit.range.start <= edit.range.end <= where.end:
        return None
    start, end = where.start.character_utf16, where.end.character_utf16
    before = _columns(line, start, edit.range.start.character_utf16)
    after = _columns(line, edit.range.end.character_utf16, end)
    widened = TextEdit(where, before + edit.text + after)
    return replace(prediction, edits=(widened,), replaced=(_columns(line, start, end),))


@dataclass(frozen=True, slots=True)
class _Hunk:
    """A replacement in bytes of the excerpt."""

    start: int
    end: int
    text: str


def rows_seen(inputs: PredictionInputs, answer: EngineAnswer) -> Span:
    """The rows of the document that ``answer`` could have changed."""
    first_row = inputs.excerpt_start_row or 0
    region = inputs.excerpt_bytes[: answer.region_end_bytes]
    end_row = first_row + region.count(b"\n") + (0 if region.endswith(b"\n") else 1)
    return Span(first_row + region.count(b"\n", 0, max(0, answer.region_start_bytes)), end_row)


def _refusal(answer: EngineAnswer, min_confidence: float) -> str:
    """Why nothing of an answer may be shown, empty when its edit may be looked at."""
    if answer.new_region_text is None and not answer.file_edits:
        return answer.reason or "the model predicts no edit"
    if not answer.stop.finished:
        return "the answer stopped before its end marker"
    if answer.confidence < min_confidence:
        return (
            f"the model is less sure ({answer.confidence:.2f}) than eagerness and min_confidence ask for"
            f" ({min_confidence:.2f})"
        )
    return ""


def _region_rewrite(inputs: PredictionInputs, answer: EngineAnswer) -> RowsRewritten | str:
    """The region as it is now and its new text; a sentence when its bounds are no places in the excerpt."""
    start, end = answer.region_start_bytes, answer.region_end_bytes
    try:
        inputs.excerpt_bytes[: max(0, start)].decode()
        region = inputs.excerpt_bytes[max(0, start) : max(0, end)].decode()
    except UnicodeDecodeError:
        region = None
    if region is None or not 0 <= start <= end <= len(inputs.excerpt_bytes):
        return "the answer is about text outside the excerpt"
    return RowsRewritten(
        first_row=inputs.excerpt_start_row or 0,
        text=inputs.excerpt_bytes,
        start_bytes=start,
        old_text=region,
        new_text=answer.new_region_text or "",
        cursor_bytes=inputs.cursor_offset_in_excerpt,
    )


def _with_plain_newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _hunks(region: str, new_region: str, offset: int) -> list[_Hunk]:
    """The differences, ``offset`` bytes into the excerpt.

    Among many equal lines a line diff may take blank lines away here and put them back there. Only the
    nearest hunk is shown, so that would be wrong; where no line was added or removed, comparing row by row
    is tried too.
    """
    hunks = [_Hunk(edit.range.start, edit.range.end, edit.text) for edit in minimal_edits(region, new_region)]
    old_rows, new_rows = region.split("\n"), new_region.split("\n")
    if len(old_rows) == len(new_rows):
        by_row: list[_Hunk] = []
        row_start = 0
        for old_row, new_row in zip(old_rows, new_rows, strict=True):
            if old_row != new_row:
                by_row += [
                    _Hunk(row_start + edit.range.start, row_start + edit.range.end, edit.text)
                    for edit in minimal_edits(old_row, new_row)
                ]
            row_start += len(old_row.encode()) + 1
        hunks = min(hunks, by_row, key=lambda found: sum(hunk.end - hunk.start + len(hunk.text) for hunk in found))
    return [_Hunk(offset + hunk.start, offset + hunk.end, hunk.text) for hunk in hunks]


def _control_tokens(text: str) -> int:
    return sum(1 for _ in _CONTROL_TOKEN.finditer(text))


def _groups(excerpt: bytes, hunks: list[_Hunk]) -> list[list[_Hunk]]:
    """The hunks, those close to each other together."""
    groups: list[list[_Hunk]] = [[hunks[0]]]
    for hunk in hunks[1:]:
        newlines = excerpt.count(b"\n", groups[-1][-1].end, hunk.start)
        if newlines <= MAX_ROWS_BETWEEN_HUNKS + 1:
            groups[-1].append(hunk)
        else:
            groups.append([hunk])
    return groups


def _nearest(groups: list[list[_Hunk]], cursor: int) -> int:
    """Which group is nearest the cursor."""

    def distance(index: int) -> int:
        group = groups[index]
        return max(group[0].start - cursor, cursor - group[-1].end, 0)

    return min(range(len(groups)), key=distance)


def _off_the_last_line(excerpt: bytes, group: list[_Hunk]) -> list[_Hunk]:
    """The same change without touching the empty line after the final newline.

    Editors that count lines instead of line ends have no such line and refuse the position.
    """
    *others, last = group
    free_bytes = others[-1].end if others else 0  # from here on nothing else is changed before ``last``
    at_line_start = last.start > free_bytes and excerpt[last.start - 1 : last.start] == b"\n"
    whole_lines = last.end == last.start or excerpt[last.end - 1 : last.end] == b"\n"
    keeps_lines_whole = not last.text or last.text.endswith("\n")
    if last.end == len(excerpt) and at_line_start and whole_lines and keeps_lines_whole:
        text = "\n" + last.text[:-1] if last.text else ""
        return [*others, _Hunk(last.start - 1, last.end - 1, text)]
    return group


def _joined(excerpt: bytes, first_row: int, group: list[_Hunk], document: Text) -> TextEdit:
    """The hunks as one edit; what lies between them is taken from the document, with its own line ends."""
    start = reached = _position(excerpt, first_row, group[0].start)
    text = ""
    for hunk in group:
        text += document.text_in(Range(reached, _position(excerpt, first_row, hunk.start)))
        text += hunk.text.replace("\n", document.line_ending)
        reached = _position(excerpt, first_row, hunk.end)
    return TextEdit(Range(start, reached), text)


def _position(excerpt: bytes, first_row: int, offset: int) -> Position:
    line_start = excerpt.rfind(b"\n", 0, offset) + 1
    row = first_row + excerpt.count(b"\n", 0, offset)
    return Position(row, utf16_length(excerpt[line_start:offset].decode()))


def _around_cursor(prediction: Prediction, edit: TextEdit, cursor: Position, line: str) -> Prediction | None:
    """Widen ``edit`` to contain the cursor and check that ghost text can show it."""
    start = min(edit.range.start, cursor)
    end = max(edit.range.end, cursor)
    widened = within(prediction, Range(start, end), line)
    if widened is None:
        return None
    before_cursor = _columns(line, start.character_utf16, cursor.character_utf16)
    after_cursor = _columns(line, cursor.character_utf16, end.character_utf16)
    new_text = widened.edits[0].text
    if not new_text.startswith(before_cursor):
        return None
    added = new_text.removeprefix(before_cursor)
    if added == after_cursor or not _is_subsequence(after_cursor, added):
        return None
    return widened


def _columns(line: str, start_utf16: int, end_utf16: int) -> str:
    return line.encode("utf-16-le")[2 * start_utf16 : 2 * end_utf16].decode("utf-16-le", errors="replace")


def _is_subsequence(short: str, long: str) -> bool:
    remaining = iter(long)
    return all(character in remaining for character in short)
