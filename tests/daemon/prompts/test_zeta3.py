"""Zeta3: the newer request says by rows what the older one says by an excerpt."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from capture.inputs import RelatedExcerpt, RelatedFile, Span
from daemon.prompts.zed.marker_spans import MarkerError
from daemon.prompts.zed.numbered_blocks import V0318_SEED_MULTI_REGIONS
from daemon.prompts.zed.prompt import format_zeta_prompt
from daemon.prompts.zed.zeta3 import FilePosition, Zeta3PromptInput, format_zeta3_prompt, parse_zeta3_output

VECTORS = Path(__file__).parents[2] / "conformance" / "prompt.jsonl"
CURRENT = RelatedExcerpt(Span(10, 13), "one\ntwö\nthree", context_source="current_file")
OTHER = RelatedExcerpt(Span(40, 41), "forty", context_source="current_file")


def moment(row, column=0, excerpts=(OTHER, CURRENT)):
    files = (RelatedFile("src/b.py", 3, (RelatedExcerpt(Span(0, 1), "b = 1"),)), RelatedFile("src/a.py", 50, excerpts))
    return Zeta3PromptInput("src/a.py", FilePosition(row, column), (), files)


def test_the_excerpt_that_covers_the_cursor_is_the_cursor_excerpt():
    inputs = moment(11, 2).to_prediction_inputs()
    assert (inputs.cursor_excerpt, inputs.cursor_offset_in_excerpt) == ("one\ntwö\nthree", 6)
    assert (inputs.excerpt_start_row, inputs.syntax_ranges) == (10, ())
    assert [file.excerpts for file in inputs.related_files if file.path == "src/a.py"] == [(OTHER,)]
    assert format_zeta3_prompt(moment(11, 2)) == format_zeta_prompt(inputs, V0318_SEED_MULTI_REGIONS)


@pytest.mark.parametrize(("column", "offset"), [(3, 6), (4, 8), (99, 8)])
def test_a_column_is_cut_to_a_character_and_to_its_line(column, offset):
    assert moment(11, column).to_prediction_inputs().cursor_offset_in_excerpt == offset


@pytest.mark.parametrize("row", [9, 13, 30])
def test_a_cursor_that_no_excerpt_covers_makes_no_prompt(row):
    assert format_zeta3_prompt(moment(row)) is None
    with pytest.raises(MarkerError):
        parse_zeta3_output(moment(row), "<|marker_1|>x<|marker_2|>")


def test_excerpts_of_other_sources_and_files_do_not_count():
    assert format_zeta3_prompt(moment(10, excerpts=(replace(CURRENT, context_source="lsp"),))) is None


def test_patches_count_rows_of_the_file():
    answer = "<|marker_1|>one\ntwo<|user_cursor|>\nthree\n<|marker_2|>"
    assert parse_zeta3_output(moment(11), answer) == (
        "--- a/src/a.py\n+++ b/src/a.py\n@@ -11,3 +11,3 @@\n one\n-twö\n+two<|user_cursor|>\n three\n"
    )


def test_the_wire_form_is_read_and_written_without_loss():
    lines = VECTORS.read_text(encoding="utf-8").split("\n")
    vectors = [json.loads(line) for line in lines if '"format_zeta3_prompt"' in line]
    assert vectors
    for vector in vectors:
        read = Zeta3PromptInput.from_json(vector["input"]["prompt_input"])
        assert Zeta3PromptInput.from_json(json.loads(json.dumps(read.to_json()))) == read
        assert vector["input"]["prompt_input"].keys() <= read.to_json().keys() | {"syntax_ranges", "repo_url"}
