"""Prompt sections stay within their budgets and are byte for byte those of Zed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.inputs import ActiveBufferDiagnostic, EditEvent, RelatedExcerpt, RelatedFile, Span
from daemon.prompts.sections import (
    clamp_text,
    contains_special_tokens,
    estimate_tokens,
    filter_redundant_excerpts,
    format_diagnostics,
    format_edit_history,
    format_related_files,
    write_event,
)
from daemon.prompts.selection import smallest


def excerpt(start, end, text="text\n", order=0):
    return RelatedExcerpt(Span(start, end), text, order)


def diagnostic(row, message, snippet=""):
    return ActiveBufferDiagnostic(1, message, snippet, Span(row, row), Span(0, 0))


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("src/f.py", "a/src/f.py"),
        ("./src//f.py/", "a/./src/f.py"),
        ("src/./../f.py", "a/src/../f.py"),
        ("/f.py", "a///f.py"),
        ("", "a"),
    ],
)
def test_an_event_names_its_path_by_components(path, written):
    event = EditEvent(path, path, "@@ -1,0 +1,1 @@\n+x")
    assert write_event(event).splitlines()[0] == f"--- {written}"
    assert write_event(replace(event, predicted=True)).startswith("// User accepted prediction:\n---")


def test_edit_history_takes_the_newest_events_up_to_the_first_that_does_not_fit():
    small, large = EditEvent("f", "f", "+s\n"), EditEvent("f", "f", "+" + "l" * 300 + "\n")
    events = [small, large, small, small]
    budget = 2 * estimate_tokens(write_event(small)) + estimate_tokens("<f>history\n")
    assert format_edit_history(events, "<f>", "history", budget + 90) == "<f>history\n" + 2 * write_event(small)
    assert format_edit_history(events, "<f>", "history", 3000, max_events=1) == "<f>history\n" + write_event(small)
    assert format_edit_history(events, "<f>", "history", estimate_tokens("<f>history\n")) == ""


def test_a_last_line_with_a_lone_carriage_return_is_not_the_special_line():
    assert contains_special_tokens("a\n=======\r\nb", ["=======\n"])
    assert contains_special_tokens("a\n=======", ["=======\n"])
    assert not contains_special_tokens("a\n=======\r", ["=======\n"])
    assert not contains_special_tokens("a ======= b", ["=======\n"])
    assert contains_special_tokens("a <fim> b", ["=======\n", "<fim>"])


@pytest.mark.parametrize("path", ["src/f.py", "src//f.py", "src/./f.py", "src/f.py/"])
def test_excerpts_are_redundant_in_a_file_whose_path_has_the_cursors_components(path):
    file = RelatedFile(path, 90, (excerpt(0, 5), excerpt(5, 9), excerpt(8, 12)))
    (kept,) = filter_redundant_excerpts([file], "src/f.py", Span(5, 10))
    assert [item.row_range for item in kept.excerpts] == [Span(0, 5), Span(8, 12)]


def test_a_file_with_another_path_keeps_its_excerpts_and_one_without_any_is_dropped():
    other, empty = RelatedFile("./src/f.py", 90, (excerpt(5, 9),)), RelatedFile("g.py", 90, ())
    assert filter_redundant_excerpts([other, empty], "src/f.py", Span(5, 10)) == (other,)


def test_related_files_stop_at_the_first_excerpt_that_does_not_fit():
    files = [
        RelatedFile("a.py", 30, (excerpt(0, 2, "late\n", order=2), excerpt(2, 4, "first\n", order=0))),
        RelatedFile("b.py", 3, (excerpt(0, 3, "x" * 600, order=1),)),
    ]
    assert format_related_files(files, "<f>", 30) == "<f>a.py\nfirst\n...\n"
    assert format_related_files(files, "<f>", 300) == f"<f>a.py\nlate\nfirst\n...\n<f>b.py\n{'x' * 600}\n"


@pytest.mark.parametrize(("length", "kept"), [(10, "aaaa\nbbbb\n"), (11, "aaaa\nbbbbb\n"), (12, "aaaa\n")])
def test_a_clamped_text_uses_the_last_bytes_of_its_last_token(length, kept):
    text = "aaaa\n" + "b" * (length - 6) + "\n" + "c" * 30
    assert clamp_text(text, 3) == kept


def test_a_text_that_fits_is_not_clamped():
    assert clamp_text("é" * 5 + "a", 3) == "é" * 5 + "a"
    assert clamp_text("é" * 6, 3) == ""


@given(text=st.text(alphabet="aé\n\r\x85", max_size=60), max_tokens=st.integers(0, 20))
def test_a_clamped_text_is_the_longest_run_of_whole_lines_that_fits(text, max_tokens):
    clamped = clamp_text(text, max_tokens)
    ends = [0, *(index + 1 for index, character in enumerate(text) if character == "\n"), len(text)]
    assert clamped == max((text[:end] for end in ends if estimate_tokens(text[:end]) <= max_tokens), key=len)


def test_a_snippet_that_is_clamped_to_nothing_leaves_the_message_alone():
    text = format_diagnostics([diagnostic(0, "m", "x" * 900)], "<f>", None, 500)
    assert text == "<f>diagnostics\n*m*\n"


def test_a_clamped_snippet_ends_in_dots():
    text = format_diagnostics([diagnostic(0, "m", "a\n" + "x" * 900)], "<f>", None, 500)
    assert text == "<f>diagnostics\n*m*:\n```\na\n...\n```\n"


def test_without_a_cursor_row_the_first_ten_diagnostics_are_shown():
    text = format_diagnostics([diagnostic(99 - row, f"m{row}") for row in range(12)], "<f>", None, 500)
    assert text == "<f>diagnostics\n" + "".join(f"*m{row}*\n" for row in range(10))


def test_of_eleven_diagnostics_the_first_of_the_farthest_gives_its_place_to_the_last():
    rows = [9, 5, 9, *[1] * 7, 5]
    text = format_diagnostics([diagnostic(row, str(index)) for index, row in enumerate(rows)], "<f>", 0, 500)
    assert text == "<f>diagnostics\n" + "".join(f"*{index}*\n" for index in (3, 4, 5, 6, 7, 8, 9, 10, 1, 2))


# The orders that Rust 1.95 gave, by select_nth_unstable_by_key(10) and then sort_unstable_by_key.
@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        ("2130040240410033", [3, 4, 6, 9, 12, 13, 1, 11, 0, 7]),
        ("01043040140443010", [0, 2, 5, 7, 10, 14, 16, 1, 8, 15]),
        ("41231404241044120404", [6, 11, 16, 18, 1, 4, 10, 14, 8, 2]),
        ("0413432343221110424323240", [24, 0, 15, 12, 2, 13, 14, 6, 10, 11]),
        (
            "0210101102022112121210011220022122211212101102010010201110011210121211",
            [27, 5, 0, 8, 10, 21, 22, 63, 3, 41],
        ),
        ("000000000000000000000000000000", [12, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    ],
)
def test_equal_numbers_are_selected_as_rust_does(digits, expected):
    assert smallest([int(digit) for digit in digits], 10) == expected


@given(numbers=st.lists(st.integers(0, 12), max_size=300), count=st.integers(1, 20))
def test_the_smallest_numbers_are_selected_in_order_and_once(numbers, count):
    chosen = smallest(numbers, count)
    assert [numbers[index] for index in chosen] == sorted(numbers)[:count]
    assert len(set(chosen)) == len(chosen)
