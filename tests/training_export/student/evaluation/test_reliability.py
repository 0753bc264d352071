"""Bins of confidence, the calibration error, and the diagram."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_export.student.evaluation.gate import Sure
from training_export.student.evaluation.reliability import BINS, bins, calibration_error, diagram

SVG = "{http://www.w3.org/2000/svg}"
edits = st.lists(st.builds(Sure, st.floats(0, 1), st.booleans()), max_size=80)


@given(edits)
def test_every_edit_is_in_one_bin_which_holds_its_confidence(found: list[Sure]) -> None:
    made = bins(found)
    assert sum(one.right.total for one in made) == len(found)
    assert sum(one.right.count for one in made) == sum(edit.is_right for edit in found)
    assert all(one.low - 1e-9 <= one.mean <= one.high + 1e-9 for one in made)
    assert len({one.low for one in made}) == len(made) <= BINS
    assert 0 <= calibration_error(made) <= 1


def test_who_is_right_as_often_as_sure_has_no_error() -> None:
    rows = [Sure(0.25, is_right=number % 4 == 0) for number in range(40)]
    rows += [Sure(0.75, is_right=number % 4 != 0) for number in range(40)]
    assert calibration_error(bins(rows)) == pytest.approx(0.0)


def test_the_error_is_the_mean_distance_by_size() -> None:
    sure_and_wrong = [Sure(0.9, is_right=False)] * 10  # 0.9 away
    unsure_and_right = [Sure(0.4, is_right=True)] * 30  # 0.6 away
    assert calibration_error(bins(sure_and_wrong + unsure_and_right)) == pytest.approx((10 * 0.9 + 30 * 0.6) / 40)
    assert calibration_error([]) == 0.0


def test_the_diagram_has_a_panel_for_each_group_and_a_point_for_each_bin() -> None:
    found = bins([Sure(0.15, is_right=True), Sure(0.85, is_right=False), Sure(1.0, is_right=True)])
    root = ET.fromstring(diagram({"all": found, "<b>&rename": found[:1]}, 0.3))
    assert len(root.findall(f"{SVG}g")) == 2
    assert len(list(root.iter(f"{SVG}circle"))) == len(found) + 1
    assert "<b>&rename" in [text.text for text in root.iter(f"{SVG}text")]
    width, height = (float(root.attrib[key]) for key in ("width", "height"))
    assert width > 0
    assert height > 0
