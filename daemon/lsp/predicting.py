"""One session's predictions: what is checked before the engine is asked and before its answer is used.

Every surface asks here. An answer counts only for the document, version and text it was asked about;
whatever else happens ends in None with a reason on the status board, never in an error. Knows nothing of
any surface's messages.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

from daemon.engine.api import EngineState
from daemon.engine.errors import EngineError, StillLoading
from daemon.lsp.status_notifications import StatusKind
from daemon.prediction import Nothing, Prediction, to_prediction
from daemon.scheduler import Moment, Superseded
from daemon.settings import with_editor_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from capture.editing.positions import Position
    from capture.inputs import PredictionInputs
    from daemon.engine.messages import EngineAnswer
    from daemon.lsp.diagnostics import DiagnosticsStore
    from daemon.lsp.documents import Documents, OpenDocument
    from daemon.lsp.status_notifications import Announcer
    from daemon.scheduler import Answered
    from daemon.services import Services
    from daemon.settings import Settings


class Predictor:
    """Asks the scheduler on behalf of one session."""

    def __init__(
        self,
        session_id: str,
        services: Services,
        documents: Documents,
        diagnostics: DiagnosticsStore,
        announcer: Announcer,
    ) -> None:
        self._session_id = session_id
        self._services = services
        self._documents = documents
        self._diagnostics = diagnostics
        self._announcer = announcer
        self._editor_settings: Mapping[str, Any] = {}
        self._asked_in: set[str] = set()  # the documents the editor asked about
        self._latest: dict[str, Prediction] = {}  # uri -> the last one found
        self.last_answer: EngineAnswer | None = None  # the engine's, whatever became of it

    @property
    def settings(self) -> Settings:
        """The user's settings with what this editor said for itself."""
        return with_editor_settings(self._services.settings.current, self._editor_settings)[0]

    def follow_editor(self, said: Mapping[str, Any]) -> None:
        """Take the editor's own settings; what is wrong with them goes to status."""
        self._editor_settings = said
        _, problems = with_editor_settings(self._services.settings.current, said)
        self._services.status.settings_problem(self._session_id, "; ".join(problems))

    async def predict(
        self, uri: str, version: int | None, position: Position, *, lingers: bool = False
    ) -> Prediction | None:
        """The prediction for this document at this version and cursor, or None with a reason in status.

        ``version`` None means the version we have. Cancelling aborts the engine, unless the work ``lingers``.
        """
        self._services.status.count("requests", self._session_id)
        document = self._ready(uri, version)
        if document is None:
            return None
        self._asked_in.add(uri)
        started = time.monotonic()
        moment = self._moment(document, position)
        try:
            answered = await self._answer(document, moment, position, lingers=lingers)
        except Superseded:
            self.explain("something newer was asked or typed", uri)
            return None
        except StillLoading as error:
            self.explain(str(error), uri)
            return None
        except EngineError as error:
            self.explain(str(error), uri)
            self._announcer.tell(StatusKind.WARNING, str(error))
            return None
        self._services.status.latency(time.monotonic() - started)
        self.last_answer = answered.answer
        return self._found(document, moment, answered)

    @property
    def last_reason(self) -> str:
        """Why the last request got nothing, empty when it got something."""
        return self._services.status.last_reason(self._session_id)

    def explain(self, reason: str, uri: str = "") -> None:
        """Record why nothing is shown; an empty reason means that something was."""
        self._services.status.reason(self._session_id, reason, uri)

    def announce(self, uri: str) -> None:
        """Tell the editor whether there are predictions in the document it shows now."""
        document = self._documents.find(uri)
        if document is None:
            return
        refusal = self._refusal(document)
        if refusal:
            self._announcer.tell(StatusKind.INACTIVE, refusal)
        elif self._announcer.kind is StatusKind.INACTIVE:
            self._announcer.tell(StatusKind.NORMAL)

    def known(self, uri: str) -> Prediction | None:
        """The prediction for a document's present version, when there is one already. Costs nothing."""
        document = self._documents.find(uri)
        latest = self._latest.get(uri)
        if document is None or latest is None or latest.version != document.version:
            return None
        return latest

    def text_changed(self, uri: str, cursor: Position | None) -> None:
        """The document changed: what was asked about it is over; the next question can be guessed."""
        self._services.scheduler.outdate(self._session_id, uri)
        document = self._documents.find(uri)
        # Only where the editor asks at all: an editor that never does must not keep the processor busy.
        if document is None or cursor is None or uri not in self._asked_in or self._refusal(document):
            return
        self._services.scheduler.speculate(
            self._moment(document, cursor), self._inputs(document, cursor), deadline_seconds=self._deadline()
        )

    def forget(self, uri: str) -> None:
        """The document was closed."""
        self._services.scheduler.outdate(self._session_id, uri)
        self._latest.pop(uri, None)
        self._asked_in.discard(uri)

    def _ready(self, uri: str, version: int | None) -> OpenDocument | None:
        document = self._documents.find(uri)
        if document is None:
            self.explain("the document is not open", uri)
            return None
        if version is not None and version != document.version:
            self.explain(f"version {version} was asked for, the text is at {document.version}", uri)
            return None
        refusal = self._refusal(document)
        if refusal:
            self.explain(refusal, uri)
            self._announcer.tell(StatusKind.INACTIVE, refusal)
            return None
        return document

    def _refusal(self, document: OpenDocument) -> str:
        if self._services.settings.paused:
            return "predictions are paused; `foretype resume` goes on"
        return self._documents.refusal(document, self.settings)

    def _deadline(self) -> float:
        return self.settings.deadline_ms / 1000

    async def _answer(self, document: OpenDocument, moment: Moment, position: Position, *, lingers: bool) -> Answered:
        scheduler = self._services.scheduler
        to_load = scheduler.engine.state in (EngineState.UNLOADED, EngineState.LOADING)
        async with self._announcer.loading() if to_load else nullcontext():
            return await scheduler.predict(
                moment, self._inputs(document, position), deadline_seconds=self._deadline(), lingers=lingers
            )

    def _inputs(self, document: OpenDocument, position: Position) -> Callable[[], PredictionInputs]:
        return lambda: self._documents.inputs(
            document, position, self._diagnostics.near(document, position), self.settings
        )

    def _found(self, document: OpenDocument, moment: Moment, answered: Answered) -> Prediction | None:
        """What the answer says, unless the text moved on while the engine worked."""
        if self._documents.find(document.uri) is not document or document.version != moment.version:
            self.explain("the text changed before the answer came", document.uri)
            return None
        prediction = to_prediction(
            answered.inputs,
            answered.answer,
            document.uri,
            document.text,
            min_confidence=self.settings.min_confidence,
        )
        self._announcer.tell(StatusKind.NORMAL)
        if isinstance(prediction, Nothing):
            self.explain(prediction.reason, document.uri)
            return None
        self.explain("")
        self._latest[document.uri] = prediction
        return prediction

    def _moment(self, document: OpenDocument, position: Position) -> Moment:
        clamped = document.text.clamp(position)
        return Moment(
            self._session_id,
            document.uri,
            document.version,
            clamped.line,
            clamped.character_utf16,
            self._diagnostics.revision(document.uri),
        )
