"""What the report and the drawing are made of."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import BadArgument
from training_export.example import Example
from training_export.settling.bands import Bands, SettleClass
from training_export.settling.distribution import Distribution, Edge
from training_export.settling.plot import check_plot_name, draw
from training_export.settling.record import Record
from training_export.settling.report import report

BANDS = Bands(0.1, 0.8)
HUNDREDTHS = st.integers(0, 200).map(lambda number: number / 100)
COUNTED = st.lists(st.tuples(HUNDREDTHS, st.integers(1, 9)), min_size=1, max_size=4, unique_by=lambda pair: pair[0])


def carrying(name="", **ours):
    return Example.new(name=name, cursor_path="x", cursor_position="<|user_cursor|>", foretype=ours)


def example(distances, name=""):
    record = Record(SettleClass.NOISE, "given", BANDS, tuple(sorted(distances))).with_bands(BANDS)
    return carrying(name, settle=record.to_json())


def distribution(all_distances, bands=BANDS, nearest=3):
    found = Distribution(bands, nearest)
    for number, distances in enumerate(all_distances):
        found.add(f"x.jsonl:{number}", example(distances))
    return found


@given(st.lists(COUNTED, max_size=20), st.integers(1, 4))
def test_the_neighbours_of_an_edge_are_the_nearest_on_either_side(all_distances, nearest):
    found = distribution(all_distances, nearest=nearest)
    records = [Record.from_json(example(distances).value["foretype"]["settle"]) for distances in all_distances]
    high = [record.score for record in records if record.settle_class is not SettleClass.OBVIOUS]
    below, above = found.near(Edge.HIGH)
    assert [one.value for one in below] == sorted(value for value in high if value < BANDS.high)[-nearest:]
    assert [one.value for one in above] == sorted(value for value in high if value >= BANDS.high)[:nearest]
    low = [record.median for record in records if record.settle_class is not SettleClass.NOISE]
    below, above = found.near(Edge.LOW)
    assert [one.value for one in below] == sorted(value for value in low if value <= BANDS.low)[-nearest:]
    assert [one.value for one in above] == sorted(value for value in low if value > BANDS.low)[:nearest]


def test_examples_are_counted_by_the_edges_asked_for_and_not_by_those_they_were_settled_with():
    everything = [[(0.0, 9), (0.5, 1)], [(0.3, 5), (1.0, 5)], [(1.0, 10)]]
    assert distribution(everything).classes == {SettleClass.OBVIOUS: 1, SettleClass.LEARNABLE: 1, SettleClass.NOISE: 1}
    assert distribution(everything, Bands(0.3, 0.8)).classes == {SettleClass.OBVIOUS: 2, SettleClass.NOISE: 1}


def test_what_was_never_settled_is_counted_apart():
    found = Distribution(BANDS)
    found.add("x.jsonl:1", carrying("plain"))
    found.add("x.jsonl:2", carrying(settle={"class": "odd"}))
    found.add("x.jsonl:3", carrying(settle={"class": "unchanged", "samples": 0}))
    assert (found.others, found.classes) == (2, {SettleClass.UNCHANGED: 1})
    assert "without a settled text" in report(found)


def test_a_name_that_would_steer_the_terminal_is_shown_harmless():
    found = Distribution(BANDS)
    found.add("x.jsonl:1", example([(0.5, 1)], name="\x1b[2Jevil"))
    assert "\x1b" not in report(found)
    assert "\\x1b[2Jevil" in report(found)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".html"])
def test_the_same_examples_are_drawn_in_the_same_bytes(tmp_path, suffix):
    pytest.importorskip("matplotlib")
    found = distribution([[(0.0, 9)], [(0.4, 5), (1.0, 5)], [(1.0, 10)], [(7.0, 1)]])
    paths = [tmp_path / f"{folder}" / f"x{suffix}" for folder in ("one", "two")]
    for path in paths:
        path.parent.mkdir()
        draw(found, path, "a <report> & more")
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    if suffix == ".png":
        assert first.startswith(b"\x89PNG")
    else:
        text = first.decode()
        assert all(words in text for words in ("obvious up to 0.1", "noise from 0.8", "learnable (1)"))
        assert not re.search(r"(src|href)=\"http", text)
        assert ("a &lt;report&gt; &amp; more" in text) is (suffix == ".html")


def test_other_kinds_of_pictures_are_refused_before_the_work_begins():
    with pytest.raises(BadArgument, match=r"\.png, \.svg, \.html"):
        check_plot_name("x.gif")
