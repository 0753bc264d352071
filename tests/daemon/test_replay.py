"""An edit history from a patch, as `foretype predict --history` takes it."""

from __future__ import annotations

import difflib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.editing.positions import Position
from daemon.errors import BadArgument
from daemon.replay import Replay

BEFORE = "def total_of(items):\n    result = 0\n    for item in items:\n        result += item\n    return result\n"
RENAMED = BEFORE.replace("    result = 0", "    total = 0")
TWICE = RENAMED.replace("result += item", "total += item")


def patch(old, new, path="src/a.py"):
    lines = difflib.unified_diff(old.splitlines(True), new.splitlines(True), f"a/{path}", f"b/{path}")
    return "".join(lines)


def replay(text, history, path="src/a.py"):
    return Replay("file:///a.py", path, text, history, "python")


def diffs(made):
    return [event.diff for event in made.inputs(Position(0, 0)).events]


def test_the_history_ends_in_the_file_as_it_is():
    made = replay(RENAMED, patch(BEFORE, RENAMED))
    assert made.document.text == RENAMED
    (diff,) = diffs(made)
    assert "-    result = 0\n+    total = 0\n" in diff


def test_edits_of_one_file_one_after_the_other_are_separate_events_oldest_first():
    first, second = diffs(replay(TWICE, patch(BEFORE, RENAMED) + patch(RENAMED, TWICE)))
    assert "+    total = 0\n" in first
    assert "+        total += item\n" in second


def test_without_a_history_there_are_no_events():
    assert diffs(replay(BEFORE, "")) == []


def test_a_patch_without_file_headers_is_about_the_file():
    hunks = patch(BEFORE, RENAMED).split("\n", 2)[2]
    assert len(diffs(replay(RENAMED, hunks))) == 1


def test_edits_of_other_files_come_along_as_older_ones():
    other = patch("a = 1\n", "b = 1\n", "src/other.py")
    events = replay(RENAMED, other + patch(BEFORE, RENAMED)).inputs(Position(0, 0)).events
    assert [event.path for event in events] == ["src/other.py", "src/a.py"]
    assert "-a = 1\n+b = 1\n" in events[0].diff


def test_windows_line_ends_stay_in_the_file_and_out_of_the_history():
    text = RENAMED.replace("\n", "\r\n")
    made = replay(text, patch(BEFORE, RENAMED))
    assert made.document.text == text
    assert "\r" not in diffs(made)[0]


def test_a_patch_that_does_not_lead_to_the_file_is_refused():
    with pytest.raises(BadArgument, match="its edit 1"):
        replay(BEFORE, patch(BEFORE, RENAMED))


@pytest.mark.parametrize("history", ["nonsense\n", "diff --git a/x b/x\n--- a/x\n+++ b/x\n"])
def test_what_is_no_patch_is_refused(history):
    with pytest.raises(BadArgument, match="unified diff"):
        replay(BEFORE, history)


def test_a_history_of_another_file_alone_is_refused_by_name():
    with pytest.raises(BadArgument, match=r"other\.py"):
        replay(BEFORE, patch("a = 1\n", "b = 1\n", "other.py"))


rows = st.lists(
    st.text("abxyz_ ", min_size=1, max_size=8).map(lambda row: row + "\n"),
    min_size=12,
    max_size=30,
    unique=True,
)


@given(rows, st.lists(st.tuples(st.integers(0, 11), st.text("abxyz_ ", max_size=8)), min_size=1, max_size=4))
def test_any_edits_are_taken_back_and_made_again_to_the_same_text(lines, edits):
    texts = ["".join(lines)]
    for number, (row, replacement) in enumerate(edits):
        lines = [*lines[:row], f"{replacement}{number}\n", *lines[row + 1 :]]
        texts.append("".join(lines))
    history = "".join(patch(old, new) for old, new in pairwise(texts))
    made = replay(texts[-1], history)
    assert made.document.text == texts[-1]
    inputs = made.inputs(Position(0, 0))
    assert len(inputs.events) <= len(edits)
    assert inputs.events
