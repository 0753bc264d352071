"""Patches applied to the excerpts a model was shown, for predictions that edit more than the cursor's own excerpt.

A hunk belongs to the first excerpt of its file where it applies; what applies nowhere is left out. Knows nothing of
scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from capture.editing.unified_diff import PatchError, apply_patch, with_file_headers
from capture.metrics.lines import braces_disbalance
from capture.metrics.patch_hunks import ADDED, DELETED, FOREIGN, PatchHunk, read_hunks, same_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from capture.inputs import Span
    from capture.metrics.location import ContextExcerpt


@dataclass(frozen=True, slots=True)
class ComparedTexts:
    """The text before, as it should become and as it became.

    ``added_disbalance`` counts brackets that lost their partner; ``predicted_cursor_text`` is the file under the
    cursor after the prediction, None where it is not among the texts.
    """

    original: str
    expected: str
    actual: str
    added_disbalance: int
    predicted_cursor_text: str | None


def compared_texts(
    expected_patch: str, actual_patch: str, context: Sequence[ContextExcerpt], cursor_path: str | None
) -> ComparedTexts | None:
    """All excerpts that either patch changes, in a row; None where there is none."""
    expected_texts = _patched(expected_patch, context)
    actual_texts = _patched(actual_patch, context)
    touched = sorted(expected_texts | actual_texts)
    if not touched:
        return None
    original = expected = actual = ""
    disbalance_before = disbalance_after = 0
    cursor_text = None
    for index in touched:
        excerpt = context[index]
        actual_text = actual_texts.get(index, excerpt.content)
        # After empty excerpts no line end stands between, as in Zed.
        separator = "\n" if original else ""
        original += separator + excerpt.content
        expected += separator + expected_texts.get(index, excerpt.content)
        actual += separator + actual_text
        disbalance_before += braces_disbalance(excerpt.content)
        disbalance_after += braces_disbalance(actual_text)
        if cursor_path is not None and same_file(cursor_path, excerpt.path):
            cursor_text = actual_text
    return ComparedTexts(original, expected, actual, max(0, disbalance_after - disbalance_before), cursor_text)


def _patched(patch: str, context: Sequence[ContextExcerpt]) -> dict[int, str]:
    """The new texts of the excerpts that the patch changes, by their index."""
    hunks: dict[int, list[PatchHunk]] = {}
    for hunk in read_hunks(patch):
        if hunk.has_change:
            home = next((index for index, excerpt in enumerate(context) if _fits(hunk, excerpt)), None)
            if home is not None:
                hunks.setdefault(home, []).append(hunk)
    texts = {index: _applied(found, context[index]) for index, found in hunks.items()}
    return {index: text for index, text in texts.items() if text is not None}


def _fits(hunk: PatchHunk, excerpt: ContextExcerpt) -> bool:
    return same_file(hunk.path, excerpt.path) and _applied([hunk], excerpt) is not None


def _applied(hunks: Sequence[PatchHunk], excerpt: ContextExcerpt) -> str | None:
    patch = "".join(line for hunk in hunks for line in _written(hunk, excerpt.row_range))
    try:
        return apply_patch(with_file_headers(patch, excerpt.path), excerpt.content)[0]
    except PatchError:
        return None


def _written(hunk: PatchHunk, rows: Span) -> Iterator[str]:
    """The hunk's lines, its header counted from the excerpt's first row."""
    signs = [sign for sign, _ in hunk.lines]
    old_count, new_count = (len(signs) - signs.count(other) - signs.count(FOREIGN) for other in (ADDED, DELETED))
    yield f"@@ -{_in_excerpt(hunk.old_start, rows)},{old_count} +{_in_excerpt(hunk.new_start, rows)},{new_count} @@\n"
    for sign, text in hunk.lines:
        yield f"{sign}{text}\n"


def _in_excerpt(start: int, rows: Span) -> int:
    """A 1-based line of the file, counted from the excerpt's first row where it lies in the excerpt."""
    return start - rows.start if rows.start <= start - 1 <= rows.end else start
