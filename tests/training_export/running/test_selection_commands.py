"""``filter``, ``sample`` and ``validate`` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from capture.inputs import ExcerptRanges, PredictionInputs, Span
from capture.metrics.prediction_score import PredictionScore
from daemon.prompts.base import NewRegion
from daemon.prompts.registry import FORMATS
from training_export.commands import filter as filter_command
from training_export.commands import sample as sample_command
from training_export.commands import validate as validate_command
from training_export.example import Example
from training_export.patches import patch_of_region
from training_export.selecting.sampling import Per, Smallest
from training_export.stages.formatting import FormatStage

TEXT = "def total(self):\n    return 1\n"


def moment(name: str, path: str = "shop/cart.py", **fields: object) -> Example:
    return Example.new(
        name=name, repository_url=f"https://example.org/{path.partition('/')[0]}.git", cursor_path=path,
        cursor_position=f"x = {name}<|user_cursor|>\n", **fields,
    )  # fmt: skip


def score(**metrics: float) -> dict[str, float]:
    return {**PredictionScore().to_json(), **metrics}


EXAMPLES = [
    moment("plain"),
    moment("rust", "core/src/lib.rs", tags=["rename", "big"]),
    moment("settled", foretype={"settled": "x", "settle": {"class": "learnable"}}),
    moment("noise", foretype={"settled": "", "settle": {"class": "noise"}, "failures": {"repair": "no"}}),
    moment("taken", foretype={"snapshot": {"outcome": "accepted", "rating": "bad", "language_id": "ruby"}}),
    moment("scored", predictions=[{"actual_output": "", "provider": "p"}] * 2, rating="Positive",
           score=[score(delta_chr_f=90.0, reversal_ratio=0.8), score(delta_chr_f=40.0, reversal_ratio=0.1)]),
]  # fmt: skip


def run(application, *arguments: str, stdin: bytes | None = None, code: int = 0):
    done = CliRunner().invoke(application, list(arguments), input=stdin)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(f"{example.to_line()}\n" for example in EXAMPLES))
    return path


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--language", "rust"], ["rust"]),
        (["--language", "ruby"], ["taken"]),
        (["--path", "src/*.rs", "--path", "*.c"], []),
        (["--path", "**/src/*.rs"], ["rust"]),
        (["--path", "shop/"], ["plain", "settled", "noise", "taken", "scored"]),
        (["--class", "learnable", "--class", "noise"], ["settled", "noise"]),
        (["--outcome", "accepted"], ["taken"]),
        (["--rating", "good"], ["scored"]),
        (["--rating", "bad"], ["taken"]),
        (["--tag", "rename"], ["rust"]),
        (["--name", "s", "--invert"], ["plain", "taken"]),
        (["--has", "foretype.settled"], ["settled"]),
        (["--has", "predictions", "--lacks", "foretype"], ["scored"]),
        (["--min-score", "delta_chr_f=80"], ["scored"]),
        (["--min-score", "delta_chr_f=80", "--max-score", "reversal_ratio=0.5"], []),
        (["--max-score", "kept_rate=1"], []),
        (["--failed", "repair"], ["noise"]),
        (["--not-failed", "repair", "--has", "foretype"], ["settled", "taken"]),
    ],
)
def test_filter_keeps_those_for_which_all_holds(options, names, source, tmp_path):
    output = tmp_path / "out.jsonl"
    done = run(filter_command.application, str(source), "-o", str(output), *options, "--json")
    kept = output.read_text().splitlines()
    assert [json.loads(line)["name"] for line in kept] == names
    assert set(kept) <= set(source.read_text().splitlines()), "a line was changed"
    summary = json.loads(done.stdout)
    assert (summary["examples"], summary["tallies"]) == (len(names), {"left out": len(EXAMPLES) - len(names)})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "say which examples"),
        (["--min-score", "beauty=3"], "no metric 'beauty'"),
        (["--min-score", "delta_chr_f=much"], "delta_chr_f=80"),
        (["--rating", "great"], "good, bad or none"),
    ],
)
def test_filter_names_what_it_does_not_understand(options, said, source, tmp_path):
    with pytest.raises(Exception, match=said):
        run(filter_command.application, str(source), "-o", str(tmp_path / "out.jsonl"), *options)


def test_filter_counts_bad_lines_and_names_them(source, tmp_path):
    source.write_text(source.read_text() + "nonsense\n")
    output = tmp_path / "out.jsonl"
    done = run(filter_command.application, str(source), "-o", str(output), "--language", "rust")
    assert done.stderr == f"foretype: filter: 1 example to {output}, 1 rejected, left out: 5\n"
    assert json.loads((tmp_path / "out.jsonl.rejected.jsonl").read_text())["line"] == 7


def test_a_sample_is_the_same_wherever_its_examples_stand_and_whatever_was_added(tmp_path):
    examples = [moment(f"m{number}") for number in range(60)]
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"

    def sampled(ordered: list[Example], *options: str) -> list[str]:
        source.write_text("".join(f"{example.to_line()}\n" for example in ordered))
        run(sample_command.application, str(source), "-o", str(output), "--force", *options)
        return [json.loads(line)["name"] for line in output.read_text().splitlines()]

    taken = sampled(examples, "--count", "10")
    assert len(taken) == 10
    changed = [example.with_fields(expected_patches=["x"], foretype={"settled": "y"}) for example in examples]
    assert sampled(changed, "--count", "10") == taken
    assert sampled(examples[::-1], "--count", "10") == taken[::-1]
    assert sampled(examples, "--count", "10", "--seed", "1") != taken
    assert set(taken) < set(sampled(examples, "--count", "20"))
    assert sampled(examples, "--count", "100") == [example.name for example in examples]
    fraction = sampled(examples, "--fraction", "0.5")
    assert set(fraction) & {example.name for example in examples[:30]} == set(
        sampled(examples[:30], "--fraction", "0.5")
    )


def test_a_sample_of_each_kind(tmp_path):
    examples = [moment(f"m{number}", f"{folder}/x.py") for folder in ("a", "b", "c") for number in range(9)]
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(f"{example.to_line()}\n" for example in examples[:-8]))
    run(sample_command.application, str(source), "-o", str(output), "-n", "4", "--per", "repository")
    folders = [json.loads(line)["cursor_path"][0] for line in output.read_text().splitlines()]
    assert folders == ["a"] * 4 + ["b"] * 4 + ["c"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.sampled_from("abcdefgh"), max_size=20), count=st.integers(1, 25), seed=st.integers(0, 3))
def test_a_sample_has_as_many_as_were_asked_for_where_there_are_so_many(names, count, seed):
    smallest = Smallest(count, seed, Per.ALL)
    for place, name in enumerate(names):
        smallest.add(place, moment(name))
    assert len(smallest.places) == min(count, len(names))
    assert smallest.places <= set(range(len(names)))


def with_inputs(name: str) -> Example:
    whole = Span(0, len(TEXT))
    inputs = PredictionInputs(
        cursor_path="shop/cart.py", cursor_excerpt=TEXT, cursor_offset_in_excerpt=9, excerpt_start_row=0,
        events=(), related_files=(), active_buffer_diagnostics=(), syntax_ranges=None,
        excerpt_ranges=ExcerptRanges(dict.fromkeys((
            "editable_150", "editable_180", "editable_350", "editable_512", "editable_150_context_350",
            "editable_180_context_350", "editable_350_context_150", "editable_350_context_512",
            "editable_350_context_1024", "context_4096", "context_8192"), whole)),
    )  # fmt: skip
    patch = patch_of_region(inputs, whole, NewRegion(TEXT.replace("total", "total_cents")))
    return Example.new(
        name=name, repository_url="", revision="", cursor_path="shop/cart.py",
        cursor_position="def total<|user_cursor|>(self):\n    return 1\n", expected_patches=[patch],
        prompt_inputs=inputs.to_json(),
    )  # fmt: skip


def formatted(example: Example) -> Example:
    with FormatStage("zeta2_1").opened() as work:
        found = work(example)
    assert not found.failure, found.failure
    return example.with_fields(**found.fields)


def problems_of(tmp_path: Path, *examples: Example | str, code: int = 1) -> list[dict[str, object]]:
    path = tmp_path / "train.jsonl"
    lines = (example if isinstance(example, str) else example.to_line() for example in examples)
    path.write_text("".join(f"{line}\n" for line in lines))
    return json.loads(run(validate_command.application, str(path), "--json", code=code).stdout)["problems"]


def test_a_sound_example_with_its_prompt_passes(tmp_path):
    assert "zeta2_1" in FORMATS
    assert problems_of(tmp_path, formatted(with_inputs("a")), code=0) == []


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        ("--- a/x\n+++ b/x\n@@ -1,1 +1,1 @@\n-no such line\n+y\n", "does not apply"),
        ("--- a/x\n+++ b/x\n@@ -2,1 +2,2 @@\n     return 1\n+NO_EDITS\n", "sentinel or a control token"),
        ("--- a/x\n+++ b/x\n@@ -2,1 +2,2 @@\n     return 1\n+<|marker_3|>\n", "sentinel or a control token"),
        ("--- a/x\n+++ b/x\n@@ -2,1 +2,2 @@\n     return 2\n+KEEP_PREVIOUS\n", "sentinel or a control token"),
        ("NO_EDITS", "sentinel or a control token"),
    ],
)
def test_a_target_that_would_poison_is_bad(patch, reason, tmp_path):
    found = problems_of(tmp_path, with_inputs("a").with_fields(expected_patches=[patch]))
    assert [problem["field"] for problem in found if problem["is_bad"]].count("expected_patches[0]") >= 1
    assert any(reason in str(problem["reason"]) for problem in found if problem["is_bad"])


def test_a_prompt_that_says_no_target_is_bad(tmp_path):
    example = formatted(with_inputs("a"))
    other = example.with_fields(expected_patches=[example.expected_patches[0].replace("_cents", "_sum")])
    (problem,) = problems_of(tmp_path, other)
    assert (problem["field"], problem["is_bad"]) == ("prompt.expected_output", True)


def test_a_prompt_of_other_inputs_is_doubtful(tmp_path):
    example = formatted(with_inputs("a"))
    stale = example.with_fields(prompt={**example.value["prompt"], "input": "something else"})
    (problem,) = problems_of(tmp_path, stale, code=0)
    assert (problem["field"], problem["is_bad"]) == ("prompt.input", False)


def test_bad_lines_names_that_come_twice_and_examples_without_a_target_are_named(tmp_path):
    bare = with_inputs("a").with_fields(expected_patches=[])
    found = problems_of(tmp_path, with_inputs("a"), "nonsense", bare)
    assert [(problem["line"], problem["field"], problem["is_bad"]) for problem in found] == [
        (2, "", True), (3, "expected_patches", False), (3, "name", False)
    ]  # fmt: skip
    no_edit = with_inputs("b").with_fields(expected_patches=[""])
    assert problems_of(tmp_path, no_edit, code=0) == []
    path = str(tmp_path / "train.jsonl")
    assert run(validate_command.application, path, "--pedantic").output.endswith("1 examples, 0 bad, 0 warnings\n")
