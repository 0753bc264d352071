"""The student's format: what it writes for an edit reads back as that edit, and nothing else does harm."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from capture.editing.substitution import (
    Substitution,
    last_substitution,
    shortest_unique_replacements,
    substitute,
    word_diff,
)
from capture.inputs import EditEvent, ExcerptRanges, PredictionInputs, RelatedExcerpt, RelatedFile, Span
from daemon.prompts.base import NewRegion, NoEdit, NoEditReason, Prompt, Refusal
from daemon.prompts.line_edits import CONTEXT_TOKENS, LineEdits
from daemon.prompts.line_region import CONTROL_TOKENS, END, NO_EDIT

FORMAT = LineEdits()
CURSOR = "\u2038"  # a caret: no text in these tests holds one


def count_tokens(text: str) -> int:
    return len(text) // 3 + 1


def moment(marked: str, *diffs: str) -> PredictionInputs:
    """Inputs from a text with a caret at the cursor and the hunks of its history."""
    before, _, after = marked.partition(CURSOR)
    return PredictionInputs(
        cursor_path="shop/basket.py",
        cursor_excerpt=before + after,
        cursor_offset_in_excerpt=len(before.encode()),
        excerpt_ranges=ExcerptRanges({}),
        events=tuple(EditEvent("shop/basket.py", "shop/basket.py", diff) for diff in diffs),
    )


def rendered(inputs: PredictionInputs) -> Prompt:
    prompt = FORMAT.render(inputs, count_tokens)
    assert isinstance(prompt, Prompt)
    return prompt


def answer_of(target: str) -> str:
    """What the engine hands back for a target: the text before the stop marker."""
    return target.removesuffix(NO_EDIT).removesuffix(END)


def check(marked: str, expected: str, target: str, *diffs: str) -> None:
    """``expected`` is taught as ``target``, and ``target`` is read as ``expected``."""
    inputs = moment(marked, *diffs)
    prompt = rendered(inputs)
    assert FORMAT.training_target(inputs, prompt, NewRegion(expected)) == target
    parsed = FORMAT.parse(inputs, prompt, answer_of(target), finished=True)
    assert parsed == (NoEdit(NoEditReason.SAID_SO) if target == NO_EDIT else NewRegion(expected))


RENAMED = "@@ -1,1 +1,1 @@\n-def price(qty):\n+def price(count):\n"


def test_a_propagated_rename_costs_two_tokens_a_line() -> None:
    check(
        "def price(count‸):\n    total = qty * 2\n    return total, qty\n",
        "def price(count):\n    total = count * 2\n    return total, count\n",
        "<|mark_1|><|again|><|mark_2|><|again|><|end|>",
        RENAMED,
    )


def test_an_occurrence_that_stays_is_left_out_of_the_replacement() -> None:
    check(
        "def price(count‸):\n    log('qty', qty)",
        "def price(count):\n    log('qty', count)",
        "<|mark_1|><|del|> qty<|add|> count<|end|>",
        RENAMED,
    )


def test_the_rest_of_a_line_is_text_at_the_cursor() -> None:
    check("total = su‸\nprint(total)", "total = sum(prices)\nprint(total)", "<|here|><|add|>m(prices)<|end|>")


def test_new_lines_below_a_finished_line() -> None:
    check("if ready:‸\nstop()", "if ready:\n    go()\nstop()", "<|here|><|add|>\n    go()<|end|>")


def test_lines_inserted_away_from_the_cursor() -> None:
    check("a‸\nb\nc", "a\nb\nnew\nc", "<|line_1|><|insert|>new<|end|>")


def test_a_removed_last_line_leaves_no_blank_line() -> None:
    check("a‸\nb\nc", "a\nb", "<|line_2|><|delete|><|end|>")


def test_no_edit_is_one_token() -> None:
    check("a‸\nb", "a\nb", NO_EDIT)


def test_carriage_returns_of_the_document_stay() -> None:
    check("if x:‸\r\ny()\r\n", "if x:\r\n    z()\r\ny()\r\n", "<|here|><|add|>\n    z()<|end|>")


def test_the_prompt_marks_what_was_just_replaced_and_the_cursor() -> None:
    prompt = rendered(moment("def price(count‸):\n    return qty", RENAMED))
    region, _, after = prompt.text.partition("<|history|>\n")
    assert region.endswith("<|region|>\ndef price(<|recent|>qty):<|here|>    return <|recent|>qty<|mark_1|>")
    assert after == "<|here|>def price(<|del|>qty<|add|>count<|cursor|><|same|>):<|answer|>"


def test_a_change_elsewhere_stays_in_the_history_and_the_cursors_line_is_plain() -> None:
    prompt = rendered(moment("def price(count):\n    return qty‸", RENAMED))
    after = prompt.text.partition("<|history|>\n")[2]
    assert after == "def price(<|del|>qty<|add|>count<|same|>):\n<|here|>    return <|recent|>qty<|cursor|><|answer|>"


def test_older_events_stand_before_what_is_being_typed() -> None:
    prompt = rendered(
        moment("a = 2\nb = 13‸", "@@ -1,1 +1,1 @@\n-a = 1\n+a = 2\n", "@@ -2,1 +2,1 @@\n-b = 1\n+b = 13\n")
    )
    after = prompt.text.partition("<|history|>\n")[2]
    assert after.startswith("a = <|del|>1<|add|>2<|same|>\n<|here|>b = <|del|>1<|add|>13<|cursor|><|same|>")


def test_a_line_that_is_too_long_to_show_is_refused() -> None:
    assert FORMAT.render(moment("x = " + "a" * 600 + "‸"), count_tokens) is Refusal.OVER_BUDGET


WORDS = ("total", "price(", "items", " + ", "):", "    ", "'x'")


@given(
    above=st.lists(st.sampled_from(("", "x = 1", "    return y", "def f(a, b):")), max_size=30),
    below=st.lists(st.sampled_from(("", "x = 1", "    return y", "z = [1,")), max_size=30),
    first_row=st.integers(0, 40),
    old=st.lists(st.sampled_from(WORDS), max_size=4).map("".join),
    typed=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map("".join),
)
def test_typing_on_changes_nothing_before_the_cursors_line(
    above: list[str], below: list[str], first_row: int, old: str, typed: str
) -> None:
    """What was evaluated for one keystroke serves the next, unless the last replacement is another one."""
    shown = []
    for end in range(1, len(typed) + 1):
        line = old + typed[:end]
        start = "".join(other + "\n" for other in above) + line
        inputs = PredictionInputs(
            cursor_path="a.py",
            cursor_excerpt="\n".join([start, *below]),
            cursor_offset_in_excerpt=len(start.encode()),
            excerpt_ranges=ExcerptRanges({}),
            excerpt_start_row=first_row,
            events=(EditEvent("a.py", "a.py", f"@@ -1,1 +1,1 @@\n-{old}\n+{line}\n"),),
        )
        before_line = rendered(inputs).text.rpartition("<|here|>")[0]
        shown.append((last_substitution(inputs.events), before_line))
    for (earlier, text), (later, next_text) in pairwise(shown):
        if (earlier and earlier.removed) == (later and later.removed):
            assert text == next_text


@given(st.integers(0, 90), st.integers(1, 90), st.integers(0, 40))
def test_the_region_holds_the_cursor_and_moves_in_steps(cursor_row: int, row_count: int, first_row: int) -> None:
    cursor_row %= row_count
    tops = set()
    for row in range(cursor_row // 8 * 8, min(row_count, cursor_row // 8 * 8 + 8)):
        text = "".join(f"x{number}\n" for number in range(row_count - 1)) + "end"
        inputs = PredictionInputs(
            cursor_path="a.py",
            cursor_excerpt=text,
            cursor_offset_in_excerpt=sum(len(line) + 1 for line in text.split("\n")[:row]),
            excerpt_ranges=ExcerptRanges({}),
            excerpt_start_row=first_row * 8,
        )
        prompt = rendered(inputs)
        top = text.encode()[: prompt.region.start].count(b"\n")
        bottom = top + prompt.region_text.count("\n")
        tops.add(top)
        assert top <= row <= bottom
        assert bottom - top + 1 <= 24
        assert bottom - top + 1 == min(row_count, 24) or bottom == row_count - 1
        assert top % 8 == 0
    assert len(tops) == 1


def test_text_that_holds_a_control_token_is_refused() -> None:
    inputs = moment("a = '<|end|>'‸")
    assert FORMAT.render(inputs, count_tokens) is Refusal.CONTROL_TOKENS


def test_an_event_that_holds_a_control_token_is_left_out() -> None:
    prompt = rendered(moment("a‸", "@@ -1,1 +1,1 @@\n-x\n+<|end|>\n"))
    assert "<|end|>" not in prompt.text


def test_an_unfinished_answer_is_no_edit() -> None:
    inputs = moment("a‸\nb")
    parsed = FORMAT.parse(inputs, rendered(inputs), "<|line_1|>c", finished=False)
    assert parsed == NoEdit(NoEditReason.UNFINISHED)


@pytest.mark.parametrize(
    "answer",
    [
        "c",
        "<|line_9|>c",
        "<|line_1|>c<|here|>d",
        "<|here|>c<|here|>d",
        "<|mark_1|>c",
        "<|line_1|><|again|>",
        "<|line_1|><|del|>absent<|add|>x",
        "<|line_1|><|del|>b",
        "<|line_1|><|add|>not the cursor's line",
        "<|line_1|>x<|region|>",
    ],
)
def test_an_answer_that_breaks_the_rules_is_no_edit(answer: str) -> None:
    inputs = moment("a‸\nb")
    assert FORMAT.parse(inputs, rendered(inputs), answer, finished=True) == NoEdit(NoEditReason.MALFORMED)


# Texts close to code, with what makes offsets go wrong.
lines = st.lists(st.text(alphabet="ab_1 ()=.,\u00e9\u0301\U0001f600\u2028\x0c\r", max_size=12), min_size=1, max_size=9)


@given(
    before=lines,
    after=lines,
    cursor=st.integers(0, 200),
    removed=st.text("ab1(", max_size=4),
    added=st.text("ab1)", max_size=4),
)
def test_every_edit_reads_back(before: list[str], after: list[str], cursor: int, removed: str, added: str) -> None:
    old = "\n".join(before)
    new = "\n".join(line.rstrip("\r") for line in after)  # the format writes the document's own ends
    old = "\n".join(line.rstrip("\r") for line in old.split("\n"))
    assume(new.strip() or not old.strip())  # no answer makes a region blank
    cursor = min(cursor, len(old))
    marked = f"@@ -1,1 +1,1 @@\n-x {removed} y\n+x {added} y\n"
    inputs = PredictionInputs(
        cursor_path="a.py",
        cursor_excerpt=old,
        cursor_offset_in_excerpt=len(old[:cursor].encode()),
        excerpt_ranges=ExcerptRanges({}),
        events=(EditEvent("a.py", "a.py", marked),),
    )
    prompt = rendered(inputs)
    target = FORMAT.training_target(inputs, prompt, NewRegion(new))
    parsed = FORMAT.parse(inputs, prompt, answer_of(target), finished=True)
    assert parsed == (NewRegion(new) if new != old else NoEdit(NoEditReason.SAID_SO))


pieces = st.lists(st.one_of(st.sampled_from(CONTROL_TOKENS), st.text(max_size=5)), max_size=12)


@given(pieces, st.booleans())
def test_no_answer_brings_a_control_token_into_the_text(answer: list[str], finished: bool) -> None:
    inputs = moment("def price(count‸):\n    return qty\n\n", RENAMED)
    parsed = FORMAT.parse(inputs, rendered(inputs), "".join(answer), finished=finished)
    if isinstance(parsed, NewRegion):
        assert finished
        assert not any(token in parsed.text for token in CONTROL_TOKENS)


@given(st.text("ab_ (),\u00e9"), st.text("ab_ (),\u00e9"))
def test_word_pieces_join_to_both_sides(old: str, new: str) -> None:
    found = word_diff(old, new)
    assert "".join(piece.removed for piece in found) == old
    assert "".join(piece.added for piece in found) == new


@given(st.text("ab_ (),"), st.text("ab_ (),"))
def test_shortest_replacements_turn_old_into_new(old: str, new: str) -> None:
    for item in (found := shortest_unique_replacements(old, new)) or []:
        old = substitute(old, item.removed, item.added)
    assert found is None or old == new


def test_a_replacement_respects_word_boundaries() -> None:
    assert substitute("qty qtys my_qty qty.x", "qty", "count") == "count qtys my_qty count.x"


def test_the_newest_replacement_counts() -> None:
    events = moment("‸", RENAMED, "@@ -3,1 +3,1 @@\n-a = 1\n+a = 2\n").events
    assert last_substitution(events) == Substitution("1", "2")


# Related files


def related(path: str, *excerpts: tuple[int, str, int]) -> RelatedFile:
    """A file with excerpts: first row, text, order."""
    return RelatedFile(
        path,
        100,
        tuple(RelatedExcerpt(Span(row, row + text.count("\n")), text, order) for row, text, order in excerpts),
    )


def test_what_becomes_known_later_stands_behind_what_was_shown_before() -> None:
    inputs = moment(f"total = {CURSOR}price\n")
    first = related("shop/recent.py", (0, "recent = 1\n", 1000))
    later = related("shop/prices.py", (4, "price = 2\n", 0))
    before = rendered(replace(inputs, related_files=(first,))).text
    after = rendered(replace(inputs, related_files=(first, later))).text
    shown, _, rest = before.partition("<|region|>")
    assert "recent = 1" in shown
    assert after == f"{shown}<|context|>shop/prices.py\nprice = 2\n<|region|>{rest}"


def test_the_more_important_excerpt_of_a_file_is_the_first_to_get_room() -> None:
    little, much = "little = 1\n" * 40, "much = 1\n" * 40
    file = related("shop/prices.py", (0, little, 1), (50, much, 0))
    text = rendered(replace(moment(f"x{CURSOR}\n"), related_files=(file,))).text
    assert "much" in text
    assert "little" not in text


def test_of_an_excerpt_that_does_not_fit_the_first_rows_are_shown() -> None:
    excerpt = "".join(f"row_{row} = 1\n" for row in range(60))
    file = related("shop/prices.py", (0, excerpt, 0))
    text = rendered(replace(moment(f"x{CURSOR}\n"), related_files=(file,))).text
    shown = text.partition("<|context|>shop/prices.py\n")[2].partition("<|region|>")[0]
    assert excerpt.startswith(shown)
    assert 1 < shown.count("\n") < 60
    assert count_tokens(f"<|context|>shop/prices.py\n{shown}") <= CONTEXT_TOKENS


def test_an_excerpt_of_the_file_itself_is_not_repeated() -> None:
    file = related("shop/basket.py", (0, "once = 1\n", 0))
    assert "<|context|>" not in rendered(replace(moment(f"x{CURSOR}\n"), related_files=(file,))).text
