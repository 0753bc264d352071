"""The layout of Mercury's message, and how a fenced answer is read."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.inputs import EditEvent, RelatedExcerpt, RelatedFile, Span
from daemon.prompts.base import NewRegion, NoEdit, NoEditReason, Refusal, TargetError
from daemon.prompts.mercury import Mercury, MercurySizes

MERCURY = Mercury()
LINES = st.lists(st.text(alphabet="ab é𝔘\t\r(}`\u2028", max_size=6) | st.sampled_from(["", "```", "None"]), max_size=20)


def words(text: str) -> int:
    return len(text.split())


def event(new: str, path: str = "src/a.py") -> EditEvent:
    return EditEvent(path, path, f"@@ -1,1 +1,1 @@\n-a\n+{new}\n")


def test_every_tag_stands_on_its_own_line(moment):
    inputs = moment(
        "import os\n\nx = ¦1\ny = 2\n\nz = 3",
        events=(event("b"), event("d", "src/b.py")),
        related_files=(RelatedFile("lib.py", 9, (RelatedExcerpt(Span(0, 1), "p = 1"),)),),
    )
    prompt = Mercury(MercurySizes(region_tokens=6)).render(inputs, words)
    assert prompt.text == (
        "<|recently_viewed_code_snippets|>\n"
        "<|recently_viewed_code_snippet|>\ncode_snippet_file_path: lib.py\np = 1\n<|/recently_viewed_code_snippet|>\n"
        "<|/recently_viewed_code_snippets|>\n\n"
        "<|current_file_content|>\ncurrent_file_path: src/a.py\n"
        "import os\n<|code_to_edit|>\n\nx = <|cursor|>1\ny = 2\n<|/code_to_edit|>\n\nz = 3\n"
        "<|/current_file_content|>\n\n"
        "<|edit_diff_history|>\n"
        "--- a/src/a.py\n+++ b/src/a.py\n@@ -1,1 +1,1 @@\n-a\n+b\n"
        "--- a/src/b.py\n+++ b/src/b.py\n@@ -1,1 +1,1 @@\n-a\n+d\n"
        "<|/edit_diff_history|>\n"
    )
    assert prompt.region_text == "\nx = 1\ny = 2"
    assert inputs.excerpt_bytes[prompt.region.start : prompt.region.end].decode() == prompt.region_text


def test_empty_sections_and_an_empty_file_keep_their_tags(moment):
    assert MERCURY.render(moment("¦"), words).text == (
        "<|recently_viewed_code_snippets|>\n<|/recently_viewed_code_snippets|>\n\n"
        "<|current_file_content|>\ncurrent_file_path: src/a.py\n"
        "<|code_to_edit|>\n<|cursor|>\n<|/code_to_edit|>\n<|/current_file_content|>\n\n"
        "<|edit_diff_history|>\n<|/edit_diff_history|>\n"
    )


def test_the_code_to_edit_and_the_file_around_it_stay_in_their_budgets(moment):
    text = "\n".join(f"line {number}" for number in range(9000)).replace("line 4000", "line¦ 4000")
    prompt = MERCURY.render(moment(text), words)
    assert 340 <= words(prompt.region_text) <= 350
    shown = prompt.text.split("current_file_path: src/a.py\n")[1].split("<|/current_file_content|>")[0]
    assert 4000 <= words(shown) <= 4100
    assert MERCURY.render(moment("word " * 351 + "¦"), words) is Refusal.OVER_BUDGET


@pytest.mark.parametrize("token", ["<|cursor|>", "<|code_to_edit|>", "<|/edit_diff_history|>"])
def test_tags_in_the_text_shown_are_refused_and_elsewhere_left_out(moment, token):
    assert MERCURY.render(moment(f"x = '{token}'¦"), words) is Refusal.CONTROL_TOKENS
    clean = moment("x¦")
    crowded = replace(
        clean,
        events=(event(token),),
        related_files=(RelatedFile("c.py", 9, (RelatedExcerpt(Span(0, 1), token),)),),
    )
    assert MERCURY.render(crowded, words) == MERCURY.render(clean, words)


@pytest.mark.parametrize(
    "answer",
    [
        "```\nx = 2\ny = 2\n```",
        "```python\nx = 2\ny = 2\n```\n",
        "```\n<|code_to_edit|>\nx = 2\ny = 2\n<|/code_to_edit|>\n```",
        "x = 2\ny = 2\n",
    ],
)
def test_the_fenced_text_is_the_new_code(moment, answer):
    inputs = moment("x = ¦1\ny = 2")
    prompt = MERCURY.render(inputs, words)
    assert MERCURY.parse(inputs, prompt, answer, finished=True) == NewRegion("x = 2\ny = 2")


@pytest.mark.parametrize(
    ("answer", "finished", "reason"),
    [
        ("None", True, NoEditReason.SAID_SO),
        ("```\nNone\n```", True, NoEditReason.SAID_SO),
        ("```\nx = 1\ny = 2\n```", True, NoEditReason.UNCHANGED),
        ("```\nx = 2\n", True, NoEditReason.MALFORMED),
        ("```", True, NoEditReason.MALFORMED),
        ("```\n\n```", True, NoEditReason.EMPTY),
        ("```\nx = <|cursor|>2\ny = 2\n```", True, NoEditReason.CONTROL_TOKENS),
        ("```\nx = 2\ny = 2\n```", False, NoEditReason.UNFINISHED),
    ],
)
def test_an_answer_that_is_no_edit_says_why(moment, answer, finished, reason):
    inputs = moment("x = ¦1\ny = 2")
    prompt = MERCURY.render(inputs, words)
    assert MERCURY.parse(inputs, prompt, answer, finished=finished) == NoEdit(reason)


@settings(max_examples=300, deadline=None)
@given(lines=LINES, cursor=st.integers(0, 120), new_lines=LINES)
def test_what_a_model_is_trained_to_answer_is_what_is_read_from_it(moment, engine_cut, lines, cursor, new_lines):
    text, new = "\n".join(lines), "\n".join(new_lines)
    at = cursor % (len(text) + 1)
    inputs = moment(f"{text[:at]}¦{text[at:]}")
    prompt = MERCURY.render(inputs, words)
    loses_newline = prompt.region_text.endswith("\n") and not new.endswith("\n")
    try:
        target = MERCURY.training_target(inputs, prompt, NewRegion(new))
    except TargetError:
        assert new.strip() in ("", "None") or loses_newline
        return
    parsed = MERCURY.parse(inputs, prompt, engine_cut(target, prompt.stop), finished=True)
    assert isinstance(parsed, NoEdit) if new == prompt.region_text else parsed == NewRegion(new)
