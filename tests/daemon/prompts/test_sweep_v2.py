"""What is asked of sweep-next-edit-v2, section by section, and which answers are shown."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.editing.unified_diff import write_hunks
from capture.inputs import EditEvent, RelatedExcerpt, RelatedFile, Span
from daemon.prompts.base import NewRegion, NoEdit, NoEditReason, Prompt, Refusal, TargetError
from daemon.prompts.sweep_v2 import Prefill, SweepV2, SweepV2Sizes

SWEEP = SweepV2()
FREE = SweepV2(Prefill.NOTHING)
LINES = st.lists(st.text(alphabet="ab é𝔘\t\r(}\u2028", max_size=6) | st.sampled_from(["", "}", "  x"]), max_size=20)


def words(text: str) -> int:
    return len(text.split())


def event(old: str, new: str, path: str = "src/a.py") -> EditEvent:
    return EditEvent(path, path, write_hunks(old, new))


def numbered(count: int) -> str:
    return "\n".join(f"line {number}" for number in range(count))


def section(prompt: Prompt, header: str) -> str:
    return prompt.text.split(f"<|file_sep|>{header}")[1].split("\n", 1)[1].split("<|file_sep|>")[0]


def test_a_prompt_is_laid_out_as_on_the_model_card(moment):
    inputs = moment(
        "import os\n\ntotal = 1\nprint(¦sum)",
        excerpt_start_row=0,
        events=(event("import os\n\nsum = 1\nprint(sum)\n", "import os\n\ntotal = 1\nprint(sum)\n"),),
        related_files=(RelatedFile("lib.py", 9, (RelatedExcerpt(Span(4, 5), "a = 1"),)),),
    )
    prompt = SWEEP.render(inputs, words)
    assert prompt.text == (
        "<|file_sep|>src/a.py\nimport os\n\ntotal = 1\nprint(sum)"
        "\n<|file_sep|>lib.py\na = 1\n"
        "\n<|file_sep|>src/a.py:2:4\noriginal:\nsum = 1\nprint(sum)\nupdated:\ntotal = 1\nprint(sum)"
        "\n<|file_sep|>original/src/a.py:3:4\nsum = 1\nprint(sum)"
        "\n<|file_sep|>current/src/a.py:3:4\ntotal = 1\nprint(<|cursor|>sum)"
        "\n<|file_sep|>updated/src/a.py:3:4\ntotal = 1\n"
    )
    assert prompt.stop == ("<|endoftext|>", "<|file_sep|>")
    assert prompt.prefill == "total = 1\n"
    assert prompt.max_answer_tokens == 1024


def test_the_block_is_two_rows_above_and_five_below_under_the_rows_of_the_file(moment):
    text = numbered(50)
    prompt = SWEEP.render(moment(text.replace("line 30", "li¦ne 30"), excerpt_start_row=100), words)
    assert prompt.region_text == "\n".join(f"line {number}" for number in range(28, 36))
    assert text.encode()[prompt.region.start : prompt.region.end].decode() == prompt.region_text
    assert "current/src/a.py:129:136\n" in prompt.text


def test_outer_blank_rows_are_no_part_of_the_block_but_the_cursor_row_is(moment):
    assert SWEEP.render(moment("a\n\n\nx¦\nb\n\n\n\n\n"), words).region_text == "x\nb"
    assert SWEEP.render(moment("a\n\n\n¦" + "\n" * 20 + "b"), words).region_text == ""


def test_a_block_over_its_budget_loses_rows_below_then_above_and_a_long_cursor_row_is_refused(moment):
    sizes = SweepV2Sizes(block_tokens=6)
    assert SweepV2(sizes=sizes).render(moment("a a\nb b\nc¦ c\nd d\ne e"), words).region_text == "a a\nb b\nc c"
    assert SweepV2(sizes=sizes).render(moment("a a\nb b\nc¦ c c c\nd d"), words).region_text == "b b\nc c c c"
    assert SweepV2(sizes=sizes).render(moment("w " * 7 + "¦"), words) is Refusal.OVER_BUDGET


@pytest.mark.parametrize(
    ("prefill", "expected"),
    [(Prefill.BEFORE_CURSOR_LINE, "a\n\n"), (Prefill.FIRST_LINE, "a\n\n"), (Prefill.NOTHING, "")],
)
def test_the_prefill_ends_the_prompt_and_starts_the_answer(moment, prefill, expected):
    inputs = moment("a\n\nx¦\nb")
    prompt = SweepV2(prefill).render(inputs, words)
    assert prompt.prefill == expected
    assert prompt.text.endswith(f"updated/src/a.py:1:4\n{expected}")
    rest = "a\n\ny\nb".removeprefix(expected)
    assert SweepV2(prefill).parse(inputs, prompt, f"{rest}\n", finished=True) == NewRegion("a\n\ny\nb")


def test_the_insertion_mode_gives_away_only_the_first_line(moment):
    assert SweepV2(Prefill.FIRST_LINE).render(moment("a\nb\nx¦\nc"), words).prefill == "a\n"
    assert SWEEP.render(moment("a\nb\nx¦\nc"), words).prefill == "a\nb\n"


def test_the_block_before_undoes_changes_newest_first_up_to_one_that_is_not_in_the_block(moment):
    far_old, far_new = "q = 1\n", "q = 2\n"
    inputs = moment(
        "alpha = 1\nbeta = 2¦\ngamma = 3",
        excerpt_start_row=0,
        events=(
            event("a = 1\nbeta = 2\n", "alpha = 1\nbeta = 2\n"),
            event(far_old, far_new),
            event("alpha = 1\nb = 2\ngamma = 3\n", "alpha = 1\nbeta = 2\ngamma = 3\n"),
            event("alpha = 1\nbeta = 2\ng = 3\n", "alpha = 1\nbeta = 2\ngamma = 3\n"),
        ),
    )
    prompt = SWEEP.render(inputs, words)
    assert section(prompt, "original/") == "alpha = 1\nb = 2\ng = 3\n"


def test_of_equal_places_the_one_at_the_row_of_the_change_is_undone(moment):
    old, new = "x\ny\nold\nx\ny\n", "x\ny\nx\nx\ny\n"
    prompt = SWEEP.render(moment("x\ny\nx¦\nx\ny", excerpt_start_row=0, events=(event(old, new),)), words)
    assert section(prompt, "original/") == "x\ny\nold\nx\ny\n"


def test_a_change_in_another_file_is_told_but_not_undone(moment):
    inputs = moment("x = 2¦", excerpt_start_row=0, events=(event("x = 1\n", "x = 2\n", "src/b.py"),))
    prompt = SWEEP.render(inputs, words)
    assert section(prompt, "original/") == "x = 2\n"
    assert section(prompt, "src/b.py:") == "original:\nx = 1\nupdated:\nx = 2\n"


def test_six_changes_are_told_with_one_line_around_each_and_none_of_whitespace_alone(moment):
    events = tuple(event(f"p\nq\nv = {n}\nr\ns\n", f"p\nq\nv = {n + 1}\nr\ns\n", "src/b.py") for n in range(8))
    spaces = event("a\nb\nc\n", "a\n\nb\nc\n", "src/c.py")
    prompt = SWEEP.render(moment("x¦", events=(*events, spaces)), words)
    assert prompt.text.count("<|file_sep|>src/b.py:2:4\n") == 6
    assert "original:\nq\nv = 2\nr\nupdated:\nq\nv = 3\nr\n" in prompt.text
    assert "v = 1\n" not in prompt.text
    assert "src/c.py" not in prompt.text


def test_related_chunks_are_three_of_25_lines_by_importance_and_long_lines_are_cut(moment):
    files = tuple(
        RelatedFile(f"f{order}.py", 99, (RelatedExcerpt(Span(0, 40), f"{'z' * 700}\n{numbered(40)}", order),))
        for order in (3, 0, 2, 1)
    )
    prompt = SWEEP.render(moment("x¦", related_files=files), words)
    assert [f"f{order}.py" in prompt.text for order in range(4)] == [True, True, True, False]
    assert section(prompt, "f0.py") == f"{'z' * 600}\n" + "".join(f"line {n}\n" for n in range(24)) + "\n"


def test_a_long_file_is_shown_around_the_cursor_within_its_budget(moment):
    text = numbered(5000).replace("line 2500", "line¦ 2500")
    prompt = SweepV2(sizes=SweepV2Sizes(broad_tokens=100)).render(moment(text), words)
    broad = section(prompt, "src/a.py\n")
    assert "line 2500\n" in f"<|x|>\n{broad}"
    assert 90 <= words(broad) <= 100


def test_a_prompt_and_its_answer_stay_in_the_context_with_few_calls_of_the_tokenizer(moment):
    calls = 0

    def counted(text: str) -> int:
        nonlocal calls
        calls += 1
        return words(text)

    events = tuple(event("a\n", f"{'word ' * 300}{number}\n", "src/b.py") for number in range(6))
    files = tuple(RelatedFile(f"f{n}.py", 9, (RelatedExcerpt(Span(0, 1), "word " * 900, n),)) for n in range(3))
    text = "word " * 40 + "\n"
    inputs = moment(text * 300 + "x¦\n" + text * 300, events=events, related_files=files)
    prompt = SWEEP.render(inputs, counted)
    assert calls < 60
    assert words(prompt.text) + prompt.max_answer_tokens <= 8192
    assert prompt.text.count("src/b.py") == 6


@pytest.mark.parametrize("token", ["<|file_sep|>", "<|cursor|>", "<|endoftext|>"])
def test_control_tokens_in_the_block_are_refused_and_elsewhere_left_out(moment, token):
    assert SWEEP.render(moment(f"x = '{token}'¦"), words) is Refusal.CONTROL_TOKENS
    clean = moment("x¦")
    crowded = replace(
        clean,
        events=(event("a\n", f"{token}\n", "src/b.py"), event("a\n", "b\n", "src/odd\nname.py")),
        related_files=(RelatedFile("c.py", 9, (RelatedExcerpt(Span(0, 1), token),)),),
    )
    assert SWEEP.render(crowded, words) == SWEEP.render(clean, words)
    elsewhere = SWEEP.render(moment(f"{token}\n" + "y\n" * 20 + "x¦"), words)
    assert elsewhere.text.startswith("<|file_sep|>src/a.py\n\n\n<|file_sep|>original/")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", NoEditReason.EMPTY),
        ("<|fim_pad|>", NoEditReason.CONTROL_TOKENS),
        ("b<|cursor|> = 3\nc = 4\n", NoEditReason.CONTROL_TOKENS),
        ("b = 3\nc = 4\n\\ No newline at end of file\n", NoEditReason.CONTROL_TOKENS),
        ("b = 2\nc = 3\n", NoEditReason.UNCHANGED),
        ("b = 2  \nc = 3\n\n\n", NoEditReason.WHITESPACE),
        ("b = 1\nc = 3\n", NoEditReason.REVERTS),
        ("new = 0\nb = 2\nc = 3\n", NoEditReason.INSERTS_ABOVE),
        ("new = 0\n\nb = 2\nc = 3\n", NoEditReason.INSERTS_ABOVE),
        ("b", NoEditReason.MALFORMED),
        ("NO_EDITS", NoEditReason.SAID_SO),
    ],
)
def test_an_answer_that_is_no_edit_says_why(moment, answer, reason):
    old, new = "a = 1\nb = 1\nc = 3\n", "a = 1\nb = 2\nc = 3\n"
    inputs = moment("a = 1\nb = 2¦\nc = 3", excerpt_start_row=0, events=(event(old, new),))
    prompt = SWEEP.render(inputs, words)
    assert SWEEP.parse(inputs, prompt, answer, finished=True) == NoEdit(reason)


def test_lines_inserted_below_and_a_new_indentation_are_edits(moment):
    inputs = moment("if x:\nb = 2¦\nc = 3")
    prompt = SWEEP.render(inputs, words)
    for rest in ("b = 2\nnew = 0\nc = 3", "    b = 2\nc = 3"):
        assert SWEEP.parse(inputs, prompt, f"{rest}\n", finished=True) == NewRegion(f"if x:\n{rest}")


def test_an_unfinished_answer_is_never_an_edit(moment):
    inputs = moment("a¦\nb")
    prompt = SWEEP.render(inputs, words)
    assert SWEEP.parse(inputs, prompt, "c\nb\n", finished=False) == NoEdit(NoEditReason.UNFINISHED)


def test_a_target_that_changes_the_prefill_is_an_error(moment):
    inputs = moment("a\nb¦")
    prompt = SWEEP.render(inputs, words)
    with pytest.raises(TargetError, match="already given"):
        SWEEP.training_target(inputs, prompt, NewRegion("z\nb"))
    assert FREE.training_target(inputs, FREE.render(inputs, words), NewRegion("z\nb")) == "z\nb\n<|file_sep|>"


@settings(max_examples=300, deadline=None)
@given(lines=LINES, cursor=st.integers(0, 120), new_lines=LINES, start_row=st.none() | st.integers(0, 9))
def test_what_a_model_is_trained_to_answer_is_what_is_read_from_it(
    moment, engine_cut, lines, cursor, new_lines, start_row
):
    text = "\n".join(lines)
    at = cursor % (len(text) + 1)
    inputs = moment(f"{text[:at]}¦{text[at:]}", excerpt_start_row=start_row)
    prompt = FREE.render(inputs, words)
    new = "\n".join(new_lines)
    row = text[:at].count("\n") - inputs.excerpt_bytes[: prompt.region.start].count(b"\n")
    below = "\n".join(prompt.region_text.split("\n")[row:])
    visible = [[line.rstrip() for line in rows.split("\n") if line.strip()] for rows in (new, prompt.region_text)]
    keeps_end = new.endswith("\n") or not prompt.region_text.endswith("\n")
    try:
        target = FREE.training_target(inputs, prompt, NewRegion(new))
    except TargetError:
        assert not keeps_end or visible[0] in ([], visible[1]) or new.endswith(f"\n{below}")
        return
    parsed = FREE.parse(inputs, prompt, engine_cut(target, prompt.stop), finished=True)
    assert isinstance(parsed, NoEdit) if new == prompt.region_text else parsed == NewRegion(new)


@settings(max_examples=200, deadline=None)
@given(lines=LINES, cursor=st.integers(0, 120), answer=st.text(alphabet="ab\n<|cursor|>x\r", max_size=30))
def test_no_answer_raises_or_loses_the_text_before_the_cursor_line(moment, lines, cursor, answer):
    text = "\n".join(lines)
    at = cursor % (len(text) + 1)
    inputs = moment(f"{text[:at]}¦{text[at:]}")
    prompt = SWEEP.render(inputs, words)
    parsed = SWEEP.parse(inputs, prompt, answer, finished=True)
    if isinstance(parsed, NewRegion):
        assert parsed.text.startswith(prompt.prefill)
        assert "<|cursor|>" not in parsed.text
