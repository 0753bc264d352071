"""What the stage does to an example, with samples that are given instead of drawn."""

from __future__ import annotations

import contextlib
import pickle
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.inputs import ExcerptRanges, PredictionInputs, Span
from training_export.example import Example
from training_export.patches import patched_excerpt
from training_export.settling.bands import DEFAULT_BANDS, Bands
from training_export.settling.record import Record
from training_export.settling.samples import Drawn, NotDrawn, SampledText
from training_export.stage import Concurrency, stage_key, with_findings
from training_export.stages.settle import Reband, Settle

BEFORE = "# kept\na = one\nb = one\nc = one\n# end\n"
SETTLED = "# kept\na = two\nb = two\nc = two\n# end\n"
REGION = Span(7, 31)
NEAR = SETTLED.replace("c = two", "c = one")
FAR = BEFORE.replace("a = one", "wholly = other")
INPUTS = PredictionInputs("app/main.py", BEFORE, 14, ExcerptRanges({}))


@dataclass(frozen=True)
class Given:
    """Samples that somebody else drew: texts of the whole excerpt, None for no edit."""

    texts: tuple[str | None, ...] = (NEAR,)
    refusal: NotDrawn | None = None
    name: str = "given"
    reads: tuple[str, ...] = ("prompt_inputs",)
    concurrency: Concurrency = Concurrency.ALONE

    @property
    def samples(self):
        return len(self.texts)

    def settings(self):
        return {"texts": list(self.texts)}

    @contextlib.contextmanager
    def opened(self):
        yield self

    def draw(self, example):
        assert example.prompt_inputs is not None
        whole = Span(0, len(BEFORE))
        return self.refusal or Drawn(whole, tuple(map(SampledText, self.texts)), {"answers asked": self.samples})


def example(settled=SETTLED[7:31], **fields):
    ours = {"settled": settled, "region": REGION.to_json(), "snapshot": {"id": "s1"}}
    given = {
        "name": "one",
        "cursor_path": "app/main.py",
        "cursor_position": BEFORE[:14] + "<|user_cursor|>" + BEFORE[14:],
        "prompt_inputs": INPUTS.to_json(),
    }
    return Example.new(**{**given, **fields}, foretype={key: value for key, value in ours.items() if value is not None})


def found(stage, one):
    with stage.opened() as work:
        return work(one)


def after(stage, one):
    return with_findings(stage, one, stage_key(stage, one), found(stage, one))


def settle_of(one):
    return one.value["foretype"].get("settle")


def test_a_learnable_example_expects_its_nearest_sample_and_loses_what_that_makes_stale():
    scored = example(
        expected_patches=["--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"],
        prompt={"input": "p", "rejected_output": None, "provider": "zeta2"},
        tags=["kept"],
    )
    one = after(Settle(Given((NEAR, FAR, None, None))), scored)
    assert [patched_excerpt(INPUTS, patch) for patch in one.expected_patches] == [NEAR]
    assert "prompt" not in one.value
    assert one.tags == ("kept",)
    assert one.value["foretype"]["settled"] == SETTLED[7:31]
    kept = settle_of(one)
    assert kept["class"] == "learnable"
    # The user's way are 3 x 3 characters: one -> two is 3 of them, a -> wholly 6, other -> two 4.
    assert kept["distances"] == [[0.333333, 1], [1.0, 2], [pytest.approx(16 / 9), 1]]
    assert kept["score"] == pytest.approx((1 / 3 + 3) / 4, abs=1e-5)
    assert (kept["samples"], kept["no_edit"], kept["exact"]) == (4, 2, 0)
    assert kept["target_distance"] == 0.333333


@pytest.mark.parametrize(
    ("texts", "expected"),
    [((SETTLED,) * 3, "obvious"), ((FAR, None, None), "noise"), ((NEAR, None, NEAR), "learnable")],
)
def test_only_a_learnable_example_gets_a_target_and_the_others_keep_what_they_expect(texts, expected):
    teachers = ["--- a/app/main.py\n+++ b/app/main.py\n@@ -1,1 +1,1 @@\n-# kept\n+# KEPT\n"]
    one = after(Settle(Given(texts)), example(expected_patches=teachers))
    assert settle_of(one)["class"] == expected
    assert (list(one.expected_patches) == teachers) is (expected != "learnable")


def test_the_settled_text_itself_is_never_expected():
    result = found(Settle(Given((SETTLED, None, None, None))), example())
    assert result.ours["settle"]["class"] == "learnable"
    assert "expected_patches" not in result.fields
    assert result.tallies["learnable without a target"] == 1


def test_a_target_beyond_the_upper_edge_is_none():
    bands = Bands(0.0, 0.5)
    result = found(Settle(Given((NEAR.replace("b = two", "b = one"), SETTLED, None, SETTLED)), bands), example())
    assert result.ours["settle"]["candidate"]["distance"] == pytest.approx(2 / 3, abs=1e-5)
    assert result.ours["settle"]["target_distance"] is None
    assert not result.fields


def test_text_that_settled_as_it_was_needs_no_samples():
    source = Given(refusal=NotDrawn("nobody should ask"))
    result = found(Settle(source), example(settled=BEFORE[7:31]))
    assert result.ours["settle"] == {"class": "unchanged", "samples": 0}
    assert not result.failure


def test_an_example_that_did_not_settle_is_counted_and_left_alone():
    result = found(Settle(Given()), example(settled=None))
    assert (result.fields, result.ours, result.failure) == ({}, {}, "")
    assert result.tallies == {"not settled": 1}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"prompt_inputs": None}, "no prompt_inputs"),
        ({"foretype": {"settled": "x"}}, "foretype.region"),
        ({"foretype": {"settled": "x", "region": {"start": 0, "end": 4000}}}, "foretype.region"),
        ({"foretype": {"settled": 3, "region": {"start": 0, "end": 4}}}, "foretype.settled"),
    ],
)
def test_what_cannot_be_compared_says_why(change, reason):
    assert reason in found(Settle(Given()), example().with_fields(**change)).failure


def test_samples_that_did_not_come_are_a_failure_that_another_run_tries_again():
    late = NotDrawn("too slow", is_final=False)
    settled_before = after(Settle(Given()), example())
    result = found(Settle(Given(refusal=late)), settled_before)
    assert (result.failure, result.is_final) == ("too slow", False)
    one = with_findings(Settle(Given(refusal=late)), settled_before, "key", result)
    assert settle_of(one) is None
    assert not one.expected_patches


def test_settling_anew_takes_back_the_target_of_an_earlier_settle():
    learnable = after(Settle(Given((NEAR, None))), example())
    assert learnable.expected_patches
    assert not after(Settle(Given((SETTLED,))), learnable).expected_patches
    theirs = learnable.with_fields(expected_patches=["--- a/x\n+++ b/x\n@@ -1,1 +1,1 @@\n-a\n+b\n"])
    assert after(Settle(Given((SETTLED,))), theirs).expected_patches == theirs.expected_patches


TEXTS = st.lists(st.sampled_from([SETTLED, NEAR, FAR, BEFORE, None]), min_size=1, max_size=8).map(tuple)
EDGES = (
    st.tuples(st.floats(0, 1), st.floats(0, 1)).filter(lambda pair: pair[0] < pair[1]).map(lambda pair: Bands(*pair))
)


@given(TEXTS, EDGES, EDGES)
def test_judging_again_is_the_same_as_settling_with_those_edges(texts, first, second):
    source = Given(texts)
    again = after(Reband(second), after(Settle(source, first), example()))
    direct = after(Settle(source, second), example())
    assert settle_of(again) == settle_of(direct)
    assert again.expected_patches == direct.expected_patches


@given(TEXTS)
def test_a_record_comes_back_from_its_json(texts):
    kept = found(Settle(Given(texts)), example()).ours["settle"]
    assert Record.from_json(kept).to_json() == kept


@pytest.mark.parametrize("kept", [{}, {"class": "maybe"}, {"class": "noise"}, [], "x", {"class": "noise", "bands": 3}])
def test_what_settle_has_not_written_cannot_be_judged_again(kept):
    one = example().with_fields(foretype={"settle": kept})
    assert "settle it anew" in found(Reband(DEFAULT_BANDS), one).failure


def test_the_edges_and_the_samples_are_in_the_key_and_the_stage_travels():
    stages = [Settle(Given()), Settle(Given(), Bands(0.1, 0.9)), Settle(Given((NEAR, NEAR))), Reband(DEFAULT_BANDS)]
    assert len({stage_key(stage, example()) for stage in stages}) == len(stages)
    assert [pickle.loads(pickle.dumps(stage)) for stage in stages] == stages
