"""What is asked of the NEP models: the text before, the edits, the text now."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.editing.unified_diff import write_hunks
from capture.inputs import EditEvent
from daemon.prompts.base import NewRegion, NoEdit, NoEditReason, Refusal, TargetError
from daemon.prompts.next_edit_qwen import NextEditQwen, NextEditSizes

NEXT_EDIT = NextEditQwen()
LINES = st.lists(st.text(alphabet="ab é𝔘\t\r(}\u2028", max_size=6) | st.sampled_from(["", "}", "  x"]), max_size=20)


def words(text: str) -> int:
    return len(text.split())


def event(old: str, new: str, path: str = "src/a.py") -> EditEvent:
    return EditEvent(path, path, write_hunks(old, new))


def test_a_prompt_holds_the_text_before_the_edits_the_edits_and_the_text_now(moment):
    inputs = moment(
        "total = 1\nprint(¦total)",
        excerpt_start_row=0,
        events=(
            event("sum = 1\nprint(sum)\n", "total = 1\nprint(sum)\n"),
            event("old\n", "new\n", "src/b.py"),
            event("total = 1\nprint(sum)\n", "total = 1\nprint(total)\n"),
        ),
    )
    prompt = NEXT_EDIT.render(inputs, words)
    assert prompt.text == (
        "<|original_code|>\nsum = 1\nprint(sum)\n"
        "<|edits_diff|>\n--- src/a.py\n+++ src/a.py\n@@ -1,2 +1,2 @@\n"
        "-sum = 1\n-print(sum)\n+total = 1\n+print(total)\n"
        "<|current_version|>\ntotal = 1\nprint(total)\n"
        "<|next_version|>\n"
    )
    assert prompt.stop[0] == "<|endoftext|>"


def test_without_edits_of_this_file_the_diff_is_empty(moment):
    prompt = NEXT_EDIT.render(moment("x¦"), words)
    assert prompt.text == "<|original_code|>\nx\n<|edits_diff|>\n\n<|current_version|>\nx\n<|next_version|>\n"


def test_the_window_is_what_fits_around_the_cursor_and_rows_are_those_of_the_file(moment):
    lines = [f"line {number}" for number in range(2000)]
    now = "\n".join(lines).replace("line 1000\n", "line¦ one thousand\n")
    old, new = "\n".join(lines), "\n".join(lines).replace("line 1000\n", "line one thousand\n")
    inputs = moment(now, excerpt_start_row=50, events=(event(old, new),))
    shifted = replace(
        inputs, events=(replace(inputs.events[0], diff=write_hunks(old, new, old_start_row=50, new_start_row=50)),)
    )
    prompt = NEXT_EDIT.render(shifted, words)
    assert 1500 <= words(prompt.region_text) <= 1536
    assert "@@ -1048,7 +1048,7 @@\n" in prompt.text
    assert "-line 1000\n+line one thousand\n" in prompt.text
    assert inputs.excerpt_bytes[prompt.region.start : prompt.region.end].decode() == prompt.region_text


def test_older_edits_give_way_when_the_text_before_them_is_too_long(moment):
    long = "word " * 60
    inputs = moment(
        "a¦\nb",
        excerpt_start_row=0,
        events=(event(f"a\n{long}\nc\n", "a\nc\n"), event("a\nc\n", "a\nb\n")),
    )
    roomy = NEXT_EDIT.render(inputs, words)
    assert roomy.text.startswith(f"<|original_code|>\na\n{long}\nc\n")
    tight = NextEditQwen(NextEditSizes(window_tokens=50, context_tokens=150)).render(inputs, words)
    assert tight.text.startswith("<|original_code|>\na\nc\n<|edits_diff|>")
    assert words(tight.text) + tight.max_answer_tokens <= 150


def test_a_text_before_the_edits_that_holds_control_tokens_is_not_told(moment):
    inputs = moment("x = 2¦", excerpt_start_row=0, events=(event("<|next_version|>\n", "x = 2\n"),))
    assert NEXT_EDIT.render(inputs, words) == NEXT_EDIT.render(replace(inputs, events=()), words)


@pytest.mark.parametrize("token", ["<|next_version|>", "<|edits_diff|>", "<|endoftext|>"])
def test_control_tokens_in_the_window_are_refused(moment, token):
    assert NEXT_EDIT.render(moment(f"x = '{token}'¦"), words) is Refusal.CONTROL_TOKENS
    assert NEXT_EDIT.render(moment("x¦", cursor_path=f"{token}.py"), words) is Refusal.CONTROL_TOKENS


def test_a_row_over_the_budget_is_refused(moment):
    assert NEXT_EDIT.render(moment("word " * 1537 + "¦"), words) is Refusal.OVER_BUDGET


@pytest.mark.parametrize(
    ("answer", "finished", "reason"),
    [
        ("x = 1\ny = 2\n", True, NoEditReason.UNCHANGED),
        ("x =", True, NoEditReason.MALFORMED),
        ("x = 2\n<|fim_pad|>\n", True, NoEditReason.CONTROL_TOKENS),
        ("KEEP_PREVIOUS", True, NoEditReason.SAID_SO),
        ("x = 2\ny = 2\n", False, NoEditReason.UNFINISHED),
    ],
)
def test_an_answer_that_is_no_edit_says_why(moment, answer, finished, reason):
    inputs = moment("x = ¦1\ny = 2")
    prompt = NEXT_EDIT.render(inputs, words)
    assert NEXT_EDIT.parse(inputs, prompt, answer, finished=finished) == NoEdit(reason)


@settings(max_examples=200, deadline=None)
@given(lines=LINES, cursor=st.integers(0, 120), new_lines=LINES)
def test_what_a_model_is_trained_to_answer_is_what_is_read_from_it(moment, engine_cut, lines, cursor, new_lines):
    text, new = "\n".join(lines), "\n".join(new_lines)
    at = cursor % (len(text) + 1)
    inputs = moment(f"{text[:at]}¦{text[at:]}")
    prompt = NEXT_EDIT.render(inputs, words)
    assert prompt.region_text == text
    loses_newline = text.endswith("\n") and not new.endswith("\n")
    try:
        target = NEXT_EDIT.training_target(inputs, prompt, NewRegion(new))
    except TargetError:
        assert not new.strip() or loses_newline
        return
    parsed = NEXT_EDIT.parse(inputs, prompt, engine_cut(target, prompt.stop), finished=True)
    assert isinstance(parsed, NoEdit) if new == text else parsed == NewRegion(new)
