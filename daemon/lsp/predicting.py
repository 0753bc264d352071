"""One session's predictions: what is reused before the engine is asked, and what is checked before one is shown.

Every surface asks here. A question is answered, in this order, by what an earlier prediction of the document has
become (``reuse``), by the answer about the text of a moment ago if it fits what was typed since, and by the engine. A
prediction counts only for the version and text it was asked about; whatever else happens ends in None with a reason
on the status board, never in an error. Knows nothing of any surface's messages.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from daemon.engine.api import EngineState
from daemon.engine.errors import EngineError, StillLoading
from daemon.engine.messages import Counters
from daemon.lsp.next_edits import Reach
from daemon.lsp.past_answers import PastAnswers
from daemon.lsp.status_notifications import StatusKind
from daemon.lsp.work_ahead import WorkAhead
from daemon.next_places import PlaceKind
from daemon.prediction import Nothing, Prediction, Source, rows_seen, to_prediction
from daemon.scheduler import Moment, Superseded
from daemon.settings import with_editor_settings
from daemon.suppress import min_confidence, presentable, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from capture.editing.positions import Position
    from capture.inputs import PredictionInputs
    from daemon.file_edits import Text
    from daemon.lsp.capturing import Capturing
    from daemon.lsp.diagnostics import DiagnosticsStore
    from daemon.lsp.documents import Documents, OpenDocument
    from daemon.lsp.next_edits import NextEdits
    from daemon.lsp.status_notifications import Announcer
    from daemon.lsp.surroundings import Surroundings
    from daemon.next_places import Place
    from daemon.parts import Parted
    from daemon.scheduler import Answered
    from daemon.services import Services
    from daemon.settings import Settings


ASKED_AGAIN = "asked again"


@dataclass(frozen=True, slots=True)
class Given:
    """What the answer to one question cost the engine.

    ``question`` counts the session's questions. ``reused`` is empty where the engine worked for it; else it says how
    the answer came about, as ``Source`` names it or ``ASKED_AGAIN``, and the counters and seconds are zero.
    """

    question: int
    counters: Counters = field(default_factory=Counters)
    confidence: float = 1.0
    seconds: float = 0.0
    reused: str = ""


class Predictor:
    """Asks the scheduler on behalf of one session."""

    def __init__(
        self,
        session_id: str,
        services: Services,
        documents: Documents,
        diagnostics: DiagnosticsStore,
        surroundings: Surroundings,
        capturing: Capturing,
        announcer: Announcer,
        next_edits: NextEdits,
    ) -> None:
        self._session_id = session_id
        self._services = services
        self._documents = documents
        self._diagnostics = diagnostics
        self._surroundings = surroundings
        self._capturing = capturing
        self._announcer = announcer
        self._next_edits = next_edits
        self._asked_elsewhere = ""  # the uri of the other document that the present question led to
        self._editor_settings: Mapping[str, Any] = {}
        self._questions = 0
        self._past: dict[str, PastAnswers] = {}  # of the documents the editor asked about, by uri
        self._ahead = WorkAhead(
            services.scheduler,
            documents,
            self._moment,
            self._seen,
            lambda: self.settings,
            self._places_after,
            services.reading_seconds,
        )
        self._reach = Reach.CURSOR  # of the last question
        self._answer_seconds = 0.0  # that the engine needed for its last answer
        self.last_answer: Given | None = None  # to the last question that got one, an edit or none
        self.last_prediction: Prediction | None = None  # the last question's; its ``source`` says what it cost

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
        self,
        uri: str,
        version: int | None,
        position: Position,
        *,
        lingers: bool = False,
        reach: Reach = Reach.CURSOR,
    ) -> Prediction | None:
        """The prediction for this document at this version and cursor, or None with a reason in status.

        ``version`` None means the version we have. Where there is nothing at the cursor, an edit as far away as
        ``reach`` is looked for; it may be another document's. Cancelling aborts the engine, unless the work
        ``lingers``.
        """
        self._services.status.count("requests", self._session_id)
        self._questions += 1
        self._reach = reach
        self.last_prediction = None
        self._leave_elsewhere()
        document = self._ready(uri, version)
        if document is None:
            return None
        past = self._past.setdefault(uri, PastAnswers())
        cursor = document.text.clamp(position)
        self._surroundings.viewed(uri, cursor)
        started = time.monotonic()
        try:
            found = (
                self._reused(document, past, cursor)
                or await self._late(document, past)
                or await self._asked(document, past, cursor, lingers=lingers)
            )
            if isinstance(found, Nothing):
                found = await self._elsewhere(document, cursor, found)
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
        self._announcer.tell(StatusKind.NORMAL)
        if not _continues(found, cursor):  # else what is typed next is the beginning of it, which needs no model
            self._ahead.after_answer(document, cursor, self._answer_seconds)
        if isinstance(found, Nothing):
            self.explain(found.reason, uri)
            return None
        self.explain("")
        self.last_prediction = found
        return found

    def given(self, prediction: Prediction) -> None:
        """The editor has ``prediction``: once it can have been read, the one after it is computed."""
        document, past = self._documents.find(prediction.uri), self._past.get(prediction.uri)
        if document is not None and past is not None and document.version == prediction.version:
            self._ahead.after_showing(document, past, prediction)

    def expect_part(self, prediction: Prediction, parted: Parted) -> None:
        """The editor is about to apply a part of ``prediction``, which is about the text as it is."""
        document, past = self._documents.find(prediction.uri), self._past.get(prediction.uri)
        if document is not None and past is not None:
            past.expect_part(prediction, parted, document.text)

    @property
    def last_reason(self) -> str:
        """Why the last request got nothing, empty when it got something."""
        return self._services.status.last_reason(self._session_id)

    @property
    def totals(self) -> dict[str, Any]:
        """What the session's questions came to and what they cost (``StatusBoard.totals``)."""
        return self._services.status.totals(self._session_id)

    def explain(self, reason: str, uri: str = "") -> None:
        """Record why nothing is shown; an empty reason means that something was."""
        self._services.status.reason(self._session_id, reason, uri)

    def announce(self, uri: str) -> None:
        """Tell the editor whether there are predictions in the document it shows now."""
        document = self._documents.find(uri)
        if document is None:
            return
        refused = self._refusal(document)
        if refused:
            self._announcer.tell(StatusKind.INACTIVE, refused)
        elif self._announcer.kind is StatusKind.INACTIVE:
            self._announcer.tell(StatusKind.NORMAL)

    def known(self, uri: str) -> Prediction | None:
        """The prediction for a document's present version, when there is one already. Costs nothing."""
        document, past = self._documents.find(uri), self._past.get(uri)
        return None if document is None or past is None else past.known(document.text)

    def text_changed(self, uri: str, cursor: Position | None, *, erased: bool = False) -> None:
        """The document changed: what was asked about it is over, save work whose answer may still fit.

        ``cursor`` is where it most likely is, ``erased`` whether one character before it was taken away. The next
        question is guessed where nothing earlier answers it.
        """
        scheduler = self._services.scheduler
        self._leave_elsewhere()
        if cursor is not None:
            self._next_edits.changed(uri, cursor)
        document, past = self._documents.find(uri), self._past.get(uri)
        if document is None or past is None:
            # Where an editor never asks, nothing is guessed: it must not keep the processor busy.
            scheduler.outdate(self._session_id, uri)
            return
        foreseen = self._ahead.text_changed(document, cursor, erased=erased)
        worth_finishing = past.text_changed(document.text, scheduler.under_way(self._session_id, uri))
        if foreseen is not None and cursor is not None:
            past.foresee(foreseen, document.text, cursor)
            worth_finishing = (*worth_finishing, foreseen)
        scheduler.outdate(self._session_id, uri, spare=worth_finishing)
        scheduler.forget_answers(self._session_id, spare=worth_finishing)
        if cursor is None or past.covers_next_question(document.text) or self._refusal(document):
            return
        ahead = past.ahead_for(document.version, cursor)
        if ahead is not None and scheduler.knows(ahead):
            return
        moment = self._moment(document, cursor)
        scheduler.speculate(moment, self._inputs(document, past, moment, cursor), deadline_seconds=self._deadline())

    def close(self) -> None:
        """The session ends."""
        self._ahead.stop()

    def forget(self, uri: str) -> None:
        """The document was closed."""
        self._ahead.stop()
        self._services.scheduler.outdate(self._session_id, uri)
        self._services.scheduler.forget_answers(self._session_id)
        self._past.pop(uri, None)

    def _ready(self, uri: str, version: int | None) -> OpenDocument | None:
        document = self._documents.find(uri)
        if document is None:
            self.explain("the document is not open", uri)
            return None
        if version is not None and version != document.version:
            self.explain(f"version {version} was asked for, the text is at {document.version}", uri)
            return None
        refused = self._refusal(document)
        if refused:
            self.explain(refused, uri)
            self._announcer.tell(StatusKind.INACTIVE, refused)
            return None
        return document

    def _refusal(self, document: OpenDocument) -> str:
        if self._services.settings.paused:
            return "predictions are paused; `foretype resume` goes on"
        return self._documents.refusal(document, self.settings)

    def _deadline(self) -> float:
        return self.settings.deadline_ms / 1000

    def _leave_elsewhere(self) -> None:
        """Something newer was asked or typed: what was to be found in another document is of no use any more."""
        if self._asked_elsewhere:
            self._services.scheduler.outdate(self._session_id, self._asked_elsewhere)
            self._asked_elsewhere = ""

    # The ways to an answer

    def _reused(self, document: OpenDocument, past: PastAnswers, cursor: Position) -> Prediction | None:
        prediction = past.reusable(document.text, cursor)
        if prediction is None or prediction.confidence < min_confidence(self.settings):
            return None
        self._note_reuse(prediction.confidence, prediction.source)
        return prediction

    async def _late(self, document: OpenDocument, past: PastAnswers) -> Prediction | None:
        """The answer about the text of a moment ago, if one comes and fits what was typed since."""
        moment, version = past.take_late(), document.version
        if moment is None:
            return None
        try:
            answered = await self._services.scheduler.join(moment)
        except EngineError:
            return None  # the question itself is put next; what is wrong with the engine, it hears as well
        then = past.text_of(moment)
        if answered is None or then is None or not self._is_current(document, version):
            return None
        found = self._judged(answered, document.uri, then)
        fitting = None if isinstance(found, Nothing) else past.hold_late(found, moment, document.text)
        if fitting is not None:
            if not answered.is_taken:
                self._capturing.returned(document, answered, found, then)
            self._note_answer(moment, answered, fitting.source)
        return fitting

    def _places_after(self, answered: Answered, document: OpenDocument, text: Text, cursor: Position) -> list[Place]:
        """Where to look when ``answered``, about a ``text`` of the document with the cursor there, is no edit."""
        found = self._judged(answered, document.uri, text)
        if isinstance(found, Prediction):
            return []
        return self._next_edits.places(document, cursor, found.seen_rows, self._reach)

    async def _elsewhere(self, document: OpenDocument, cursor: Position, nothing: Nothing) -> Prediction | Nothing:
        """What the engine says of the likeliest other places; ``nothing`` where it has nothing to say there either."""
        version = document.version
        for place in self._next_edits.places(document, cursor, nothing.seen_rows, self._reach):
            there = self._documents.find(place.uri)
            if there is None or self._refusal(there):
                continue
            if there is not document:
                self._asked_elsewhere = place.uri
            past = self._past.setdefault(place.uri, PastAnswers())
            found = await self._asked(there, past, place.cursor, place.kind)
            if not self._is_current(document, version):
                return Nothing("the text changed before the answer came")
            if isinstance(found, Prediction):
                return found
        return nothing

    async def _asked(
        self,
        document: OpenDocument,
        past: PastAnswers,
        cursor: Position,
        place: PlaceKind = PlaceKind.HERE,
        *,
        lingers: bool = False,
    ) -> Prediction | Nothing:
        """What the engine says of the text as it is."""
        scheduler, version = self._services.scheduler, document.version
        if not self._is_current(document, version):
            return Nothing("the text changed before the answer came")
        moment = past.ahead_for(version, cursor)
        source = Source.AHEAD
        if moment is None or moment.least_confidence > min_confidence(self.settings) or not scheduler.knows(moment):
            moment, source = self._moment(document, cursor), Source.MODEL
        to_load = scheduler.engine_of(document.uri).state in (EngineState.UNLOADED, EngineState.LOADING)
        async with self._announcer.loading() if to_load else nullcontext():
            answered = await scheduler.predict(
                moment,
                self._inputs(document, past, moment, cursor),
                deadline_seconds=self._deadline(),
                lingers=lingers,
            )
        if not self._is_current(document, version):
            return Nothing("the text changed before the answer came")
        is_new = not answered.is_taken
        self._note_answer(moment, answered, ASKED_AGAIN)
        found = self._judged(answered, document.uri, document.text)
        if not isinstance(found, Nothing):
            found = past.hold(replace(found, source=source, place=place), moment, document.text, cursor)
        if is_new:
            self._capturing.returned(document, answered, found)
        return found

    def _note_answer(self, moment: Moment, answered: Answered, otherwise: str) -> None:
        """The engine's answer about ``moment`` is given; ``otherwise`` is how, if it was given before."""
        answer = answered.answer
        if answered.is_taken:
            self._note_reuse(answer.confidence, otherwise)
            return
        self._answer_seconds = answer.seconds
        self._services.scheduler.take(moment, answered)
        self._services.status.count("answered_by_model", self._session_id)
        self.last_answer = Given(self._questions, answer.counters, answer.confidence, answer.seconds)

    def _note_reuse(self, confidence: float, how: str) -> None:
        self._services.status.count("answered_by_reuse", self._session_id)
        self.last_answer = Given(self._questions, confidence=confidence, reused=how)

    def _judged(self, answered: Answered, uri: str, text: Text) -> Prediction | Nothing:
        """What the answer says of the ``text`` it is about, unless it must not be shown."""
        found = to_prediction(answered.inputs, answered.answer, uri, text, min_confidence=min_confidence(self.settings))
        seen_rows = rows_seen(answered.inputs, answered.answer)
        if isinstance(found, Nothing):
            return replace(found, seen_rows=seen_rows)
        refused = refusal(found, answered.inputs, self.settings)
        return Nothing(refused, seen_rows) if refused else presentable(found, text, self.settings)

    def _is_current(self, document: OpenDocument, version: int) -> bool:
        """Whether the text is still what it was when ``version`` was asked about."""
        return self._documents.find(document.uri) is document and document.version == version

    def _inputs(
        self, document: OpenDocument, past: PastAnswers, moment: Moment, cursor: Position
    ) -> Callable[[], PredictionInputs]:
        def make() -> PredictionInputs:
            past.asks(moment, document.text, cursor)
            return self._seen(document, cursor)

        return make

    def _seen(self, document: OpenDocument, cursor: Position) -> PredictionInputs:
        return self._documents.inputs(
            document,
            cursor,
            self._diagnostics.near(document, cursor),
            self._surroundings.related(document.uri),
            self.settings,
            self._services.ignored.is_visible,
        )

    def _moment(self, document: OpenDocument, cursor: Position) -> Moment:
        return Moment(
            self._session_id,
            document.uri,
            document.version,
            cursor.line,
            cursor.character_utf16,
            self._diagnostics.revision(document.uri),
            least_confidence=min_confidence(self.settings),
        )


def _continues(found: Prediction | Nothing, cursor: Position) -> bool:
    """Whether the prediction begins right at the cursor with new text."""
    return isinstance(found, Prediction) and found.edits[0].range.start == cursor and found.edits[0].text != ""
