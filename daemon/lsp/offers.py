"""What became of each prediction an editor was given: shown, accepted, rejected or let go.

Few clients tell. So acceptance is also read from the text (it equals what was predicted), and rejection
follows Copilot's rule: what was shown and not accepted is rejected by the next question or by typing
something else. What the editor says was rejected is remembered, so that it is not given again in the same place.
Knows nothing of messages; ``accept`` translates those.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from capture.editing.document import Anchor, Bias
from capture.editing.positions import Range
from daemon.prediction import joined
from daemon.reuse import ROWS_KEPT, typed_into
from daemon.suppress import Rejections

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from capture.editing.document import AppliedEdit
    from capture.snapshot.snapshot import Outcome
    from daemon.lsp.documents import OpenDocument
    from daemon.prediction import Prediction, TextEdit
    from daemon.status import StatusBoard

REMEMBERED = 200  # ids a late signal may still name
REJECTED_HERE = "the same edit was rejected here"
ASKED_AGAIN = "the editor asked again"
THE_EDITOR_SAYS = "the editor says so"


class OfferState(Enum):
    """The life of an offer; the last three are final."""

    OFFERED = "offered"
    SHOWN = "shown"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    IGNORED = "ignored"  # never seen, overtaken by its own text being typed, or dismissed without a verdict

    @property
    def is_open(self) -> bool:
        """Whether its fate is still undecided."""
        return self in (OfferState.OFFERED, OfferState.SHOWN)


_OUTCOMES: Mapping[OfferState, Outcome] = {
    OfferState.ACCEPTED: "accepted",
    OfferState.REJECTED: "rejected",
    OfferState.IGNORED: "ignored",
}


class OfferObserver(Protocol):
    """Who remembers what became of predictions; told of each step once, with the prediction's id."""

    def shown(self, prediction_id: str) -> None:
        """The editor drew it, as far as it tells."""

    def decided(self, prediction_id: str, outcome: Outcome, reason: str = "") -> None:
        """What became of it, and how that is known. The rest may be accepted after a part was."""


class Progress(Enum):
    """Where the text stands relative to an offer."""

    UNTOUCHED = "untouched"
    ON_THE_WAY = "on the way"  # part of the new text is typed and nothing else
    PART_REACHED = "part reached"  # the part that the editor asked for is there
    REACHED = "reached"
    DIVERGED = "diverged"


@dataclass(slots=True)
class Offer:
    """One prediction given to the editor, and the anchors around the text it replaces.

    ``prediction`` is its latest form; ``replaced`` and ``predicted`` are the texts of the first, which the anchors
    stand around.
    """

    prediction: Prediction
    document: OpenDocument
    key: tuple[str, str]  # the document that was asked about and the surface
    replaced: str
    predicted: str
    start: Anchor
    end: Anchor
    length_outside_bytes: int  # of the text around the edit; it changes when something else is edited
    state: OfferState = OfferState.OFFERED
    text_with_part: str | None = None  # between the anchors once the editor applied the part that it asked for


class Offers:
    """Owns the offers of one session. ``on_accept`` is told of each acceptance once."""

    def __init__(
        self,
        session_id: str,
        status: StatusBoard,
        on_accept: Callable[[Prediction], None],
        observer: OfferObserver | None = None,
    ) -> None:
        self._session_id = session_id
        self._status = status
        self._on_accept = on_accept
        self._observer = observer
        self._by_id: OrderedDict[str, Offer] = OrderedDict()
        self._open: dict[tuple[str, str], Offer] = {}  # (uri, surface) -> the undecided one
        self._rejections: dict[str, Rejections] = {}  # uri -> what the editor said was rejected there
        self._editor_tells_shown = False

    def offer(
        self, prediction: Prediction, document: OpenDocument, surface: str, *, asked_about: str = ""
    ) -> Prediction:
        """Note that ``prediction``, an edit of ``document``, is given to the editor; returns what to give.

        ``asked_about`` is the uri of the document at the cursor, where that is another.

        That is the earlier prediction, with its id, when the editor asks again and nothing changed. What an earlier
        prediction has become, with the same id, is the same offer.
        """
        key = (asked_about or document.uri, surface)
        earlier = self._open.get(key)
        if earlier is not None:
            same = (earlier.prediction.version, earlier.prediction.edits)
            if same == (prediction.version, prediction.edits):
                return earlier.prediction
            if earlier.prediction.id == prediction.id and _progress(earlier) is not Progress.DIVERGED:
                earlier.prediction = prediction
                return prediction
            self._decide(earlier, self._overtaken(earlier), ASKED_AGAIN)
        whole = joined(prediction.edits, document.text)
        where, replaced = whole.range, document.text.text_in(whole.range)
        offer = Offer(
            prediction,
            document,
            key,
            replaced=replaced,
            predicted=whole.text,
            start=document.text.anchor(where.start, Bias.LEFT),
            end=document.text.anchor(where.end, Bias.RIGHT),
            length_outside_bytes=document.text.length_bytes - len(replaced.encode()),
        )
        self._open[key] = offer
        self._by_id[prediction.id] = offer
        if len(self._by_id) > REMEMBERED:
            _, oldest = self._by_id.popitem(last=False)
            self._decide(oldest, OfferState.IGNORED, "many others were offered since")
        if not self._editor_tells_shown:
            self._show(offer)
        return prediction

    def nothing(self, uri: str, surface: str, version: int | None) -> None:
        """The editor asked about ``version`` (None: any) and got nothing: what it showed before is over.

        Nothing is over while the text that was asked about is not the text any more: another question follows.
        """
        earlier = self._open.get((uri, surface))
        if earlier is None or earlier.prediction.version == earlier.document.version:
            return
        if version in (None, earlier.document.version):
            self._decide(earlier, self._overtaken(earlier), ASKED_AGAIN)

    def was_rejected(self, prediction: Prediction, document: OpenDocument) -> bool:
        """Whether the person rejected the same edit, and the text in its place is still the same."""
        rejections = self._rejections.get(document.uri)
        return rejections is not None and rejections.hold(prediction, document.text)

    def text_changed(self, document: OpenDocument, edits: Sequence[AppliedEdit]) -> None:
        """See whether the text after ``edits`` accepts or refuses what is offered in it."""
        for offer in self._open_in(document.uri):
            if len(edits) == 1 and _is_far_from(offer, edits[0]):
                offer.length_outside_bytes += edits[0].new_bytes - edits[0].old_bytes
                continue
            progress = _progress(offer)
            if progress is Progress.REACHED:
                self._accept(offer, "the text became what was predicted")
            elif progress is Progress.PART_REACHED:
                offer.text_with_part = None
                self.told_partial(offer.prediction.id)
            elif progress is Progress.DIVERGED or _elsewhere(offer, edits):
                self._decide(offer, self._overtaken(offer), "something else was typed")

    def closed(self, uri: str) -> None:
        """The document is gone; nothing more will be known."""
        for offer in self._open_in(uri):
            self._decide(offer, OfferState.IGNORED, "the document was closed")
        self._rejections.pop(uri, None)

    def told_shown(self, prediction_id: str) -> None:
        """The editor says it drew this one. From now on only what it says so of counts as shown."""
        self._editor_tells_shown = True
        offer = self._by_id.get(prediction_id)
        if offer is not None:
            self._show(offer)

    def told(self, prediction_id: str, verdict: OfferState) -> None:
        """The editor says what became of this one; unknown and decided ids are let pass."""
        offer = self._by_id.get(prediction_id)
        if offer is None or not offer.state.is_open:
            return
        if verdict is OfferState.ACCEPTED:
            self._accept(offer, THE_EDITOR_SAYS)
            return
        if verdict is OfferState.REJECTED and offer.prediction.version == offer.document.version:
            rejections = self._rejections.setdefault(offer.prediction.uri, Rejections())
            rejections.remember(offer.prediction, offer.document.text)
        self._decide(offer, verdict, THE_EDITOR_SAYS)

    def on_screen(self, prediction_id: str) -> Prediction | None:
        """The prediction, in its latest form, while it is undecided."""
        offer = self._by_id.get(prediction_id)
        return offer.prediction if offer is not None and offer.state.is_open else None

    def expect_part(self, prediction_id: str, part: TextEdit) -> None:
        """The editor is about to apply ``part`` of this one, which is about the text as it is."""
        offer = self._by_id[prediction_id]
        text = offer.document.text
        start, end = (text.position_at(anchor.offset_bytes) for anchor in (offer.start, offer.end))
        before, behind = Range(start, part.range.start), Range(part.range.end, end)
        offer.text_with_part = text.text_in(before) + part.text + text.text_in(behind)

    def told_partial(self, prediction_id: str) -> None:
        """The editor says that a part of this one was accepted; what becomes of the rest is still open."""
        offer = self._by_id.get(prediction_id)
        if offer is not None and offer.state.is_open:
            self._show(offer)
            if self._observer is not None:
                self._observer.decided(prediction_id, "partially_accepted", THE_EDITOR_SAYS)

    def _open_in(self, uri: str) -> list[Offer]:
        return [offer for offer in self._open.values() if offer.prediction.uri == uri]

    def _show(self, offer: Offer) -> None:
        if offer.state is OfferState.OFFERED:
            offer.state = OfferState.SHOWN
            self._status.count("shown", self._session_id)
            if self._observer is not None:
                self._observer.shown(offer.prediction.id)

    def _accept(self, offer: Offer, reason: str) -> None:
        self._show(offer)  # what was accepted was seen
        self._decide(offer, OfferState.ACCEPTED, reason)
        self._on_accept(offer.prediction)
        for other in self._open_in(offer.prediction.uri):  # the same text offered through another surface
            self._decide(other, OfferState.IGNORED, "it was accepted another way")

    def _overtaken(self, offer: Offer) -> OfferState:
        seen = offer.state is OfferState.SHOWN
        on_the_way = _progress(offer) is Progress.ON_THE_WAY
        return OfferState.REJECTED if seen and not on_the_way else OfferState.IGNORED

    def _decide(self, offer: Offer, state: OfferState, reason: str) -> None:
        if not offer.state.is_open:
            return
        offer.state = state
        if self._open.get(offer.key) is offer:
            del self._open[offer.key]
        if state is OfferState.ACCEPTED:
            self._status.count("accepted", self._session_id)
        elif state is OfferState.REJECTED:
            self._status.count("rejected", self._session_id)
        if self._observer is not None:
            self._observer.decided(offer.prediction.id, _OUTCOMES[state], reason)


def _elsewhere(offer: Offer, edits: Sequence[AppliedEdit]) -> bool:
    """Whether the change, if it is in one piece as typing is, was made outside the offered edit."""
    if len(edits) != 1:
        return False
    start_bytes, end_bytes = edits[0].start_bytes, edits[0].start_bytes + edits[0].new_bytes
    return not offer.start.offset_bytes <= start_bytes <= end_bytes <= offer.end.offset_bytes


def _is_far_from(offer: Offer, edit: AppliedEdit) -> bool:
    """Whether the change left the offered edit alone, and the rows around it that it was made from."""
    text = offer.document.text
    first, last = (text.position_at(anchor.offset_bytes).line for anchor in (offer.start, offer.end))
    return edit.new_end_row + ROWS_KEPT <= first or edit.start_row > last + ROWS_KEPT


def _progress(offer: Offer) -> Progress:
    """Compare what now stands where the edit was offered with what was there and with what was predicted."""
    text = offer.document.text
    start_bytes, end_bytes = offer.start.offset_bytes, offer.end.offset_bytes
    if end_bytes < start_bytes or text.length_bytes - (end_bytes - start_bytes) != offer.length_outside_bytes:
        return Progress.DIVERGED
    now = text.text_in(Range(text.position_at(start_bytes), text.position_at(end_bytes)))
    if now == offer.predicted:
        return Progress.REACHED
    if now == offer.text_with_part:
        return Progress.PART_REACHED
    if now == offer.replaced:
        return Progress.UNTOUCHED
    return Progress.DIVERGED if typed_into(now, offer.replaced, offer.predicted) is None else Progress.ON_THE_WAY
