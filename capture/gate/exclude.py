"""The gate a text passes before a model or a snapshot may see it: excluded paths, too large, not text.

Secret files are excluded whatever the user sets; the user's globs, in gitignore style, add to that and cannot
take away. Reads nothing from disk.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pathspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from capture.editing.document import Document

# Zed's default `disabled_globs` (assets/settings/default.json at 09adbb01).
SECRET_GLOBS = (
    "**/.env*",
    "**/*.pem",
    "**/*.key",
    "**/*.cert",
    "**/*.crt",
    "**/.dev.vars",
    "**/secrets.yml",
    "**/.zed/settings.json",
    "/**/zed/settings.json",
    "/**/zed/keymap.json",
)
MAX_ROWS = 50_000


class PathGate:
    """Decides by path alone. Raises ValueError for a user glob that is not valid."""

    def __init__(self, user_globs: Iterable[str] = ()) -> None:
        self._secrets = pathspec.GitIgnoreSpec.from_lines(SECRET_GLOBS)
        self._user = pathspec.GitIgnoreSpec.from_lines(user_globs)

    def reason(self, path: str, root: str | None = None) -> str | None:
        """Why the file at ``path`` is excluded, or None.

        ``path`` is absolute or relative to ``root``, the workspace folder that the user's anchored globs
        (``/build``) count from; without one they count from the path's own beginning. Letter case does not
        protect a secret.
        """
        whole = PurePosixPath(path)
        below_root = whole.relative_to(root) if root is not None and whole.is_relative_to(root) else whole
        for spelling in (str(whole), str(whole).lower()):
            found = self._secrets.check_file(spelling.lstrip("/"))
            if found.include and found.index is not None:
                return f"the path matches the secret-file pattern {SECRET_GLOBS[found.index]}"
        if self._user.match_file(str(below_root).lstrip("/")):
            return "the path matches an exclude pattern of your settings"
        return None


def text_reason(document: Document, *, max_file_bytes: int, max_line_characters: int) -> str | None:
    """Why a text is not predicted in, or None. Costs in proportion to what changed since the last call."""
    if document.length_bytes > max_file_bytes:
        return f"the file is larger than {max_file_bytes} bytes"
    if document.row_count > MAX_ROWS:
        return f"the file has more than {MAX_ROWS} lines"
    if document.longest_line_characters > max_line_characters:
        return f"the file has a line of more than {max_line_characters} characters"
    if document.has_nul:
        return "the file is binary: it contains a NUL character"
    return None
