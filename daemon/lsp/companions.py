"""The companion language servers of one editor window: one for each workspace folder and language that has one.

Which there are follows from the user's settings, the window's folders and its open documents; whenever one of these
changes, servers that nothing asks for any more end, and documents move to those that they now belong to. Knows nothing
of what a companion does.
"""

from __future__ import annotations

import asyncio
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from daemon.lsp.companion import Companion
from daemon.lsp.documents import path_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from capture.context.definitions import Definition, Identifier
    from capture.editing.positions import ContentChange
    from daemon.language_settings import LanguageSettings
    from daemon.lsp.companion import OnDiagnostics
    from daemon.lsp.documents import Documents, OpenDocument

    Key = tuple[str, str, tuple[str, ...]]  # folder, language id, command


class Companions:
    """Owns the companions of one window; a ``DefinitionSource`` for all of its documents."""

    def __init__(self, documents: Documents, on_diagnostics: OnDiagnostics) -> None:
        self._documents = documents
        self._on_diagnostics = on_diagnostics
        self._languages: Mapping[str, LanguageSettings] = {}
        self._folders: tuple[str, ...] = ()
        self._running: dict[Key, Companion] = {}
        self._key_of: dict[str, Key] = {}  # by the uri of an open document
        self._ending: set[asyncio.Task[None]] = set()

    def follow(self, languages: Mapping[str, LanguageSettings]) -> None:
        """Take the user's settings as they are now; never an editor's."""
        if languages != self._languages:
            self._languages = dict(languages)
            self._rearrange()

    def set_folders(self, uris: Sequence[str]) -> None:
        """The window has these workspace folders now."""
        self._folders = tuple(sorted((path_of(uri) for uri in uris), key=len, reverse=True))
        self._rearrange()

    def opened(self, document: OpenDocument) -> None:
        """A document was opened, or opened again with another text."""
        self.closed(document.uri)
        key = self._wanted(document)
        if key is None:
            return
        if key not in self._running:
            folder, language_id, command = key
            self._running[key] = Companion(
                language_id,
                command,
                Path(folder),
                on_diagnostics=self._on_diagnostics,
                open_text=self._open_text,
            )
        self._key_of[document.uri] = key
        self._running[key].opened(document.uri, document.version, document.text.text)

    def changed(self, uri: str, version: int | None, changes: Sequence[ContentChange]) -> None:
        """A document changed, by the editor's own words."""
        key = self._key_of.get(uri)
        if key is not None:
            self._running[key].changed(uri, version, changes)

    def closed(self, uri: str) -> None:
        """A document was closed. Its server stays: the next one is opened soon."""
        key = self._key_of.pop(uri, None)
        if key is not None:
            self._running[key].closed(uri)

    async def definitions(self, path: str, identifiers: Sequence[Identifier]) -> Mapping[str, Sequence[Definition]]:
        """What the companion of the document at ``path`` answers; nothing where it has none."""
        document = next((open_ for open_ in self._documents.all_open if open_.path == path), None)
        key = None if document is None else self._key_of.get(document.uri)
        return {} if key is None else await self._running[key].definitions(path, identifiers)

    def describe(self) -> list[dict[str, Any]]:
        """What status shows of each companion."""
        return [{"folder": key[0], **companion.describe()} for key, companion in self._running.items()]

    async def close(self) -> None:
        """End all servers; returns when none is left."""
        self._key_of.clear()
        for key in tuple(self._running):
            self._end(key)
        if self._ending:
            await asyncio.wait(self._ending)

    def _rearrange(self) -> None:
        for document in self._documents.all_open:
            if self._key_of.get(document.uri) != self._wanted(document):
                self.opened(document)
        for key in tuple(self._running):
            folder, language_id, command = key
            if folder not in self._folders or self._command(language_id) != command:
                self._end(key)

    def _end(self, key: Key) -> None:
        task = asyncio.create_task(self._running.pop(key).close())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _wanted(self, document: OpenDocument) -> Key | None:
        command = self._command(document.language_id)
        path = PurePosixPath(document.path)
        folder = next((folder for folder in self._folders if path.is_relative_to(folder)), None)
        # Outside of every folder there is nothing that a server could know more of than the file itself.
        return (folder, document.language_id, command) if folder is not None and command else None

    def _command(self, language_id: str) -> tuple[str, ...]:
        language = self._languages.get(language_id)
        return () if language is None else language.server

    def _open_text(self, path: str) -> str | None:
        return next((open_.text.text for open_ in self._documents.all_open if open_.path == path), None)
