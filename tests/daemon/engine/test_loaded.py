"""What a loaded model remembers from one keystroke to the next: the answer it gave, as the next one's first draft."""

from __future__ import annotations

import pytest

from capture.editing.excerpt import excerpt_ranges
from capture.inputs import PredictionInputs, Span
from daemon.engine.abort import AbortFlag
from daemon.engine.decoder import Decoded, Decoder
from daemon.engine.loaded import LoadedModel
from daemon.engine.messages import Counters, ModelSettings, SampleRequest, StopReason
from daemon.prompts.raw_prompt import RawPrompt
from daemon.prompts.registry import FORMATS, choose_format
from daemon.registry import EMBEDDED_PATH

TEXT = "total = 0\nfor item in items:\n    count = count + item\nprint(count)\n"
EDIT = [70, 71, 72, 73]


def moment(path="a.py"):
    nodes = (Span(0, len(TEXT)),)
    return PredictionInputs(path, TEXT, 9, excerpt_ranges(TEXT, 9, nodes), syntax_ranges=nodes)


class Keystrokes:
    """A loaded model whose answers are given; says what it drafted first."""

    def __init__(self, loaded, monkeypatch):
        self._loaded = loaded
        self._tokens = []
        self.request = None
        monkeypatch.setattr(Decoder, "decode", self._decode)

    def _decode(self, request):
        self.request = request
        return Decoded(b"", StopReason.UNSURE, Counters(), -1.0, self._tokens)

    def first_draft(self, *, answered, path="a.py"):
        """The first draft of a keystroke that is answered with these tokens."""
        self._tokens = answered
        self._loaded.predict(1, moment(path), 60)
        return list(self.request.drafts[0])


@pytest.fixture
def type_in(tiny_model, llama_log, monkeypatch):
    """``type_in(format_name)``: keystrokes in files that a model of that format is asked about."""

    def load(name):
        settings = ModelSettings(str(tiny_model), threads=1)
        loaded = LoadedModel.load(settings, lambda *_: FORMATS[name], llama_log, AbortFlag.create())
        return Keystrokes(loaded, monkeypatch)

    return load


@pytest.mark.parametrize("name", ["line_edits", "sweep"])
def test_an_edit_is_the_next_first_draft_less_the_token_that_ended_it(type_in, name):
    keys = type_in(name)

    assert keys.first_draft(answered=EDIT) == []
    assert keys.first_draft(answered=[80]) == EDIT[:-1]
    assert keys.first_draft(answered=EDIT) == []


def test_an_answer_to_another_file_is_no_draft(type_in):
    keys = type_in("line_edits")
    keys.first_draft(answered=EDIT)

    assert keys.first_draft(answered=EDIT, path="b.py") == []
    assert keys.first_draft(answered=EDIT, path="b.py") == EDIT[:-1]


def test_an_answer_given_up_before_it_began_leaves_the_one_before(type_in):
    keys = type_in("line_edits")
    keys.first_draft(answered=EDIT)
    keys.first_draft(answered=[])

    assert keys.first_draft(answered=[]) == EDIT[:-1]


def test_a_copy_of_the_region_is_no_draft_because_the_region_may_have_changed_since(type_in):
    keys = type_in("sweep")
    keys.first_draft(answered=[])
    copy = list(keys.request.unchanged.tokens)
    keys.first_draft(answered=copy)
    assert keys.first_draft(answered=[*copy[:5], 80]) == []  # given up where it began to differ
    assert keys.first_draft(answered=[*copy[:5], 80, 81]) == []
    assert keys.first_draft(answered=EDIT) == [*copy[:5], 80]


@pytest.fixture
def student(llama_log):
    """The embedded student, in this process."""
    return LoadedModel.load(ModelSettings(str(EMBEDDED_PATH), threads=1), choose_format, llama_log, AbortFlag.create())


def test_a_rendered_prompt_is_answered_token_for_token_as_the_prediction_of_its_moment(student):
    inputs = moment()
    prompt = FORMATS["line_edits"].render(inputs, student.count_tokens)
    (plain,) = student.sample(1, inputs, SampleRequest(count=1, temperature=0, seed=0), 60).samples
    completion = student.complete(2, RawPrompt(prompt.text, prompt.stop, prompt.max_answer_tokens), 60)
    assert (completion.text, completion.stop) == (plain.text, plain.stop)
    assert completion.counters.answer_tokens == plain.answer_tokens


def rendered_by_zed():
    return FORMATS["zeta2"].render(moment(), len)


@pytest.fixture
def completed(tiny_model, llama_log, monkeypatch):
    """``completed(answer, stop)``: what comes of an answer to Zed's prompt, and what was asked of the decoder."""
    settings = ModelSettings(str(tiny_model), threads=1)
    loaded = LoadedModel.load(settings, lambda *_: FORMATS["zeta2"], llama_log, AbortFlag.create())
    requests = []

    def complete(answer, stop, text=None):
        def decode(_, request):
            requests.append(request)
            return Decoded(answer.encode(), stop, Counters(), -1.0, [])

        monkeypatch.setattr(Decoder, "decode", decode)
        prompt = RawPrompt(rendered_by_zed().text if text is None else text, (), 64)
        return loaded.complete(1, prompt, 60).text, requests[-1]

    return complete


@pytest.mark.parametrize("stop", [StopReason.STOP_MARKER, StopReason.END_OF_SEQUENCE, StopReason.REJOINED])
def test_an_answer_that_ended_is_given_as_it_is(completed, stop):
    text, request = completed("total = 1\n", stop)
    assert text == "total = 1\n"
    assert request.unchanged.text.decode() == rendered_by_zed().region_text
    assert b">>>>>>> UPDATED" in request.stop


@pytest.mark.parametrize("stop", [StopReason.ANSWER_BUDGET, StopReason.CONTEXT_FULL, StopReason.DEADLINE])
def test_an_answer_without_an_end_never_deletes_the_rest_of_a_region(completed, stop):
    text, _ = completed("total = 1\nfor", stop)
    assert text == rendered_by_zed().region_text


def test_what_is_inserted_is_given_as_far_as_it_came(completed):
    text, request = completed("count = count", StopReason.ANSWER_BUDGET, "<fim_prefix>a<fim_suffix>b<fim_middle>")
    assert text == "count = count"
    assert request.unchanged is None
