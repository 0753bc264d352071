"""Whatever a model answers, no text is lost to it and no control text reaches the buffer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.inputs import ExcerptRanges, PredictionInputs, Span
from daemon.prompts.base import NewRegion, NoEdit, NoEditReason, Prompt
from daemon.prompts.sweep import Sweep
from daemon.prompts.zed.merge_markers import ZETA2
from daemon.prompts.zed.numbered_blocks import ZETA2_1

FORMATS = [ZETA2, ZETA2_1, Sweep()]
each_format = pytest.mark.parametrize("prompt_format", FORMATS, ids=lambda item: item.name)

TEXT = "def total(items):\n    count = 0\n\n    return count\n\nprint(total([]))"
KEPT_OUT = ("NO_EDITS", "KEEP_PREVIOUS", "<|user_cursor|>", "<|marker", "<[", "<|file_sep|>", "<|endoftext|>")
KEPT_OUT_LINES = {">>>>>>> UPDATED", "<<<<<<< CURRENT"}

LINES = st.lists(
    st.text(alphabet="ab é𝔘\t\r(}\x0b\x1c\u2028", max_size=6) | st.sampled_from(["", "}", "    return", "=" * 6]),
    min_size=1,
    max_size=40,
)
FRAGMENTS = st.sampled_from(
    [
        "<|marker_1|>",
        "<|marker_2|>",
        "<|marker_02|>",
        "<|marker_99999999999999999999999|>",
        "<|marker_x|>",
        "<|user_cursor|>",
        ">>>>>>> UPDATED\n",
        "<<<<<<< CURRENT\n",
        "=======\n",
        "<[end▁of▁sentence]>",
        "<[fim-middle]>",
        "<|file_sep|>",
        "<|endoftext|>",
        "</s>",
        "NO_EDITS",
        "KEEP_PREVIOUS",
        "\n",
        "print(1)\n",
        "\ud800",
        TEXT,
    ]
)
ANSWERS = st.text(max_size=30) | st.lists(FRAGMENTS | st.text(max_size=4), max_size=8).map("".join)


def inputs_of(text: str, cursor_bytes: int = 0) -> PredictionInputs:
    whole = Span(0, len(text.encode()))
    ranges = ExcerptRanges({"editable_350": whole, "editable_350_context_150": whole})
    return PredictionInputs("src/a.py", text, cursor_bytes, ranges)


def rendered(prompt_format, text: str) -> tuple[PredictionInputs, Prompt]:
    inputs = inputs_of(text)
    prompt = prompt_format.render(inputs, len)
    assert isinstance(prompt, Prompt)
    return inputs, prompt


@each_format
@settings(max_examples=300, deadline=None)
@given(answer=ANSWERS)
def test_no_answer_raises_or_brings_control_text_into_the_buffer(prompt_format, answer):
    inputs, prompt = rendered(prompt_format, TEXT)
    parsed = prompt_format.parse(inputs, prompt, answer, finished=True)
    if isinstance(parsed, NewRegion):
        assert parsed.text != prompt.region_text
        assert parsed.text.strip()
        assert not any(text in parsed.text for text in KEPT_OUT)
        assert not KEPT_OUT_LINES & set(parsed.text.split("\n"))
        if parsed.cursor_offset_bytes is not None:
            assert 0 <= parsed.cursor_offset_bytes <= len(parsed.text.encode())


@each_format
@settings(max_examples=100, deadline=None)
@given(answer=ANSWERS)
def test_an_unfinished_answer_is_never_an_edit(prompt_format, answer):
    inputs, prompt = rendered(prompt_format, TEXT)
    parsed = prompt_format.parse(inputs, prompt, answer, finished=False)
    assert parsed == NoEdit(NoEditReason.UNFINISHED)


@each_format
@pytest.mark.parametrize("answer", ["", "\n", "  \n\n"])
def test_an_empty_answer_deletes_nothing(prompt_format, answer):
    inputs, prompt = rendered(prompt_format, TEXT)
    assert prompt_format.parse(inputs, prompt, answer, finished=True) == NoEdit(NoEditReason.EMPTY)


@each_format
@pytest.mark.parametrize("answer", ["NO_EDITS", "NO_EDITS\n", "KEEP_PREVIOUS", " KEEP_PREVIOUS\n"])
def test_a_leaked_sentinel_means_no_edit(prompt_format, answer):
    inputs, prompt = rendered(prompt_format, TEXT)
    assert prompt_format.parse(inputs, prompt, answer, finished=True) == NoEdit(NoEditReason.SAID_SO)


@pytest.mark.parametrize("prompt_format", [ZETA2, Sweep()], ids=lambda item: item.name)
def test_a_sentinel_inside_a_whole_region_never_reaches_the_buffer(prompt_format):
    inputs, prompt = rendered(prompt_format, TEXT)
    answer = TEXT.replace("count = 0", "count = KEEP_PREVIOUS") + "\n"
    assert prompt_format.parse(inputs, prompt, answer, finished=True) == NoEdit(NoEditReason.CONTROL_TOKENS)


@pytest.mark.parametrize("prompt_format", [ZETA2, Sweep()], ids=lambda item: item.name)
def test_an_answer_that_ends_inside_a_line_does_not_delete_what_follows(prompt_format):
    inputs, prompt = rendered(prompt_format, TEXT)
    parsed = prompt_format.parse(inputs, prompt, "def total(items):\n    cou", finished=True)
    assert parsed == NoEdit(NoEditReason.MALFORMED)


@pytest.mark.parametrize("prompt_format", [ZETA2, Sweep()], ids=lambda item: item.name)
def test_a_missing_final_newline_is_forgiven_when_the_region_is_complete(prompt_format):
    inputs, prompt = rendered(prompt_format, TEXT)
    answer = TEXT.replace("count = 0", "count = 1")
    assert prompt_format.parse(inputs, prompt, answer, finished=True) == NewRegion(answer)


def test_doubled_or_reversed_markers_are_no_edit():
    inputs, prompt = rendered(ZETA2_1, TEXT)
    for answer in (
        "<|marker_1|>a\n<|marker_2|><|marker_1|>a\n<|marker_2|>",
        "<|marker_2|>a\n<|marker_1|>",
        "<|marker_1|>a\n<|marker_9|>",
        "<|marker_1|>only one",
        "no marker",
    ):
        assert ZETA2_1.parse(inputs, prompt, answer, finished=True) == NoEdit(NoEditReason.MALFORMED)


def test_a_repeated_marker_says_that_nothing_changes():
    inputs, prompt = rendered(ZETA2_1, TEXT)
    parsed = ZETA2_1.parse(inputs, prompt, "<|marker_1|><|marker_1|>", finished=True)
    assert parsed == NoEdit(NoEditReason.SAID_SO)


@each_format
@settings(max_examples=200, deadline=None)
@given(old=LINES, inserted=LINES | st.just([]), cut=st.tuples(st.integers(0, 40), st.integers(0, 40)))
def test_what_a_model_is_trained_to_answer_is_what_is_read_from_it(engine_cut, prompt_format, old, inserted, cut):
    """The exceptions: a region does not become blank, and one that ends in a newline keeps one."""
    old_text = "\n".join(old)
    new_text = "\n".join([*old[: min(cut)], *inserted, *old[max(cut) :]])
    inputs, prompt = rendered(prompt_format, old_text)
    region = prompt.region_text
    if region.endswith("\n") and not new_text.endswith("\n"):
        new_text += "\n"
    target = prompt_format.training_target(inputs, prompt, NewRegion(new_text))
    parsed = prompt_format.parse(inputs, prompt, engine_cut(target, prompt.stop), finished=True)
    if new_text == region or (region.strip() and not new_text.strip()):
        assert isinstance(parsed, NoEdit)
    elif new_text.strip():
        assert parsed == NewRegion(new_text)


@pytest.mark.parametrize("prompt_format", [ZETA2, ZETA2_1], ids=lambda item: item.name)
def test_the_predicted_cursor_is_read_back(engine_cut, prompt_format):
    inputs, prompt = rendered(prompt_format, TEXT)
    new_region = NewRegion(TEXT.replace("count = 0", "größe = 1"), len("def total(items):\n    größe".encode()))
    target = prompt_format.training_target(inputs, prompt, new_region)
    parsed = prompt_format.parse(inputs, prompt, engine_cut(target, prompt.stop), finished=True)
    assert parsed == new_region
