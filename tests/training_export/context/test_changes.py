"""Patches read by their counts: whatever a row looks like, a patch of two texts leads from one to the other."""

from __future__ import annotations

import subprocess
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.editing.unified_diff import PatchError, with_file_headers, write_hunks
from training_export.checkout.changes import apply_change, read_changes, undo_change

ROWS = st.sampled_from(
    ["", "a", "b", "- old", "-- old/x", "++ new/x", "@@ -1 +1 @@", "ä𝄞", " c", "\\ No newline at", "d"]
)
TEXTS = st.lists(ROWS, max_size=25).map(lambda rows: "".join(f"{row}\n" for row in rows))


@given(before=TEXTS, after=TEXTS)
def test_a_patch_of_two_texts_leads_from_one_to_the_other(before, after):
    hunks = write_hunks(before, after)
    if not hunks:
        return
    [change] = read_changes(with_file_headers(hunks, "a.lua"))
    assert change.where == "a.lua"
    assert change.hunks_text == hunks
    found, old, new = apply_change(before, change)
    assert found == after
    data, result = before.encode(), after.encode()
    assert data[: old.start] + result[new.start : new.end] + data[old.end :] == result
    assert undo_change(after, change) == before


@given(texts=st.lists(TEXTS, min_size=2, max_size=5))
def test_a_history_is_read_edit_by_edit(texts):
    history, steps = "", []
    for number, (before, after) in enumerate(pairwise(texts)):
        hunks = write_hunks(before, after)
        if hunks:
            history += ("// User accepted prediction:\n" if number % 2 else "") + with_file_headers(
                hunks, f"{number}.sql"
            )
            steps.append((f"{number}.sql", bool(number % 2), hunks))
    assert [(change.where, change.predicted, change.hunks_text) for change in read_changes(history)] == steps


@given(before=TEXTS, after=TEXTS, cut=st.booleans(), cut_after=st.booleans())
def test_what_git_writes_is_applied_as_git_means_it(before, after, cut, cut_after, tmp_path_factory):
    before = before.removesuffix("\n") if cut else before
    after = after.removesuffix("\n") if cut_after else after
    folder = tmp_path_factory.mktemp("texts")
    (folder / "old").write_text(before)
    (folder / "new").write_text(after)
    done = subprocess.run(
        ["git", "diff", "--no-index", "--no-color", "old", "new"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    changes = read_changes(done.stdout)
    assert len(changes) == (before != after)
    for change in changes:
        assert apply_change(before, change)[0] == after


@pytest.mark.parametrize(
    ("headers", "old_path", "path"),
    [
        ("--- a/x.py\n+++ b/x.py\n", "x.py", "x.py"),
        ("--- /dev/null\n+++ b/x.py\n", "", "x.py"),
        ("--- a/x.py\n+++ /dev/null\n", "x.py", ""),
        ("--- a/x.py\n+++ b/y.py\n", "x.py", "y.py"),
        ('--- "a/my file.py"\n+++ "b/my file.py"\n', "my file.py", "my file.py"),
    ],
)
def test_the_headers_name_the_file(headers, old_path, path):
    [change] = read_changes(f"{headers}@@ -1,1 +1,1 @@\n-a\n+b\n")
    assert (change.old_path, change.path) == (old_path, path)


def test_a_hunk_is_found_where_others_moved_it_and_refused_where_it_may_be_two_places():
    [change] = read_changes("--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n")
    assert apply_change("new\na\nb\n", change)[0] == "new\na\nc\n"
    with pytest.raises(PatchError, match="several"):
        apply_change("x\na\nb\na\nb\n", change)
    with pytest.raises(PatchError, match="nowhere"):
        apply_change("a\n", change)
    with pytest.raises(PatchError):
        undo_change("new\na\nb\n", change)


def test_hunks_without_counts_are_read_to_the_next_header():
    patch = "--- a/x\n+++ b/x\n@@ ... @@\n a\n-b\n+c\n\n--- a/y\n+++ b/y\n@@ ... @@\n-d\n+e\n"
    first, second = read_changes(patch)
    assert apply_change("0\na\nb\n", first)[0] == "0\na\nc\n"
    assert apply_change("d\n", second)[0] == "e\n"
