"""The reversal ratio says how much of a prediction takes back what was just typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.editing.unified_diff import write_hunks
from capture.inputs import EditEvent
from capture.metrics.reversal import reversal_ratio

PATH = "src/a.py"
LINE = st.text(alphabet="ab ()é_A1", max_size=6)
TEXT = st.lists(LINE, max_size=8).map(lambda lines: "".join(line + "\n" for line in lines))
ROWS = st.sets(st.integers(0, 14))


def between_equal_rows(words):
    return "".join(f"row\n{words.get(row, 'previous')}{row}\n" for row in range(15))


def typed(before, after, path=PATH, **fields):
    return EditEvent(path, path, write_hunks(before, after), **fields)


def ratio(before, current, predicted, **options):
    return reversal_ratio(current, [typed(before, current)], predicted, PATH, **options)


def test_taking_out_the_line_just_typed_is_a_reversal():
    assert ratio("a\nb\nc\n", "a\nnew line\nb\nc\n", "a\nb\nc\n") == 1.0


def test_putting_back_the_line_just_deleted_is_a_reversal():
    assert ratio("a\ngone\nb\n", "a\nb\n", "a\ngone\nb\n") == 1.0


def test_another_word_in_the_place_of_the_new_one_takes_back_half():
    assert ratio("the quick fox\n", "the slow fox\n", "the fast fox\n") == 0.5


def test_each_part_taken_out_of_what_was_typed_is_a_reversal():
    assert ratio("a\nb\n", "a\nfirst second third fourth\nb\n", "a\nsecond fourth\nb\n") == 1.0


def test_finishing_a_word_is_no_reversal():
    assert ratio("", "epr\n", "eprintln!()\n") == 0.0
    assert ratio("x\n", "x\ntest_my_function\n", "x\na_test_for_my_special_function\n") == 0.0


def test_an_edit_elsewhere_is_no_reversal():
    assert ratio("one\ntwo\nthree\n", "ONE\ntwo\nthree\n", "ONE\ntwo\nTHREE\n") == 0.0


def test_only_the_newest_event_of_the_file_counts():
    first = typed("a\n", "a\nb\n")
    second = typed("a\nb\n", "a\nb\nc\n")
    elsewhere = typed("x\n", "y\n", path="src/b.py")
    current, without_b = "a\nb\nc\n", "a\nc\n"
    assert reversal_ratio(current, [first, second, elsewhere], without_b, PATH) == 0.0
    assert reversal_ratio(current, [first, second, elsewhere], "a\nb\n", PATH) == 1.0


def test_what_was_predicted_may_be_taken_back():
    accepted = typed("a\n", "a\nb\n", predicted=True)
    assert reversal_ratio("a\nb\n", [accepted], "a\n", PATH) == 0.0


@pytest.mark.parametrize(
    ("event_path", "expected"),
    [("project/src/a.py", 1.0), ("src//./a.py", 1.0), ("a/b/src/a.py", 0.0), ("a.py", 0.0), ("./src/a.py", 1.0)],
)
def test_the_event_may_name_the_file_below_its_project(event_path, expected):
    event = typed("a\n", "a\nb\n", path=event_path)
    assert reversal_ratio("a\nb\n", [event], "a\n", PATH) == expected


def test_an_event_is_cut_to_the_rows_of_the_excerpt():
    rows = [f"row {index}\n" for index in range(30)]
    before, current = "".join(rows), "".join([*rows[:20], "new\n", *rows[20:]])
    event = typed(before, current)
    excerpt = "".join([*rows[18:20], "new\n", *rows[20:22]])
    assert reversal_ratio(excerpt, [event], excerpt.replace("new\n", ""), PATH, excerpt_start_row=18) == 1.0
    beside = "".join(rows[:5])
    assert reversal_ratio(beside, [event], beside.replace("row 1\n", ""), PATH, excerpt_start_row=0) == 0.0


def test_a_hunk_that_no_longer_fits_leaves_the_others_to_be_undone():
    rows = [f"row {index}\n" for index in range(30)]
    current = "".join(["first\n", *rows, "last\n"])
    event = typed("".join(rows), current)
    moved_on = current.replace("row 29", "row twenty-nine")
    assert reversal_ratio(moved_on, [event], moved_on.replace("first\n", ""), PATH) == 1.0


def test_no_prediction_reverses_nothing():
    assert ratio("a\n", "b\n", "b\n") == 0.0


@given(TEXT, LINE.filter(bool), st.integers(0, 8))
def test_deleting_the_typed_line_again_is_all_reversal(text, line, row):
    rows = text.split("\n")[:-1]
    row = min(row, len(rows))
    current = "".join(f"{part}\n" for part in [*rows[:row], f"typed {line}", *rows[row:]])
    assert ratio(text, current, text) == 1.0


@given(ROWS, ROWS, ROWS)
def test_of_many_edits_those_count_that_are_taken_back(typed_rows, reversed_rows, rows_made_third):
    taken_back, made_third = typed_rows & reversed_rows, rows_made_third - reversed_rows
    before, current = {}, dict.fromkeys(typed_rows, "new")
    predicted = current | dict.fromkeys(taken_back, "previous") | dict.fromkeys(made_third, "third")
    reversed_characters = sum(len(f"new{row}previous{row}") for row in taken_back)
    # What was typed is deleted here too, and of what it replaced a letter and the number come back.
    reversed_characters += sum(len(f"new{row}i{row}") for row in made_third & typed_rows)
    size = sum(len(f"new{row}previous{row}") for row in taken_back)
    size += sum(len(f"{current.get(row, 'previous')}{row}third{row}") for row in made_third)
    expected = reversed_characters / size if size else 0.0
    assert ratio(*map(between_equal_rows, (before, current, predicted))) == pytest.approx(expected, abs=1e-6)


@given(TEXT, TEXT, TEXT, st.none() | st.integers(0, 3))
def test_the_ratio_is_never_negative_and_never_fails(before, current, predicted, start_row):
    assert ratio(before, current, predicted, excerpt_start_row=start_row) >= 0.0


@given(st.text(alphabet="@-+ ,1\nab\r"), st.text(), st.none() | st.integers(0, 3))
def test_any_diff_can_be_in_the_history(diff, text, start_row):
    event = EditEvent(PATH, PATH, diff)
    assert reversal_ratio(text, [event], "", PATH, start_row) >= 0.0
