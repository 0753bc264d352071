"""What earlier questions about one document left behind, and which of it answers the next question.

Three things: the latest prediction, carried along with the text (``reuse``); work on a moment ago whose answer may
still fit; and work on the text as it would be after the person accepts what is shown. Owns no task and asks nobody:
``predicting`` does. Knows nothing of messages or of why a prediction may not be shown.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from capture.editing.positions import Position, split_rows, utf16_length
from daemon.prediction import Source
from daemon.reuse import FrozenText, after_part, carried, may_still_hold, repeats_typing

if TYPE_CHECKING:
    from capture.editing.document import AppliedEdit, Document
    from daemon.parts import Parted
    from daemon.prediction import Prediction
    from daemon.scheduler import Moment

# A prediction about rows that nobody touched is shown again this many changes after the model made it: at ten keys a
# second less than a second later. Typing into a prediction has no such limit.
MAX_CHANGES_ELSEWHERE = 8
QUESTIONS_REMEMBERED = 4  # the engine works on one at a time; the others are the last to have been answered


@dataclass(frozen=True, slots=True)
class _Question:
    """The text that was asked about, the cursor (None: anywhere) and how often the text had changed by then."""

    text: FrozenText
    cursor: Position | None
    changes: int


@dataclass(frozen=True, slots=True)
class _Held:
    """A prediction for the text of ``question``; the changes are counted where the model was asked."""

    prediction: Prediction
    question: _Question


@dataclass(slots=True)
class _Ahead:
    """Work on the text as accepting a prediction would make it; ``cursor`` is behind the accepted text."""

    moment: Moment
    prediction_id: str
    text: FrozenText
    cursor: Position
    first_row: int
    elsewhere: dict[Position, Moment] = field(default_factory=dict)  # what was asked with the cursor at other places
    version: int | None = None  # of the document, while it has this text
    is_away: bool = False  # something else was typed, which may be taken back


@dataclass(frozen=True, slots=True)
class _ExpectedPart:
    """``then`` becomes ``after`` when the part is applied."""

    prediction: Prediction
    parted: Parted
    then: FrozenText
    after: FrozenText


class PastAnswers:
    """Owns what is known of one document."""

    def __init__(self) -> None:
        self._changes = 0
        self._questions: OrderedDict[Moment, _Question] = OrderedDict()
        self._first: _Held | None = None  # as the model made it: typing may be taken back
        self._held: _Held | None = None
        self._under_way: Moment | None = None
        self._ahead: _Ahead | None = None
        self._foreseen: tuple[Moment, int, Position] | None = None
        self._expected: _ExpectedPart | None = None

    def asks(self, moment: Moment, document: Document, cursor: Position) -> None:
        """The engine is asked about ``moment``; the document is as it will be answered about."""
        self._remember(moment, _Question(FrozenText.of(document), cursor, self._changes))

    def hold(self, prediction: Prediction, moment: Moment, document: Document, cursor: Position) -> Prediction:
        """The engine's prediction for the text as it is; returns it, with its earlier id where it is known already."""
        known = self.known(document)
        if known is not None and known.edits == prediction.edits:
            prediction = replace(prediction, id=known.id)
        asked = self._questions.get(moment)
        text = FrozenText.of(document) if asked is None or asked.text.version != document.version else asked.text
        self._first = self._held = _Held(prediction, _Question(text, cursor, self._changes))
        return prediction

    def hold_late(self, prediction: Prediction, moment: Moment, document: Document) -> Prediction | None:
        """What the engine's prediction for the text of ``moment`` has become by now, None when nothing."""
        question = self._questions[moment]
        self._first = _Held(prediction, question)
        self._held = self._carried(self._first, FrozenText.of(document))
        if self._held is None:
            return None
        typed_on = self._held.question.cursor is None  # something changed near the cursor of then
        if typed_on and question.cursor is not None and repeats_typing(prediction, question.text, question.cursor):
            self._first = self._held = None
            return None
        return replace(self._held.prediction, counters=prediction.counters, seconds=prediction.seconds)

    def text_changed(self, document: Document, under_way: Moment | None) -> tuple[Moment, ...]:
        """Follow the text; ``under_way`` is what the engine works on. Returns the moments still worth its work."""
        self._changes += 1
        self._foreseen = None
        now = FrozenText.of(document)
        expected, self._expected = self._expected, None
        if expected is not None and now.all_rows == expected.after.all_rows:
            self._hold_rest(expected, now)
        else:
            self._held = self._carried(self._held, now) or self._carried(self._first, now)
        self._follow_ahead(now)
        if under_way is not None and under_way in self._questions:
            self._under_way = under_way
        question = None if self._under_way is None else self._questions.get(self._under_way)
        if (
            question is None
            or question.cursor is None
            or question.text.version == now.version  # a client that counts so: the moments could not be told apart
            or not may_still_hold(question.text, now, question.cursor)
        ):
            self._under_way = None
        ahead = None if self._ahead is None or self._ahead.is_away else self._ahead.moment
        return tuple(moment for moment in (self._under_way, ahead) if moment is not None)

    def known(self, document: Document) -> Prediction | None:
        """The prediction for the text as it is, if there is one."""
        return self._held.prediction if self._is_current(document) and self._held is not None else None

    def reusable(self, document: Document, cursor: Position) -> Prediction | None:
        """What answers a question without asking the engine: the text changed and an earlier prediction did not end.

        The engine's own predictions for this very text are not meant: the scheduler has them.
        """
        held = self._held
        if held is None or not self._is_current(document) or held.prediction.source in (Source.MODEL, Source.AHEAD):
            return None
        if held.question.cursor is None and held.prediction.source is Source.REST:
            held = self._held = replace(held, question=replace(held.question, cursor=cursor))
        return held.prediction if held.question.cursor == cursor else None

    def covers_next_question(self, document: Document) -> bool:
        """Whether the next question is likely answered without the engine; it comes where the text was changed."""
        if self._held is None or not self._is_current(document):
            return False
        return self._held.prediction.source in (Source.TYPED_INTO, Source.UNCHANGED, Source.REST)

    def text_of(self, moment: Moment) -> FrozenText | None:
        """The text that ``moment`` was about, None when that is forgotten."""
        question = self._questions.get(moment)
        return None if question is None else question.text

    def take_late(self) -> Moment | None:
        """A moment ago whose answer may fit the text of now, if work on it was not given up; asked once."""
        late, self._under_way = self._under_way, None
        return late

    def expect_part(self, prediction: Prediction, parted: Parted, document: Document) -> None:
        """A part of ``prediction``, which is about the text as it is, is about to be applied."""
        then = FrozenText.of(document)
        after, _ = then.edited(parted.part, document.offset_bytes(parted.part.range.start))
        self._expected = _ExpectedPart(prediction, parted, then, after)

    def look_ahead(self, prediction: Prediction, moment: Moment, document: Document, cursor: Position) -> None:
        """Take ``prediction``, made for the text as it is, as accepted; ``moment`` is to be asked for that text."""
        after, _ = accepted(prediction, document)
        self._ahead = _Ahead(moment, prediction.id, after, cursor, prediction.edits[0].range.start.line)

    def look_elsewhere(self, prediction: Prediction, moment: Moment, place: Position) -> None:
        """``moment`` is to be asked, too, for the text with ``prediction`` accepted, with the cursor at ``place``."""
        if self._ahead is not None and self._ahead.prediction_id == prediction.id:
            self._ahead.elsewhere[place] = moment

    def foresee(self, moment: Moment, document: Document, cursor: Position) -> None:
        """The text and ``cursor`` as they are now were asked about as ``moment`` before they came about."""
        self._foreseen = moment, document.version, cursor
        self.asks(moment, document, cursor)

    def ahead_of(self, prediction: Prediction) -> Moment | None:
        """What was asked for the text with ``prediction``, or what it was before, accepted; None if nothing was."""
        return self._ahead.moment if self._ahead is not None and self._ahead.prediction_id == prediction.id else None

    def ahead_for(self, version: int, cursor: Position) -> Moment | None:
        """The moment to ask for, if ``version`` is the text looked ahead to and the cursor is in what is new."""
        if self._foreseen is not None and self._foreseen[1:] == (version, cursor):
            return self._foreseen[0]
        ahead = self._ahead
        if ahead is None or version != ahead.version:
            return None
        if cursor in ahead.elsewhere:
            return ahead.elsewhere[cursor]
        if not ahead.first_row <= cursor.line <= ahead.cursor.line:
            return None
        return ahead.moment

    def _hold_rest(self, expected: _ExpectedPart, now: FrozenText) -> None:
        rest = after_part(expected.prediction, expected.parted, expected.then, now)
        self._first = None  # who undoes what was accepted does not want it again
        self._held = None if rest is None else _Held(rest, _Question(now, None, self._changes))

    def _follow_ahead(self, now: FrozenText) -> None:
        ahead = self._ahead
        if ahead is None:
            return
        ahead.version, ahead.is_away = None, False
        if now.all_rows == ahead.text.all_rows:
            ahead.version = now.version
            self._remember(ahead.moment, _Question(now, ahead.cursor, self._changes))
        elif self._held is not None and self._held.prediction.id == ahead.prediction_id:
            if self._held.prediction.source not in (Source.TYPED_INTO, Source.UNCHANGED):
                self._ahead = None
        elif self._first is not None and self._first.prediction.id == ahead.prediction_id:
            ahead.is_away = True
        else:
            self._ahead = None

    def _carried(self, held: _Held | None, now: FrozenText) -> _Held | None:
        if held is None:
            return None
        question = held.question
        found = carried(held.prediction, question.text, now, question.cursor)
        if found is None:
            return None
        if found.prediction is None or found.prediction.source is Source.REST:
            self._first = None  # who undoes what was accepted does not want it again
        if found.prediction is None:
            return None
        age_changes = self._changes - question.changes
        if found.prediction.source is Source.MOVED and age_changes > MAX_CHANGES_ELSEWHERE:
            return None
        return _Held(found.prediction, _Question(now, found.cursor, question.changes))

    def _is_current(self, document: Document) -> bool:
        return self._held is not None and self._held.prediction.version == document.version

    def _remember(self, moment: Moment, question: _Question) -> None:
        self._questions[moment] = question
        self._questions.move_to_end(moment)
        if len(self._questions) > QUESTIONS_REMEMBERED:
            self._questions.popitem(last=False)


def accepted(prediction: Prediction, document: Document) -> tuple[FrozenText, AppliedEdit]:
    """The document's text with ``prediction`` accepted, and what that does to it; the document stays."""
    edit = prediction.edits[0]
    return FrozenText.of(document).edited(edit, document.offset_bytes(edit.range.start))


def cursor_behind(prediction: Prediction) -> Position:
    """Where the cursor most likely is after the prediction was accepted: behind the new text."""
    edit = prediction.edits[0]
    *above, last = split_rows(edit.text)
    if above:
        return Position(edit.range.start.line + len(above), utf16_length(last))
    return Position(edit.range.start.line, edit.range.start.character_utf16 + utf16_length(last))
