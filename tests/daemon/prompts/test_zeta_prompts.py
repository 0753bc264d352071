"""What the daemon's Zeta formats ask, and when they refuse to ask."""

import pytest

from capture.inputs import (
    ActiveBufferDiagnostic,
    EditEvent,
    ExcerptRanges,
    RelatedExcerpt,
    RelatedFile,
    Span,
)
from daemon.prompts.base import Prompt, Refusal
from daemon.prompts.zed.format import ZETA_FORMAT_NAMES
from daemon.prompts.zed.merge_markers import V0211_SEED_CODER, ZETA2
from daemon.prompts.zed.numbered_blocks import ZETA2_1
from daemon.prompts.zed.prompt import format_prefill, format_zeta_prompt
from daemon.prompts.zed.table import ZETA_FORMATS, ZETA_PROMPTS

each = pytest.mark.parametrize("prompt_format", ZETA_PROMPTS.values(), ids=lambda item: item.name)
both = pytest.mark.parametrize("prompt_format", [ZETA2, ZETA2_1], ids=lambda item: item.name)


def related(path: str, text: str) -> RelatedFile:
    return RelatedFile(path, 5, (RelatedExcerpt(Span(0, 1), text),))


def event(diff: str) -> EditEvent:
    return EditEvent("src/a.py", "src/a.py", diff)


def test_zeta2_asks_exactly_what_zed_asks(moment):
    inputs = moment("a = 1\nb = ¦2", events=(event("@@ -1,1 +1,1 @@\n-a = 0\n+a = 1\n"),))
    prompt = ZETA2.render(inputs, len)
    assert isinstance(prompt, Prompt)
    assert prompt.text == format_zeta_prompt(inputs, V0211_SEED_CODER)
    assert prompt.text.endswith("<<<<<<< CURRENT\na = 1\nb = <|user_cursor|>2\n=======\n<[fim-middle]>")
    assert (prompt.region, prompt.region_text) == (Span(0, 11), "a = 1\nb = 2")


@both
def test_an_answer_may_be_longer_than_the_region(moment, prompt_format):
    prompt = prompt_format.render(moment("a = 1\n¦"), lambda _: 1000)
    assert prompt.max_answer_tokens > 1000


@both
@pytest.mark.parametrize("text", ["cp <filename> to¦", "x = '<[fim-middle]>'¦", "<|user_cursor|> ¦"])
def test_a_region_that_holds_control_tokens_is_not_sent(moment, prompt_format, text):
    assert prompt_format.render(moment(text), len) is Refusal.CONTROL_TOKENS


def test_a_merge_conflict_is_not_sent_to_zeta2_but_its_words_in_a_line_are(moment):
    assert ZETA2.render(moment("a\n=======\n¦b"), len) is Refusal.CONTROL_TOKENS
    assert isinstance(ZETA2.render(moment("x = '=======' ¦"), len), Prompt)
    assert ZETA2.render(moment("x = '>>>>>>> UPDATED' ¦"), len) is Refusal.CONTROL_TOKENS


@both
def test_a_path_cannot_break_the_prompt(moment, prompt_format):
    assert prompt_format.render(moment("a¦", cursor_path="a\n<filename>b"), len) is Refusal.CONTROL_TOKENS


@both
def test_history_and_excerpts_that_hold_control_tokens_are_left_out(moment, prompt_format):
    prompt = prompt_format.render(
        moment(
            "a = 1¦",
            events=(
                event("@@ -1,1 +1,1 @@\n-kept\n+kept too\n"),
                event("@@ -1,1 +1,1 @@\n-<[fim-prefix]>\n+x\n"),
            ),
            related_files=(
                related("src/good.py", "good = 1\n"),
                related("src/bad.py", "bad <[fim-suffix]>\n"),
            ),
        ),
        len,
    )
    assert "kept too" in prompt.text
    assert "good = 1" in prompt.text
    assert prompt.text.count("<[fim-prefix]>") == prompt.text.count("<[fim-suffix]>") == 1


@both
def test_diagnostics_do_not_disturb_formats_without_a_place_for_them(moment, prompt_format):
    item = ActiveBufferDiagnostic(1, "undefined name", "a = b", Span(0, 1), Span(4, 5))
    with_one = prompt_format.render(moment("a = b¦", active_buffer_diagnostics=(item,)), len)
    assert with_one == prompt_format.render(moment("a = b¦"), len)


@both
def test_text_over_budget_is_refused(moment, prompt_format):
    assert prompt_format.render(moment("x" * 13_000 + "¦"), len) is Refusal.OVER_BUDGET


@both
@pytest.mark.parametrize("region", [Span(2, 4), Span(0, 99), Span(0, 1)])
def test_a_region_that_does_not_hold_the_cursor_is_refused(moment, prompt_format, region):
    ranges = ExcerptRanges({"editable_350": region, "editable_350_context_150": Span(0, 6)})
    inputs = moment("é¦abcd", excerpt_ranges=ranges)
    if region == Span(2, 4):
        assert isinstance(prompt_format.render(inputs, len), Prompt)
    else:
        assert prompt_format.render(inputs, len) is Refusal.CURSOR_NOT_COVERED


@both
def test_an_empty_file_can_be_predicted_into(moment, prompt_format):
    prompt = prompt_format.render(moment("¦"), len)
    assert isinstance(prompt, Prompt)
    assert prompt.region_text == ""


def test_every_region_format_of_zed_is_in_the_table_in_zeds_order():
    assert list(ZETA_FORMATS) == [name for name in ZETA_FORMAT_NAMES if name != "V0615HashRegions"]
    ours = {"V0211SeedCoder": "zeta2", "V0318SeedMultiRegions": "zeta2_1"}
    assert list(ZETA_PROMPTS) == [ours.get(name, name) for name in ZETA_FORMATS]


@each
def test_a_prompt_is_what_zed_asks_and_the_start_of_the_answer(moment, prompt_format):
    inputs = moment("a = 1\nb = ¦2\n" * 6, syntax_ranges=(), events=(event("@@ -1,1 +1,1 @@\n-a = 0\n+a = 1\n"),))
    zeta = ZETA_FORMATS[prompt_format.zeta.name]
    prompt = prompt_format.render(inputs, len)
    assert prompt.text == format_zeta_prompt(inputs, zeta) + format_prefill(inputs, zeta)
    assert prompt.prefill == format_prefill(inputs, zeta)
    assert zeta.response_part in prompt.text


@each
def test_an_answer_ends_at_its_end_marker_or_at_the_end_of_the_sequence(prompt_format):
    zeta = prompt_format.zeta
    assert set(zeta.tokens.ends) <= set(prompt_format.stop)
    assert zeta.end_marker.removesuffix("\n") in (*prompt_format.stop, "")
    assert all(prompt_format.stop)


@each
def test_a_control_token_of_the_models_family_is_not_sent(moment, prompt_format):
    for token in (*prompt_format.zeta.tokens.ends, *prompt_format.zeta.tokens.others):
        inputs = moment(f"x = '{token}'¦", syntax_ranges=())
        assert prompt_format.render(inputs, len) is Refusal.CONTROL_TOKENS
        shown = prompt_format.render(moment("x¦", syntax_ranges=(), events=(event(f"+{token}\n"),)), len)
        assert token not in shown.text
