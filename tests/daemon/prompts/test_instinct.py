"""What is asked of Instinct, section by section, and how its answers are read."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.editing.unified_diff import write_hunks
from capture.inputs import EditEvent, RelatedExcerpt, RelatedFile, Span
from daemon.prompts.base import NewRegion, NoEdit, NoEditReason, Refusal, TargetError
from daemon.prompts.instinct import SYSTEM_INSTRUCTION, USER_INSTRUCTION, Instinct, InstinctSizes

INSTINCT = Instinct()
LINES = st.lists(st.text(alphabet="ab é𝔘\t\r(}\u2028", max_size=6) | st.sampled_from(["", "}", "  x"]), max_size=20)


def words(text: str) -> int:
    return len(text.split())


def event(old: str, new: str, path: str = "src/a.py") -> EditEvent:
    return EditEvent(path, path, write_hunks(old, new))


def numbered(count: int) -> str:
    return "\n".join(f"line {number}" for number in range(count))


def test_a_prompt_is_a_chat_turn_with_context_edits_and_excerpt(moment):
    inputs = moment(
        "import os\n\nx = ¦1\ny = 2",
        events=(event("a\n", "b\n"), event("c\n", "d\n", "src/b.py")),
        related_files=(
            RelatedFile("lib.py", 9, (RelatedExcerpt(Span(0, 1), "p = 1\n"),)),
            RelatedFile("more.py", 9, (RelatedExcerpt(Span(0, 1), "q = 2"),)),
        ),
    )
    prompt = INSTINCT.render(inputs, words)
    assert prompt.text == (
        f"<|im_start|>system\n{SYSTEM_INSTRUCTION}<|im_end|>\n"
        f"<|im_start|>user\n{USER_INSTRUCTION}\n\n"
        "### Context:\n\n"
        "<|context_file|> lib.py\n<|snippet|>\np = 1\n\n<|context_file|> more.py\n<|snippet|>\nq = 2\n\n\n"
        '### User Edits:\n\nUser edited file "src/b.py"\n\n```diff\n@@ -1,1 +1,1 @@\n-c\n+d\n```\n\n'
        'User edited file "src/a.py"\n\n```diff\n@@ -1,1 +1,1 @@\n-a\n+b\n```\n\n'
        '### User Excerpt:\n"src/a.py"\n\n'
        "import os\n<|editable_region_start|>\n\nx = <|user_cursor_is_here|>1\ny = 2\n<|editable_region_end|>"
        "<|im_end|>\n<|im_start|>assistant\n"
    )
    assert prompt.stop == ("<|im_end|>", "<|endoftext|>")


def test_one_row_above_and_five_below_are_editable_and_25_around_are_shown(moment):
    text = numbered(100)
    prompt = INSTINCT.render(moment(text.replace("line 50", "li¦ne 50")), words)
    assert prompt.region_text == "\n".join(f"line {number}" for number in range(49, 56))
    assert text.encode()[prompt.region.start : prompt.region.end].decode() == prompt.region_text
    excerpt = prompt.text.split('"src/a.py"\n\n')[1].split("<|im_end|>")[0].split("\n")
    assert excerpt[0] == "line 25"
    assert excerpt[-1] == "line 75"


def test_the_cursor_at_the_end_of_a_file_without_a_final_newline_is_shown_there(moment):
    prompt = INSTINCT.render(moment("größe = 1¦"), words)
    assert (
        "<|editable_region_start|>\ngröße = 1<|user_cursor_is_here|>\n<|editable_region_end|><|im_end|>" in prompt.text
    )
    assert INSTINCT.render(moment("¦"), words).region_text == ""


def test_the_oldest_edits_give_way_first_and_a_full_context_is_refused(moment):
    events = tuple(event("a\n", f"{'word ' * 30}{number}\n") for number in range(4))
    full = INSTINCT.render(moment("x¦", events=events), words)
    limit = words(full.text) + full.max_answer_tokens - 10
    tight = Instinct(InstinctSizes(context_tokens=limit)).render(moment("x¦", events=events), words)
    assert tight.text.count("User edited file") == 3
    assert "word 0\n" not in tight.text
    assert words(tight.text) + tight.max_answer_tokens <= limit
    assert INSTINCT.render(moment("word " * 9000 + "¦"), words) is Refusal.OVER_BUDGET


@pytest.mark.parametrize("token", ["<|editable_region_end|>", "<|im_start|>", "<|user_cursor_is_here|>", "<|snippet|>"])
def test_control_tokens_in_the_excerpt_are_refused_and_elsewhere_left_out(moment, token):
    assert INSTINCT.render(moment(f"x = '{token}'¦"), words) is Refusal.CONTROL_TOKENS
    clean = moment("x¦")
    crowded = replace(
        clean,
        events=(event("a\n", f"{token}\n", "src/b.py"),),
        related_files=(RelatedFile("c.py", 9, (RelatedExcerpt(Span(0, 1), token),)),),
    )
    assert INSTINCT.render(crowded, words) == INSTINCT.render(clean, words)


@pytest.mark.parametrize(
    "answer",
    ["x = 2\ny = 2", "x = 2\ny = 2\n", "<|editable_region_start|>\nx = 2\ny = 2\n<|editable_region_end|>\n"],
)
def test_a_final_newline_and_the_markers_around_the_region_are_forgiven(moment, answer):
    inputs = moment("x = ¦1\ny = 2")
    prompt = INSTINCT.render(inputs, words)
    assert INSTINCT.parse(inputs, prompt, answer, finished=True) == NewRegion("x = 2\ny = 2")


@pytest.mark.parametrize(
    ("answer", "finished", "reason"),
    [
        ("x = 1\ny = 2\n", True, NoEditReason.UNCHANGED),
        ("x = <|user_cursor_is_here|>2\ny = 2\n", True, NoEditReason.CONTROL_TOKENS),
        ("x = 2\n<|editable_region_end|>\ny = 2\n", True, NoEditReason.CONTROL_TOKENS),
        ("<|editable_region_start|>\n", True, NoEditReason.EMPTY),
        ("x =", True, NoEditReason.MALFORMED),
        ("x = 2\ny = 2\n", False, NoEditReason.UNFINISHED),
    ],
)
def test_an_answer_that_is_no_edit_says_why(moment, answer, finished, reason):
    inputs = moment("x = ¦1\ny = 2")
    prompt = INSTINCT.render(inputs, words)
    assert INSTINCT.parse(inputs, prompt, answer, finished=finished) == NoEdit(reason)


@settings(max_examples=200, deadline=None)
@given(lines=LINES, cursor=st.integers(0, 120), new_lines=LINES)
def test_what_a_model_is_trained_to_answer_is_what_is_read_from_it(moment, engine_cut, lines, cursor, new_lines):
    text, new = "\n".join(lines), "\n".join(new_lines)
    at = cursor % (len(text) + 1)
    inputs = moment(f"{text[:at]}¦{text[at:]}")
    prompt = INSTINCT.render(inputs, words)
    loses_newline = prompt.region_text.endswith("\n") and not new.endswith("\n")
    try:
        target = INSTINCT.training_target(inputs, prompt, NewRegion(new))
    except TargetError:
        assert not new.strip() or loses_newline
        return
    parsed = INSTINCT.parse(inputs, prompt, engine_cut(target, prompt.stop), finished=True)
    assert isinstance(parsed, NoEdit) if new == prompt.region_text else parsed == NewRegion(new)
