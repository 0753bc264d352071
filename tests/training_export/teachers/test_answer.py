"""A teacher's answer: what was meant comes out exactly, and nothing that would harm comes out at all."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from capture.inputs import ExcerptRanges, PredictionInputs, Span
from daemon.prompts.base import NewRegion
from training_export.example import Example
from training_export.patches import NotSayable, patch_of_region, patched_excerpt, region_after
from training_export.teachers.answer import AnswerUnreadable, read_answer, says, write_answer
from training_export.teachers.prompt import FORBIDDEN, PromptSettings

SETTINGS = PromptSettings()
START, END = "<|editable_region_start|>", "<|editable_region_end|>"
FENCE = "`````"
OLD = "import math\n\ndef total(items):\n    return sum(items)\n\ndef mean(items):\n    return 0"
NEW = "import math\n\ndef total(rows):\n    return sum(rows)\n\ndef mean(rows):\n    return 0"

# Lines as code has them, and lines that a careless parser would stumble over.
LINES = st.sampled_from(
    [
        "",
        "",
        "a = 1",
        "    return ä",
        "```python",
        "`````",
        "``````",
        "- x",
        "+y",
        "-- x",
        "@@ -1 +1 @@",
        "}",
        "é\u2028",
    ]
)
REGIONS = st.lists(LINES, max_size=7).map("\n".join)


def moment(old, above="", below=""):
    """An example whose region is ``old`` between two texts, the cursor at its start."""
    start = len(above.encode())
    inputs = PredictionInputs("shop/cart.py", above + old + below, start, ExcerptRanges({}))
    return Example.new(
        name="moment",
        cursor_path="shop/cart.py",
        cursor_position=f"{above}<|user_cursor|>{old}{below}",
        prompt_inputs=inputs.to_json(),
        foretype={"region": {"start": start, "end": start + len(old.encode())}},
    )


def region(old):
    return Span(0, len(old.encode()))


def new_region(old, text):
    """The region that an answer comes to."""
    answer = read_answer(moment(old), SETTINGS, text)
    return region_after(moment(old).prompt_inputs, region(old), answer.patch).text


def in_block(text):
    return f"Because.\n\n{FENCE}\n{text}\n{FENCE}\n"


@given(above=st.sampled_from(["", "top\n"]), below=st.sampled_from(["", "\nend", "\n"]), old=REGIONS, new=REGIONS)
@example(above="", below="", old="", new="a = 1")
@example(above="top\n", below="\nend", old="\n\na = 1", new="\n\n}")
def test_a_region_that_is_stated_well_comes_back_exactly(above, below, old, new):
    held = moment(old, above, below)
    start = len(above.encode())
    # What a patch cannot say, and what is taken for a slip, is the business of the tests below.
    assume(new.strip() and new == new.rstrip("\n") and old == old.rstrip("\n"))
    assume(new.startswith("\n") or not old.startswith("\n"))
    cursor = len(new.encode()) // 2
    while cursor and new.encode()[cursor : cursor + 1] and new.encode()[cursor] & 0xC0 == 0x80:
        cursor -= 1
    stated = NewRegion(new, cursor)
    try:
        wanted = patch_of_region(held.prompt_inputs, Span(start, start + len(old.encode())), stated)
    except NotSayable:
        with pytest.raises(AnswerUnreadable, match="cannot say"):
            read_answer(held, SETTINGS, write_answer(stated, "Why."))
        return
    answer = read_answer(held, SETTINGS, write_answer(stated, "Why."))
    assert answer.patch == wanted
    assert patched_excerpt(held.prompt_inputs, answer.patch) == above + new + below
    if answer.patch:
        assert answer.cursor.offset == start + cursor
        assert answer.cursor.editable_region_offset == cursor


HOSTILE = st.lists(
    st.sampled_from(
        [
            START, END, "<|user_cursor|>", "NO_EDITS", "KEEP_PREVIOUS", "```", "`````", "```python", "\n", "\n", "\n",
            "\r\n", " ", "def total(rows):", "    return sum(items)", "--- a/x", "<|marker_1|>", "<|endoftext|>",
            ">>>>>>> UPDATED\n", "<|editable_region_", "<[fim-middle]>", "ä",
        ]
    )
).map("".join)  # fmt: skip


@given(HOSTILE)
@example(f"{START}\n{START}\nx\n{END}\n{END}")
@example(f"{START}\nNO_EDITS, he said\n{END}")
@example(f"{START}<|user_cursor|>a<|user_cursor|>{END}")
def test_no_answer_whatever_puts_a_mark_or_a_sentinel_into_a_patch(text):
    held = moment(OLD, "above\n", "\nbelow")
    try:
        answer = read_answer(held, SETTINGS, text)
    except AnswerUnreadable:
        return
    after = patched_excerpt(held.prompt_inputs, answer.patch)
    unmarked = answer.patch.replace("<|user_cursor|>", "", 1)
    for token in FORBIDDEN:
        assert token not in after
        assert token not in unmarked
    assert after.startswith("above\n")
    assert after.endswith("\nbelow")
    assert after.strip().count("\n") >= 2  # something of the region is left


@pytest.mark.parametrize(
    "text",
    [
        "NO_EDITS",
        "Nothing follows.\n\nNO_EDITS\n",
        "Nothing follows: NO_EDITS",
        f"Nothing follows.\n\n{FENCE}\nNO_EDITS\n{FENCE}",
        "Nothing follows.\n\n```text\r\nNO_EDITS\r\n```\r\n",
        f"{FENCE}\nNO_EDITS",
        f"First I thought of\n{FENCE}\n{START}\nx\n{END}\n{FENCE}\nbut:\n{FENCE}\nNO_EDITS\n{FENCE}",
        in_block(f"{START}\nNO_EDITS\n{END}"),
        in_block(f"{START}\n{OLD}\n{END}"),
    ],
)
def test_no_edit_is_said_in_many_ways(text):
    answer = read_answer(moment(OLD), SETTINGS, text)
    assert answer.is_no_edit
    assert answer.cursor is None


def test_an_answer_that_weighs_no_edit_and_then_edits_is_an_edit():
    text = f"NO_EDITS would be wrong:\n{FENCE}\nNO_EDITS\n{FENCE}\nso\n" + in_block(f"{START}\n{NEW}\n{END}")
    assert new_region(OLD, text) == NEW


@pytest.mark.parametrize(
    "text",
    [
        in_block(f"{START}\n{NEW}\n{END}"),
        in_block(f"{START}\n{NEW}\n{END}").replace("\n", "\r\n"),
        f"Because.\n```python\n{START}\n{NEW}\n{END}\n```",
        f"{START}\n{NEW}\n{END}",
        in_block(f"{START}\nx\n{END}") + in_block(f"{START}\n{NEW}\n{END}"),
        in_block(f"{START}\n{NEW}{END}"),
        in_block(f"{START}{NEW}\n{END}"),
        in_block(f"{START}\n{NEW}\n\n{END}"),
        in_block(f"  {START}  \n{NEW}\n  {END}  "),
        f"From `{START}` to `{END}`:\n" + in_block(f"{START}\n{NEW}\n{END}") + f"All of it up to `{END}`.",
        f"{FENCE}\n{START}\n{NEW}\n{END}",
        in_block(f"{START}\n{NEW}"),
        in_block(f"{NEW}\n{END}"),
        in_block(NEW),
    ],
    ids=[
        "as asked", "CRLF", "three backticks", "no fence", "twice", "end mark glued", "start mark glued",
        "a blank line more", "marks indented", "marks in prose", "fence left open", "no end mark", "no start mark",
        "no marks",
    ],
)  # fmt: skip
def test_slips_that_leave_no_doubt_are_put_right(text):
    assert new_region(OLD, text) == NEW


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "neither"),
        ("I would rename it.", "neither"),
        ("KEEP_PREVIOUS", "neither"),
        (in_block("KEEP_PREVIOUS"), "begins after|stops before|KEEP_PREVIOUS"),
        (in_block(f"{START}\nKEEP_PREVIOUS\n{END}"), "KEEP_PREVIOUS"),
        (in_block(f"{START}\nreturn NO_EDITS\n{END}"), "NO_EDITS"),
        (in_block(f"{START}\n{END}"), "leaves nothing"),
        (in_block(f"{START}\n<|user_cursor|>a<|user_cursor|>\n{END}"), "user_cursor"),
        (in_block(f"{START}\n<|marker_2|>a\n{END}"), "marker"),
        (f"{FENCE}\n{START}\n{NEW[:40]}", "stops before the end"),
        (in_block(f"{START}\ndef total(rows):"), "stops before the end"),
        (in_block(f"    return 0\n{END}"), "begins after the start"),
        (in_block(f"{START}\n{NEW}\n{END}").replace("def mean", "++ mean"), "cannot say"),
        (in_block(f"{START}\na\r\r\n{NEW}\n{END}"), "cannot say"),
    ],
)
def test_what_is_no_edit_one_could_use_is_refused_with_the_reason(text, reason):
    with pytest.raises(AnswerUnreadable, match=reason):
        read_answer(moment(OLD), SETTINGS, text)


def test_a_blank_first_line_that_was_dropped_is_put_back_and_the_cursor_goes_with_it():
    old = "\n\na = 1\nb = 2"
    answer = read_answer(moment(old), SETTINGS, in_block(f"{START}\na = 1\nb = 3<|user_cursor|>\n{END}"))
    assert region_after(moment(old).prompt_inputs, region(old), answer.patch) == NewRegion("\n\na = 1\nb = 3", 13)
    assert (answer.cursor.row, answer.cursor.column) == (3, 5)


def test_a_blank_first_line_goes_with_the_line_below_it():
    assert new_region("\na = 1\nb = 2", in_block(f"{START}\nb = 2\n{END}")) == "b = 2"


@pytest.mark.parametrize("stated", ["b", "b\n", "b\n\n\n"])
def test_the_regions_last_newline_stays_as_it_was(stated):
    assert new_region("a", in_block(f"{START}\n{stated}\n{END}")) == "b"
    assert new_region("a\n", in_block(f"{START}\n{stated}\n{END}")).endswith("b\n" if stated == "b" else stated)


def test_the_cursor_is_told_in_rows_and_bytes_of_the_new_excerpt():
    held = moment("b = ä", above="above\n")
    answer = read_answer(held, SETTINGS, in_block(f"{START}\nb = ää<|user_cursor|>!\n{END}"))
    place = answer.cursor
    assert (place.path, place.row, place.column, place.offset) == ("shop/cart.py", 1, 8, 14)
    assert place.editable_region_offset == 8
    assert "+b = ää<|user_cursor|>!" in answer.patch


def test_code_with_fences_of_its_own_is_told_from_the_answers_fence():
    new = "```python\nx\n```\n`````\nNO\n``````"
    assert new_region("old", write_answer(NewRegion(new))) == new
    assert new_region("old", in_block(f"{START}\n{new}\n{END}")) == new


def test_a_sentinel_counts_only_as_the_last_word():
    assert says(f"So:\n{FENCE}\nKEEP_PREVIOUS\n{FENCE}\n", "KEEP_PREVIOUS")
    assert says("**KEEP_PREVIOUS**", "KEEP_PREVIOUS")
    assert not says(f"KEEP_PREVIOUS is wrong.\n{in_block('x')}", "KEEP_PREVIOUS")
    assert not says("KEEP_PREVIOUS", "NO_EDITS")
    assert not says("", "NO_EDITS")
