"""What the engine works on between two keys: the text as it likely is after the next one.

Two guesses. Once a question is answered, the next key, as the text itself foretells it (``capture.editing.next_key``):
it is right more often than not, and its answer then waits for the question. Once the person had time to read what is
shown, the text with that accepted. Both are for an idle engine only, and the scheduler drops them for any question.
The answer to a guess is given only where the guessed inputs are exactly those of the text that came about. Knows
nothing of messages or of how predictions are judged.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from capture.editing.next_key import next_change
from capture.editing.positions import ContentChange
from capture.editing.state import inputs_after
from daemon.lsp.past_answers import accepted, cursor_behind
from daemon.prediction import Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from capture.editing.positions import Position
    from capture.inputs import PredictionInputs
    from daemon.file_edits import Text
    from daemon.lsp.documents import Documents, OpenDocument
    from daemon.lsp.past_answers import PastAnswers
    from daemon.next_places import Place
    from daemon.prediction import Prediction
    from daemon.scheduler import Answered, Moment, Scheduler
    from daemon.settings import Settings

DRAWING_SECONDS = 0.005  # the answer is on its way out and the editor draws it: both need a core first
# The first is done by then. A third of the jumps in bench/sessions are followed by an erasure.
SECOND_GUESS_SECONDS = 0.12
READING_SECONDS = 0.25  # nobody accepts what was not read; who types on has pressed the next key by then
# Per answer. A slower model would not be done before the next key and be busy all the time.
MOST_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class _Guess:
    """The engine was asked ``moment``: ``inputs``, with the cursor at ``cursor`` behind the guessed key."""

    moment: Moment
    inputs: PredictionInputs
    cursor: Position


class WorkAhead:
    """Owns one session's guesses.

    ``ask`` makes the moment of a document and cursor, ``see`` its inputs; ``settings`` say what is guessed and how long
    a guess may take; ``elsewhere`` says where else in a document to ask when an answer about a text of it, with the
    cursor at that position, is no edit.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        documents: Documents,
        ask: Callable[[OpenDocument, Position], Moment],
        see: Callable[[OpenDocument, Position], PredictionInputs],
        settings: Callable[[], Settings],
        elsewhere: Callable[[Answered, OpenDocument, Text, Position], list[Place]],
        reading_seconds: float = READING_SECONDS,
    ) -> None:
        self._scheduler = scheduler
        self._documents = documents
        self._ask = ask
        self._see = see
        self._settings = settings
        self._elsewhere = elsewhere
        self._reading_seconds = reading_seconds
        self._timers: list[asyncio.TimerHandle] = []
        self._guesses: list[_Guess] = []  # about the text as it is
        self._changed_at: tuple[str, Position | None] | None = None  # document and place where the last change ended
        self._has_erased = False  # that change took away the character behind this place

    def stop(self) -> None:
        """Begin nothing more."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def after_answer(self, document: OpenDocument, cursor: Position, answer_seconds: float) -> None:
        """A question about the text as it is was answered; the engine needed ``answer_seconds`` for the last answer."""
        self.stop()
        self._guesses.clear()
        if answer_seconds > MOST_SECONDS or self._settings().work_ahead != "keys":
            return
        version, has_jumped = document.version, (document.uri, cursor) != self._changed_at
        erases = self._has_erased and not has_jumped
        self._later(DRAWING_SECONDS, lambda: self._guess_key(document, version, cursor, erases=erases))
        if has_jumped:
            self._later(SECOND_GUESS_SECONDS, lambda: self._guess_key(document, version, cursor, erases=True))

    def after_showing(self, document: OpenDocument, past: PastAnswers, prediction: Prediction) -> None:
        """The editor has ``prediction``, which is about the text as it is."""
        if self._settings().work_ahead != "off":
            self._later(self._reading_seconds, lambda: self._guess_acceptance(document, past, prediction))

    def text_changed(self, document: OpenDocument, cursor: Position | None, *, erased: bool) -> Moment | None:
        """The moment that was guessed, if the text and ``cursor`` are what was guessed and its answer is known soon."""
        self.stop()
        self._changed_at, self._has_erased = (document.uri, cursor), erased
        guesses, self._guesses = self._guesses, []
        for guess in guesses:
            if cursor != guess.cursor or guess.moment.uri != document.uri or not self._scheduler.knows(guess.moment):
                continue
            if self._see(document, cursor) == guess.inputs:
                return guess.moment
        return None

    def _later(self, seconds: float, work: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, work))

    def _is_current(self, document: OpenDocument, version: int) -> bool:
        return self._documents.find(document.uri) is document and document.version == version

    def _guess_key(self, document: OpenDocument, version: int, cursor: Position, *, erases: bool) -> None:
        if not self._is_current(document, version):
            return
        change = next_change(document.text, cursor, erased=erases)
        if change is None:
            return
        with self._documents.supposing(document, change) as behind:
            if behind is None:
                return
            # By the change, for two of them may end in the same place.
            inputs, moment = self._see(document, behind), replace(self._ask(document, behind), assumed=repr(change))
        self._guesses.append(_Guess(moment, inputs, behind))
        self._speculate(moment, lambda: inputs)

    def _guess_acceptance(self, document: OpenDocument, past: PastAnswers, prediction: Prediction) -> None:
        """Nothing where the answer itself goes on elsewhere."""
        if not self._is_current(document, prediction.version):
            return
        if prediction.rest or prediction.source is Source.MOVED:
            return
        ahead = past.ahead_of(prediction)
        if ahead is not None and self._scheduler.knows(ahead):
            return
        cursor = cursor_behind(prediction)
        moment = replace(self._ask(document, cursor), assumed=prediction.id)
        past.look_ahead(prediction, moment, document.text, cursor)
        make_inputs = self._inputs_accepted(document, past, cursor)
        self._speculate(moment, make_inputs, lambda answered: self._guess_place(document, past, prediction, answered))

    def _guess_place(self, document: OpenDocument, past: PastAnswers, prediction: Prediction, near: Answered) -> None:
        """Nothing is to be done where ``prediction`` is accepted: ask at the likeliest place of the same document."""
        if not self._is_current(document, prediction.version):
            return
        edit = prediction.edits[0]
        with self._documents.supposing(document, ContentChange(edit.range, edit.text), predicted=True) as behind:
            if behind is None:
                return
            places = self._elsewhere(near, document, document.text, behind)
            place = next((place.cursor for place in places if place.uri == document.uri), None)
            if place is None:
                return
            inputs = self._see(document, place)
            moment = replace(self._ask(document, place), assumed=prediction.id)
        past.look_elsewhere(prediction, moment, place)
        self._speculate(moment, lambda: inputs)

    def _speculate(
        self,
        moment: Moment,
        make_inputs: Callable[[], PredictionInputs],
        then: Callable[[Answered], None] | None = None,
    ) -> None:
        deadline_seconds = self._settings().deadline_ms / 1000
        self._scheduler.speculate(moment, make_inputs, deadline_seconds=deadline_seconds, then=then)

    def _inputs_accepted(
        self, document: OpenDocument, past: PastAnswers, cursor: Position
    ) -> Callable[[], PredictionInputs]:
        """The inputs for the text as accepting what is held now makes it, with the cursor at ``cursor`` in it."""

        def make() -> PredictionInputs:
            held = past.known(document.text)
            if held is None or past.ahead_of(held) is None:  # it was accepted before the engine had time
                return self._see(document, cursor)
            after, edit = accepted(held, document.text)
            before = self._see(document, held.edits[0].range.start)
            return inputs_after(before, edit, after, cursor, language_id=document.language_id)

        return make
