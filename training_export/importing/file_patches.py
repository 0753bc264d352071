r"""Unified diffs of several files in Zed's dialect: written from two sets of texts, and applied to one.

What the dialect cannot say (`capture/editing/unified_diff.py` has the list) is found by reading back: `patch_between`
gives only patches that do what was meant. A newline at the end of a file that comes or goes is said by
``\ No newline at end of file``, which is read here and there, though Zed never writes it. Knows nothing of examples.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from capture.editing.unified_diff import (
    NO_PATH,
    FileEnd,
    FileStatus,
    Hunk,
    PatchError,
    apply_patch,
    parse_patch,
    with_file_headers,
    write_hunks,
)
from training_export.importing.changes import lines_of
from training_export.patches import NotSayable

WHY_NOT_SAYABLE: Final = "a line of it reads as a file header, or is the last of a file that ends without a newline"
_NEW_FILE: Final = re.compile(r"(?m)^(?=---[ \t])")
_NO_NEWLINE: Final = "\\ No newline at end of file\n"
_HUNK_HEADER: Final = re.compile(r"@@ -(\d+),(\d+) \+(\d+),(\d+) @@")


def patch_between(before: Mapping[str, str], after: Mapping[str, str], renamed: Mapping[str, str] | None = None) -> str:
    """The patch from ``before`` to ``after`` (texts by path); ``renamed`` has the new names of old files.

    Raises NotSayable where a patch would come to something else.
    """
    renamed = renamed or {}
    gone = [path for path in before if path not in after and renamed.get(path) not in after]
    parts = [_file_patch(path, before[path], None, path) for path in gone]
    old_names = {new: old for old, new in renamed.items()}
    for path, text in after.items():
        old_path = old_names.get(path, path)
        if old_path != path or before.get(path) != text:
            parts.append(_file_patch(old_path, before.get(old_path), text, path))
    patch = "".join(parts)
    try:
        is_said = patched(before, patch) == dict(after)
    except (PatchError, KeyError):
        is_said = False
    if not is_said:
        raise NotSayable(f"Zed's patches cannot say the change: {WHY_NOT_SAYABLE}")
    return patch


def patched(texts: Mapping[str, str], patch: str) -> dict[str, str]:
    """The texts by path after a patch, each hunk on the row that it names or wherever else it is the only match.

    Raises PatchError where a hunk is in no place, KeyError for a file that is not there.
    """
    found = dict(texts)
    for section in _NEW_FILE.split(patch):
        events = parse_patch(section)
        hunks = [event for event in events if isinstance(event, Hunk)]
        if not hunks:
            continue
        path, status = hunks[0].path, hunks[0].status
        text = apply_patch(section, "" if status is FileStatus.CREATED else found[path], trust_rows=True)[0]
        renamed_to = next((event.renamed_to for event in events if isinstance(event, FileEnd)), None)
        if status is FileStatus.DELETED:
            del found[path]
        elif status is FileStatus.MODIFIED and renamed_to:
            del found[path]
            found[renamed_to] = text
        else:
            found[path] = text
    return found


def reversed_hunks(hunks: str) -> str:
    """The hunks that undo these, which have no file headers."""
    swapped = {"+": "-", "-": "+"}
    lines = []
    for line in _lines_with_ends(hunks):
        header = _HUNK_HEADER.match(line)
        if header is not None:
            old_start, old_count, new_start, new_count = header.groups()
            lines.append(f"@@ -{new_start},{new_count} +{old_start},{old_count} @@\n")
        else:
            lines.append(swapped.get(line[0], line[0]) + line[1:])
    return "".join(lines)


def _lines_with_ends(text: str) -> list[str]:
    return [f"{line}\n" for line in lines_of(text)]


def _file_patch(old_path: str, old: str | None, new: str | None, path: str) -> str:
    hunks = write_hunks(old or "", new or "")
    if old and new and old.endswith("\n") != new.endswith("\n"):
        hunks = _last_line_rewritten(old, new)
    if not hunks:  # a file that is only renamed: a hunk of context tells its old name
        hunks = f"@@ -1,1 +1,1 @@\n {lines_of(old or '')[0]}\n"
    if old is None:
        return f"--- {NO_PATH}\n+++ b/{path}\n{hunks}"
    if new is None:
        return f"--- a/{old_path}\n+++ {NO_PATH}\n{hunks}"
    return with_file_headers(hunks, path, old_path)


def _last_line_rewritten(old: str, new: str) -> str:
    """The hunks between texts of which one lacks the last newline: its last line is replaced, and the lack is said."""
    mark = "\0"  # no text has one, so both last lines differ and stand in one change at the end
    old_lines, new_lines = lines_of(old), lines_of(new)
    old_lines[-1] += mark
    new_lines[-1] += mark * 2
    hunks = write_hunks("\n".join(old_lines) + "\n", "\n".join(new_lines) + "\n")
    lacking = mark if new.endswith("\n") else mark * 2
    return "".join(
        line.replace(mark, "")
        + (_NO_NEWLINE if line.endswith(f"{lacking}\n") and line.count(mark) == len(lacking) else "")
        for line in _lines_with_ends(hunks)
    )
