"""Rules that keep a prediction from being shown although the model made it, by how eager the user wants it.

What takes back what was just typed, what changes nothing but white space, what the model is not sure of, and what
was just rejected in the same place. Each refusal is a sentence for status. Sentinels and unfinished answers never
get this far (``prediction``). Knows nothing of sessions, clients or the engine.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from capture.editing.document import Anchor, Bias
from capture.editing.positions import Position, index_at_utf16
from capture.metrics.reversal import reversal_ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    from capture.editing.document import Document
    from capture.inputs import PredictionInputs
    from daemon.file_edits import Text
    from daemon.prediction import Prediction, TextEdit
    from daemon.settings import Settings

REJECTIONS_REMEMBERED = 16  # in one document
ROWS_AROUND_EDIT = 8  # an event reaches this far from its edits, as the history groups them
MAX_EDIT_ROWS = 64  # larger edits are not held against the history: comparing them takes long, and typing is smaller


@dataclass(frozen=True, slots=True)
class Gates:
    """What one degree of eagerness lets through.

    ``min_confidence`` is compared with the product of the probabilities of what the model changed;
    ``max_reversal_ratio`` with the share of the edit's characters that take back the newest event. A word just typed
    that another word of its length replaces has 0.5: that is how a slip is corrected.
    """

    min_confidence: float
    max_reversal_ratio: float
    shows_white_space_alone: bool


GATES: Mapping[str, Gates] = {
    "quiet": Gates(min_confidence=0.7, max_reversal_ratio=0.3, shows_white_space_alone=False),
    "normal": Gates(min_confidence=0.25, max_reversal_ratio=0.6, shows_white_space_alone=False),
    "eager": Gates(min_confidence=0.1, max_reversal_ratio=0.9, shows_white_space_alone=True),
}


# Nobody is shown anything less sure, so the engine need not finish it.
LEAST_CONFIDENCE = min(gates.min_confidence for gates in GATES.values())


def min_confidence(settings: Settings) -> float:
    """The limit that holds: the stricter of what the user set and what the eagerness asks for."""
    return max(settings.min_confidence, GATES[settings.eagerness].min_confidence)


def refusal(prediction: Prediction, inputs: PredictionInputs, settings: Settings) -> str:
    """Why the prediction is not to be shown, empty when it may be; ``inputs`` are what it was made from."""
    gates = GATES[settings.eagerness]
    limit = min_confidence(settings)
    if prediction.confidence < limit:
        return (
            f"the model is less sure ({prediction.confidence:.2f}) than eagerness and min_confidence ask for"
            f" ({limit:.2f})"
        )
    edit = prediction.edits[0]
    if not gates.shows_white_space_alone and _is_white_space_alone(prediction.replaced[0], edit):
        return "the predicted edit changes white space alone"
    ratio = _share_that_reverts(edit, inputs)
    if ratio > gates.max_reversal_ratio:
        return f"the predicted edit takes back what was just typed ({ratio:.2f} of it)"
    return ""


def presentable(prediction: Prediction, text: Text, settings: Settings) -> Prediction:
    """The prediction with those of its other parts that may be shown in their turn; ``text`` is what it is about."""
    if GATES[settings.eagerness].shows_white_space_alone:
        return prediction
    rest = (edit for edit in prediction.rest if not _is_white_space_alone(text.text_in(edit.range), edit))
    return replace(prediction, rest=tuple(rest))


class Rejections:
    """The edits of one document that the person rejected, each until the text in its place changes."""

    def __init__(self) -> None:
        self._remembered: deque[_Rejection] = deque(maxlen=REJECTIONS_REMEMBERED)

    def remember(self, prediction: Prediction, document: Document) -> None:
        """``prediction`` was rejected; it must be about the text as it is."""
        self._remembered.append(_Rejection.of(prediction.edits[0], document))

    def hold(self, prediction: Prediction, document: Document) -> bool:
        """Whether the same change of the same place was rejected."""
        edit = prediction.edits[0]
        for rejection in tuple(self._remembered):
            if not rejection.stands(document):
                self._remembered.remove(rejection)
            elif rejection.is_repeated_by(edit, document):
                return True
        return False


@dataclass(frozen=True, slots=True)
class _Rejection:
    """The rows around a rejected edit, and what it would have made of them."""

    first_row: Anchor
    rows: tuple[str, ...]
    wanted: str

    @classmethod
    def of(cls, edit: TextEdit, document: Document) -> _Rejection:
        """One row more on either side: the same change may be said of the row before or after."""
        first = max(0, edit.range.start.line - 1)
        rows = tuple(document.rows(first, edit.range.end.line + 2))
        wanted = _edited(rows, first, edit)
        return cls(document.anchor(Position(first, 0), Bias.RIGHT), rows, wanted)

    def stands(self, document: Document) -> bool:
        row = document.position_at(self.first_row.offset_bytes).line
        return tuple(document.rows(row, row + len(self.rows))) == self.rows

    def is_repeated_by(self, edit: TextEdit, document: Document) -> bool:
        row = document.position_at(self.first_row.offset_bytes).line
        inside = row <= edit.range.start.line and edit.range.end.line < row + len(self.rows)
        return inside and _edited(self.rows, row, edit) == self.wanted


def _is_white_space_alone(replaced: str, edit: TextEdit) -> bool:
    return replaced.split() == edit.text.split()


def _edited(rows: tuple[str, ...], first_row: int, edit: TextEdit) -> str:
    start, end = edit.range.start, edit.range.end
    before, after = rows[: start.line - first_row], rows[end.line - first_row + 1 :]
    first, last = rows[start.line - first_row], rows[end.line - first_row]
    head = first[: index_at_utf16(first, start.character_utf16)]
    return "".join((*before, head, edit.text, last[index_at_utf16(last, end.character_utf16) :], *after))


def _share_that_reverts(edit: TextEdit, inputs: PredictionInputs) -> float:
    """The reversal ratio of the edit, looked at in the rows around it; 0 outside the excerpt and for large edits."""
    lines = inputs.cursor_excerpt.split("\n")
    excerpt_row = inputs.excerpt_start_row or 0
    first, last = edit.range.start.line - excerpt_row, edit.range.end.line - excerpt_row
    text = edit.text.replace("\r\n", "\n").replace("\r", "\n")
    if not 0 <= first <= last < len(lines) or max(last - first, text.count("\n")) > MAX_EDIT_ROWS:
        return 0.0
    start = max(0, first - ROWS_AROUND_EDIT)
    rows = tuple(line + "\n" for line in lines[start : last + ROWS_AROUND_EDIT + 1])
    current = "".join(rows)
    return reversal_ratio(
        current,
        inputs.events,
        _edited(rows, excerpt_row + start, edit).replace("\r\n", "\n").replace("\r", "\n"),
        inputs.cursor_path,
        excerpt_row + start,
    )
