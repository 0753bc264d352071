"""A target is a sample: the nearest one, and neither the settled text nor no edit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from capture.inputs import ExcerptRanges, PredictionInputs, Span
from training_export.patches import patched_excerpt
from training_export.settling.distance import common_ground
from training_export.settling.samples import Drawn, SampledText
from training_export.settling.targets import candidate, outcomes

BEFORE, SETTLED = "a = one\nb = one\nc = one\n", "a = two\nb = two\nc = two\n"
WHOLE = Span(0, len(BEFORE))
WORDS = st.sampled_from(["one", "two", "tow", "three", "++ x"])
REGIONS = st.builds("a = {}\nb = {}\nc = {}\n".format, WORDS, WORDS, WORDS)
SAMPLES = st.lists(
    st.builds(SampledText, st.none() | REGIONS, st.none(), st.none() | st.floats(-9, 0)), min_size=1, max_size=12
)


def inputs(text=BEFORE):
    return PredictionInputs("app/main.py", text, 0, ExcerptRanges({}))


def chosen(*samples):
    """What becomes of the excerpt by the candidate of these samples, None where there is none."""
    drawn = Drawn(WHOLE, tuple(one if isinstance(one, SampledText) else SampledText(one) for one in samples))
    found = candidate(inputs(), drawn, outcomes(common_ground(BEFORE.encode(), WHOLE, SETTLED, WHOLE), drawn))
    return None if found is None else patched_excerpt(inputs(), found.patch)


@given(SAMPLES)
def test_the_candidate_is_the_nearest_sample_that_may_be_one(samples):
    drawn = Drawn(WHOLE, tuple(samples))
    found = outcomes(common_ground(BEFORE.encode(), WHOLE, SETTLED, WHOLE), drawn)
    assert sum(outcome.count for outcome in found) == len(samples)
    assert len({outcome.text for outcome in found}) == len(found)
    best = candidate(inputs(), drawn, found)
    allowed = [
        outcome.distance
        for outcome in found
        if outcome.text not in (BEFORE, SETTLED) and outcome.distance < 1 and "\n++ " not in outcome.text
    ]
    assert (best is None) == (not allowed)
    if best is not None:
        after = patched_excerpt(inputs(), best.patch)
        assert after not in (BEFORE, SETTLED)
        assert best.distance == min(allowed)
        assert best.count == sum(sample.text == after for sample in samples)


def test_no_sample_but_the_settled_text_and_no_edit_gives_no_target():
    assert chosen(SETTLED, SETTLED, None, BEFORE) is None


def test_what_is_no_nearer_than_no_edit_is_no_target():
    assert chosen(BEFORE.replace("one", "zzzzz")) is None


def test_of_equally_near_samples_the_frequent_one_is_chosen_then_the_probable_then_the_smallest():
    first, second, third = (SETTLED.replace(f"{name} = two", f"{name} = one") for name in "abc")
    assert chosen(first, second, second) == second
    assert chosen(SampledText(first, None, -3.0), SampledText(second, None, -2.0)) == second
    assert chosen(SampledText(second, None, -2.0), SampledText(first, None, -2.0)) == min(first, second)
    assert chosen(third, second, first) == min(first, second, third)


def test_the_predicted_cursor_goes_with_the_target():
    text = "a = two\nb = two\nc = one\n"
    drawn = Drawn(WHOLE, (SampledText(text, cursor_offset_bytes=15),))
    found = candidate(inputs(), drawn, outcomes(common_ground(BEFORE.encode(), WHOLE, SETTLED, WHOLE), drawn))
    assert found is not None
    assert "+b = two<|user_cursor|>\n" in found.patch
