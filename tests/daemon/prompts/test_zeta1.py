"""Zeta1: fences and tags in plain text, and which of its answers are believed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.inputs import EditEvent, ExcerptRanges, Span
from daemon.prompts.base import NewRegion, NoEdit, NoEditReason, Prompt, Refusal, TargetError
from daemon.prompts.zed.zeta1 import MAX_PROMPT_TOKENS, ZETA1, clean_zeta1_output, format_zeta1_prompt

TEXT = "def total(items):\n    count = 0\n    return count"


def event(diff, path="src/a.py", old_path="src/a.py"):
    return EditEvent(path, old_path, diff)


@pytest.fixture
def read(moment):
    inputs = moment("¦" + TEXT)
    prompt = ZETA1.render(inputs, len)
    return lambda answer: ZETA1.parse(inputs, prompt, answer, finished=True)


def test_the_region_stands_between_tags_in_a_fence(moment):
    ranges = ExcerptRanges({"editable_350": Span(2, 5), "editable_350_context_150": Span(0, 7)})
    inputs = moment("a\nb¦bb\nc\nd", excerpt_ranges=ranges, excerpt_start_row=0)
    prompt = ZETA1.render(inputs, len)
    assert prompt.text.endswith(
        "### User Excerpt:\n\n```src/a.py\n<|start_of_file|>\na\n<|editable_region_start|>\nb<|user_cursor_is_here|>bb"
        "\n<|editable_region_end|>\nc\n```\n\n### Response:\n"
    )
    assert (prompt.region, prompt.region_text, prompt.stop) == (Span(2, 5), "bbb", ("<|editable_region_end|>",))


def test_only_a_context_at_row_0_starts_the_file(moment):
    whole = Span(0, 1)
    assert "<|start_of_file|>" not in format_zeta1_prompt(moment("a¦", excerpt_start_row=7), whole, whole)
    assert "<|start_of_file|>" not in format_zeta1_prompt(moment("a¦"), whole, whole)


def test_renames_are_told_and_events_without_either_are_skipped(moment):
    events = (event("", old_path="src/b.py"), event(""), event("@@ -1,1 +1,1 @@\n-a\n+b\n"))
    prompt = format_zeta1_prompt(moment("a¦", events=events), Span(0, 1), Span(0, 1))
    edits = prompt.partition("### User Edits:\n\n")[2].partition("\n\n### User Excerpt:")[0]
    assert edits == (
        "User renamed src/b.py to src/a.py\n\n\n\nUser edited src/a.py:\n```diff\n@@ -1,1 +1,1 @@\n-a\n+b\n\n```"
    )


def test_a_long_history_loses_its_oldest_events(moment):
    long, short = event("+" + "x" * 2 * MAX_PROMPT_TOKENS), event("+kept\n")
    prompt = ZETA1.render(moment("a¦", events=(long, long, short)), len)
    assert "+kept" in prompt.text
    assert prompt.text.count("User edited") == 2
    assert ZETA1.render(moment("y" * 4 * MAX_PROMPT_TOKENS + "¦"), len) is Refusal.OVER_BUDGET


@pytest.mark.parametrize("text", ["<|editable_region_end|>¦", "x <|user_cursor_is_here|> ¦", "<|start_of_file|>\n¦"])
def test_text_that_holds_the_formats_own_tags_is_not_sent(moment, text):
    assert ZETA1.render(moment(text), len) is Refusal.CONTROL_TOKENS


def test_what_stands_before_the_start_tag_is_ignored_and_the_cursor_is_taken_out(read):
    new = TEXT.replace("count = 0", "count = 1")
    marked = new.replace("1\n", "<|user_cursor_is_here|>1\n")
    expected = NewRegion(new, new.index("1\n"))
    assert read(f"```src/a.py\n<|editable_region_start|>\n{marked}\n") == expected
    assert read(f"<|editable_region_start|>\n{marked}\n<|editable_region_end|>\nmore") == expected


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", NoEditReason.EMPTY),
        (TEXT.replace("0", "1") + "\n", NoEditReason.MALFORMED),  # no tag: Zed takes all of it
        (f"x\n<|editable_region_end|>\n<|editable_region_start|>\n{TEXT}", NoEditReason.MALFORMED),
        (f"<|editable_region_start|>\n<|editable_region_start|>\n{TEXT}\n", NoEditReason.MALFORMED),
        ("<|editable_region_start|>\ndef total(items):\n    cou", NoEditReason.MALFORMED),
        ("<|editable_region_start|>\n", NoEditReason.MALFORMED),
        ("<|editable_region_start|>\n\n<|editable_region_end|>", NoEditReason.EMPTY),
        (f"<|editable_region_start|>\n{TEXT}\n", NoEditReason.UNCHANGED),
        (f"<|editable_region_start|>\n<|user_cursor|>{TEXT}\n", NoEditReason.CONTROL_TOKENS),
        (f"<|editable_region_start|>\n<|start_of_file|>\n{TEXT}\n", NoEditReason.CONTROL_TOKENS),
    ],
)
def test_answers_that_would_do_harm_are_no_edit(read, answer, reason):
    assert read(answer) == NoEdit(reason)


def test_zed_leaves_a_cursor_in_the_text_and_nothing_where_the_tags_are_reversed():
    assert clean_zeta1_output("<|editable_region_start|>\na<|user_cursor_is_here|>b\n") == "a<|user_cursor|>b\n"
    assert clean_zeta1_output("<|editable_region_end|><|editable_region_start|>") == ""


@settings(deadline=None)
@given(old=st.text("ab\n é", max_size=20), new=st.text("ab\n é", max_size=20), cursor=st.integers(0, 20))
def test_what_is_taught_is_read_back(moment, engine_cut, old, new, cursor):
    inputs = moment("¦" + old)
    prompt = ZETA1.render(inputs, len)
    assert isinstance(prompt, Prompt)
    wanted = NewRegion(new, len(new[:cursor].encode()) if cursor < len(new) else None)
    try:
        target = ZETA1.training_target(inputs, prompt, wanted)
    except TargetError:
        assert not new.strip() or new.endswith("\n") != old.endswith("\n")
        return
    parsed = ZETA1.parse(inputs, prompt, engine_cut(target, prompt.stop), finished=True)
    assert parsed == wanted or (new == old and isinstance(parsed, NoEdit))
