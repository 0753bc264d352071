"""The files somebody was at lately, around where they were."""

import pytest

from capture.context.recent import MAX_EXCERPT_BYTES, MAX_FILES, ROWS_AROUND_PLACE, RecentFiles
from capture.editing.document import Document
from capture.editing.positions import ContentChange, Position, Range


def text(rows, ending="\n"):
    return Document("".join(f"row {row}{ending}" for row in range(rows)))


@pytest.fixture
def recent():
    return RecentFiles()


def shown(recent, without=""):
    return [each.path for each in recent.candidates(without=without)]


def test_edited_files_come_before_viewed_ones_and_the_latest_first(recent):
    recent.viewed("/w/viewed.py", 0, text(3))
    recent.edited("/w/first.py", 0, text(3))
    recent.edited("/w/second.py", 0, text(3))
    recent.viewed("/w/viewed too.py", 0, text(3))
    assert shown(recent) == ["/w/second.py", "/w/first.py", "/w/viewed too.py", "/w/viewed.py"]
    sources = [each.context_source for each in recent.candidates(without="")]
    assert sources == ["edit_history", "edit_history", "edit_history_file", "edit_history_file"]
    assert [each.rank for each in recent.candidates(without="")] == [0, 1, 2, 3]


def test_a_file_that_was_edited_stays_so_when_it_is_looked_at(recent):
    recent.edited("/w/a.py", 0, text(3))
    recent.viewed("/w/b.py", 0, text(3))
    recent.viewed("/w/a.py", 2, text(3))
    assert shown(recent) == ["/w/a.py", "/w/b.py"]


def test_the_file_somebody_is_in_is_left_out(recent):
    recent.edited("/w/a.py", 0, text(3))
    assert shown(recent, without="/w/a.py") == []


def test_the_rows_around_the_last_place_are_shown(recent):
    recent.edited("/w/a.py", 50, text(100))
    [each] = recent.candidates(without="")
    assert each.start_row == 50 - ROWS_AROUND_PLACE
    assert each.text.splitlines()[0] == "row 40"
    assert each.text.splitlines()[-1] == "row 60"
    assert each.max_row == 100


def test_long_rows_are_fewer(recent):
    recent.edited("/w/a.py", 50, Document("".join(f"row {row} {'x' * 200}\n" for row in range(100))))
    [each] = recent.candidates(without="")
    assert "row 50 " in each.text
    assert len(each.text.encode()) <= MAX_EXCERPT_BYTES


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_rows_end_as_models_see_them(recent, ending):
    recent.edited("/w/a.py", 1, text(3, ending))
    [each] = recent.candidates(without="")
    assert each.text == "row 0\nrow 1\nrow 2\n"


def test_an_open_file_is_shown_as_it_is_now_and_a_closed_one_as_it_was(recent):
    document = text(2)
    recent.edited("/w/a.py", 0, document)
    document.apply(ContentChange(Range(Position(0, 0), Position(0, 3)), "line"))
    assert next(recent.candidates(without="")).text.startswith("line 0")
    recent.closed("/w/a.py")
    document.apply(ContentChange(Range(Position(0, 0), Position(0, 4)), "gone"))
    assert next(recent.candidates(without="")).text.startswith("line 0")


def test_only_the_latest_files_are_held(recent):
    for index in range(MAX_FILES + 5):
        recent.viewed(f"/w/{index}.py", 0, text(1))
    assert shown(recent) == [f"/w/{index}.py" for index in range(MAX_FILES + 4, 4, -1)]
