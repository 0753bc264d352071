"""What one window knows around its cursors: it tells every source what is open, and keeps what they find.

Definitions come from the client, from companion language servers and from the symbol index, in this order of
preference; recently used files and files that change together need no source (``capture.context``). Diagnostics that
companions report, and the grammar's syntax errors, go to the window's store of diagnostics. Knows nothing of what a
prediction makes of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from capture.context.gathering import Context
from capture.editing.document import SyncState
from daemon.lsp.companions import Companions
from daemon.lsp.definitions import ClientDefinitions
from daemon.lsp.diagnostics import Reporter
from daemon.lsp.documents import path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from capture.context.definitions import DefinitionSource
    from capture.context.syntax_errors import SyntaxProblem
    from capture.editing.positions import ContentChange, Position
    from capture.inputs import RelatedFile
    from daemon.lsp.diagnostics import DiagnosticsStore
    from daemon.lsp.documents import Documents, OpenDocument
    from daemon.services import Services
    from daemon.settings import Settings


class Surroundings:
    """Owns one window's sources and what is known from them.

    ``settings`` are the user's with what the editor said; which companions run is the user's alone to say.
    """

    def __init__(
        self,
        services: Services,
        documents: Documents,
        diagnostics: DiagnosticsStore,
        settings: Callable[[], Settings],
    ) -> None:
        self._services = services
        self._documents = documents
        self._diagnostics = diagnostics
        self._settings = settings
        self._distrusted: set[str] = set()
        self._client = ClientDefinitions()
        self._companions = Companions(documents, self._companion_reports)
        self._index = None if services.indexes is None else services.indexes.window(self._index_knows_more)
        sources: list[DefinitionSource] = [self._client, self._companions]
        self._context = Context(
            sources if self._index is None else [*sources, self._index],
            predicted_in=lambda path: documents.may_be_seen(path, settings()),
            shown_elsewhere=services.ignored.is_visible,
            find_out=services.ignored.find_out,
            displayed=documents.displayed,
            co_change=services.co_change,
            on_problems=self._syntax_is_wrong,
        )
        self._subscriptions = [
            services.ignored.subscribe(self._context.reconsider),
            services.settings.subscribe(lambda now: self._companions.follow(now.languages)),
        ]
        self._companions.follow(services.settings.current.languages)

    def set_folders(self, uris: Sequence[str]) -> None:
        """The window has these folders."""
        self._companions.set_folders(uris)
        if self._index is not None:
            self._index.set_folders([path_of(uri) for uri in uris if uri.startswith("file:")])

    def opened(self, document: OpenDocument) -> None:
        """A document was opened."""
        self._services.ignored.is_visible(document.path)  # asked now, so that it is known when it matters
        if self._refused(document.path):
            return
        self._context.opened(document.uri, document.path, document.language_id, document.text)
        self._companions.opened(document)
        if self._index is not None:
            self._index.opened(document.path, lambda: document.text.text)

    def changed(self, document: OpenDocument, version: int | None, changes: Sequence[ContentChange]) -> None:
        """A document was changed, by the editor's own words.

        Where its text is not known any more nothing is passed on, until it comes as a whole.
        """
        if document.text.sync_state is SyncState.UNSYNCED:
            self.distrusted(document.uri)
            return
        if document.uri in self._distrusted:
            self._distrusted.discard(document.uri)
            self._companions.opened(document)
        else:
            self._companions.changed(document.uri, version, changes)
        if self._index is not None:
            self._index.changed(document.path)

    def distrusted(self, uri: str) -> None:
        """A change of the document could not be read."""
        self._distrusted.add(uri)
        self._companions.closed(uri)

    def edited(self, uri: str, cursor: Position) -> None:
        """The text was edited, and the cursor most likely is there."""
        self._context.edited(uri, cursor)

    def viewed(self, uri: str, cursor: Position) -> None:
        """The cursor is there."""
        self._context.viewed(uri, cursor)

    def closed(self, document: OpenDocument) -> None:
        """A document was closed."""
        self._context.closed(document.uri)
        self._client.forget(document.path)
        self._distrusted.discard(document.uri)
        self._companions.closed(document.uri)
        if self._index is not None:
            self._index.closed(document.path)

    def client_defines(self, document: OpenDocument, said: Sequence[Any]) -> None:
        """The client sent all definitions that it knows for the document."""
        self._client.replace(document.path, said)
        self._context.knows_more(self._client, document.uri)

    def related(self, uri: str) -> tuple[RelatedFile, ...]:
        """What a model may see beside the document: what is known by now."""
        return self._context.related(uri)

    def item_headed_at(self, uri: str, cursor: Position) -> str:
        """The name of the function or the like in whose head the cursor is; else empty."""
        return self._context.item_headed_at(uri, cursor)

    def describe(self) -> list[dict[str, Any]]:
        """The companions, for status."""
        return self._companions.describe()

    async def close(self) -> None:
        """End all that is under way; returns when nothing of it is left. To close again does nothing."""
        while self._subscriptions:
            self._subscriptions.pop()()
        await self._context.close()
        await self._companions.close()
        if self._index is not None:
            await self._index.close()

    def _refused(self, path: str) -> bool:
        """Whether the file is excluded: then no source hears of it."""
        return not self._documents.may_be_seen(path, self._settings())

    def _companion_reports(self, uri: str, version: int | None, said: list[Any]) -> None:
        document = self._documents.find(uri)
        if document is not None and version in (None, document.version):
            self._diagnostics.replace(document, said, Reporter.COMPANION)

    def _syntax_is_wrong(self, uri: str, _version: int, problems: Sequence[SyntaxProblem]) -> None:
        document = self._documents.find(uri)
        if document is not None:
            self._diagnostics.replace_syntax_errors(document, problems)

    def _index_knows_more(self, folder: str) -> None:
        if self._index is None:
            return
        for document in self._documents.all_open:
            if self._documents.folder_of(document.path) == folder:
                self._context.knows_more(self._index, document.uri)
