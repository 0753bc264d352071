"""Who wrote a prediction stays known whatever becomes of it; and the setting decides whether anybody is asked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from capture.editing.document import Document
from capture.editing.positions import ContentChange, Position, Range
from capture.editing.state import EditingState
from daemon.engine.messages import EngineAnswer, Origin
from daemon.model_engine import ModelEngine
from daemon.prediction import Prediction, Source, to_prediction
from daemon.reuse import FrozenText, carried
from daemon.settings import Settings, parse_settings

URI = "file:///sums.py"
TEXT = "count = 0\nprint(count)\n\n\n\n\n\n\nreturn count\n\n\n"


def by_the_rule() -> tuple[Document, Prediction]:
    """``count`` becomes ``amount`` in two places far from each other."""
    state = EditingState(lambda: 0.0)
    document = state.open(URI, TEXT, path="sums.py", version=1)
    inputs = state.inputs(URI, Position(0, 0))
    answer = EngineAnswer(
        1, 0, len(inputs.excerpt_bytes), TEXT.replace("count", "amount"), confidence=0.4, origin=Origin.RULE
    )
    found = to_prediction(inputs, answer, URI, document, min_confidence=0.0)
    assert isinstance(found, Prediction)
    return document, found


@pytest.mark.parametrize(
    ("typed", "elsewhere", "source"),
    [
        (None, "", Source.UNCHANGED),
        (2, "", Source.TYPED_INTO),
        (None, "x = 1\n", Source.MOVED),
        (1000, "", Source.REST),
    ],
)
def test_what_a_prediction_becomes_is_still_of_its_author(typed, elsewhere, source):
    """So many characters of it were typed where it is predicted, or something was typed at the end of the file."""
    document, prediction = by_the_rule()
    assert (prediction.origin, len(prediction.rest)) == (Origin.RULE, 1)
    then, edit, end = FrozenText.of(document), prediction.edits[0], Position(10, 0)
    changes = [ContentChange(Range(end, end), elsewhere)]
    changes += [] if typed is None else [ContentChange(edit.range, edit.text[:typed])]
    document.change(None, changes)
    became = carried(prediction, then, FrozenText.of(document), None)
    assert became is not None
    assert became.prediction is not None
    assert (became.prediction.source, became.prediction.origin) == (source, Origin.RULE)


@pytest.mark.parametrize(("text", "ranks"), [("", True), ("ranking = false\n", False)])
def test_the_setting_is_what_the_engine_is_told(text, ranks):
    told = []
    ModelEngine(parse_settings(text), told.append)
    assert [settings.ranking for settings in told] == [ranks]


async def test_a_change_of_the_setting_is_a_change_of_the_engine():
    class Engine:
        tokens_evaluated = 0

        async def close(self):
            pass

    told = []
    engine = ModelEngine(Settings(), lambda settings: told.append(settings) or Engine())
    engine.follow(replace(Settings(), eagerness="eager"))
    engine.follow(replace(Settings(), ranking=False))
    await engine.close()
    assert [settings.ranking for settings in told] == [True, False]
