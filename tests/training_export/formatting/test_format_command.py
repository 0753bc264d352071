"""The command on files: prompts, rows for trl, and what a trainer must know of the format."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from capture.inputs import Span
from daemon.errors import BadArgument
from daemon.prompts.base import NewRegion
from daemon.prompts.registry import FORMATS
from training_export.commands.format_ import application
from training_export.example import Example
from training_export.patches import patch_of_region


@pytest.fixture
def path(tmp_path, formatted_example, moment):
    text = moment().cursor_excerpt
    whole = Span(0, len(text.encode()))
    worse = patch_of_region(moment(), whole, NewRegion(text.replace("total()\n", "sum()\n")))
    examples = [
        formatted_example([text.replace("total()\n", "total_cents()\n")], name="pair", rejected_patch=worse),
        formatted_example([text], name="no edit"),
        formatted_example([], name="no target"),
    ]
    path = tmp_path / "in.jsonl"
    path.write_text("".join(f"{example.to_line()}\n" for example in examples))
    return path


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def invoke(*arguments):
    return CliRunner().invoke(application, [*map(str, arguments), "--workers", "1"])


def test_prompts_and_rows_are_written(path, tmp_path):
    out, sft, dpo, text = (tmp_path / f"{name}.jsonl" for name in ("out", "sft", "dpo", "text"))
    options = ("--format", "zeta2_1", "--trl-sft", sft, "--trl-dpo", dpo, "--text", text, "--json")
    result = invoke(path, "-o", out, *options)
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert (summary["examples"], summary["failed"]) == (3, 0)
    assert summary["tallies"] == {"pairs": 1, "without expected patches": 1}
    examples = [Example.from_line(line) for line in out.read_text().splitlines()]
    pair, quiet, _ = (example.prompt for example in examples)
    assert read(sft) == [
        {"prompt": pair.input, "completion": pair.expected_output},
        {"prompt": quiet.input, "completion": quiet.expected_output},
    ]
    assert read(dpo) == [{"prompt": pair.input, "chosen": pair.expected_output, "rejected": pair.rejected_output}]
    assert read(text)[0] == {"text": pair.input + pair.expected_output}
    assert "2 rows (sft)" in result.stderr


def test_the_delimiters_stand_beside_the_rows_and_bound_the_answer(path, tmp_path):
    out, text = tmp_path / "out.jsonl", tmp_path / "text.jsonl"
    for name in ("line_edits", "zeta2", "V0608QwenMultiRegions"):
        assert invoke(path, "-o", out, "--format", name, "--text", text, "--force").exit_code == 0
        described = json.loads((tmp_path / "text.jsonl.format.json").read_text())
        assert (described["format"], described["rows"], described["kind"]) == (name, 2, "text")
        assert described["control_tokens"] == list(FORMATS[name].control_tokens)
        for row, example in zip(read(text), map(Example.from_line, out.read_text().splitlines()), strict=False):
            assert row["text"].startswith(described["prompt_start"])
            answer = row["text"].rpartition(described["answer_start"])[2]
            assert answer == example.prompt.expected_output


def test_the_embedded_model_is_the_default(path, tmp_path):
    assert invoke(path, "-o", tmp_path / "out.jsonl").exit_code == 0
    assert Example.from_line((tmp_path / "out.jsonl").read_text().splitlines()[0]).prompt.provider == "line_edits"


def test_the_same_again_is_not_done_again_but_rows_are_written(path, tmp_path):
    out, sft = tmp_path / "out.jsonl", tmp_path / "sft.jsonl"
    invoke(path, "-o", out, "--format", "zeta2")
    before = out.read_text()
    result = invoke(path, "-o", out, "--format", "zeta2", "--trl-sft", sft, "--json")
    assert json.loads(result.stdout)["reused"] == 3
    assert out.read_text() == before
    assert len(read(sft)) == 2


def test_an_alias_of_a_format_is_understood_and_a_wrong_name_is_refused(path, tmp_path):
    assert invoke(path, "-o", tmp_path / "out.jsonl", "--format", "V0318SeedMultiRegions").exit_code == 0
    result = invoke(path, "-o", tmp_path / "other.jsonl", "--format", "zeta9")
    assert isinstance(result.exception, BadArgument)
    assert "Known formats" in str(result.exception)


def test_rows_in_the_way_are_refused_before_anything_is_done(path, tmp_path):
    (tmp_path / "sft.jsonl").write_text("mine\n")
    result = invoke(path, "-o", tmp_path / "out.jsonl", "--trl-sft", tmp_path / "sft.jsonl")
    assert isinstance(result.exception, BadArgument)
    assert not (tmp_path / "out.jsonl").exists()
    assert (tmp_path / "sft.jsonl").read_text() == "mine\n"
