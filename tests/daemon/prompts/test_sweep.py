"""What is asked of sweep-next-edit, block by block, and when nothing is asked."""

from dataclasses import replace

import pytest

from capture.editing.unified_diff import write_hunks
from capture.inputs import EditEvent, RelatedExcerpt, RelatedFile, Span
from daemon.prompts.base import Prompt, Refusal
from daemon.prompts.sweep import Sweep, SweepDialect

SWEEP = Sweep()


def words(text: str) -> int:
    return len(text.split())


def event(old: str, new: str, path: str = "src/a.py") -> EditEvent:
    return EditEvent(path, path, write_hunks(old, new))


def numbered(count: int) -> str:
    return "\n".join(f"line {number}" for number in range(count))


def test_a_prompt_holds_related_files_changes_and_the_window_before_and_now(moment):
    inputs = moment(
        "total = 1\nprint(¦sum)",
        excerpt_start_row=0,
        events=(event("sum = 1\nprint(sum)\n", "total = 1\nprint(sum)\n"),),
        related_files=(
            RelatedFile("lib.py", 9, (RelatedExcerpt(Span(0, 1), "a = 1"), RelatedExcerpt(Span(5, 6), "b = 2"))),
        ),
    )
    prompt = SWEEP.render(inputs, words)
    assert prompt.text == (
        "<|file_sep|>lib.py\na = 1\nb = 2\n"
        "<|file_sep|>src/a.py.diff\noriginal:\nsum = 1\nprint(sum)\nupdated:\ntotal = 1\nprint(sum)\n"
        "<|file_sep|>original/src/a.py\nsum = 1\nprint(sum)\n"
        "<|file_sep|>current/src/a.py\ntotal = 1\nprint(sum)\n"
        "<|file_sep|>updated/src/a.py\n"
    )
    assert prompt.stop == ("<|file_sep|>", "</s>")


def test_the_window_is_the_cursor_row_and_ten_rows_on_either_side(moment):
    text = numbered(50)
    prompt = SWEEP.render(moment(text.replace("line 30", "li¦ne 30")), words)
    assert prompt.region_text == "\n".join(f"line {number}" for number in range(20, 41))
    assert text.encode()[prompt.region.start : prompt.region.end].decode() == prompt.region_text


def test_the_window_before_keeps_pace_with_lines_added_above_it(moment):
    old = numbered(40)
    new = old.replace("line 2\n", "line 2\nnew a\nnew b\nnew c\n")
    inputs = moment(new.replace("line 25", "line 2¦5"), excerpt_start_row=0, events=(event(old + "\n", new + "\n"),))
    prompt = SWEEP.render(inputs, words)
    original = prompt.text.split("<|file_sep|>original/src/a.py\n")[1].split("<|file_sep|>")[0]
    assert original == prompt.region_text + "\n"


def test_the_window_before_is_found_without_row_numbers_and_in_windows_line_ends(moment):
    old, new = "a = 1\nb = 2\nc = 3\n", "a = 1\nbb = 2\nc = 3\n"
    inputs = moment("a = 1\r\nbb¦ = 2\r\nc = 3\r", events=(event(old, new),))
    prompt = SWEEP.render(inputs, words)
    assert "<|file_sep|>original/src/a.py\na = 1\r\nb = 2\r\nc = 3\r\n<|file_sep|>current" in prompt.text


@pytest.mark.parametrize("path", ["src/a.py", "src/other.py"])
def test_the_window_before_is_the_current_one_when_the_change_is_not_in_it(moment, path):
    inputs = moment("x = 1¦", excerpt_start_row=0, events=(event("p = 1\n", "q = 1\n", path),))
    prompt = SWEEP.render(inputs, words)
    assert "original/src/a.py\nx = 1\n" in prompt.text


def test_only_the_three_newest_changes_are_told_oldest_first(moment):
    events = tuple(event(f"v = {number}\n", f"v = {number + 1}\n", "src/b.py") for number in range(5))
    prompt = SWEEP.render(moment("x¦", events=events), words)
    starts = [prompt.text.index(f"original:\nv = {number}\n") for number in (2, 3, 4)]
    assert starts == sorted(starts)
    assert prompt.text.count("src/b.py.diff") == 3


def test_a_long_change_loses_its_middle(moment):
    old, new = numbered(100), numbered(100).replace("line", "row")
    prompt = SWEEP.render(moment("x¦", events=(event(old, new, "src/b.py"),)), words)
    updated = prompt.text.split("updated:\n")[1].split("<|file_sep|>")[0].splitlines()
    assert updated == [*(f"row {n}" for n in range(20)), "...", *(f"row {n}" for n in range(80, 100))]


def test_related_files_stay_in_their_budget_by_importance(moment):
    files = tuple(
        RelatedFile(f"f{order}.py", 9, (RelatedExcerpt(Span(0, 1), "word " * 40, order),)) for order in (2, 0, 1)
    )
    sweep = Sweep(SweepDialect(related_tokens=100))
    prompt = sweep.render(moment("x¦", related_files=files), words)
    assert "f0.py" in prompt.text
    assert "f1.py" in prompt.text
    assert "f2.py" not in prompt.text


def test_a_small_context_costs_the_oldest_changes_first(moment):
    events = tuple(event("a\n", f"{'word ' * 30}{number}\n", "src/b.py") for number in range(3))
    full = SWEEP.render(moment("x¦", events=events), words)
    tight = Sweep(SweepDialect(context_tokens=words(full.text) + full.max_answer_tokens - 10))
    prompt = tight.render(moment("x¦", events=events), words)
    assert prompt.text.count("src/b.py.diff") == 2
    assert "word 0" not in prompt.text
    assert words(prompt.text) + prompt.max_answer_tokens <= words(full.text) + full.max_answer_tokens - 10


def test_a_window_that_fills_the_context_is_refused(moment):
    assert SWEEP.render(moment("word " * 9000 + "¦"), words) is Refusal.OVER_BUDGET


@pytest.mark.parametrize("token", ["<|file_sep|>", "</s>", "<|endoftext|>"])
def test_control_tokens_in_the_window_are_refused_and_elsewhere_left_out(moment, token):
    assert SWEEP.render(moment(f"x = '{token}'¦"), words) is Refusal.CONTROL_TOKENS
    clean = moment("x¦")
    prompt = SWEEP.render(
        replace(
            clean,
            events=(event("a\n", f"{token}\n", "src/b.py"),),
            related_files=(RelatedFile("c.py", 9, (RelatedExcerpt(Span(0, 1), token),)),),
        ),
        words,
    )
    assert prompt == SWEEP.render(clean, words)
    assert isinstance(prompt, Prompt)
