"""What a peer is given to see: the documents of one window and its surroundings, by our daemon's own code.

So the prompts of all systems are the same: the edit history, definitions from a symbol index in a process of its own,
recent files, files that change together, syntax errors. Knows nothing of peers, nor of how messages come and go.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.engine.client import EngineClient
from daemon.engine.messages import ModelSettings
from daemon.lsp.diagnostics import DiagnosticsStore
from daemon.lsp.documents import Documents
from daemon.lsp.surroundings import Surroundings
from daemon.lsp.wire import range_json
from daemon.prediction import Nothing, Prediction, to_prediction
from daemon.scheduler import Scheduler
from daemon.services import Services
from daemon.settings_store import SettingsStore
from daemon.status import StatusBoard
from daemon.symbol_indexes import SymbolIndexes

if TYPE_CHECKING:
    from capture.editing.positions import ContentChange, Position
    from capture.inputs import PredictionInputs, RelatedFile
    from daemon.engine.messages import EngineAnswer


def make_services() -> Services:
    """What a window's surroundings ask of a hub, with the settings nobody changed; the engine is never asked.

    Needs a running event loop. Whoever made it closes it with ``close_services``.
    """
    log = logging.getLogger("bench.peers")
    settings, status = SettingsStore(Path("settings.toml")), StatusBoard()  # never read: the defaults
    indexes = SymbolIndexes(log, exclude=lambda: settings.current.exclude, enabled=lambda: True)
    scheduler = Scheduler(EngineClient(ModelSettings(path=""), log=log), status=status)
    return Services(scheduler, settings, status, indexes=indexes)


async def close_services(services: Services) -> None:
    """End what the windows' surroundings started."""
    if services.indexes is not None:
        await services.indexes.close()
    await services.ignored.close()
    await services.scheduler.close()


class PeerWindow:
    """Owns one window's documents. Must be used on the event loop that it is made on.

    What it does with a message is what ``daemon.lsp.text_sync`` and ``daemon.lsp.predicting`` do, less what only our
    own engine needs.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._documents = Documents()
        self._diagnostics = DiagnosticsStore()
        self._surroundings = Surroundings(
            services, self._documents, self._diagnostics, lambda: services.settings.current
        )
        self._offered: dict[str, Prediction] = {}  # the latest, by the number of its command

    def set_folders(self, uris: list[str]) -> None:
        """The window has these folders."""
        self._documents.set_folders(uris)
        self._surroundings.set_folders(uris)

    def opened(self, uri: str, language_id: str, version: int, text: str) -> None:
        """A document was opened."""
        self._surroundings.opened(self._documents.open(uri, language_id, version, text))

    def changed(self, uri: str, version: int, changes: list[ContentChange]) -> None:
        """It was changed."""
        document = self._documents.find(uri)
        if document is None:
            return
        edits = self._documents.change(uri, version, changes)
        self._surroundings.changed(document, version, changes)
        if edits:
            self._surroundings.edited(uri, document.text.position_at(edits[-1].start_bytes + edits[-1].new_bytes))

    def closed(self, uri: str) -> None:
        """It was closed."""
        document = self._documents.find(uri)
        if document is not None:
            self._surroundings.closed(document)
            self._diagnostics.forget(uri)
            self._documents.close(uri)

    def viewed(self, uri: str, position: Position) -> None:
        """The cursor is there: somebody asks."""
        document = self._documents.find(uri)
        if document is not None:
            self._surroundings.viewed(uri, document.text.clamp(position))

    def is_at(self, uri: str, version: int) -> bool:
        """Whether the document is open, and its text the one of ``version``."""
        document = self._documents.find(uri)
        return document is not None and document.version == version

    def inputs(self, uri: str, version: int, position: Position) -> PredictionInputs | None:
        """Everything a model may see; None where the text is another one by now."""
        document = self._documents.find(uri)
        if document is None or document.version != version:
            return None
        cursor = document.text.clamp(position)
        return self._documents.inputs(
            document,
            cursor,
            self._diagnostics.near(document, cursor),
            self.related(uri),
            self._services.settings.current,
            self._services.ignored.is_visible,
        )

    def related(self, uri: str) -> tuple[RelatedFile, ...]:
        """What is known around the document by now."""
        return self._surroundings.related(uri)

    def edits(self, uri: str, inputs: PredictionInputs, answer: EngineAnswer) -> list[dict[str, Any]] | Nothing:
        """The answer as ``copilotInlineEdit`` has it; the document is open, its text the one of ``inputs``."""
        document = self._documents.find(uri)
        if document is None:
            return Nothing("the document is not open")
        found = to_prediction(inputs, answer, uri, document.text, min_confidence=0.0)
        if isinstance(found, Nothing):
            return found
        number = str(1 + int(next(iter(self._offered), "0")))
        self._offered = {number: found}
        command = {"title": "Accept", "command": "foretype.didAccept", "arguments": [number]}
        identifier = {"uri": uri, "version": document.version}
        return [
            {"text": edit.text, "range": range_json(edit.range), "textDocument": identifier, "command": command}
            for edit in found.edits
        ]

    def accepted(self, number: str) -> None:
        """What was offered under this number was accepted: the history knows it as predicted."""
        found = self._offered.get(number)
        if found is not None:
            self._documents.accepted(found)

    async def close(self) -> None:
        """End what is under way."""
        await self._surroundings.close()
