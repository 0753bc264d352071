r"""A patch as Zed's metrics read it: hunks of added, deleted and context lines.

Not `capture.editing.unified_diff`, which is the dialect patches are applied in. This reading is cruder, and the
scores depend on how: ``--- `` and ``+++ `` lines change the path of the hunks to come wherever they stand (so a
deleted line ``-- x`` is not counted as deleted), they do not end a hunk, and an empty line or any other line
without a sign is foreign: no context, yet it separates groups of changes. Lines lose ``\r`` at the end. Knows
nothing of scores.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from capture.editing.unified_diff import NO_PATH, split_lines
from capture.metrics.characters import WHITE_SPACE

_WORDS = re.compile(f"[^{WHITE_SPACE}]+")
_NUMBER = re.compile(r"\+?[0-9]+")
_MAX_NUMBER = 2**63 - 1


CONTEXT, ADDED, DELETED = " ", "+", "-"
FOREIGN = ""  # the sign of a line that has none
CHANGES = frozenset({ADDED, DELETED})


@dataclass(slots=True)
class PatchHunk:
    """``lines`` hold a sign and the text without it; the start lines are 1-based, 0 where the header does not say.

    ``path`` is empty where no file header came before.
    """

    path: str = ""
    old_start: int = 0
    new_start: int = 0
    lines: list[tuple[str, str]] = field(default_factory=list)

    @property
    def has_change(self) -> bool:
        """Whether anything is added or deleted."""
        return any(sign in CHANGES for sign, _ in self.lines)


def read_hunks(patch: str) -> list[PatchHunk]:
    """The hunks of all files, empty ones left out. Never fails."""
    path = ""
    hunk = PatchHunk()
    hunks = [hunk]
    for line in _without_preamble(split_lines(patch)):
        if line.startswith("@@"):
            hunk = PatchHunk(path, *_starts(line))
            hunks.append(hunk)
        elif line.startswith(("--- ", "+++ ")):
            named = _path(line[4:], "a/" if line[0] == "-" else "b/")
            path = path if named == NO_PATH else named
        else:
            hunk.lines.append(_signed(line))
    return [hunk for hunk in hunks if hunk.lines]


def old_and_new_text(patch: str) -> tuple[str, str]:
    """What the hunks show of the text before and after, all hunks in a row, without a final line end."""
    lines = [line for hunk in read_hunks(patch) for line in hunk.lines]
    old, new = ("\n".join(text for sign, text in lines if sign in {CONTEXT, side}) for side in (DELETED, ADDED))
    return old, new


def same_file(patch_path: str, path: str) -> bool:
    """Whether a patch means ``path``, which the patch may have put below the folder of its project."""
    return path in {patch_path, below_first_folder(patch_path)}


def below_first_folder(path: str) -> str | None:
    """The path without its first component, None where nothing is left."""
    return path.partition("/")[2] or None


def _without_preamble(lines: list[str]) -> list[str]:
    """From the first header on."""
    for index, line in enumerate(lines):
        if line.startswith(("--- ", "+++", "@@")):
            return lines[index:]
    return []


def _signed(line: str) -> tuple[str, str]:
    return (line[0], line[1:]) if line.startswith((CONTEXT, ADDED, DELETED)) else (FOREIGN, line)


def _path(written: str, side: str) -> str:
    trimmed = written.strip(WHITE_SPACE)
    return trimmed[len(side) :] if trimmed.startswith(side) else written


def _starts(header: str) -> tuple[int, int]:
    """The two start lines of ``@@ -l,c +l,c @@``."""
    while header.startswith("@@"):
        header = header[2:]
    words = _WORDS.findall(header)
    if len(words) < 2:
        return 0, 0
    return _start(words[0].lstrip("-")), _start(words[1].lstrip("+"))


def _start(written: str) -> int:
    number = written.split(",", 1)[0]
    start = int(number) if _NUMBER.fullmatch(number) else 0
    return start if start <= _MAX_NUMBER else 0
