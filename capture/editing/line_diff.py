"""The smallest readable edits between two texts: by line first, by word where little changed.

A changed block of at most 512 bytes and 8 lines on each side is compared word by word; then what both sides
of an edit begin or end with is taken off. Used to turn a model's rewritten region into edits an editor can
show. Knows nothing of documents or of where the texts come from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from capture.editing.histogram import changes
from capture.editing.positions import common_prefix
from capture.inputs import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_WORD_DIFF_BYTES = 512
MAX_WORD_DIFF_LINES = 8

_WORD = re.compile(r"\w+|\r\n|[\r\n]|[^\S\r\n]+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class TextEdit:
    """Replace ``range`` (UTF-8 bytes of the old text) by ``text``."""

    range: Span
    text: str


def minimal_edits(old: str, new: str) -> list[TextEdit]:
    r"""Edits that turn ``old`` into ``new``: in order, apart from each other, none of them empty.

    No edit begins or ends inside a character or between ``\r`` and ``\n``, in the old text or the new one.
    """
    edits: list[TextEdit] = []
    offset_bytes = at = 0
    for start, end, text in _character_edits(old, new):
        offset_bytes += len(old[at:start].encode())
        length_bytes = len(old[start:end].encode())
        edits.append(TextEdit(Span(offset_bytes, offset_bytes + length_bytes), text))
        offset_bytes += length_bytes
        at = end
    return edits


def apply_edits(text: str, edits: Sequence[TextEdit]) -> str:
    """``text`` with edits applied that are in order and do not overlap, all offsets in the text as given."""
    data = text.encode()
    pieces: list[bytes] = []
    at = 0
    for edit in edits:
        pieces += [data[at : edit.range.start], edit.text.encode()]
        at = edit.range.end
    return b"".join([*pieces, data[at:]]).decode()


def _character_edits(old: str, new: str) -> Iterator[tuple[int, int, str]]:
    """The edits in string indices."""
    for start, end, text in _differences(_lines(old), _lines(new)):
        replaced = old[start:end]
        if not _is_small(replaced) or not _is_small(text):
            yield _trimmed(start, replaced, text)
            continue
        for word_start, word_end, word_text in _differences(_WORD.findall(replaced), _WORD.findall(text)):
            yield _trimmed(start + word_start, replaced[word_start:word_end], word_text)


def _differences(old_parts: list[str], new_parts: list[str]) -> Iterator[tuple[int, int, str]]:
    """Differing stretches of two texts, given as consecutive parts: where in the old one, what in the new."""
    old_at = [0, *accumulate(map(len, old_parts))]
    for change in changes(old_parts, new_parts):
        new_text = "".join(new_parts[change.new_start : change.new_end])
        yield old_at[change.old_start], old_at[change.old_end], new_text


def _lines(text: str) -> list[str]:
    r"""Lines with their ``\n``."""
    *terminated, last = text.split("\n")
    lines = [line + "\n" for line in terminated]
    return [*lines, last] if last else lines


def _is_small(text: str) -> bool:
    return len(text.encode()) <= MAX_WORD_DIFF_BYTES and len(_lines(text)) <= MAX_WORD_DIFF_LINES


def _trimmed(start: int, old: str, new: str) -> tuple[int, int, str]:
    r"""Without the common beginning and the common end, ``\r\n`` kept whole."""
    prefix = common_prefix(old, new)
    if prefix and old[prefix - 1] == "\r" and "\n" in {old[prefix : prefix + 1], new[prefix : prefix + 1]}:
        prefix -= 1
    old, new = old[prefix:], new[prefix:]
    suffix = common_prefix(old[::-1], new[::-1])
    if suffix and old[-suffix] == "\n" and "\r" in {old[-suffix - 1 : -suffix], new[-suffix - 1 : -suffix]}:
        suffix -= 1
    return start + prefix, start + prefix + len(old) - suffix, new[: len(new) - suffix]
