r"""What the next key most likely does to the text: said from the text alone, in a tenth of a millisecond.

Code repeats itself: the characters that stood behind the longest texts that equal what stands before the cursor
predict the next one about every other time (prediction by partial matching, Cleary and Witten 1984, with method C's
escapes: shorter contexts share what longer ones leave open). Whoever erased a character will likely erase another.
Pure; knows nothing of models or of what is done with the guess.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from operator import itemgetter
from typing import TYPE_CHECKING

from capture.editing.positions import ContentChange, Position, Range, content_of, index_at_utf16, utf16_length

if TYPE_CHECKING:
    from collections.abc import Sequence

    from capture.editing.history import Rows

ROWS_AROUND = 150  # above and below the cursor that are searched
LONGEST_CONTEXT = 10  # characters; longer ones say the same
MOST_PLACES = 64  # of one context that are counted, those nearest above the cursor and then those below
LEAST_OPEN = 0.02  # less left open by the contexts so far changes no guess
LEAST_PROBABILITY = 0.25  # a guess less likely than this is wrong too often to work on
OPENERS = (":", "{", "(", "[")
ONE_STEP = "    "  # of indentation, where the text shows none


def next_change(text: Rows, cursor: Position, *, erased: bool) -> ContentChange | None:
    """The likeliest next change at ``cursor``, None where none is likely.

    ``erased`` says that the last change took away a character before the cursor. A new line comes with the
    indentation that editors write in the same change.
    """
    first = max(0, cursor.line - ROWS_AROUND)
    rows = text.rows(first, cursor.line + ROWS_AROUND + 1)
    line = content_of(rows[cursor.line - first])
    column = index_at_utf16(line, cursor.character_utf16)
    if erased:
        return _erasure(line, column, cursor)
    before = "".join(rows[: cursor.line - first]) + line[:column]
    after = line[column:] + rows[cursor.line - first][len(line) :] + "".join(rows[cursor.line - first + 1 :])
    typed = _likeliest(before, after)
    if typed is None or not (typed.isprintable() or typed in "\t\n"):
        return None  # also "\r": the line ends of such a file are no single key's
    if typed == "\n":
        typed += _indentation(line[:column], rows)
    return ContentChange(Range(cursor, cursor), typed)


def _erasure(line: str, column: int, cursor: Position) -> ContentChange | None:
    if column == 0:
        return None
    start = Position(cursor.line, cursor.character_utf16 - utf16_length(line[column - 1]))
    return ContentChange(Range(start, cursor), "")


def _indentation(line: str, rows: Sequence[str]) -> str:
    """What editors put at the start of the line below ``line``: its own blanks, and one step more behind an opener."""
    own = _blanks(line)
    if not line.rstrip().endswith(OPENERS):
        return own
    return own + min((_blanks(row) for row in rows if not row.isspace() and _blanks(row)), key=len, default=ONE_STEP)


def _blanks(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _likeliest(before: str, after: str) -> str | None:
    """The likeliest character between the two texts, None where none is likely enough."""
    shares: defaultdict[str, float] = defaultdict(float)
    still_open = 1.0
    for length in range(min(LONGEST_CONTEXT, len(before)), 0, -1):
        followers = _followers(before[-length:], before, after)
        seen, kinds = followers.total(), len(followers)
        if not seen:
            continue
        for character, count in followers.items():
            shares[character] += still_open * count / (seen + kinds)
        still_open *= kinds / (seen + kinds)
        if still_open < LEAST_OPEN:
            break
    if not shares:
        return None
    character, share = max(shares.items(), key=itemgetter(1))
    return character if share >= LEAST_PROBABILITY else None


def _followers(context: str, before: str, after: str) -> Counter[str]:
    """What stands behind ``context`` elsewhere in the two texts, and how often."""
    followers: Counter[str] = Counter()
    places = MOST_PLACES
    at = before.rfind(context, 0, -1)
    while at >= 0 and places:
        followers[before[at + len(context)]] += 1
        places -= 1
        at = before.rfind(context, 0, at + len(context) - 1)
    at = after.find(context)
    while 0 <= at < len(after) - len(context) and places:
        followers[after[at + len(context)]] += 1
        places -= 1
        at = after.find(context, at + 1)
    return followers
