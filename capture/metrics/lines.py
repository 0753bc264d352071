"""Counts that look at the lines and tokens of a patch: what matches exactly, and what is a bad sign.

As in `edit_prediction_metrics` (patch_metrics.rs at zed 09adbb01), with its blind spots: content that looks like
a header (a deleted ``-- x``, an added ``++ x``) is not counted. Knows nothing of the text a patch is for.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capture.editing.unified_diff import split_lines
from capture.metrics.characters import is_blank
from capture.metrics.common_subsequence import common_length
from capture.metrics.counts import MatchCounts, match_counts
from capture.metrics.patch_hunks import ADDED, CHANGES, CONTEXT, DELETED, read_hunks
from capture.metrics.tokens import tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HEADERS = ("---", "+++", "@@", "diff ", "index ")
_BRACES = (("{", "}"), ("(", ")"), ("[", "]"))
# A hunk that begins so comes from an answer cut off or placed wrongly.
_DELETIONS_OF_WRONG_REGION = 3


@dataclass(frozen=True, slots=True)
class TokenChanges:
    """How many tokens (`tokens.tokens`) a patch adds and takes away."""

    inserted: int
    deleted: int


def exact_lines(expected_patch: str, actual_patch: str) -> MatchCounts:
    """Added and deleted lines, sign included, compared as multisets: order and place do not matter."""
    return match_counts(Counter(_changed_lines(expected_patch)), Counter(_changed_lines(actual_patch)))


def braces_disbalance(text: str) -> int:
    """How many brackets have no partner, by mere counts of each kind."""
    return sum(abs(text.count(opening) - text.count(closing)) for opening, closing in _BRACES)


def has_isolated_whitespace(patch: str, cursor_row: int | None = None) -> bool:
    """Whether a blank line is added or deleted with no other change beside it.

    ``cursor_row`` is the predicted cursor's 0-based row in the new text; a blank line added there is meant.
    """
    for hunk in read_hunks(patch):
        new_row = hunk.new_start - 1
        group_is_blank, group_counts = True, False
        for sign, text in hunk.lines:
            if sign in CHANGES:
                is_meant = sign == ADDED and new_row == cursor_row
                group_is_blank = group_is_blank and is_blank(text)
                group_counts = group_counts or not is_meant
            else:
                if group_is_blank and group_counts:
                    return True
                group_is_blank, group_counts = True, False
            new_row += sign in {ADDED, CONTEXT}
        if group_is_blank and group_counts:
            return True
    return False


def is_wrong_editable_region(patch: str) -> bool:
    """Whether the first hunk begins with three deletions or more, the usual trace of a misplaced answer."""
    hunks = read_hunks(patch)
    signs = [sign for sign, _ in hunks[0].lines[:_DELETIONS_OF_WRONG_REGION]] if hunks else []
    return signs == [DELETED] * _DELETIONS_OF_WRONG_REGION


def token_changes(patch: str) -> TokenChanges:
    """Compare the deleted with the added lines of each group of changes, token by token.

    A longest common subsequence stays; which one makes no difference to the counts.
    """
    inserted = deleted = 0
    for old_text, new_text in _groups(patch):
        old_tokens, new_tokens = tokens(old_text), tokens(new_text)
        common = common_length(old_tokens, new_tokens)
        inserted, deleted = inserted + len(new_tokens) - common, deleted + len(old_tokens) - common
    return TokenChanges(inserted, deleted)


def _changed_lines(patch: str) -> Iterable[str]:
    return (line for line in split_lines(patch) if line.startswith(("+", "-")) and not line.startswith(_HEADERS))


def _groups(patch: str) -> Iterator[tuple[str, str]]:
    """Deleted and added text of each run of changed lines."""
    sides: dict[str, list[str]] = {"-": [], "+": []}
    for line in [*split_lines(patch), ""]:
        if line.startswith(("+", "-")) and not line.startswith(_HEADERS):
            sides[line[0]].append(line[1:])
        elif any(sides.values()):
            yield "\n".join(sides["-"]), "\n".join(sides["+"])
            sides = {"-": [], "+": []}
