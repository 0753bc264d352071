"""A moment is rebuilt from the commit, the uncommitted diff and the history, and the excerpt proves it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from capture.editing.positions import Position
from capture.editing.unified_diff import with_file_headers, write_hunks
from training_export.checkout.failure import ContextNotFound
from training_export.checkout.moment import rebuild
from training_export.example import Example

# Rows that differ: where rows are alike, several pasts may lead to one text.
TEXT = st.lists(st.integers(0, 30), min_size=1, max_size=14, unique=True).map(
    lambda rows: "".join(f"row {row}\n" for row in rows)
)


def _rows(count):
    return "".join(f"row {row}\n" for row in range(count))


def moment_example(marked, history="", *, path="a.py", **fields):
    return Example.new(
        cursor_path=path, cursor_position=marked.replace("‸", "<|user_cursor|>"), edit_history=history, **fields
    )


def edit(before, after, path="a.py"):
    hunks = write_hunks(before, after)
    return with_file_headers(hunks, path) if hunks else ""


@example(committed=_rows(14), texts=["row 0\n", _rows(14), "row 0\n"], saved=1)  # an edit that led to what is committed
@given(committed=TEXT, texts=st.lists(TEXT, min_size=1, max_size=5), saved=st.integers(0, 4))
def test_whatever_was_saved_when_the_diff_was_taken_the_texts_are_the_same(committed, texts, saved):
    """``texts`` are the file before the first edit and after each; the diff is of the file as it was on disk then."""
    saved = min(saved, len(texts) - 1)
    history = "".join(edit(before, after) for before, after in pairwise(texts))
    moment = moment_example(
        f"‸{texts[-1]}",
        history,
        uncommitted_diff=edit(committed, texts[saved]),
        uncommitted_diff_contains_edit_history=saved == len(texts) - 1,
        foretype={"snapshot": {"id": "0"}},
    )
    found = rebuild(moment, {"a.py": committed}.get)
    assert found.text == texts[-1]
    assert found.cursor == Position(0, 0)
    assert "".join(with_file_headers(event.diff, event.path) for event in found.events) == history


def test_other_files_of_the_history_are_rebuilt_too_and_say_where_they_were_edited():
    files = {"a.py": "a = 1\n", "b.py": "".join(f"row {number}\n" for number in range(20))}
    changed = files["b.py"].replace("row 12\n", "row twelve\n")
    found = rebuild(moment_example("a = 1‸\n", edit(files["b.py"], changed, "b.py")), files.get)
    assert found.texts == {"a.py": "a = 1\n", "b.py": changed}
    assert found.edits == (("b.py", 12),)


def test_a_file_that_the_patches_do_not_fit_costs_only_its_own_text():
    history = edit("x\n", "y\n", "b.py") + edit("a = 1\n", "a = 2\n")
    found = rebuild(moment_example("a = 2‸\n", history), {"a.py": "a = 1\n", "b.py": "z\n"}.get)
    assert (found.texts, found.files_not_rebuilt) == ({"a.py": "a = 2\n"}, 1)
    assert [event.path for event in found.events] == ["b.py", "a.py"]


def test_paths_may_begin_with_the_worktrees_name():
    found = rebuild(
        moment_example("a = 2‸\n", edit("a = 1\n", "a = 2\n", "shop/src/a.py"), path="shop/src/a.py"),
        {"src/a.py": "a = 1\n"}.get,
    )
    assert (found.path, found.text) == ("src/a.py", "a = 2\n")


def test_a_file_that_is_new_comes_from_its_diff():
    diff = "--- /dev/null\n+++ b/new.py\n@@ -0,0 +1,2 @@\n+a = 1\n+b = 2\n"
    found = rebuild(moment_example("b = 2‸", path="new.py", uncommitted_diff=diff), {}.get)
    assert (found.text, found.cursor) == ("a = 1\nb = 2\n", Position(1, 5))


def test_the_cursor_counts_in_utf_16_units():
    found = rebuild(moment_example("x = '𝄞ä‸'"), {"a.py": "\nx = '𝄞ä'\n"}.get)
    assert found.cursor == Position(1, 8)


@pytest.mark.parametrize(
    ("text", "marked", "history", "reason"),
    [
        ("a\n", "b‸", "", "is not in a.py"),
        ("a\na\n", "a‸", "", "more than once"),
        (None, "a‸", "", "is not in the repository"),
        ("a\n", "c‸", "--- a/a.py\n+++ b/a.py\n@@ -1,1 +1,1 @@\n-b\n+c\n", "edit 1 of the history does not apply"),
    ],
)
def test_what_cannot_be_rebuilt_says_why(text, marked, history, reason):
    with pytest.raises(ContextNotFound, match=reason) as refused:
        rebuild(moment_example(marked, history), {"a.py": text}.get)
    assert refused.value.is_final


def test_a_diff_that_does_not_apply_is_told_from_a_history_that_does_not():
    diff = "--- a/a.py\n+++ b/a.py\n@@ -1,1 +1,1 @@\n-b\n+c\n"
    with pytest.raises(ContextNotFound, match="the uncommitted diff does not apply"):
        rebuild(moment_example("c‸", uncommitted_diff=diff), {"a.py": "a\n"}.get)
