"""Agreement of two judges, beyond what chance would give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_export.settling.bands import SettleClass
from training_export.settling.validation import CLASSES, agreement

OBVIOUS, LEARNABLE, NOISE = CLASSES
PAIRS = st.lists(st.tuples(st.sampled_from(CLASSES), st.sampled_from(CLASSES)), min_size=1, max_size=30)


def test_kappa_is_cohens():
    # 20 + 15 of 50 alike; by chance (25 * 30 + 25 * 20) / 2500 = 0.5: (0.7 - 0.5) / (1 - 0.5) = 0.4
    pairs = [(OBVIOUS, OBVIOUS)] * 20 + [(OBVIOUS, NOISE)] * 5 + [(NOISE, OBVIOUS)] * 10 + [(NOISE, NOISE)] * 15
    found = agreement("teacher", "student", pairs)
    assert (found.examples, found.share) == (50, 0.7)
    assert found.kappa == pytest.approx(0.4)


@given(PAIRS)
def test_who_judges_first_does_not_matter_and_agreeing_always_is_one(pairs):
    found = agreement("a", "b", pairs)
    swapped = agreement("b", "a", [(other, one) for one, other in pairs])
    assert swapped.share == found.share
    assert swapped.kappa == (None if found.kappa is None else pytest.approx(found.kappa))
    same = agreement("a", "b", [(one, one) for one, _ in pairs])
    assert same.share == 1
    assert same.kappa == (1 if len({one for one, _ in pairs}) > 1 else None)


def test_failures_are_counted_apart_and_what_settled_as_it_was_is_not_counted():
    unchanged = SettleClass.UNCHANGED
    pairs = [(None, NOISE), (NOISE, None), (unchanged, unchanged), (LEARNABLE, LEARNABLE), (NOISE, LEARNABLE)]
    found = agreement("teacher", "student", pairs)
    assert (found.examples, found.failed) == (2, 2)
    assert found.learnable_precision == 0.5


def test_the_table_has_a_row_for_each_class_of_the_first():
    lines = str(agreement("teacher:x (10 samples)", "embedded (50 samples)", [(LEARNABLE, NOISE)] * 3)).split("\n")
    assert lines[0] == "teacher:x (10 samples) (rows) against embedded (50 samples) (columns), 3 examples"
    assert lines[1].split() == ["obvious", "learnable", "noise"]
    assert lines[3].split() == ["learnable", "0", "0", "3"]
    assert "in the same band: 0.0%" in lines[5]
