"""Where one window is asked next when there is no edit at its cursor, and when it is left in peace.

Only soon after a change: who reads is not to be led away. The names and errors of a window lead to places in the
document at its cursor and, for clients that can show them, in its other open documents. Knows nothing of the model's
answers.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING

from capture.inputs import Span
from daemon.next_places import Place, PlaceKind, nearest_first, nearest_uses, replaced_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from capture.editing.positions import Position
    from daemon.lsp.diagnostics import DiagnosticsStore
    from daemon.lsp.documents import Documents, OpenDocument
    from daemon.lsp.surroundings import Surroundings

MOST_PLACES = 3  # for one question; each costs a call of the model
USES_IN_ONE_DOCUMENT = 2
AFTER_A_CHANGE_SECONDS = 10.0  # Copilot's limit for asking again when the cursor moves
AFTER_A_REJECTION_SECONDS = 5.0  # Copilot's, too


class Reach(Enum):
    """How far from the cursor a client can show an edit."""

    CURSOR = "what the model changes near the cursor"
    DOCUMENT = "anywhere in the document"
    OPEN_DOCUMENTS = "in any open document"


@dataclass(frozen=True, slots=True)
class _Change:
    uri: str
    row: int
    seconds: float


class NextEdits:
    """Owns what is remembered of one window's last change; ``clock`` gives seconds that never go backwards."""

    def __init__(
        self,
        documents: Documents,
        diagnostics: DiagnosticsStore,
        surroundings: Surroundings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._documents = documents
        self._diagnostics = diagnostics
        self._surroundings = surroundings
        self._clock = clock
        self._last_change: _Change | None = None
        self._rejected_at = float("-inf")

    def changed(self, uri: str, cursor: Position) -> None:
        """A document was changed, and the cursor most likely is there."""
        self._last_change = _Change(uri, cursor.line, self._clock())

    def rejected(self) -> None:
        """The person does not want what was shown."""
        self._rejected_at = self._clock()

    def places(self, document: OpenDocument, cursor: Position, seen_rows: Span, reach: Reach) -> list[Place]:
        """The likeliest first; ``seen_rows`` of ``document`` the model could have changed and did not."""
        now, last = self._clock(), self._last_change
        if reach is Reach.CURSOR or last is None or last.uri != document.uri:
            return []
        if now - last.seconds > AFTER_A_CHANGE_SECONDS or now - self._rejected_at < AFTER_A_REJECTION_SECONDS:
            return []
        found: dict[tuple[str, Position], Place] = {}
        for place in self._likely(document, cursor, last, seen_rows, reach):
            found.setdefault((place.uri, place.cursor), place)
            if len(found) == MOST_PLACES:
                break
        return list(found.values())

    def _likely(
        self, document: OpenDocument, cursor: Position, last: _Change, seen_rows: Span, reach: Reach
    ) -> Iterator[Place]:
        event = self._documents.newest_event
        is_here = event is not None and event.path == self._documents.displayed(document.path)
        replaced = replaced_name((event,)) if event is not None and is_here else None
        if replaced is not None:
            yield from self._uses(replaced, PlaceKind.OTHER_OCCURRENCE, document, cursor, seen_rows, reach)
        headed = self._surroundings.item_headed_at(document.uri, cursor) if last.row == cursor.line else ""
        if headed and headed != replaced:
            yield from self._uses(headed, PlaceKind.CHANGED_DEFINITION, document, cursor, seen_rows, reach)
        for error in nearest_first(self._diagnostics.errors(document), cursor.line, seen_rows):
            yield Place(document.uri, error, PlaceKind.DIAGNOSTIC)

    def _uses(
        self, name: str, kind: PlaceKind, document: OpenDocument, cursor: Position, seen_rows: Span, reach: Reach
    ) -> Iterator[Place]:
        uses = nearest_uses(name, document.text, cursor.line, seen_rows)
        yield from (Place(document.uri, use, kind) for use in islice(uses, USES_IN_ONE_DOCUMENT))
        if reach is not Reach.OPEN_DOCUMENTS:
            return
        for other in self._documents.all_open:
            if other is not document and other.language_id == document.language_id:
                uses = nearest_uses(name, other.text, 0, Span(0, 0))
                yield from (Place(other.uri, use, kind) for use in islice(uses, 1))
