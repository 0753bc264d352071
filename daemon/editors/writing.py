"""A snippet in a person's own file, between two comments, so that it can be found and replaced; the rest is theirs.

Pure functions on text; knows nothing of editors.
"""

from __future__ import annotations

import difflib

COMMENTS = {"lua": "--", "elisp": ";;"}


def with_block(text: str, snippet: str, language: str) -> str:
    """``text`` with ``snippet`` (which ends with a newline) in its marked block: where there is one, else at the end.

    All outside of the block stays byte for byte, save a newline that the last line lacks. Raises ValueError where the
    block has a beginning and no end, or more than one of either.
    """
    begin, end = (f"{COMMENTS[language]} foretype: {word}\n" for word in ("begin", "end"))
    block = begin + snippet + end
    lines = text.splitlines(keepends=True)
    begins, ends = ([at for at, line in enumerate(lines) if line.rstrip() + "\n" == mark] for mark in (begin, end))
    if not begins and not ends:
        return text + ("" if not text or text.endswith("\n") else "\n") + block
    if len(begins) != 1 or len(ends) != 1 or ends[0] < begins[0]:
        raise ValueError(f"it has {len(begins)} lines `{begin.strip()}` and {len(ends)} lines `{end.strip()}`")
    return "".join([*lines[: begins[0]], block, *lines[ends[0] + 1 :]])


def difference(before: str, after: str, path: str) -> str:
    """A unified diff; empty where nothing changes."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), path, path, lineterm="")
    return "\n".join(lines)
