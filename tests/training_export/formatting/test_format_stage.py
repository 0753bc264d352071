"""What is learnt is what the daemon asks, and an answer means exactly the edit that it was made from."""

from __future__ import annotations

import pickle
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.prompts.base import FileEdits, NewRegion, NoEdit
from daemon.prompts.registry import FORMATS
from daemon.prompts.sections import estimate_tokens
from daemon.registry import EMBEDDED_PATH, checksum
from training_export.errors import ModelUnusable
from training_export.patches import NotSayable
from training_export.stage import stage_key, with_findings
from training_export.stages.formatting import (
    FormatStage,
    RejectedFrom,
    Vocabulary,
    counting_tokens,
    findings,
    provider_of,
)

ALL = list(dict.fromkeys(FORMATS.values()))
each_format = pytest.mark.parametrize("prompt_format", ALL, ids=lambda item: item.name)
KINDS_OF_FAILURE = {"edits outside the region", "edits the format cannot say"}


def run(example, name="zeta2_1", **options):
    """The example as the stage leaves it, and what it counted."""
    stage = FormatStage(name, **options)
    with stage.opened() as work:
        found = work(example)
    return with_findings(stage, example, stage_key(stage, example), found), Counter(found.tallies)


def formatted(prompt_format, example):
    return findings(prompt_format, estimate_tokens, RejectedFrom.PATCH, example)


def read_back(prompt_format, inputs, answer):
    """The excerpt after an answer, as the daemon takes it."""
    prompt = prompt_format.render(inputs, estimate_tokens)
    ends = [answer.find(stop) for stop in prompt.stop if stop in answer]
    read = prompt_format.parse(inputs, prompt, answer[: min(ends, default=len(answer))], finished=True)
    excerpt = inputs.excerpt_bytes
    if isinstance(read, NoEdit):
        return inputs.cursor_excerpt
    if isinstance(read, NewRegion):
        return (excerpt[: prompt.region.start] + read.text.encode() + excerpt[prompt.region.end :]).decode()
    assert isinstance(read, FileEdits)
    lines = inputs.cursor_excerpt.splitlines(keepends=True)
    for edit in sorted(read.edits, key=lambda item: -item.rows.start):
        lines[edit.rows.start : edit.rows.end] = [edit.new_text]
    return "".join(lines)


@st.composite
def edits(draw, text, cursor):
    if draw(st.booleans()):
        start = end = cursor
    else:
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 60)))
    added = draw(st.sampled_from(["", "_cents", "x = 1\n", "ä\n\nb", "\n", "return 0\n    ", "NO_EDITS", "<|x|>"]))
    return text[:start] + added + text[end:]


@each_format
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_answer_is_read_as_the_edit_it_was_made_from(prompt_format, moment, formatted_example, data):
    inputs = moment()
    new = data.draw(edits(inputs.cursor_excerpt, inputs.cursor_excerpt.index("total()") + len("total")))
    try:
        example = formatted_example([new], inputs)
    except NotSayable:
        return
    found = formatted(prompt_format, example)
    if found.failure:
        assert set(found.tallies) <= KINDS_OF_FAILURE
        return
    record = found.fields["prompt"]
    assert record["input"] + record.get("prefill", "") == prompt_format.render(inputs, estimate_tokens).text
    assert read_back(prompt_format, inputs, record["expected_output"]) == new


@each_format
def test_every_format_can_say_an_edit_at_the_cursor_and_no_edit(prompt_format, moment, formatted_example):
    text = moment().cursor_excerpt
    before, after = text[: text.index("()\n        return f")], text[text.index("()\n        return f") :]
    edit = NewRegion(f"{before}_cents{after}", len(f"{before}_cents".encode()))  # V0317 counts from the new cursor
    for new in (edit, NewRegion(text)):
        found = formatted(prompt_format, formatted_example([new]))
        assert found.failure == ""
        assert read_back(prompt_format, moment(), found.fields["prompt"]["expected_output"]) == new.text


def test_a_prefill_stands_apart_from_the_prompt(formatted_example, moment):
    new = moment().cursor_excerpt.replace("not self", "len(self")
    prompt = run(formatted_example([new]), "V0211Prefill")[0].prompt
    assert prompt.prefill
    assert new.startswith(prompt.prefill)
    assert not prompt.input.endswith(prompt.prefill)
    assert (prompt.prefill + prompt.expected_output).startswith(new)


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("zeta2", "zeta2:V0211SeedCoder"),
        ("zeta2_1", "zeta2:V0318SeedMultiRegions"),
        ("zeta1", "zeta1"),
        ("V0615HashRegions", "zeta2:V0615HashRegions"),
        ("mercury", "mercury"),
        ("line_edits", "line_edits"),
    ],
)
def test_providers_are_named_as_zeds_tools_name_them(name, provider):
    assert provider_of(FORMATS[name]) == provider


def test_the_first_alternative_that_can_be_said_is_learnt(formatted_example, moment):
    text = moment().cursor_excerpt
    far, near = text.replace("not self", "len(self"), text.replace("total()\n", "total_cents()\n")
    example, counted = run(formatted_example([far, near]), "fim_qwen")
    assert example.prompt.expected_output.startswith("_cents")
    assert counted["later alternatives taken"] == 1
    example, counted = run(formatted_example([far]), "fim_qwen")
    assert example.prompt is None
    assert counted == {"edits outside the region": 1}
    assert example.value["foretype"]["failures"]["format"].startswith("expected_patches[0]: ")


def test_the_predicted_cursor_is_learnt_where_the_format_has_a_place_for_it(formatted_example, moment):
    new = moment().cursor_excerpt.replace("total()\n", "total_cents()\n")
    cursor = len(new[: new.index("_cents()\n")].encode())
    example, _ = run(formatted_example([NewRegion(new, cursor)]), "zeta2")
    assert "total<|user_cursor|>_cents()" in example.prompt.expected_output


def test_without_a_target_there_is_a_prompt_to_ask(formatted_example):
    example, counted = run(formatted_example([]))
    assert example.prompt.input
    assert example.prompt.expected_output is None
    assert counted == {"without expected patches": 1}


def test_no_edit_is_learnt_as_the_formats_own_word_for_it(formatted_example, moment):
    example, _ = run(formatted_example([moment().cursor_excerpt]), "line_edits")
    assert example.expected_patches == ("",)
    assert example.prompt.expected_output == "<|no_edit|>"


OLD = {"input": "old", "provider": "zeta1", "rejected_output": None}


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (
            {"expected_patches": ["--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n nothing like it\n-a\n+b\n"]},
            "patches that do not apply",
        ),
        ({"prompt_inputs": None}, "no prompt_inputs"),
    ],
)
def test_what_fails_is_said_and_leaves_no_old_prompt(formatted_example, fields, kind):
    example, counted = run(formatted_example([]).with_fields(prompt=OLD, **fields))
    assert example.prompt is None
    assert counted == {kind: 1}
    assert example.value["foretype"]["failures"]["format"]


def test_control_tokens_around_the_cursor_are_refused(formatted_example, moment):
    inputs = moment('x = "<|fim_suffix|>"\n', cursor=3)
    example, counted = run(formatted_example([], inputs), "fim_qwen")
    assert counted == {"no prompt: control tokens": 1}
    assert "control tokens" in example.value["foretype"]["failures"]["format"]


def test_a_rejected_patch_becomes_the_rejected_output(formatted_example, moment):
    text = moment().cursor_excerpt
    good, bad = text.replace("total()\n", "total_cents()\n"), text.replace("total()\n", "sum()\n")
    worse = formatted_example([bad]).expected_patches[0]
    example, counted = run(formatted_example([good], rejected_patch=worse), "zeta2")
    assert "sum()" in example.prompt.rejected_output
    assert "total_cents()" in example.prompt.expected_output
    assert counted["pairs"] == 1


def test_a_rejected_answer_that_is_the_expected_one_makes_no_pair(formatted_example, moment):
    good = formatted_example([moment().cursor_excerpt.replace("total()\n", "total_cents()\n")])
    example, counted = run(good.with_fields(rejected_patch=good.expected_patches[0]))
    assert example.prompt.rejected_output is None
    assert counted == {"rejected answers equal to the expected one": 1}


def test_the_worst_prediction_or_the_repaired_one_can_be_what_is_rejected(formatted_example, moment):
    text = moment().cursor_excerpt
    patches = {
        name: formatted_example([text.replace("total()\n", f"{name}()\n")]).expected_patches[0]
        for name in ("total_cents", "first", "second")
    }
    predictions = [
        {"actual_output": "", "actual_patch": patches["first"], "provider": "teacher"},
        {"actual_output": "", "error": "nonsense", "provider": "teacher"},
        {"actual_output": "", "actual_patch": patches["second"], "provider": "teacher"},
        {"actual_output": "", "actual_patch": patches["total_cents"], "provider": "repair"},
    ]
    score = [{"delta_chr_f": value} for value in (60.0, 0.0, 20.0, 100.0)]
    example = formatted_example([text.replace("total()\n", "total_cents()\n")], predictions=predictions, score=score)
    assert "second()" in run(example, rejected_from=RejectedFrom.WORST)[0].prompt.rejected_output
    assert "first()" in run(example, rejected_from=RejectedFrom.REPAIRED)[0].prompt.rejected_output
    assert run(example)[0].prompt.rejected_output is None


def test_budgets_are_counted_in_the_models_own_tokens(moment, formatted_example):
    with counting_tokens(EMBEDDED_PATH) as count:
        assert count("<|region|>") == 1
        assert count("def total") < estimate_tokens("<|region|>def total")
    # As few lines as fit 420 estimated tokens are far fewer than fit 420 of the student's own.
    lines = [f"    value_{number} = {number}\n" for number in range(40)]
    inputs = moment("".join(lines), cursor=400)
    known = FormatStage("line_edits", Vocabulary(EMBEDDED_PATH, checksum(EMBEDDED_PATH)))
    assert pickle.loads(pickle.dumps(known)) == known
    with known.opened() as work:
        exact = work(formatted_example([], inputs)).fields["prompt"]["input"]
    with counting_tokens(EMBEDDED_PATH) as count:
        assert exact == FORMATS["line_edits"].render(inputs, count).text


def test_a_file_that_is_no_model_is_named(tmp_path):
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF?")
    stage = FormatStage("line_edits", Vocabulary(path, "0"))
    with pytest.raises(ModelUnusable, match=r"broken\.gguf"), stage.opened():
        pass


def test_what_the_findings_depend_on_is_in_the_key(formatted_example):
    example = formatted_example([])
    keys = {
        stage_key(FormatStage("zeta2"), example),
        stage_key(FormatStage("zeta2_1"), example),
        stage_key(FormatStage("zeta2", rejected_from=RejectedFrom.WORST), example),
        stage_key(FormatStage("zeta2", Vocabulary(EMBEDDED_PATH, "1")), example),
        stage_key(FormatStage("zeta2"), example.with_fields(rejected_patch="")),
    }
    assert len(keys) == 5
    assert stage_key(FormatStage("zeta2"), example) == stage_key(FormatStage("zeta2"), example.with_fields(tags=["a"]))
