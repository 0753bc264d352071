"""What the daemon would know around a moment once all its sources had answered, by the daemon's own code.

`capture.context.gathering` asks the same sources while somebody types, and shows what has come in by then. Here nobody
types: the symbol index is complete, git was asked, the text rests. Knows nothing of examples.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capture.context.cochange import CoChange
from capture.context.definitions import Definition
from capture.context.identifiers import identifiers_near
from capture.context.index.messages import IndexLimits
from capture.context.index.walk import WorkspaceFiles
from capture.context.index.workspace import WorkspaceIndex
from capture.context.recent import RecentFiles
from capture.context.related import Candidate, choose, definition_candidates
from capture.context.syntax_errors import syntax_problems
from capture.context.syntax_tree import SyntaxTree, visible_rows
from capture.editing.document import Document
from capture.gate.exclude import PathGate
from capture.gate.ignored import GitIgnored, Standing
from daemon.lsp.diagnostics import DiagnosticsStore, Reporter
from daemon.lsp.documents import OpenDocument
from daemon.settings import Settings
from training_export.checkout.failure import ContextNotFound
from training_export.checkout.servers import Servers
from training_export.checkout.settings import NO_DIAGNOSTICS, SERVER, SYNTAX

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from capture.context.syntax_tree import ParsedRows
    from capture.editing.positions import Position
    from capture.inputs import ActiveBufferDiagnostic, RelatedFile
    from training_export.checkout.settings import ContextSetting

MAX_FILE_BYTES = 4 << 20  # of a file that is rebuilt; what is larger was generated


@dataclass(frozen=True, slots=True)
class Scene:
    """What is open, and where. Paths count from the workspace's folder.

    ``texts`` hold the cursor's file and all others that are not as on disk; ``looked_at`` are files and rows, the
    latest last, those that were edited marked so.
    """

    path: str
    language_id: str
    cursor: Position
    texts: Mapping[str, str]
    looked_at: Sequence[tuple[str, int, bool]] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """What a model may see beside the cursor's own file."""

    related_files: tuple[RelatedFile, ...]
    diagnostics: tuple[ActiveBufferDiagnostic, ...]


class Workspace:
    """One folder of a checkout, with its symbol index, made when it is first needed. ``close`` it."""

    def __init__(self, root: Path, servers: Mapping[str, Sequence[str]] | None = None) -> None:
        """``servers`` are command lines of language servers by language id; they run once a setting asks for them."""
        self.root = root.resolve()
        self._servers = Servers(self.root, servers or {})
        self._gate = PathGate(Settings().exclude)
        self._ignored = GitIgnored()
        self._runner = asyncio.Runner()
        self._co_change = CoChange()

    def close(self) -> None:
        """Let go of everything; no process is left."""
        self._runner.run(self._servers.close())
        self._runner.close()

    def contexts(self, scene: Scene, settings: Sequence[ContextSetting]) -> list[Context]:
        """One for each setting. Raises ContextNotFound where the file is one that no model may see."""
        reason = self._gate.reason(scene.path)
        if reason:
            raise ContextNotFound(reason)
        with self._open(scene):
            gathering = _Gathering(self, scene)
            return [gathering.context(setting) for setting in settings]

    @cached_property
    def _index(self) -> WorkspaceIndex:
        limits = IndexLimits()
        files = WorkspaceFiles(str(self.root), self._gate, limits)
        return _worked_off(WorkspaceIndex(files, limits, lambda _folders: None))

    @contextmanager
    def _open(self, scene: Scene) -> Iterator[None]:
        """The scene's texts count in the index, and not the disk's, while the block runs."""
        differ = {path: text for path, text in scene.texts.items() if text != read_text(self.root, path)}
        for path, text in differ.items():
            self._index.open_text(str(self.root / path), text)
        _worked_off(self._index)
        try:
            yield
        finally:
            for path in differ:
                self._index.close_text(str(self.root / path))
            _worked_off(self._index)

    def may_be_shown(self, path: str) -> bool:
        """Whether the file at ``path`` (absolute) may stand beside others."""
        below = str(Path(path).relative_to(self.root))
        return self._gate.reason(below) is None and self._ignored.standing(path) is not Standing.IGNORED

    def definitions(self, path: str, names: Sequence[str]) -> dict[str, list[Definition]]:
        """What the symbol index knows of names used in a file."""
        found = self._index.find(path, names)
        return {name: [Definition(name, *hit) for hit in hits] for name, hits in found.items()}

    def neighbours(self, path: str, without: Collection[str]) -> tuple[Candidate, ...]:
        """Files that git's history has changed together with one, as they are on disk; ``without`` those that are open.

        Paths are absolute.
        """

        async def wanted(other: str) -> bool:
            return other not in without and self.may_be_shown(other)

        return self._runner.run(self._co_change.candidates(path, wanted=wanted))

    def report(self, path: str, language_id: str, text: str) -> list[Any] | None:
        """What a language server says of a file (its path absolute), None without one. Raises ContextNotFound."""
        return self._runner.run(self._servers.report(path, language_id, text))


class _Gathering:
    """One scene's candidates, each kind found when a setting asks for it."""

    def __init__(self, workspace: Workspace, scene: Scene) -> None:
        self._workspace = workspace
        self._scene = scene
        self._path = str(workspace.root / scene.path)
        self._documents = {str(workspace.root / path): Document(text) for path, text in scene.texts.items()}
        self._document = self._documents[self._path]
        self._cursor = self._document.clamp(scene.cursor)

    def context(self, setting: ContextSetting) -> Context:
        found = {"definitions": self._definitions, "recent": self._recent, "co_change": self._changed_together}
        candidates = [candidate for kind in setting.kinds for candidate in found[kind]]
        visible = self._path, visible_rows(self._document, self._cursor.line)
        chosen = choose(candidates, allowed=self._workspace.may_be_shown, visible=visible)
        shown = tuple(replace(file, path=str(Path(file.path).relative_to(self._workspace.root))) for file in chosen)
        within = _within(shown, setting.max_bytes) if setting.max_bytes else shown
        diagnostics: dict[str, Callable[[], tuple[ActiveBufferDiagnostic, ...]]] = {
            SYNTAX: lambda: self._of_the_grammar, SERVER: lambda: self._of_a_server, NO_DIAGNOSTICS: tuple
        }  # fmt: skip
        return Context(within, diagnostics[setting.diagnostics]())

    @cached_property
    def _parsed(self) -> ParsedRows:
        return SyntaxTree(self._scene.language_id).around(self._document, self._cursor.line)

    @cached_property
    def _definitions(self) -> tuple[Candidate, ...]:
        names = [identifier.name for identifier in identifiers_near(self._parsed, self._cursor)]
        return tuple(definition_candidates(names, self._workspace.definitions(self._path, names)))

    @cached_property
    def _recent(self) -> tuple[Candidate, ...]:
        recent = RecentFiles()
        for path, row, is_edited in self._scene.looked_at:
            whole = str(self._workspace.root / path)
            document = self._documents.get(whole)
            if document is None and (text := read_text(self._workspace.root, path)) is not None:
                document = self._documents[whole] = Document(text)
            if document is not None:
                (recent.edited if is_edited else recent.viewed)(whole, row, document)
        return tuple(recent.candidates(without=self._path))

    @cached_property
    def _changed_together(self) -> tuple[Candidate, ...]:
        # What is open is among the recent files, as it is now.
        return self._workspace.neighbours(self._path, self._documents)

    @cached_property
    def _of_the_grammar(self) -> tuple[ActiveBufferDiagnostic, ...]:
        return self._near(None)

    @cached_property
    def _of_a_server(self) -> tuple[ActiveBufferDiagnostic, ...]:
        return self._near(self._workspace.report(self._path, self._scene.language_id, self._document.text))

    def _near(self, said: list[Any] | None) -> tuple[ActiveBufferDiagnostic, ...]:
        """The diagnostics around the cursor: what a server said, else what the grammar finds wrong."""
        store = DiagnosticsStore()
        opened = OpenDocument(self._path, self._path, self._scene.language_id, self._document)
        if said is None:
            store.replace_syntax_errors(opened, syntax_problems(self._parsed, self._cursor))
        else:
            store.replace(opened, said, Reporter.COMPANION)
        return store.near(opened, self._cursor)


def read_text(root: Path, path: str) -> str | None:
    """The text of a file below ``root``, with plain line ends.

    None where it is not there, is no text or too large, and where links lead out of ``root``.
    """
    top = os.path.realpath(root)
    real = Path(os.path.realpath(Path(top, path)))
    if not real.is_relative_to(top) or ".git" in real.relative_to(top).parts:
        return None
    try:
        if not real.is_file() or real.stat().st_size > MAX_FILE_BYTES:
            return None
        text = real.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return None
    return None if "\0" in text else text.replace("\r\n", "\n").replace("\r", "\n")


def _worked_off(index: WorkspaceIndex) -> WorkspaceIndex:
    while index.has_work:
        index.work()
    return index


def _within(files: Sequence[RelatedFile], max_bytes: int) -> tuple[RelatedFile, ...]:
    """The most important excerpts that fit; the first that does not ends it."""
    left_bytes = max_bytes
    kept: set[int] = set()
    for excerpt in sorted((excerpt for file in files for excerpt in file.excerpts), key=lambda each: each.order):
        left_bytes -= len(excerpt.text.encode())
        if left_bytes < 0:
            break
        kept.add(excerpt.order)
    shortened = (replace(file, excerpts=tuple(each for each in file.excerpts if each.order in kept)) for file in files)
    return tuple(file for file in shortened if file.excerpts)
