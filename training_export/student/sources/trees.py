"""Reads a local folder as one project: without what git ignores there, links, and what is excluded from capture.

Knows nothing of archives.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from capture.gate.exclude import PathGate
from capture.gate.ignored import GitIgnored, Standing
from training_export.errors import SourcesRefused
from training_export.student.sources.selection import LANGUAGES, MAX_FILE_BYTES, Selection
from training_export.student.sources.source_file import Side, SourceFile


def read_tree(
    folder: Path, *, project: str = "", side: Side = Side.TRAIN, languages: Iterable[str] = LANGUAGES
) -> Iterator[SourceFile]:
    """The files of a folder in the order of their paths, each text once.

    ``project`` is what it is called, the folder's name unless given: the split hangs on it. Raises SourcesRefused where
    there is no such folder, or when nothing in it can be used: with the reasons, counted.
    """
    if not folder.is_dir():
        raise SourcesRefused(f"there is no folder {folder}; name one with source code in it")
    root = folder.resolve()
    selection = Selection(languages)
    git, gate = GitIgnored(), PathGate()
    taken = 0
    for path in _plain_files(root, selection):
        relative = path.relative_to(root).as_posix()
        if not selection.is_named_well(relative):
            continue
        if gate.reason(str(path), str(root)):
            selection.left_out["is excluded, as from capture"] += 1
        elif git.standing(str(path)) is Standing.IGNORED:
            selection.left_out["is ignored by git"] += 1
        else:
            file = selection.take(project or root.name, relative, _start_of(path, selection), side)
            if file is not None:
                taken += 1
                yield file
    if not taken:
        raise SourcesRefused(
            f"nothing in {folder} can be learnt from: {_counted(selection)}; name a folder with files in "
            f"{', '.join(LANGUAGES)}"
        )


def _plain_files(root: Path, selection: Selection) -> Iterator[Path]:
    def note(error: OSError) -> None:
        selection.left_out[f"lies in a folder that cannot be read ({error.strerror})"] += 1

    for folder, folders, names in os.walk(root, onerror=note):
        folders[:] = sorted(name for name in folders if name != ".git")
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_symlink() or not path.is_file():
                selection.left_out["is no plain file"] += 1
            else:
                yield path


def _start_of(path: Path, selection: Selection) -> bytes:
    """The file; of one that is too large as much as shows that. What cannot be read is empty, and so left out."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        selection.left_out[f"cannot be read ({error.strerror})"] += 1
        return b""


def _counted(selection: Selection) -> str:
    counts = [f"{count} of which each {reason}" for reason, count in selection.left_out.most_common()]
    return "; ".join(counts) if counts else "it is empty"
