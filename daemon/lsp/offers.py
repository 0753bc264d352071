"""What became of each prediction an editor was given: shown, accepted, rejected or let go.

Few clients tell. So acceptance is also read from the text (it equals what was predicted), and rejection
follows Copilot's rule: what was shown and not accepted is rejected by the next question or by typing
something else. Knows nothing of messages; ``accept`` translates those.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from capture.editing.document import Anchor, Bias
from capture.editing.positions import Range, common_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from capture.editing.document import AppliedEdit
    from daemon.lsp.documents import OpenDocument
    from daemon.prediction import Prediction
    from daemon.status import StatusBoard

REMEMBERED = 200  # ids a late signal may still name


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


class Progress(Enum):
    """Where the text stands relative to an offer."""

    UNTOUCHED = "untouched"
    ON_THE_WAY = "on the way"  # part of the new text is typed and nothing else
    REACHED = "reached"
    DIVERGED = "diverged"


@dataclass(slots=True)
class Offer:
    """One prediction given to the editor, and the anchors around the text it replaces."""

    prediction: Prediction
    surface: str
    start: Anchor
    end: Anchor
    length_outside_bytes: int  # of the text around the edit; it changes when something else is edited
    state: OfferState = OfferState.OFFERED


class Offers:
    """Owns the offers of one session. ``on_accept`` is told of each acceptance once."""

    def __init__(self, session_id: str, status: StatusBoard, on_accept: Callable[[Prediction], None]) -> None:
        self._session_id = session_id
        self._status = status
        self._on_accept = on_accept
        self._by_id: OrderedDict[str, Offer] = OrderedDict()
        self._open: dict[tuple[str, str], Offer] = {}  # (uri, surface) -> the undecided one
        self._editor_tells_shown = False

    def offer(self, prediction: Prediction, document: OpenDocument, surface: str) -> Prediction:
        """Note that ``prediction`` is given to the editor; returns what to give.

        That is the earlier prediction, with its id, when the editor asks again and nothing changed.
        """
        key = (document.uri, surface)
        earlier = self._open.get(key)
        if earlier is not None:
            same = (earlier.prediction.version, earlier.prediction.edits)
            if same == (prediction.version, prediction.edits):
                return earlier.prediction
            self._decide(earlier, self._overtaken(earlier, document))
        where, replaced = prediction.edits[0].range, prediction.replaced[0]
        start = document.text.anchor(where.start, Bias.LEFT)
        end = document.text.anchor(where.end, Bias.RIGHT)
        outside_bytes = document.text.length_bytes - len(replaced.encode())
        offer = Offer(prediction, surface, start, end, outside_bytes)
        self._open[key] = offer
        self._by_id[prediction.id] = offer
        if len(self._by_id) > REMEMBERED:
            _, oldest = self._by_id.popitem(last=False)
            self._decide(oldest, OfferState.IGNORED)
        if not self._editor_tells_shown:
            self._show(offer)
        return prediction

    def asked_again(self, document: OpenDocument, surface: str) -> None:
        """The editor asks about a document again: what was shown of an older text is over."""
        earlier = self._open.get((document.uri, surface))
        if earlier is not None and earlier.prediction.version != document.version:
            self._decide(earlier, self._overtaken(earlier, document))

    def text_changed(self, document: OpenDocument, edits: Sequence[AppliedEdit]) -> None:
        """See whether the text after ``edits`` accepts or refuses what is offered in it."""
        for offer in self._open_in(document.uri):
            progress = _progress(offer, document)
            if progress is Progress.REACHED:
                self._accept(offer)
            elif progress is Progress.DIVERGED or _elsewhere(offer, edits):
                self._decide(offer, self._overtaken(offer, document))

    def closed(self, uri: str) -> None:
        """The document is gone; nothing more will be known."""
        for offer in self._open_in(uri):
            self._decide(offer, OfferState.IGNORED)

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
            self._accept(offer)
        else:
            self._decide(offer, verdict)

    def _open_in(self, uri: str) -> list[Offer]:
        return [offer for (offered_in, _), offer in self._open.items() if offered_in == uri]

    def _show(self, offer: Offer) -> None:
        if offer.state is OfferState.OFFERED:
            offer.state = OfferState.SHOWN
            self._status.count("shown", self._session_id)

    def _accept(self, offer: Offer) -> None:
        self._show(offer)  # what was accepted was seen
        self._decide(offer, OfferState.ACCEPTED)
        self._on_accept(offer.prediction)
        for other in self._open_in(offer.prediction.uri):  # the same text offered through another surface
            self._decide(other, OfferState.IGNORED)

    def _overtaken(self, offer: Offer, document: OpenDocument) -> OfferState:
        seen = offer.state is OfferState.SHOWN
        on_the_way = _progress(offer, document) is Progress.ON_THE_WAY
        return OfferState.REJECTED if seen and not on_the_way else OfferState.IGNORED

    def _decide(self, offer: Offer, state: OfferState) -> None:
        if not offer.state.is_open:
            return
        offer.state = state
        key = (offer.prediction.uri, offer.surface)
        if self._open.get(key) is offer:
            del self._open[key]
        if state is OfferState.ACCEPTED:
            self._status.count("accepted", self._session_id)
        elif state is OfferState.REJECTED:
            self._status.count("rejected", self._session_id)


def _elsewhere(offer: Offer, edits: Sequence[AppliedEdit]) -> bool:
    """Whether the change, if it is in one piece as typing is, was made outside the offered edit."""
    if len(edits) != 1:
        return False
    start_bytes, end_bytes = edits[0].start_bytes, edits[0].start_bytes + edits[0].new_bytes
    return not offer.start.offset_bytes <= start_bytes <= end_bytes <= offer.end.offset_bytes


def _progress(offer: Offer, document: OpenDocument) -> Progress:
    """Compare what now stands where the edit was offered with what was there and with what was predicted."""
    text = document.text
    start_bytes, end_bytes = offer.start.offset_bytes, offer.end.offset_bytes
    replaced, predicted = offer.prediction.replaced[0], offer.prediction.edits[0].text
    if end_bytes < start_bytes or text.length_bytes - (end_bytes - start_bytes) != offer.length_outside_bytes:
        return Progress.DIVERGED
    now = text.text_in(Range(text.position_at(start_bytes), text.position_at(end_bytes)))
    if now == predicted:
        return Progress.REACHED
    if now == replaced:
        return Progress.UNTOUCHED
    typed = common_prefix(now, predicted)
    kept = common_prefix(now[::-1], replaced[::-1])
    return Progress.ON_THE_WAY if typed and typed + kept >= len(now) else Progress.DIVERGED
