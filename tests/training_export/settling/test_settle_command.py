"""``foretype settle``, as it is typed."""

from __future__ import annotations

import json
import sys

import pytest
from typer.testing import CliRunner

from daemon.errors import BadArgument
from training_export.commands.settle import application
from training_export.example_format.files import Loaded, read_examples

COMMAND = [sys.executable, "-c", "from training_export.commands.settle import application; application()"]


@pytest.fixture(scope="module")
def moments(tmp_path_factory, planting, apis, known_to_student):
    """A file with a few moments of each kind, one that did not settle and a line that is none."""
    plants = planting(2)
    planted = [*known_to_student(plants.obvious(12))[:3], *plants.noise(3), *apis[:3]]
    lines = [one.example().to_line() for one in planted]
    lines.append(apis[0].example().with_fields(foretype={"snapshot": {"id": "s"}}).to_line())
    path = tmp_path_factory.mktemp("moments") / "moments.jsonl"
    path.write_text("\n".join([*lines, "{}"]) + "\n")
    return path


def run(*arguments):
    result = CliRunner().invoke(application, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def examples(path):
    return [found.example for found in read_examples(str(path)) if isinstance(found, Loaded)]


def without_findings(one):
    """The example less what settle writes."""
    mine = {name: value for name, value in one.value["foretype"].items() if name not in ("settle", "stages")}
    return one.with_fields(expected_patches=[], foretype=mine)


def classes(path):
    return [(one.value["foretype"].get("settle") or {}).get("class") for one in examples(path)]


@pytest.fixture(scope="module")
def settled(moments, tmp_path_factory):
    folder = tmp_path_factory.mktemp("settled")
    result = run(moments, "-o", folder / "out.jsonl", "--samples", 20, "--json")
    return folder / "out.jsonl", json.loads(result.stdout)


def test_examples_are_classified_counted_and_kept_in_order(settled, moments):
    path, summary = settled
    assert classes(path) == ["obvious"] * 3 + ["noise"] * 3 + ["learnable"] * 3 + [None]
    assert (summary["examples"], summary["failed"], summary["rejected"]) == (10, 0, 1)
    assert summary["tallies"] == {"obvious": 3, "noise": 3, "learnable": 3, "not settled": 1}
    assert [bool(one.expected_patches) for one in examples(path)] == [False] * 6 + [True] * 3 + [False]
    assert list(map(without_findings, examples(path))) == examples(moments)


def test_a_second_run_samples_nothing_and_comes_to_the_same(settled, moments, tmp_path):
    path, _ = settled
    before = path.read_bytes()
    again = json.loads(run(moments, "-o", path, "--samples", 20, "--json").stdout)
    assert (again["examples"], again["reused"]) == (10, 10)
    assert path.read_bytes() == before
    alone = tmp_path / "alone.jsonl"
    run(moments, "-o", alone, "--samples", 20, "--workers", 1)
    assert alone.read_bytes() == before


def test_other_edges_are_tried_without_sampling(settled, tmp_path):
    path, _ = settled
    out = tmp_path / "again.jsonl"
    medians = [one.value["foretype"]["settle"]["median"] for one in examples(path)[:-1]]
    low = max(medians[6:])  # of those that were learnable
    summary = json.loads(run(path, "-o", out, "--reband", "--bands", f"{low}:0.99", "--json").stdout)
    assert summary["tallies"]["obvious"] == sum(median <= low for median in medians) >= 6
    assert [one.expected_patches for one in examples(out)] == [()] * 10
    shares = json.loads(run(path, "--bands", "50%:60%", "--json").stdout)
    assert shares["classes"]["noise"] == 3
    back = tmp_path / "back.jsonl"
    run(out, "-o", back, "--reband", "--bands", "0.05:0.96")
    assert [one.expected_patches for one in examples(back)] == [one.expected_patches for one in examples(path)]


def test_the_report_and_the_drawing_show_what_was_settled_before(settled, tmp_path):
    pytest.importorskip("matplotlib")
    path, _ = settled
    told = run(path, "--report", "--plot", tmp_path / "edges.html").stdout
    assert "learnable         3   33.3%  3 with a target" in told
    assert "out.jsonl:7 unknown interface: learnable" in told
    assert told in (tmp_path / "edges.html").read_text().replace("&quot;", '"').replace("&#x27;", "'").replace(
        "&lt;", "<"
    ).replace("&gt;", ">").replace("&amp;", "&")


def test_a_student_is_compared_with_a_teacher(moments, tmp_path):
    teacher = ("--teacher", "gguf:embedded", "--samples", 10, "--cache", tmp_path / "answers")
    found = json.loads(run(moments, "--validate", 6, *teacher, "--json").stdout)
    assert found["examples"] + found["failed"] == 6
    assert found["failed"] == 0
    assert found["first"].endswith("(10 samples)")
    assert found["second"] == "embedded (50 samples)"
    assert found["agreement"] >= 5 / 6, "the same model judges alike, however often it is asked"


def test_a_teacher_can_settle(moments, tmp_path):
    out = tmp_path / "taught.jsonl"
    teacher = ("--teacher", "gguf:embedded", "--samples", 5, "--cache", tmp_path / "answers", "--limit", 2)
    run(moments, "-o", out, *teacher)
    assert [one.value["foretype"]["settle"]["samples"] for one in examples(out)] == [5, 5]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "-o OUT is missing"),
        (("--reband",), "-o OUT is missing"),
        (("-o", "x.jsonl", "--reband"), "--reband needs --bands"),
        (("-o", "x.jsonl", "--bands", "30%:0.9"), "settle, then --reband"),
        (("-o", "-", "--report"), "give -o a file"),
        (("--validate", "3"), "name one with --teacher"),
        (("--validate", "3", "-o", "x.jsonl"), "writes no examples"),
        (("--report", "--json"), "leave one out"),
        (("-o", "x.jsonl", "--plot", "x.pdf"), ".png"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_cure(moments, arguments, reason):
    with pytest.raises(BadArgument) as refused:
        CliRunner().invoke(application, [str(moments), *arguments], catch_exceptions=False)
    assert reason in str(refused.value)


def test_a_run_that_is_killed_again_and_again_ends_as_one_that_was_not(settled, moments, tmp_path, stage_kills):
    path, _ = settled
    out = tmp_path / "killed.jsonl"
    killed = stage_kills([*COMMAND, str(moments), "-o", str(out), "--samples", "20", "--json"], out)
    assert out.read_bytes() == path.read_bytes()
    assert killed.kills > 0
