"""What changed from one release of a package to the next, for the packages of the manifest that name earlier ones.

Releases are read and compared by ``training_export.importing``; here is only which files of them count. Knows nothing
of examples: ``importing.writing.write_changes`` makes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from training_export.errors import SourcesRefused
from training_export.importing.changes import ChangeSet, TextChange
from training_export.importing.releases import releases_of
from training_export.student.sources.manifest import Archive, Manifest, Take
from training_export.student.sources.selection import source_file
from training_export.student.sources.source_file import Side, SourceFile


@dataclass(frozen=True, slots=True)
class ReleasedChange:
    """One file in two releases, one right after the other among those that are named; the texts differ."""

    older: SourceFile
    newer: SourceFile
    older_version: str
    newer_version: str
    change_set: ChangeSet


def released_changes(
    manifest: Manifest, folder: Path, *, sides: Iterable[Side] = (Side.TRAIN,)
) -> Iterator[ReleasedChange]:
    """The files that differ, of the sides that are wanted: a file is on the side that it has in the corpus.

    Both texts must be fit for the corpus. Raises SourcesRefused where an archive is not in ``folder``, ArchiveRefused
    where one cannot be read.
    """
    wanted = frozenset(sides)
    for archive in manifest.archives:
        for older, newer in pairwise((*archive.earlier, archive.pinned)) if archive.earlier else ():
            paths = [pinned.path_in(folder) for pinned in (older, newer)]
            for path in paths:
                if not path.is_file():
                    raise SourcesRefused(f"{path} is not there; fetch the corpus first (foretype synthesize --fetch)")
            for change_set in releases_of(paths):
                change = _of_the_corpus(archive, change_set) if isinstance(change_set, ChangeSet) else None
                if change is not None and change.newer.side in wanted:
                    yield replace(change, older_version=older.version, newer_version=newer.version)


def _of_the_corpus(archive: Archive, change_set: ChangeSet) -> ReleasedChange | None:
    change = change_set.changes[0]
    if change.before is None or change.after is None:
        return None
    # npm packages lie in a folder that is not named after the version, which is not taken off there.
    name = change.path.removeprefix("package/") if archive.pinned.registry == "npm" else change.path
    take = next((take for take in archive.takes if take.path_of(name)), None)
    if take is None:
        return None
    older, newer = (_file(take, name, text) for text in (change.before, change.after))
    if older is None or newer is None:
        return None
    named = TextChange(older.path, older.text, newer.text, newer.path)
    return ReleasedChange(older, newer, "", "", replace(change_set, changes=(named,)))


def _file(take: Take, name: str, text: str) -> SourceFile | None:
    found = source_file(take.project.name, take.path_of(name), text.encode(), take.project.side)
    return found if isinstance(found, SourceFile) else None
