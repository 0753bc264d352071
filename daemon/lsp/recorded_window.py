"""What one editor window tells a recording of its documents, while there is one.

Each handler that changes a text, or hears where the cursor is, says so here; without a recording that is one look at
an attribute. A file that is not predicted in is not recorded either. Knows nothing of what becomes of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from capture.editing.document import SyncState
from capture.editing.positions import ContentChange
from daemon.recording.events import Accepted, Begun, Changed, CursorAt, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from capture.editing.positions import Position
    from daemon.lsp.documents import Documents, OpenDocument
    from daemon.prediction import Prediction
    from daemon.recording.feed import Feed
    from daemon.services import Services
    from daemon.settings import Settings

PAUSED = "predictions are paused; `foretype resume` goes on"


class RecordedWindow:
    """One window's side. ``settings`` gives the user's settings with what this editor said for itself."""

    def __init__(
        self, session_id: str, services: Services, documents: Documents, settings: Callable[[], Settings]
    ) -> None:
        self._session_id = session_id
        self._services = services
        self._recordings = services.recordings
        self._documents = documents
        self._settings = settings
        self._recordings.join(session_id, self)

    def leave(self) -> None:
        """The window is gone."""
        self._recordings.leave(self._session_id)

    def look_for(self, feed: Feed) -> None:
        """A recording begins: is its file open here?"""
        for document in self._documents.all_open:
            self._note(feed, document)

    def opened(self, document: OpenDocument) -> None:
        """A document was opened."""
        feed = self._recordings.feed
        if feed is not None and self._note(feed, document):
            feed.tell_windows()

    def closed(self, uri: str) -> None:
        """A document was closed."""
        if self._recordings.feed is not None:
            self._recordings.feed.closed(self._session_id, uri)

    def changes(self, document: OpenDocument, version: int | None, changes: Sequence[ContentChange]) -> None:
        """A document, as it is now, is about to be changed."""
        feed = self._recordings.feed
        if feed is None or not feed.listens_to(self._session_id, document.uri):
            return
        refused = self._refusal(document)
        if refused:
            feed.end(refused)
            return
        if feed.followed is None:
            if document.text.sync_state is SyncState.UNSYNCED:
                return  # our text is not the editor's; what comes next may be
            feed.followed = (self._session_id, document.uri)
            path = self._documents.path_in_workspace(document)
            feed.tell(Begun(path, document.language_id, document.version, document.text.text))
        feed.tell(Changed(feed.clock(), version, tuple(changes)))

    def unreadable(self, uri: str) -> None:
        """A change of a document could not be read."""
        feed = self._recordings.feed
        if feed is not None and feed.followed == (self._session_id, uri):
            feed.tell(Unreadable())

    def cursor(self, uri: str, version: int | None, position: Position) -> None:
        """The editor asked something about a place, which is where the cursor is."""
        feed = self._recordings.feed
        if feed is not None and feed.followed == (self._session_id, uri):
            feed.tell(CursorAt(feed.clock(), version, position))

    def accepted(self, prediction: Prediction) -> None:
        """A prediction was accepted."""
        feed = self._recordings.feed
        if feed is not None and feed.followed == (self._session_id, prediction.uri):
            edits = tuple(ContentChange(edit.range, edit.text) for edit in prediction.edits)
            feed.tell(Accepted(prediction.version, edits))

    def _note(self, feed: Feed, document: OpenDocument) -> bool:
        """Whether the document is the file, and may be recorded; that it may not ends the recording."""
        if not feed.is_about(document.uri, document.path):
            return False
        refused = self._refusal(document)
        if refused:
            feed.end(refused)
            return False
        feed.opened(self._session_id, document.uri)
        return True

    def _refusal(self, document: OpenDocument) -> str:
        if self._services.settings.paused:
            return PAUSED
        return self._documents.exclusion(document, self._settings())
