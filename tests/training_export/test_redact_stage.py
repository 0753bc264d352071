"""No secret leaves by any field, and nothing but the secret changes."""

from __future__ import annotations

import importlib.util
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from capture.inputs import ExcerptRanges, PredictionInputs, Span
from daemon.prompts.base import NewRegion
from training_export.commands.redact import application
from training_export.example import Example
from training_export.patches import patch_of_region, patched_excerpt
from training_export.selecting.other_scanner import secrets_in
from training_export.selecting.redaction import RedactOptions, redact
from training_export.stages.redact import RedactStage, of_same_bytes, with_marks_of, without_marks

SECRET = "ghp_" + "a8Kd03mZq7RtLw5Xe2Vb9Np4Yc6Hs1Jf0GuT"  # nobody's
EXCERPT = f'größe = 1\ntoken = "{SECRET}"\ndef total(items):\n    return 0\n'
CURSOR = EXCERPT.index("a8Kd03mZ") + 5  # in the middle of the secret, while it is typed


def new_example(**fields):
    inputs = PredictionInputs("shop/cart.py", EXCERPT, len(EXCERPT[:CURSOR].encode()), ExcerptRanges({}))
    whole = Span(0, len(EXCERPT.encode()))
    return Example.new(
        name="moment",
        cursor_path="shop/cart.py",
        cursor_position=EXCERPT[:CURSOR] + "<|user_cursor|>" + EXCERPT[CURSOR:],
        edit_history=f'--- a/x\n+++ b/x\n@@ -1,1 +1,1 @@\n-token = "{SECRET[:-3]}"\n+token = "{SECRET}"\n',
        expected_patches=[patch_of_region(inputs, whole, NewRegion(EXCERPT.replace("return 0", "return sum(items)")))],
        prompt_inputs=inputs.to_json(),
        **fields,
    )


@pytest.fixture(scope="module")
def redacted():
    with RedactStage().opened() as work:

        def run(example):
            found = work(example)
            assert found.failure == ""
            mine = {**(example.value.get("foretype") or {}), **found.ours}
            return example.with_fields(**found.fields, **({"foretype": mine} if mine else {})), found.tallies

        yield run


def test_a_secret_is_masked_everywhere_and_positions_stay(redacted):
    example, tallies = redacted(
        new_example(
            predictions=[{"actual_output": f"use {SECRET}", "actual_patch": "", "provider": "teacher"}],
            foretype={"settled": f"x = '{SECRET}'", "snapshot": {"id": "0" * 32}, "deep": [{"er": [SECRET]}]},
            somebody={"elses": f"key {SECRET}"},
        )
    )
    line = example.to_line()
    assert SECRET[:6] not in line
    assert "a8Kd" not in line
    assert SECRET[-10:] not in line
    assert tallies["examples with secrets"] == 1
    inputs = example.prompt_inputs
    assert len(inputs.excerpt_bytes) == len(EXCERPT.encode())
    assert example.cursor_excerpt.text == inputs.cursor_excerpt
    assert example.cursor_excerpt.offset_bytes == inputs.cursor_offset_in_excerpt
    assert "return sum(items)" in patched_excerpt(inputs, example.expected_patches[0])
    assert inputs.cursor_excerpt.startswith('größe = 1\ntoken = "***_***')
    assert example.value["foretype"]["settled"] == f"x = '{re.sub(r'[^_]', '*', SECRET)}'"


def test_an_example_without_secrets_is_not_touched(redacted):
    clean = Example.from_line(new_example().to_line().replace(SECRET, "TOKEN").replace(SECRET[:-3], "TOK"))
    clean = clean.with_fields(
        cursor_position="x = <|user_cursor|>1\n",
        revision="4be1c5d0b7e1aa90f5ba1f0b0c9a0e1d2c3b4a59",
        foretype={
            "snapshot": {"id": "9f1c2d3e4f5061728394a5b6c7d8e9f0", "workspace_id": "0a1b2c3d4e5f60718293a4b5c6d7e8f9"},
            "stages": {"score": "9f1c2d3e4f5061728394a5b6c7d8e9f0"},
        },
    ).with_fields(prompt_inputs=None, edit_history="", expected_patches=[])
    assert redacted(clean) == (clean, {})


def test_what_was_made_of_a_masked_text_goes(redacted):
    stale = {
        "prompt": {"input": "p", "provider": "zeta1", "rejected_output": None},
        "predictions": [{"actual_output": "", "actual_patch": "", "provider": "teacher"}],
        "score": [{"delta_chr_f": 1.0}],
        "qa": [{"confidence": 3}],
    }
    example, _ = redacted(new_example(**stale))
    assert example.prompt is None
    assert example.score == example.qa == ()
    assert len(example.predictions) == 1
    kept, _ = redacted(Example.new(cursor_position="<|user_cursor|>", **stale, foretype={"settled": SECRET}))
    assert kept.prompt is not None
    assert len(kept.score) == len(kept.qa) == 1


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "in.jsonl"
    clean = Example.new(name="clean", cursor_position="x = <|user_cursor|>1\n")
    in_key = Example.new(name="key", cursor_position="<|user_cursor|>", somebody={SECRET: 1})
    bad = new_example().to_line().replace('{"name"', f'{{"rating":"{SECRET}","name"')  # which its reason quotes
    path.write_text("\n".join([clean.to_line(), new_example().to_line(), bad, in_key.to_line(), clean.to_line()]))
    return path


@pytest.mark.parametrize(("drops", "kept"), [(False, ["clean", "moment", "clean"]), (True, ["clean", "clean"])])
def test_nothing_written_holds_the_secret(lines, tmp_path, drops, kept):
    summary = redact([str(lines)], str(tmp_path / "out.jsonl"), RedactOptions(drops=drops))
    written = (tmp_path / "out.jsonl").read_text()
    assert [json.loads(line)["name"] for line in written.splitlines()] == kept
    rejected = (tmp_path / "out.jsonl.rejected.jsonl").read_text()
    assert [json.loads(line)["line"] for line in rejected.splitlines()] == ([2, 3, 4] if drops else [3, 4])
    assert SECRET not in written + rejected
    assert SECRET[4:] not in written + rejected
    assert (summary.examples, summary.rejected) == (len(kept), 5 - len(kept))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["in.jsonl", "out.jsonl", "out.jsonl.rejected.jsonl"]


def test_an_earlier_output_is_not_trusted(lines, tmp_path):
    first = redact([str(lines)], str(tmp_path / "out.jsonl"), RedactOptions())
    assert first.rejected == 2
    written = (tmp_path / "out.jsonl").read_text()
    # A key of ours in the line says that it is clean already, and a field that nobody knows says otherwise.
    (tmp_path / "again.jsonl").write_text(written.replace('"name":"clean"', f'"note":"{SECRET}","name":"clean"'))
    second = redact([str(tmp_path / "again.jsonl")], str(tmp_path / "out.jsonl"), RedactOptions(force=True))
    assert second.tallies["examples with secrets"] == 2
    assert SECRET not in (tmp_path / "out.jsonl").read_text()


def test_the_command_counts_by_kind(lines, tmp_path):
    result = CliRunner().invoke(
        application, [str(lines), "-o", str(tmp_path / "out.jsonl"), "--json", "--workers", "1"]
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["tallies"]["examples with secrets"] == 2
    assert sum(count for kind, count in found["tallies"].items() if kind.startswith("with ")) >= 2


PIECES = st.lists(st.sampled_from(["a", "ß", "é1", "\U0001d518", " ", "<|user_cursor|>", "<|marker_1|>", "<|", "\n"]))


@settings(max_examples=200)
@given(PIECES, st.data())
def test_masks_keep_markers_and_the_length_in_bytes(pieces, data):
    text = "".join(pieces)
    plain = without_marks(text)
    start = data.draw(st.integers(0, len(plain)))
    end = data.draw(st.integers(start, len(plain)))
    masked = plain[:start] + "".join("*" if old.isalnum() else old for old in plain[start:end]) + plain[end:]
    found = with_marks_of(text, of_same_bytes(plain, masked))
    assert len(found.encode()) == len(text.encode())
    assert re.findall(r"<\|user_cursor\|>|<\|marker_1\|>", found) == re.findall(
        r"<\|user_cursor\|>|<\|marker_1\|>", text
    )
    for old, new in zip(text.encode(), found.encode(), strict=True):
        assert new in (old, ord("*"))


def test_what_another_scanner_finds_is_masked_as_well(redacted):
    example = Example.new(name="x", cursor_position="call(<|user_cursor|>'plain-looking')\n")
    more = {example.to_line().encode(): ("plain-looking",)}
    with RedactStage(more_secrets=more).opened() as work:
        found = work(example)
    assert found.fields["cursor_position"] == "call(<|user_cursor|>'*****-*******')\n"
    elsewhere = {example.to_line().encode(): ("nowhere in it",)}
    with RedactStage(more_secrets=elsewhere).opened() as work:
        assert "cannot be masked" in work(example).failure


def test_kingfishers_report_is_read_by_file():
    finding = {"rule": {"id": "a"}, "finding": {"snippet": "s1", "path": "texts/12.txt", "line": 1}}
    other = {"rule": {"id": "b"}, "finding": {"snippet": "s2", "path": "./texts/12.txt", "line": 4}}
    report = "\n".join(map(json.dumps, [finding, other, finding, {"findings": 3, "rules_applied": 488}]))
    assert secrets_in(report.encode()) == {12: ("s1", "s2")}


@pytest.mark.skipif(importlib.util.find_spec("kingfisher") is None, reason="the extra scan is not installed")
def test_kingfisher_itself_finds_a_providers_key(tmp_path):
    key = "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"
    path = tmp_path / "in.jsonl"
    path.write_text(Example.new(name="x", cursor_position=f"send('{key}<|user_cursor|>')\n").to_line() + "\n")
    redact([str(path)], str(tmp_path / "out.jsonl"), RedactOptions(asks_kingfisher=True))
    assert key[3:] not in (tmp_path / "out.jsonl").read_text()


def test_without_the_extra_the_cure_is_named(tmp_path, lines):
    if importlib.util.find_spec("kingfisher") is not None:
        pytest.skip("it is installed")
    result = CliRunner().invoke(application, [str(lines), "-o", str(tmp_path / "o.jsonl"), "--scanner", "kingfisher"])
    assert "pip install 'foretype[scan]'" in str(result.exception)
    assert not (tmp_path / "o.jsonl").exists()
