"""Edits located by the lines around them: one place or none, and no end of a file lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.editing.unified_diff import PatchError
from capture.inputs import ExcerptRanges, Span
from daemon.prompts.base import NewRegion, NoEdit, NoEditReason, TargetError
from daemon.prompts.zed.marker_spans import MarkerError
from daemon.prompts.zed.table import ZETA_PROMPTS
from daemon.prompts.zed.variable_edit import (
    V0304_VARIABLE_EDIT,
    apply_variable_edit,
    variable_edit_ranges,
    variable_edit_target,
)

VARIABLE_EDIT = ZETA_PROMPTS["V0304VariableEdit"]
TEXT = "def one():\n    pass\n\ndef two():\n    pass\n\ndef three():\n    return 3"


@pytest.fixture
def rendered(moment):
    def render(text=TEXT):
        inputs = moment("¦" + text)
        return inputs, VARIABLE_EDIT.render(inputs, len)

    return render


@pytest.fixture
def read(rendered):
    inputs, prompt = rendered()
    return lambda answer: VARIABLE_EDIT.parse(inputs, prompt, answer, finished=True)


def test_the_prompt_shows_the_whole_context_with_the_cursor(moment):
    inputs = moment("a\nb¦b\nc")
    prompt = VARIABLE_EDIT.render(inputs, len)
    assert prompt.text == "<|file_sep|>src/a.py\na\nb<|user_cursor|>b\nc\n<|fim_prefix|>\n"
    assert (prompt.region, prompt.region_text) == (Span(0, 6), "a\nbb\nc")


def test_without_syntax_ranges_the_largest_precomputed_context_is_taken(moment):
    ranges = {"editable_350_context_150": Span(2, 3), "editable_350_context_512": Span(1, 4)}
    inputs = moment("abcd¦ef", excerpt_ranges=ExcerptRanges(ranges))
    assert variable_edit_ranges(inputs, 1024, 0) == (Span(1, 4), Span(1, 4))
    with_more = moment("abcd¦ef", excerpt_ranges=ExcerptRanges(ranges | {"editable_350_context_1024": Span(0, 6)}))
    assert variable_edit_ranges(with_more, 1024, 0) == (Span(0, 6), Span(0, 6))
    with_syntax = moment("ab\ncd¦\nef", excerpt_ranges=ExcerptRanges(ranges), syntax_ranges=())
    assert variable_edit_ranges(with_syntax, 1024, 0) == (Span(0, 8), Span(0, 8))


def test_lines_between_two_places_are_replaced(read):
    answer = "def two():\n<|fim_middle|>\n    return <|user_cursor|>2\n<|fim_suffix|>\n\ndef three():\n"
    wanted = TEXT.replace("def two():\n    pass", "def two():\n    return 2")
    assert read(answer) == NewRegion(wanted, wanted.index("2"))


def test_the_last_line_is_found_although_no_newline_follows_it(read):
    answer = "def three():\n<|fim_middle|>\n    # three\n<|fim_suffix|>\n    return 3"
    assert read(answer) == NewRegion(TEXT.replace("    return 3", "    # three\n    return 3"))


@pytest.mark.parametrize(
    "answer",
    [
        "    pass\n<|fim_middle|>\n    x\n<|fim_suffix|>\ndef three():\n",  # stands there twice: Zed takes the first
        "def two():\n<|fim_middle|>\n    x\n<|fim_suffix|>\ndef one():\n",  # not behind the first place
        "def four():\n<|fim_middle|>\n    x\n<|fim_suffix|>\ndef three():\n",
        "def one():\n<|fim_middle|>\n    x\n<|fim_suffix|>\n    pass\n",  # twice behind
        "def two():\n<|fim_middle|>\n    x\n",  # cut off: Zed replaces all the rest
        "def two():\n<|fim_middle|>\n    x\n<|fim_suffix|>\n",  # cut off a little later
        "def two():\n",
        "def tw<|fim_middle|>\n    x\n<|fim_suffix|>\ndef three():\n",
        "def two():\n<|fim_middle|>\n    x<|fim_suffix|>\ndef three():\n",
        "def two():\n<|fim_suffix|>\n    x\n<|fim_middle|>\ndef three():\n",
        "def one():\n<|fim_middle|>\n<|fim_middle|>\n<|fim_suffix|>\n\ndef two():\n",
    ],
)
def test_an_answer_that_fits_at_no_place_or_at_several_is_no_edit(read, answer):
    assert read(answer) == NoEdit(NoEditReason.MALFORMED)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", NoEditReason.EMPTY),  # also what Zed teaches where nothing changes
        ("NO_EDITS", NoEditReason.SAID_SO),
        ("<|fim_middle|>\n<|fim_suffix|>\n", NoEditReason.MALFORMED),
        ("def two():\n<|fim_middle|>\n    pass\n<|fim_suffix|>\n\ndef three():\n", NoEditReason.UNCHANGED),
        ("def two():\n<|fim_middle|>\n<|file_sep|>\n<|fim_suffix|>\n\ndef three():\n", NoEditReason.CONTROL_TOKENS),
    ],
)
def test_no_edit_is_understood_and_no_control_text_gets_through(read, answer, reason):
    assert read(answer) == NoEdit(reason)


def test_zed_takes_the_first_place_and_the_rest_of_a_cut_answer():
    assert apply_variable_edit("x\na\nx\nb\n", "x\n<|fim_middle|>\nnew\n<|fim_suffix|>\nb\n") == (Span(2, 6), "new\n")
    assert apply_variable_edit("a\nb\nc\n", "a\n<|fim_middle|>\nnew") == (Span(2, 6), "new")
    with pytest.raises(MarkerError):
        apply_variable_edit("ab\n", "b\n<|fim_middle|>\n<|fim_suffix|>\n")


def test_a_target_shows_two_lines_on_either_side_and_more_where_they_occur_twice():
    old = "p\nq\nx\np\nq\ny\nr\ns\nr\ns\n"
    patch = "--- a/f\n+++ b/f\n@@ -6,1 +6,1 @@\n-y\n+new\n"
    assert variable_edit_target(old, patch, None) == "x\np\nq\n<|fim_middle|>\nnew\n<|fim_suffix|>\nr\ns\nr\n"
    with pytest.raises(PatchError):
        variable_edit_target(old, patch.replace("-y", "-nowhere"), None)


def test_where_no_lines_before_occur_once_the_target_reaches_back_to_the_start(rendered):
    text = "\n".join(["same"] * 6)
    inputs, prompt = rendered(text)
    new = NewRegion("\n".join(["same"] * 3 + ["other"] + ["same"] * 3))
    target = VARIABLE_EDIT.training_target(inputs, prompt, new)
    assert target.startswith("<|fim_middle|>\n")
    assert VARIABLE_EDIT.parse(inputs, prompt, target, finished=True) == new


def test_a_blank_line_behind_a_change_at_the_start_is_not_lost(rendered):
    inputs, prompt = rendered("a\n\nb\nc")
    new = NewRegion("x\n\nb\nc")
    target = VARIABLE_EDIT.training_target(inputs, prompt, new)
    assert VARIABLE_EDIT.parse(inputs, prompt, target, finished=True) == new
    assert V0304_VARIABLE_EDIT.region.read(b"a\n\nb\nc", target.encode(), 0) == b"x\n\nb\nc\n"


lines = st.lists(st.sampled_from(["", "a", "b", "ab", "é", "    }"]), min_size=1, max_size=12)


@settings(deadline=None)
@given(old=lines, kept=st.tuples(st.integers(0, 12), st.integers(0, 12)), inserted=lines, cursor=st.integers(0, 40))
def test_what_is_taught_is_read_back(moment, old, kept, inserted, cursor):
    inputs = moment("¦" + "\n".join(old))
    prompt = VARIABLE_EDIT.render(inputs, len)
    text = "\n".join([*old[: min(kept)], *inserted, *old[max(kept) :]])
    wanted = NewRegion(text, len(text[:cursor].encode()) if cursor < len(text) else None)
    try:
        target = VARIABLE_EDIT.training_target(inputs, prompt, wanted)
    except TargetError:
        return
    parsed = VARIABLE_EDIT.parse(inputs, prompt, target, finished=True)
    assert parsed == wanted or (text == prompt.region_text and isinstance(parsed, NoEdit))
