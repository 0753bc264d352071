"""The corpus: the files of all archives of a manifest, held-out ones first, each text once; and its table for the card.

Reads what ``fetch`` brought; knows nothing of the network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from training_export.errors import SourcesRefused
from training_export.student.sources.archives import members
from training_export.student.sources.manifest import Archive, Manifest, Take, load_manifest
from training_export.student.sources.selection import Selection
from training_export.student.sources.source_file import Side, SourceFile

# Whose text is in two projects, is not learnt from: the side that is held out more strictly keeps it.
_READ_FIRST: Final = (Side.TEST, Side.VALIDATION, Side.TRAIN)


@dataclass(frozen=True, slots=True)
class Row:
    """What one project gives of one archive, as the model card names it; ``side`` is the project's."""

    project: str
    name: str
    version: str
    registry: str
    licence: str
    languages: tuple[str, ...]
    files: int
    bytes: int
    side: str


class Corpus:
    """Reads the archives of a manifest that lie in ``folder``."""

    def __init__(self, folder: Path, manifest: Manifest | None = None) -> None:
        self.manifest = manifest or load_manifest()
        self.rows: tuple[Row, ...] = ()  # of what was read last
        self.left_out: Counter[str] = Counter()
        self._folder = folder

    def files(self, languages: Iterable[str] = (), sides: Iterable[Side] = ()) -> Iterator[SourceFile]:
        """The files, in the same order everywhere; of some languages and sides only, where they are named.

        Which texts are left out as another's does not hang on that. Raises SourcesRefused where an archive is not
        there, ArchiveRefused where it cannot be read.
        """
        wanted_languages, wanted_sides = frozenset(languages), frozenset(sides)
        for file in self._all():
            if (not wanted_languages or file.language in wanted_languages) and (
                not wanted_sides or file.side in wanted_sides
            ):
                yield file

    def _all(self) -> Iterator[SourceFile]:
        selection = Selection()
        rows: list[Row] = []
        for side in _READ_FIRST:
            for archive in self.manifest.archives:
                takes = [take for take in archive.takes if take.project.side is side]
                if takes:
                    rows += yield from self._of_archive(archive, takes, selection)
        self.rows, self.left_out = tuple(rows), selection.left_out

    def _of_archive(
        self, archive: Archive, takes: list[Take], selection: Selection
    ) -> Generator[SourceFile, None, list[Row]]:
        """The files of some takes; returns what the card says of them."""
        path = archive.pinned.path_in(self._folder)
        if not path.is_file():
            raise SourcesRefused(f"{path} is not there; fetch the corpus first (foretype synthesize --fetch)")
        counts = {take: [0, 0] for take in takes}
        for name, data in members(path, lambda name: _taking(takes, name) is not None):
            take = _taking(takes, name)
            if take is None:
                continue
            file = selection.take(take.project.name, take.path_of(name), data, take.project.side)
            if file is not None:
                counts[take][0] += 1
                counts[take][1] += len(data)
                yield file
        return [_row(archive, take, files, size) for take, (files, size) in counts.items()]


def _taking(takes: Iterable[Take], name: str) -> Take | None:
    return next((take for take in takes if take.path_of(name)), None)


def _row(archive: Archive, take: Take, files: int, size_bytes: int) -> Row:
    project, pinned = take.project, archive.pinned
    return Row(
        project=project.name,
        name=pinned.name,
        version=pinned.version,
        registry=pinned.registry,
        licence=project.licence,
        languages=project.languages,
        files=files,
        bytes=size_bytes,
        side=project.side.value,
    )


def manifest_rows(folder: Path, manifest: Manifest | None = None) -> list[dict[str, Any]]:
    """The table of the model card: reads everything once (some ten seconds). Raises as ``Corpus.files`` does."""
    corpus = Corpus(folder, manifest)
    for _ in corpus.files():
        pass
    return [asdict(row) for row in corpus.rows]
