"""A change word by word: both texts can be read out of it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_export.teachers.word_diff import word_diff, word_diff_of_patch

TEXTS = st.text(st.sampled_from("ab_1 .\näé(")).map(str)


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("total(items)", "total(rows)", "total([-items-]{+rows+})"),
        ("a = 1\n", "a = 1\nb = 2\n", "a = 1\n{+b = 2\n+}"),
        ("itemCount", "item_count", "[-itemCount-]{+item_count+}"),
        ("x", "", "[-x-]"),
        ("same", "same", "same"),
        ("", "", ""),
    ],
)
def test_whole_words_are_taken_away_and_brought_in(old, new, shown):
    assert word_diff(old, new) == shown


@given(TEXTS, TEXTS)
def test_both_texts_can_be_read_out_of_it(old, new):
    shown = word_diff(old, new)
    assert re.sub(r"\[-(.*?)-]", r"\1", re.sub(r"\{\+.*?\+}", "", shown, flags=re.DOTALL), flags=re.DOTALL) == old
    assert re.sub(r"\{\+(.*?)\+}", r"\1", re.sub(r"\[-.*?-]", "", shown, flags=re.DOTALL), flags=re.DOTALL) == new


def test_a_patch_keeps_its_headers_and_loses_signs_and_cursor():
    patch = (
        "// User accepted prediction:\n--- a/cart.py\n+++ b/cart.py\n@@ -1,3 +1,3 @@\n def f(\n"
        "-    items,\n-    tax):\n+    rows,\n+    tax<|user_cursor|>):\n     pass\n"
    )
    assert word_diff_of_patch(patch) == (
        "// User accepted prediction:\n--- a/cart.py\n+++ b/cart.py\n@@ -1,3 +1,3 @@\ndef f(\n"
        "    [-items-]{+rows+},\n    tax):\n    pass"
    )


def test_lines_only_added_or_only_deleted_stand_in_brackets():
    assert word_diff_of_patch("@@ -1,2 +1,2 @@\n a\n+b\n-c\n d\n-e\n") == "@@ -1,2 +1,2 @@\na\n[-c-]{+b+}\nd\n[-e\n-]"


@given(st.text(st.sampled_from("+-@ ab\n\\"), max_size=40))
def test_no_patch_is_too_strange_to_show(patch):
    assert isinstance(word_diff_of_patch(patch), str)
