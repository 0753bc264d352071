"""Python sources to synthesise edits from: the standard library and installed, permissively licensed packages.

Reads files and package metadata only. A file belongs to one split for ever (by a hash of its path), so no file
is on both sides. Licence texts are not interpreted: a package counts when its own metadata says so.
"""

from __future__ import annotations

import hashlib
import re
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

Split = Literal["train", "validation", "test"]

PERMISSIVE = ("MIT", "BSD", "Apache", "Python Software Foundation", "PSF", "ISC", "0BSD", "Zlib")
COPYLEFT = ("GPL", "MPL", "EUPL", "CDDL", "EPL")
MAX_FILE_BYTES = 200_000
MAX_LINE_CHARACTERS = 160
MIN_LINES = 24
# Every path is hashed to 0..99; these percentages are never trained on.
VALIDATION_BELOW, TEST_BELOW = 2, 5
STANDARD_LIBRARY_SKIP = ("site-packages", "test", "tests", "idlelib", "lib2to3", "__pycache__", "turtledemo")


@dataclass(frozen=True, slots=True)
class Source:
    """One origin of files, as the model card's manifest names it."""

    name: str
    version: str
    licence: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One readable file; ``path`` is relative to its origin and names it on every machine."""

    origin: str
    path: str
    text: str

    @property
    def split(self) -> Split:
        """The side of the split this file is on, from a hash of its name."""
        digest = hashlib.sha256(f"{self.origin}/{self.path}".encode()).digest()
        bucket = int.from_bytes(digest[:4], "big") % 100
        if bucket < VALIDATION_BELOW:
            return "validation"
        return "test" if bucket < TEST_BELOW else "train"


def licence_of(distribution: metadata.Distribution) -> str | None:
    """The permissive licence a distribution's metadata declares, None when it declares another or none."""
    fields = distribution.metadata
    declared = fields.get_all("License-Expression") or []
    declared += [value for value in fields.get_all("Classifier") or [] if value.startswith("License")]
    if not any(declared):
        declared = [text.split("\n")[0][:60] for text in fields.get_all("License") or []]
    text = "; ".join(value.removeprefix("License :: OSI Approved :: ") for value in declared if value)
    if any(word in text for word in COPYLEFT) or not any(word in text for word in PERMISSIVE):
        return None
    return text


def read_corpus() -> tuple[list[SourceFile], list[Source]]:
    """All usable files, each text once, and where they came from; sorted, so the order is the machine's own."""
    files: list[SourceFile] = []
    sources: list[Source] = []
    seen: set[bytes] = set()
    for name, version, licence, paths in _origins():
        kept = [file for file in (_read(name, root, path) for root, path in paths) if file and _is_new(file, seen)]
        if kept:
            size = sum(len(file.text.encode()) for file in kept)
            sources.append(Source(name, version, licence, len(kept), size))
            files += kept
    return files, sources


def manifest(sources: list[Source]) -> list[dict[str, Any]]:
    """The origins as plain values for the model card."""
    return [asdict(source) for source in sources]


def _origins() -> Iterator[tuple[str, str, str, list[tuple[Path, Path]]]]:
    root = Path(sysconfig.get_paths()["stdlib"])
    library = [
        (root, path)
        for path in sorted(root.rglob("*.py"))
        if not any(part in STANDARD_LIBRARY_SKIP for part in path.relative_to(root).parts)
    ]
    yield "python-standard-library", sysconfig.get_python_version(), "PSF-2.0", library
    for distribution in sorted(metadata.distributions(), key=lambda item: item.metadata["Name"].lower()):
        licence = licence_of(distribution)
        name = distribution.metadata["Name"]
        if licence is None or name == "foretype":
            continue
        base = Path(str(distribution.locate_file("")))
        paths = [
            (base, base / str(file))
            for file in sorted(distribution.files or [], key=str)
            if str(file).endswith(".py") and "_vendor" not in str(file)
        ]
        yield name, distribution.version, licence, paths


def _read(origin: str, root: Path, path: Path) -> SourceFile | None:
    """The file, None when it is too large, not UTF-8, generated-looking or too short to cut windows from."""
    if not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
        return None
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError:
        return None
    lines = text.split("\n")
    if "\r" in text or "<|" in text or len(lines) < MIN_LINES or max(map(len, lines)) > MAX_LINE_CHARACTERS:
        return None
    return SourceFile(origin, path.relative_to(root).as_posix(), text)


def _is_new(file: SourceFile, seen: set[bytes]) -> bool:
    digest = hashlib.sha256(file.text.encode()).digest()
    if digest in seen:
        return False
    seen.add(digest)
    return True


def corpus_names(files: Sequence[SourceFile]) -> list[str]:
    """Identifiers of the corpus, sorted: what synthetic renames rename to."""
    return sorted({name for file in files for name in re.findall(r"\b[A-Za-z_]\w{2,30}\b", file.text)})
