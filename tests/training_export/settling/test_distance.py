"""Distances mean the same whatever region a sample is about, and count in the user's own steps."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from capture.inputs import Span
from training_export.settling.distance import common_ground, distances

TEXTS = st.text(st.sampled_from("ab ä\n"), max_size=12)


@st.composite
def excerpts_with_regions(draw):
    """Five pieces of an excerpt, a settled region and a sample's region, each some of the pieces in a row."""
    pieces = draw(st.lists(TEXTS, min_size=5, max_size=5))
    edges = [0]
    for piece in pieces:
        edges.append(edges[-1] + len(piece.encode()))
    first, second = (sorted(draw(st.tuples(st.integers(0, 5), st.integers(0, 5)))) for _ in range(2))
    return "".join(pieces), Span(edges[first[0]], edges[first[1]]), Span(edges[second[0]], edges[second[1]])


def replaced(excerpt: str, region: Span, text: str) -> str:
    data = excerpt.encode()
    return (data[: region.start] + text.encode() + data[region.end :]).decode()


@given(excerpts_with_regions(), TEXTS, TEXTS)
def test_a_distance_is_that_of_the_whole_excerpts(parts, settled, sample):
    excerpt, settled_region, sample_region = parts
    ground = common_ground(excerpt.encode(), settled_region, settled, sample_region)
    wanted, predicted = replaced(excerpt, settled_region, settled), replaced(excerpt, sample_region, sample)
    assume(wanted != excerpt)
    (distance,) = distances(ground, [ground.with_region(sample_region, sample)])
    steps = Levenshtein.distance(predicted, wanted) / Levenshtein.distance(excerpt, wanted)
    assert distance == pytest.approx(steps, abs=1e-6)
    assert (distance == 0) == (predicted == wanted)
    assert distances(ground, [ground.before]) == [1]


@given(excerpts_with_regions(), TEXTS)
def test_what_changed_is_a_part_of_the_excerpt_outside_which_nothing_did(parts, settled):
    excerpt, region, other = parts
    wanted = replaced(excerpt, region, settled).encode()
    changed = common_ground(excerpt.encode(), region, settled, other).changed()
    data = excerpt.encode()
    assert 0 <= changed.start <= changed.end <= len(data)
    assert wanted.startswith(data[: changed.start])
    assert wanted.endswith(data[changed.end :])


def test_twice_the_way_is_two():
    ground = common_ground(b"total = 1\n", Span(0, 10), "total = 2\n", Span(0, 10))
    assert distances(ground, ["total = 2\n", "total = 1\n", "Total = 1\n", "total = 2 \n"]) == [0, 1, 2, 1]


def test_what_a_sample_changes_outside_the_settled_region_counts_as_wrong():
    excerpt = b"a = 1\nb = 1\n"
    ground = common_ground(excerpt, Span(0, 6), "a = 22\n", Span(0, 12))
    right, and_more = (ground.with_region(Span(0, 12), text) for text in ("a = 22\nb = 1\n", "a = 22\nb = 2\n"))
    assert distances(ground, [right, and_more]) == [0, 0.5]


def test_a_region_that_cuts_a_character_is_no_region():
    with pytest.raises(ValueError):
        common_ground("ä".encode(), Span(1, 2), "x", Span(1, 2))
