"""A GGUF as a teacher: the embedded student, for real."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.errors import BadArgument, ModelNotFound
from daemon.registry import EMBEDDED
from training_export.commands.stage_options import Running
from training_export.commands.teacher_options import Asked, prepared
from training_export.errors import ModelUnusable
from training_export.example import Example
from training_export.patches import patched_excerpt
from training_export.stage import Concurrency
from training_export.stages.distill import Distill
from training_export.teachers.opening import opened_teacher
from training_export.teachers.predicting import Asking
from training_export.teachers.settings import read_teacher


@pytest.fixture
def student(tmp_path):
    return replace(read_teacher(f"gguf:{EMBEDDED}"), cache=tmp_path / "answers.sqlite3")


def test_its_answers_are_patches_that_apply_and_are_found_the_second_time(student, moment):
    stage = Distill(student, Asking(samples=4))
    assert stage.concurrency is Concurrency.ALONE
    examples = [moment(1), moment(2)]
    with stage.opened() as work:
        drawn = [work(example) for example in examples]
    with stage.opened() as work:
        found = [work(example) for example in examples]
    assert [one.fields for one in drawn] == [one.fields for one in found]
    assert [one.tallies["answers asked"] for one in drawn] == [4, 4]
    assert [one.tallies["answers found"] for one in found] == [4, 4]
    for example, one in zip(examples, drawn, strict=True):
        changed = Example({**example.value, "predictions": one.fields["predictions"]})
        for prediction in changed.predictions:
            assert prediction.provider == student.name
            if prediction.error is None:
                patched_excerpt(example.prompt_inputs, prediction.actual_patch)
                assert prediction.cumulative_logprob <= 0


def test_other_samples_are_another_question(student, moment):
    for samples in (1, 2):
        with Distill(student, Asking(samples=samples)).opened() as work:
            found = work(moment(1))
        assert found.tallies["answers asked"] == samples
        assert len(found.fields["predictions"]) == samples


def test_it_is_known_by_what_is_in_it_not_by_where_it_lies(student):
    moved = replace(student, model="/elsewhere/model.gguf")
    assert Distill(moved).settings()["teacher"] == Distill(student).settings()["teacher"]


def test_it_answers_no_questions(student):
    with pytest.raises(BadArgument, match="answers no questions"), opened_teacher(student):
        pass
    with pytest.raises(BadArgument, match="leave out --dry-run"):
        prepared(Distill(student), [], Asked(dry_run=True), Running())


def test_a_file_that_is_none_is_named(tmp_path, moment):
    with pytest.raises(ModelNotFound, match=r"gone\.gguf"):
        read_teacher(f"gguf:{tmp_path / 'gone.gguf'}")
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF but not really")
    teacher = replace(read_teacher(f"gguf:{broken}"), cache=tmp_path / "answers.sqlite3")
    with pytest.raises(ModelUnusable), Distill(teacher).opened():
        pass
