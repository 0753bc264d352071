"""The manifest of the corpus: which archives it is made of, what is taken out of each, under which licence, which side.

``manifest.toml`` beside this file is the one that the shipped student was trained with. A project has one side,
whatever archives hold parts of it. Knows nothing of the network and of what is in the archives.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pathspec

from training_export.errors import SourcesRefused
from training_export.student.sources.selection import LANGUAGES, why_not_by_name
from training_export.student.sources.source_file import Side

SHIPPED: Final = Path(__file__).with_name("manifest.toml")
REGISTRIES: Final = ("pypi", "npm")
PERMISSIVE: Final = frozenset(
    {"MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC", "PSF-2.0", "0BSD", "Zlib", "Unlicense"}
)

_FILE_NAME: Final = re.compile(r"[A-Za-z0-9][\w.+-]*")
_SUFFIXES: Final = (".tar.gz", ".tgz", ".whl", ".zip")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_LICENCE_WORDS: Final = re.compile(r"\s+(?:OR|AND)\s+")


@dataclass(frozen=True, slots=True)
class Project:
    """What people know under one name. ``licence`` is an SPDX expression of permissive licences."""

    name: str
    licence: str
    languages: tuple[str, ...]
    side: Side


@dataclass(frozen=True)
class Take:
    """What is taken out of an archive: the files of ``project`` below ``folder`` (empty: all of it).

    ``only`` and ``without`` are patterns of a `.gitignore`, relative to ``folder``. ``licence_file`` is the licence
    within the archive; empty: ``licence_said_in`` says where else it is said.
    """

    project: Project
    folder: str
    only: tuple[str, ...]
    without: tuple[str, ...]
    licence_file: str
    licence_said_in: str

    def path_of(self, name: str) -> str:
        """The path within the project of a member of the archive, empty where it is not taken."""
        prefix = f"{self.folder}/" if self.folder else ""
        path = name.removeprefix(prefix) if name.startswith(prefix) else ""
        if not path or why_not_by_name(path, self.project.languages):
            return ""
        only, without = self._patterns
        return "" if without.match_file(path) or (self.only and not only.match_file(path)) else path

    @cached_property
    def _patterns(self) -> tuple[pathspec.GitIgnoreSpec, pathspec.GitIgnoreSpec]:
        return pathspec.GitIgnoreSpec.from_lines(self.only), pathspec.GitIgnoreSpec.from_lines(self.without)


@dataclass(frozen=True, slots=True)
class Pinned:
    """One file of a registry, exactly."""

    registry: str
    name: str
    version: str
    file: str
    sha256: str
    bytes: int

    def path_in(self, folder: Path) -> Path:
        """Where it lies among the fetched files."""
        return folder / self.registry / self.file


@dataclass(frozen=True, slots=True)
class Archive:
    """A release of a package and what is taken out of it; ``earlier`` are releases before it, the oldest first."""

    pinned: Pinned
    takes: tuple[Take, ...]
    earlier: tuple[Pinned, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The archives in the order in which they are read."""

    archives: tuple[Archive, ...]

    def files(self, *, with_earlier: bool = True) -> tuple[Pinned, ...]:
        """All that is to be fetched."""
        return tuple(
            pinned
            for archive in self.archives
            for pinned in (*(archive.earlier if with_earlier else ()), archive.pinned)
        )

    @property
    def projects(self) -> tuple[Project, ...]:
        """The projects of which something is taken, in the order of the archives."""
        return tuple(dict.fromkeys(take.project for archive in self.archives for take in archive.takes))


def load_manifest(path: Path = SHIPPED) -> Manifest:
    """The manifest. Raises SourcesRefused with the row that is at fault."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SourcesRefused(f"cannot read the manifest {path}: {error}") from error
    try:
        projects = _projects(content)
        archives = tuple(_archive(row, projects) for row in _rows(content, "archive"))
        _Row("the file", content).ends()
        _refuse_twice(archives)
    except _Wrong as wrong:
        raise SourcesRefused(f"the manifest {path} cannot be used: {wrong}") from wrong
    return Manifest(archives)


class _Wrong(Exception):
    """What is wrong, and in which row."""


class _Row:
    """One table of the file; every key must be asked for, with the right type."""

    def __init__(self, kind: str, values: Mapping[str, Any]) -> None:
        self._values = dict(values)
        self.name = f"{kind} {values.get('name') or values.get('project') or values.get('version') or ''}".strip()

    def text(self, key: str, default: str | None = None) -> str:
        value = self._values.pop(key, default)
        if not isinstance(value, str) or (default is None and not value):
            raise _Wrong(f"{self.name}: `{key}` must be a text")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._values.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise _Wrong(f"{self.name}: `{key}` must be a list of texts")
        return tuple(value)

    def number(self, key: str) -> int:
        value = self._values.pop(key, None)
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            raise _Wrong(f"{self.name}: `{key}` must be a number above 0")
        return value

    def rows(self, key: str) -> list[_Row]:
        return _rows(self._values, key, within=self.name)

    def ends(self) -> None:
        if self._values:
            raise _Wrong(f"{self.name}: `{next(iter(self._values))}` means nothing here")


def _rows(values: dict[str, Any], key: str, within: str = "") -> list[_Row]:
    """Takes the rows out of ``values``, so that what is left has no meaning."""
    found = values.pop(key, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise _Wrong(f"{within or 'the file'}: `{key}` must be a list of tables")
    return [_Row(f"{within} {key}".strip(), each) for each in found]


def _projects(content: dict[str, Any]) -> dict[str, Project]:
    projects: dict[str, Project] = {}
    for row in _rows(content, "project"):
        project = Project(row.text("name"), row.text("licence"), row.texts("languages"), _side(row))
        if not PERMISSIVE.issuperset(_LICENCE_WORDS.split(project.licence)):
            raise _Wrong(f"{row.name}: {project.licence} is no permissive licence ({', '.join(sorted(PERMISSIVE))})")
        if not project.languages or not set(LANGUAGES).issuperset(project.languages):
            raise _Wrong(f"{row.name}: `languages` must be some of {', '.join(LANGUAGES)}")
        if project.name in projects:
            raise _Wrong(f"{row.name}: there are two projects of that name")
        row.ends()
        projects[project.name] = project
    return projects


def _side(row: _Row) -> Side:
    name = row.text("side")
    if name not in list(Side):
        raise _Wrong(f"{row.name}: `side` must be one of {', '.join(Side)}")
    return Side(name)


def _archive(row: _Row, projects: Mapping[str, Project]) -> Archive:
    registry, name = row.text("registry"), row.text("name")
    if registry not in REGISTRIES:
        raise _Wrong(f"{row.name}: `registry` must be one of {', '.join(REGISTRIES)}")
    pinned = _pinned(row, registry, name)
    takes = tuple(_take(each, projects) for each in row.rows("take"))
    earlier = tuple(_pinned(each, registry, name, ends=True) for each in row.rows("earlier"))
    if not takes:
        raise _Wrong(f"{row.name}: nothing is taken from it")
    row.ends()
    return Archive(pinned, takes, earlier)


def _pinned(row: _Row, registry: str, name: str, *, ends: bool = False) -> Pinned:
    pinned = Pinned(registry, name, row.text("version"), row.text("file"), row.text("sha256"), row.number("bytes"))
    if not _FILE_NAME.fullmatch(pinned.file) or not pinned.file.endswith(_SUFFIXES):
        raise _Wrong(f"{row.name}: `file` must be the name of one of {', '.join(_SUFFIXES)}")
    if not _SHA256.fullmatch(pinned.sha256):
        raise _Wrong(f"{row.name}: `sha256` must be 64 hexadecimal digits in lower case")
    if ends:
        row.ends()
    return pinned


def _take(row: _Row, projects: Mapping[str, Project]) -> Take:
    name = row.text("project")
    if name not in projects:
        raise _Wrong(f"{row.name}: there is no project {name}")
    take = Take(
        projects[name],
        row.text("folder", "").strip("/"),
        row.texts("only"),
        row.texts("without"),
        row.text("licence_file", ""),
        row.text("licence_said_in", ""),
    )
    if bool(take.licence_file) == bool(take.licence_said_in):
        raise _Wrong(f"{row.name}: give either `licence_file` or `licence_said_in`")
    row.ends()
    return take


def _refuse_twice(archives: tuple[Archive, ...]) -> None:
    seen: set[tuple[str, str]] = set()
    for pinned in Manifest(archives).files():
        if (pinned.registry, pinned.file) in seen:
            raise _Wrong(f"{pinned.file} is named twice")
        seen.add((pinned.registry, pinned.file))
