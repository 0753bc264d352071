"""Commits as changes of texts. What of a commit is no text is left out and named; a submodule refuses the commit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from training_export.importing.changes import MAX_FILE_BYTES, ChangeSet, LeftOut, Refused, TextChange, change_of
from training_export.importing.git_objects import (
    LINK_MODE,
    NO_MODE,
    SUBMODULE_MODE,
    CommitEntry,
    FileEntry,
    Repository,
    opened_repository,
)

MAX_FILES: Final = 300  # a commit of more was made by a program, or is an import


def commits_of(folder: Path, revisions: Sequence[str], *, max_count: int = 0) -> Iterator[ChangeSet | Refused]:
    """Every commit that ``revisions`` mean to git, the newest first, and those of which nothing can be made.

    Raises RepositoryUnreadable.
    """
    with opened_repository(folder) as repository:
        for entry in repository.commits(revisions, max_count=max_count):
            yield change_set_of(repository, entry)


def change_set_of(
    repository: Repository, entry: CommitEntry, *, reordered: str | None = None, url: str = ""
) -> ChangeSet | Refused:
    """The commit as texts; ``url`` goes before the one that the repository has."""
    source = f"{repository.name}@{entry.sha}"
    if not entry.parent:
        return Refused(source, "is the first commit: nothing was there to be edited")
    submodule = next((file for file in entry.files if SUBMODULE_MODE in {file.old_mode, file.new_mode}), None)
    if submodule is not None:
        return Refused(source, f"changes the submodule {_shown(submodule.new_path)}")
    if len(entry.files) > MAX_FILES:
        return Refused(source, f"changes {len(entry.files)} files, at most {MAX_FILES} are read")
    found = [_change(repository, file) for file in entry.files]
    return ChangeSet(
        identity=entry.sha,
        source=source,
        name=f"{repository.name}-{entry.sha[:8]}",
        repository_url=url or repository.url,
        revision=f"{entry.sha}~1",
        changes=tuple(each for each in found if isinstance(each, TextChange)),
        left_out=tuple(each for each in found if isinstance(each, LeftOut)),
        origin={"commit": entry.sha},
        reordered=reordered,
    )


def _change(repository: Repository, file: FileEntry) -> TextChange | LeftOut:
    shown = _shown(file.new_path)
    if "\N{REPLACEMENT CHARACTER}" in shown + _shown(file.old_path):
        return LeftOut(shown, "its name is not UTF-8")
    if LINK_MODE in {file.old_mode, file.new_mode}:
        return LeftOut(shown, "is a link, or becomes or was one")
    texts: list[bytes | None] = []
    for mode, blob in ((file.old_mode, file.old_blob), (file.new_mode, file.new_blob)):
        content = None if mode == NO_MODE else repository.content(blob, max_bytes=MAX_FILE_BYTES)
        if content is None and mode != NO_MODE:
            return LeftOut(shown, "its content is not in the repository: fetch it, the clone is partial or damaged")
        texts.append(content)
    return change_of(file.old_path, texts[0], texts[1], file.new_path)


def _shown(path: str) -> str:
    return path.encode(errors="surrogateescape").decode(errors="replace")
