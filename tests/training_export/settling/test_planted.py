"""The classes are right: moments of known kinds, sampled with the student that is shipped."""

from __future__ import annotations

from collections import Counter

import pytest

from daemon.engine.messages import ModelSettings
from daemon.registry import EMBEDDED_PATH
from training_export.patches import patched_excerpt
from training_export.settling.bands import SettleClass
from training_export.settling.samples import Drawing, Drawn, NotDrawn
from training_export.settling.sources import StudentSource
from training_export.settling.student import opened_student
from training_export.stages.settle import Settle

SEED, OF_EACH_KIND, SAMPLES = 12, 16, 50
MODEL = ModelSettings(str(EMBEDDED_PATH), threads=1)


def source(samples=SAMPLES, **drawing):
    return StudentSource("embedded", "checksum", MODEL, Drawing(**drawing), samples)


@pytest.fixture(scope="module")
def judged(planting, apis, known_to_student):
    """Every planted moment with what settle found of it."""
    plants = planting(SEED)
    obvious = known_to_student(plants.obvious(3 * OF_EACH_KIND))[:OF_EACH_KIND]
    everything = [*obvious, *plants.noise(OF_EACH_KIND), *plants.learnable(OF_EACH_KIND), *apis]
    with Settle(source()).opened() as work:
        return [(planted, work(planted.example())) for planted in everything]


def test_nine_of_ten_planted_moments_land_in_their_class(judged):
    table = Counter((planted.kind.value, findings.ours["settle"]["class"]) for planted, findings in judged)
    of_kind = Counter(planted.kind.value for planted, _ in judged)
    assert of_kind["obvious"] == of_kind["noise"] == OF_EACH_KIND
    right = sum(count for (kind, found), count in table.items() if kind == found)
    assert right >= 0.9 * len(judged), table


def test_a_library_that_no_training_data_knew_is_learnable(judged):
    found = [findings for planted, findings in judged if planted.origin == "unknown interface"]
    assert len(found) == 6
    assert {findings.ours["settle"]["class"] for findings in found} == {SettleClass.LEARNABLE.value}
    assert all(findings.fields["expected_patches"] for findings in found)


def test_every_target_is_nearer_to_what_settled_than_nothing_and_is_not_that_itself(judged):
    targets = 0
    for planted, findings in judged:
        for patch in findings.fields.get("expected_patches", ()):
            after = patched_excerpt(planted.case.inputs, patch)
            assert after not in (planted.case.current, planted.case.expected)
            assert 0 < findings.ours["settle"]["target_distance"] < 1
            targets += 1
    assert targets >= OF_EACH_KIND


def test_the_same_moment_gets_the_same_samples_whatever_was_asked_before_and_another_seed_others(apis):
    first, second = apis[0].example(), apis[1].example()
    with opened_student(MODEL, Drawing(), 20, seed=0) as student:
        alone, other, again = student.draw(first), student.draw(second), student.draw(first)
    with opened_student(MODEL, Drawing(), 20, seed=1) as student:
        elsewhere = student.draw(first)
    assert isinstance(alone, Drawn)
    assert alone == again != other
    assert elsewhere != alone


def test_samples_that_take_too_long_are_tried_another_time(apis):
    with opened_student(MODEL, Drawing(deadline_seconds=0.0001), 50, seed=0) as student:
        found = student.draw(apis[0].example())
    assert isinstance(found, NotDrawn)
    assert not found.is_final
    assert "--deadline" in found.reason


def test_text_with_control_tokens_of_the_model_cannot_be_sampled(apis):
    one = apis[0].example()
    inputs = {**one.value["prompt_inputs"], "cursor_excerpt": "x = '<|region|>'\n" * 3, "cursor_offset_in_excerpt": 0}
    inputs["syntax_ranges"] = []
    ranges = {name: {"start": 0, "end": 51} for name in inputs["excerpt_ranges"]}
    refused = one.with_fields(prompt_inputs={**inputs, "excerpt_ranges": ranges})
    with opened_student(MODEL, Drawing(), 5, seed=0) as student:
        found = student.draw(refused)
    assert isinstance(found, NotDrawn)
    assert found.is_final
    assert "control tokens" in found.reason
