"""Which files are worth learning from, each text once; and why the others are left out, counted.

Knows nothing of archives and folders: it gets a path and bytes.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

from capture.context.index.languages import language_of
from training_export.student.sources.source_file import Side, SourceFile, side_of

LANGUAGES: Final = ("python", "javascript", "typescript", "typescriptreact", "go", "rust")
MAX_FILE_BYTES: Final = 200_000
MAX_LINE_CHARACTERS: Final = 160
MIN_LINES: Final = 24
OFTEN_SHORT_LINES: Final = 100  # of a file with fewer characters a line than this, on the whole, nobody minified any

# Folders whose files were written elsewhere, or by a program.
_FOREIGN_FOLDERS: Final = frozenset(
    {
        "node_modules", "bower_components", "vendor", "_vendor", "vendored", "third_party", "thirdparty", "extern",
        "externals", "dist", "build", "target", "site-packages", ".venv", "venv", ".git", "__pycache__", ".tox",
    }
)  # fmt: skip
_MADE_BY_A_PROGRAM: Final = re.compile(
    r"\.min\.[cm]?js$|[.-]bundle\.[cm]?js$|\.d\.[cm]?ts$|\.pb\.go$|_pb2(?:_grpc)?\.py$|_generated\.\w+$|\.gen\.\w+$|"
    r"(?:^|/)(?:zz_)?generated[._]|\.pyi$"
)
# Said within the first lines of a file by the programs that write files.
_HEADER_LINES: Final = 30
_SAID_IN_A_HEADER: Final = re.compile(
    r"code generated .*do not edit|@generated\b|\bauto[- ]?(?:matically )?generated\b|"
    r"generated (?:automatically|by the protocol buffer|from our openapi)|"
    r"this (?:file|code|module) (?:is|was|has been) (?:auto|machine)?[- ]?generated|"
    r"do not (?:edit|modify) (?:this file|it)? ?(?:manually|directly|by hand)",
    re.IGNORECASE,
)


class Selection:
    """Takes files in, one after the other, and remembers the texts; ``left_out`` counts the others by reason.

    A text, and a path of a project, is taken once: whichever comes first.
    """

    def __init__(self, languages: Iterable[str] = LANGUAGES) -> None:
        self.left_out: Counter[str] = Counter()
        self._languages = frozenset(languages)
        self._texts: set[bytes] = set()
        self._places: set[tuple[str, str]] = set()

    def is_named_well(self, path: str) -> bool:
        """Whether a file of that name may be taken, so that its content is worth reading. ``path`` in its project."""
        reason = why_not_by_name(path, self._languages)
        if reason:
            self.left_out[reason] += 1
        return not reason

    def take(self, project: str, path: str, data: bytes, project_side: Side = Side.TRAIN) -> SourceFile | None:
        """The file, None where it is left out. Its name was found good before."""
        found = source_file(project, path, data, project_side)
        if isinstance(found, SourceFile):
            digest = hashlib.sha256(data).digest()
            if digest in self._texts:
                found = "has the text of another"
            elif (project, path) in self._places:
                found = "is another version of one that was taken"
            else:
                self._texts.add(digest)
                self._places.add((project, path))
                return found
        self.left_out[found] += 1
        return None


def why_not_by_name(path: str, languages: Iterable[str] = LANGUAGES) -> str:
    """Why a file of that name is left out, or the empty string. ``path`` is relative to its project."""
    language = language_of(path)
    if language is None or language.name not in languages:
        return "is in no language that is read"
    if not _FOREIGN_FOLDERS.isdisjoint(PurePosixPath(path).parts[:-1]):
        return "lies in a folder of other people's code, or of built code"
    if _MADE_BY_A_PROGRAM.search(path):
        return "was made by a program"
    return ""


def source_file(project: str, path: str, data: bytes, project_side: Side = Side.TRAIN) -> SourceFile | str:
    """The file, or why it is left out; its name is in a language that is read."""
    language = language_of(path)
    if language is None:
        return "is in no language that is read"
    if len(data) > MAX_FILE_BYTES:
        return f"is larger than {MAX_FILE_BYTES // 1000} kB"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return "is not UTF-8"
    reason = _why_not_by_text(text)
    if reason:
        return reason
    return SourceFile(language.name, project, path, text, side_of(project, path, project_side))


def _why_not_by_text(text: str) -> str:
    if "\r" in text or "\0" in text:
        return "has carriage returns or NUL characters"
    if "<|" in text:
        return "has a mark of prompts in it"
    lines = text.split("\n")
    if len(lines) < MIN_LINES:
        return f"has fewer than {MIN_LINES} lines"
    if max(map(len, lines)) > MAX_LINE_CHARACTERS:
        return f"has a line of more than {MAX_LINE_CHARACTERS} characters"
    if len(text) > OFTEN_SHORT_LINES * len(lines) or _SAID_IN_A_HEADER.search("\n".join(lines[:_HEADER_LINES])):
        return "was made by a program"
    return ""
