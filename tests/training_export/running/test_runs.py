"""Running a stage: order, what is reused and what is not, what is refused, and that nothing else of a line changes."""

from __future__ import annotations

import io
import json
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.file_lock import FileLock
from training_export.errors import OutputRefused, StageBroken, StoppedAtBadLine
from training_export.example import Example
from training_export.running.runner import RunOptions, run_stage
from training_export.stage import Concurrency, stage_key

KINDS = list(Concurrency)
THREE = RunOptions(workers=3)


@pytest.mark.parametrize("kind", KINDS)
def test_lines_keep_their_order_however_long_each_takes(kind, shout, examples_file, examples_in, tmp_path):
    names = [f"moment-{number}" for number in range(100)]
    output = tmp_path / "out.jsonl"
    run_stage(shout(kind=kind, seconds=0.01), [str(examples_file(names))], str(output), THREE)
    assert [example.name for example in examples_in(output)] == names
    assert [example.value["foretype"]["shout"] for example in examples_in(output)] == [
        name[::-1].upper() for name in names
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_with_more_inputs_only_the_new_ones_are_worked_on(kind, shout, examples_file, calls, tmp_path):
    stage, output = shout(kind=kind), tmp_path / "out.jsonl"
    first = examples_file(["a", "b", "c-fails"])
    assert run_stage(stage, [str(first)], str(output), THREE).to_json() == {
        "stage": "shout", "output": str(output), "examples": 3, "reused": 0, "failed": 1, "rejected": 0,
        "tallies": {"letters": 2, "sighs": 1},
    }  # fmt: skip
    summary = run_stage(stage, [str(examples_file(["new", "a", "c-fails", "b"]))], str(output), THREE)
    assert (summary.examples, summary.reused, summary.failed) == (4, 3, 1)
    assert sorted(calls()) == ["a", "b", "c-fails", "new"]


def test_what_is_reused_is_what_would_have_been_found(shout, examples_file, tmp_path):
    names = ["a", "b-fails", "c", "d-waits", "e-poisons"]
    reused, fresh = tmp_path / "reused.jsonl", tmp_path / "fresh.jsonl"
    run_stage(shout(), [str(examples_file(names[:3]))], str(reused))
    source = str(examples_file(names))
    run_stage(shout(), [source], str(reused))
    run_stage(shout(), [source], str(fresh))
    assert reused.read_bytes() == fresh.read_bytes()


def test_other_settings_are_other_findings(shout, examples_file, examples_in, tmp_path):
    source, output = str(examples_file(["a"])), tmp_path / "out.jsonl"
    run_stage(shout(), [source], str(output))
    assert run_stage(shout(loudness=3), [source], str(output)).reused == 0
    assert examples_in(output)[0].value["foretype"]["shout"] == "AAA"


def test_fresh_forgets_what_was_found(shout, examples_file, calls, tmp_path):
    source, output = str(examples_file(["a", "b"])), str(tmp_path / "out.jsonl")
    run_stage(shout(), [source], output)
    assert run_stage(shout(), [source], output, RunOptions(fresh=True)).reused == 0
    assert calls() == ["a", "b", "a", "b"]


def test_a_failure_is_kept_until_it_is_asked_to_be_tried_again(shout, examples_file, examples_in, calls, tmp_path):
    source, output = str(examples_file(["a", "b-fails"])), tmp_path / "out.jsonl"
    run_stage(shout(), [source], str(output))
    (_, failed) = examples_in(output)
    assert failed.value["foretype"]["failures"] == {"shout": "it would not be shouted"}
    healed = shout(is_healed=True)
    assert run_stage(healed, [source], str(output)).failed == 1
    summary = run_stage(healed, [source], str(output), RunOptions(retry_failed=True))
    assert (summary.reused, summary.failed) == (1, 0)
    assert calls() == ["a", "b-fails", "b-fails"]
    (_, good) = examples_in(output)
    assert good.value["foretype"]["shout"] == "SLIAF-B"
    assert "failures" not in good.value["foretype"]


def test_what_may_go_better_later_is_tried_again_by_itself(shout, examples_file, examples_in, calls, tmp_path):
    source, output = str(examples_file(["a", "b-waits"])), tmp_path / "out.jsonl"
    assert run_stage(shout(), [source], str(output)).failed == 1
    assert examples_in(output)[1].value["foretype"]["failures"] == {"shout": "nobody answers now"}
    summary = run_stage(shout(is_healed=True), [source], str(output))
    assert (summary.reused, summary.failed) == (1, 0)
    assert calls() == ["a", "b-waits", "b-waits"]


def test_findings_that_make_no_example_are_a_failure_of_that_example(shout, examples_file, examples_in, tmp_path):
    output = tmp_path / "out.jsonl"
    summary = run_stage(shout(), [str(examples_file(["a", "b-poisons", "c"]))], str(output))
    assert (summary.examples, summary.failed) == (3, 1)
    failure = examples_in(output)[1].value["foretype"]["failures"]["shout"]
    assert failure.startswith("what it found cannot be kept: tags: ")


def test_a_line_that_this_stage_worked_on_last_is_taken_as_it_is(shout, examples_file, calls, tmp_path):
    source, first, second = str(examples_file(["a", "b"])), tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    run_stage(shout(), [source], str(first))
    assert run_stage(shout(), [str(first)], str(second)).reused == 2
    assert first.read_bytes() == second.read_bytes()
    assert run_stage(shout(), [str(first)], str(tmp_path / "third.jsonl"), RunOptions(fresh=True)).reused == 0


def test_a_line_that_another_stage_has_changed_since_is_not_trusted(shout, examples_file, examples_in, calls, tmp_path):
    source, output = str(examples_file(["a"])), tmp_path / "out.jsonl"
    run_stage(shout(), [source], str(output))
    (example,) = examples_in(output)
    mine = example.value["foretype"]
    other = {"shout": "tampered", "stages": {**mine["stages"], "other": "0f"}}
    output.write_text(f"{example.with_fields(foretype=other).to_line()}\n")
    with pytest.raises(OutputRefused, match="`shout` has not made it"):
        run_stage(shout(), [source], str(output))
    again = tmp_path / "again.jsonl"
    assert run_stage(shout(), [str(output)], str(again)).reused == 0
    assert examples_in(again)[0].value["foretype"]["shout"] == "A"


@pytest.mark.parametrize("content", ['{"name": "somebody else\'s"}\n', "no example at all"])
def test_an_output_of_somebody_else_is_not_replaced(content, shout, examples_file, tmp_path):
    source, output = str(examples_file(["a"])), tmp_path / "out.jsonl"
    output.write_text(content)
    with pytest.raises(OutputRefused, match="--force"):
        run_stage(shout(), [source], str(output))
    assert output.read_text() == content
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]
    assert run_stage(shout(), [source], str(output), RunOptions(force=True)).examples == 1


def test_an_input_is_replaced_only_where_that_is_asked_for(shout, examples_file, examples_in, tmp_path):
    source = examples_file(["a", "b"])
    with pytest.raises(OutputRefused, match="is one of the inputs"):
        run_stage(shout(), [str(tmp_path / "*.jsonl")], str(source))
    run_stage(shout(), [str(source)], str(source), RunOptions(force=True))
    assert [example.value["foretype"]["shout"] for example in examples_in(source)] == ["A", "B"]


def test_two_runs_for_one_output_refuse_each_other(shout, examples_file, tmp_path):
    source, output = str(examples_file(["a"])), tmp_path / "out.jsonl"
    work = tmp_path / "out.jsonl.work"
    work.mkdir()
    other = FileLock(work / "lock")
    assert other.take()
    with pytest.raises(OutputRefused, match="another run is writing"):
        run_stage(shout(), [source], str(output))
    other.close()
    assert run_stage(shout(), [source], str(output)).examples == 1
    assert not work.exists()


def test_unfinished_work_of_another_stage_is_not_thrown_away(shout, examples_file, monkeypatch, tmp_path):
    source, output = str(examples_file(["a", "breaks"])), str(tmp_path / "out.jsonl")
    with pytest.raises(ValueError, match="cannot shout"):
        run_stage(shout(), [source], output)
    monkeypatch.setattr("artificial_stages.Shout.name", "whisper")
    with pytest.raises(OutputRefused, match="unfinished work of `shout`"):
        run_stage(shout(), [source], output)
    source = str(examples_file(["a"]))
    assert run_stage(shout(), [source], output, RunOptions(force=True)).reused == 0


def test_strict_stops_at_the_first_bad_line_and_leaves_the_output_as_it_was(shout, examples_file, tmp_path):
    source, output = examples_file(["a"]), tmp_path / "out.jsonl"
    run_stage(shout(), [str(source)], str(output))
    before = output.read_bytes()
    source.write_text(source.read_text() + "nonsense\n")
    with pytest.raises(StoppedAtBadLine, match=r"in\.jsonl:2: not JSON"):
        run_stage(shout(), [str(source)], str(output), RunOptions(strict=True))
    assert output.read_bytes() == before
    assert not (tmp_path / "out.jsonl.rejected.jsonl").exists()


def test_rejected_lines_are_named_beside_the_output_and_forgotten_when_there_are_none(shout, examples_file, tmp_path):
    source, output = examples_file(["a"]), tmp_path / "out.jsonl"
    good = source.read_text()
    source.write_text(f'{good}{{"name": 7}}\n{good}nonsense\n' + json.dumps({"foretype": []}) + "\n{")
    summary = run_stage(shout(), [str(source)], str(output))
    assert (summary.examples, summary.rejected) == (2, 4)
    rejected = tmp_path / "out.jsonl.rejected.jsonl"
    lines = [json.loads(line) for line in rejected.read_text().splitlines()]
    assert [(line["line"], line["text"]) for line in lines] == [
        (2, '{"name": 7}'), (4, "nonsense"), (5, '{"foretype": []}'), (6, "{")
    ]  # fmt: skip
    assert {line["source"] for line in lines} == {str(source)}
    assert "torn" in lines[3]["reason"]
    source.write_text(good)
    run_stage(shout(), [str(source)], str(output))
    assert not rejected.exists()


@pytest.mark.parametrize("mine", ["text", {"stages": 3}, {"failures": ["x"]}])
def test_a_line_whose_own_part_is_no_object_is_rejected(mine, shout, examples_file, tmp_path):
    source = examples_file(["a"], foretype=mine)
    summary = run_stage(shout(), [str(source)], str(tmp_path / "out.jsonl"))
    assert (summary.examples, summary.rejected) == (0, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stage_that_breaks_says_where_and_keeps_what_was_done(kind, shout, examples_file, tmp_path):
    source, output = str(examples_file([*"abcdef", "breaks", "g"])), str(tmp_path / "out.jsonl")
    with pytest.raises((ValueError, StageBroken), match="cannot shout breaks") as broken:
        run_stage(shout(kind=kind), [source], output, RunOptions(workers=2))
    said = str(broken.value) + "".join(getattr(broken.value, "__notes__", []))
    assert f"while shout worked on {source}:7" in said
    assert run_stage(shout(kind=kind), [str(examples_file(["a"]))], output).reused == 1


def test_a_limit_takes_the_first_lines(shout, examples_file, examples_in, tmp_path):
    output = tmp_path / "out.jsonl"
    run_stage(shout(), [str(examples_file(list("abcd")))], str(output), RunOptions(limit=2))
    assert [example.name for example in examples_in(output)] == ["a", "b"]


def test_nothing_comes_of_nothing(shout, examples_file, tmp_path):
    output = tmp_path / "out.jsonl"
    assert run_stage(shout(kind=Concurrency.PROCESSES), [str(examples_file([]))], str(output), THREE).examples == 0
    assert output.read_bytes() == b""
    assert run_stage(shout(), [str(examples_file(["a"]))], str(output)).examples == 1


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_an_output_is_compressed_as_its_name_says(ending, shout, examples_file, examples_in, tmp_path):
    source, output = str(examples_file(["a", "b"])), tmp_path / f"out.jsonl{ending}"
    run_stage(shout(), [source], str(output))
    assert [example.name for example in examples_in(output)] == ["a", "b"]
    assert run_stage(shout(), [source], str(output)).reused == 2


def test_a_stage_is_not_opened_where_all_is_known(shout, examples_file, tmp_path):
    source, output = str(examples_file(["a"])), str(tmp_path / "out.jsonl")
    run_stage(shout(), [source], output)
    run_stage(shout(), [source], output)
    assert (tmp_path / "calls").read_text().split() == ["opened", "a", "closed"]


def test_from_pipe_to_pipe(shout, examples_file, capfdbinary, monkeypatch):
    content = examples_file(["a", ""]).read_bytes() + b"nonsense\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.FileIO(1, "wb", closefd=False)))
    summary = run_stage(shout(), ["-"], "-")
    out, err = capfdbinary.readouterr()
    assert [json.loads(line)["name"] for line in out.splitlines()] == ["a", "stdin-1"]
    assert summary.rejected == 1
    assert err.startswith(b"rejected: standard input:3: not JSON")


def test_the_output_can_be_read_by_whom_the_one_before_could(shout, examples_file, tmp_path):
    source, output = str(examples_file(["a"])), tmp_path / "out.jsonl"
    run_stage(shout(), [source], str(output))
    output.chmod(0o640)
    run_stage(shout(), [source], str(output), RunOptions(fresh=True))
    assert output.stat().st_mode & 0o777 == 0o640


def test_unfinished_work_is_for_its_owner_alone(shout, examples_file, tmp_path):
    with pytest.raises(ValueError, match="cannot shout"):
        run_stage(shout(), [str(examples_file(["a", "breaks"]))], str(tmp_path / "out.jsonl"))
    work = tmp_path / "out.jsonl.work"
    assert work.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in work.iterdir()} == {0}


_TEXTS = st.text(max_size=8).filter(lambda text: not any("\ud800" <= character <= "\udfff" for character in text))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(extra=st.dictionaries(_TEXTS.map(lambda text: f"x{text}"), _VALUES, max_size=4), inner=_VALUES)
def test_what_a_stage_does_not_name_it_does_not_change(extra, inner, shout, examples_in, tmp_path):
    example = Example.new(
        name="a", repository_url="https://example.org/a.git", revision="0" * 40, tags=["t"], uncommitted_diff="",
        cursor_path="a.py", cursor_position="x<|user_cursor|>", edit_history="", expected_patches=["", "-a\n+b\n"],
        telemetry={"request_id": "r", "device_id": "d", "time": "t", "rejection_reason": "x", "was_shown": True},
        predictions=[{"actual_output": "x", "provider": "p", "more": inner}], zed_version="1", rating="Positive",
        foretype={"settled": inner, "stages": {"earlier": "aa"}},
        **extra,
    )  # fmt: skip
    source, output = tmp_path / "one.jsonl", tmp_path / "out.jsonl"
    source.write_text(f"{example.to_line()}\n", encoding="utf-8")
    stage = shout()
    run_stage(stage, [str(source)], str(output), RunOptions(force=True, fresh=True))
    (found,) = examples_in(output)
    key = stage_key(stage, example)
    mine = {"settled": inner, "stages": {"earlier": "aa", "shout": key}, "shout": "A"}
    wanted = {**example.value, "tags": ["shouted"], "foretype": mine}
    assert found.value == wanted
    assert list(found.value) == list(example.value)
