"""Which quantisation is chosen, and why the others are not."""

from __future__ import annotations

import pytest

pytest.importorskip("gguf", reason="make test-train installs gguf")

from hypothesis import given
from hypothesis import strategies as st

from training_export.student.gguf.choosing import AS_FAST, Candidate, choose
from training_export.student.gguf.quantisation import Quantisation

F16, Q8, Q6, Q4 = Quantisation.F16, Quantisation.Q8_0, Quantisation.Q6_K, Quantisation.Q4_0

WHOLE = Candidate(F16, 40_000_000, 1.50, 0.80, 1.0)


def test_the_smallest_of_those_as_good_and_as_fast_is_chosen() -> None:
    eight = Candidate(Q8, 20_000_000, 1.501, 0.80, 0.60)
    six = Candidate(Q6, 15_000_000, 1.503, 0.79, 0.65)
    four = Candidate(Q4, 10_000_000, 1.60, 0.74, 0.50)
    found = choose([WHOLE, eight, six, four])
    assert found.quantisation is Q6
    assert found.why == (
        "as good as f16 (perplexity +0.2%, exact -1.0 points), within a tenth of the fastest (q8_0), and the smallest of"
        " these: 15.0 MB"
    )
    assert found.left_out == {Q4: "perplexity of the right answers 6.7% above that of f16"}


def test_a_smaller_file_that_is_slower_is_not_chosen() -> None:
    eight = Candidate(Q8, 20_000_000, 1.50, 0.80, 0.60)
    six = Candidate(Q6, 15_000_000, 1.50, 0.80, 0.60 * AS_FAST + 0.01)
    assert choose([WHOLE, eight, six]).quantisation is Q8


def test_cases_that_are_lost_count_although_perplexity_does_not_show_it() -> None:
    four = Candidate(Q4, 10_000_000, 1.50, 0.788, 0.50)
    found = choose([WHOLE, four])
    assert found.quantisation is F16
    assert found.left_out == {Q4: "1.2 points fewer cases exactly right"}
    assert found.why == "all others are worse than f16, or too large"


def test_what_is_too_large_is_left_out_and_the_first_stays_the_yardstick() -> None:
    eight = Candidate(Q8, 20_000_000, 1.50, 0.80, 0.90)
    found = choose([WHOLE, eight], largest_bytes=24_000_000)
    assert found.quantisation is Q8
    assert found.left_out == {F16: "40.0 MB, and 24.0 MB are allowed"}
    none = choose([WHOLE, eight], largest_bytes=5_000_000)
    assert none.quantisation is None
    assert none.why == "none is both as good as f16 and at most 5.0 MB large"


candidates = st.builds(
    Candidate,
    st.sampled_from(Quantisation),
    st.integers(1, 10**9),
    st.floats(1, 100),
    st.floats(0, 1),
    st.floats(0.01, 100),
)


@given(st.lists(candidates, min_size=1, max_size=6, unique_by=lambda candidate: candidate.quantisation))
def test_nothing_that_was_left_out_is_chosen_and_nobody_is_better_in_all(found: list[Candidate]) -> None:
    choice = choose(found)
    chosen = next(candidate for candidate in found if candidate.quantisation is choice.quantisation)
    assert chosen.quantisation not in choice.left_out
    assert found[0].quantisation not in choice.left_out
    for other in found:
        if other.quantisation not in choice.left_out:
            assert not (other.size_bytes < chosen.size_bytes and other.case_ratio < chosen.case_ratio)
