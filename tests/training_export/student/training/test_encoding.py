"""What a student learns from an example: the daemon's own prompt, the answer that comes to the expected text, and no more."""

from __future__ import annotations

import pytest

tokenizers = pytest.importorskip("tokenizers", reason="make test-train installs tokenizers")

from daemon.prompts.base import NewRegion  # noqa: E402
from daemon.prompts.line_region import LINE_NAMES, NO_EDIT, SAME  # noqa: E402
from daemon.prompts.registry import FORMATS  # noqa: E402
from training_export.student.tokenizer import train_tokenizer  # noqa: E402
from training_export.student.training.encoding import Encoded, Encoder, LeftOut, Role, weight_table  # noqa: E402
from training_export.student.training.recipe import Weights  # noqa: E402

pytestmark = pytest.mark.train

ANSWERS = {Role.ANSWER, Role.ANSWER_LINE, Role.COPIED, Role.CHANGED}


def encoder(example, format_name, max_tokens=2000, window_lines=0):
    prompt_format = FORMATS[format_name]
    texts = [example(number).prompt_inputs.cursor_excerpt for number in range(20)]
    control = [token for token in prompt_format.control_tokens if "\n" not in token]
    return Encoder(prompt_format, train_tokenizer(texts, 420, control), max_tokens, window_lines)


@pytest.mark.parametrize("format_name", ["line_edits", "zeta2"])
def test_the_answer_read_back_by_the_daemon_gives_the_expected_text(example, format_name):
    made = encoder(example, format_name)
    for number in range(6):
        one = example(number)
        found = made.encode(one)
        assert isinstance(found, Encoded)
        inputs = one.prompt_inputs
        prompt = made.prompt_format.render(inputs, lambda text: len(made.tokenizer.encode(text).ids))
        decoded = made.tokenizer.decode(found.tokens, skip_special_tokens=False)
        assert decoded.startswith(prompt.text)
        answer = made.tokenizer.decode(found.tokens[found.answer_start :], skip_special_tokens=False).rstrip("\n")
        stop = next(stop for stop in prompt.stop if answer.endswith(stop))
        region = made.prompt_format.parse(inputs, prompt, answer.removesuffix(stop), finished=True)
        assert isinstance(region, NewRegion)
        name = inputs.cursor_excerpt.splitlines()[0].removeprefix("def work(").removesuffix("):")
        assert region.text.count(name) > prompt.region_text.count(name)


@pytest.mark.parametrize("format_name", ["line_edits", "zeta2"])
def test_every_token_of_the_answer_is_learnt_and_only_these_have_an_answer_role(example, format_name):
    found = encoder(example, format_name).encode(example(3))
    assert len(found.tokens) == len(found.targets) == len(found.roles)
    learnt = [index for index, role in enumerate(found.roles) if role in ANSWERS]
    assert learnt == list(range(found.answer_start - 1, len(found.tokens) - 1))
    assert [found.targets[index] for index in learnt] == found.tokens[found.answer_start :]


def test_response_only_weights_leave_nothing_of_the_prompt_to_learn(example):
    found = encoder(example, "line_edits").encode(example(3))
    table = weight_table(Weights(prompt=0, line_same=0, line_edited=0))
    learnt = [index for index, role in enumerate(found.roles) if table[role]]
    assert learnt == list(range(found.answer_start - 1, len(found.tokens) - 1))


def test_at_each_line_of_the_region_its_own_fate_is_a_target(example):
    made = encoder(example, "line_edits")
    found = made.encode(example(2))
    names = {made.tokenizer.token_to_id(name) for name in LINE_NAMES}
    fates = {index: role for index, role in enumerate(found.roles) if role in (Role.LINE_SAME, Role.LINE_EDITED)}
    assert all(found.tokens[index] in names for index in fates)
    edited = [found.tokens[index] for index, role in fates.items() if role == Role.LINE_EDITED]
    answer = [token for token in found.tokens[found.answer_start :] if token in names]
    assert edited == answer, "in the order of the region"
    same = made.tokenizer.token_to_id(SAME)
    assert all((found.targets[index] == same) == (role == Role.LINE_SAME) for index, role in fates.items())


def test_a_quiet_moment_is_one_token_of_no_edit(example):
    made = encoder(example, "line_edits")
    found = made.encode(example(3, is_quiet=True))
    assert found.task == "quiet"
    assert found.tokens[found.answer_start :] == [made.tokenizer.token_to_id(NO_EDIT)]


def test_a_worse_answer_is_kept_beside_the_right_one(example):
    made = encoder(example, "line_edits")
    found = made.encode(example(5, with_rejected=True))
    assert "yield" in made.tokenizer.decode(found.rejected)
    assert "yield" not in made.tokenizer.decode(found.tokens)
    assert made.encode(example(5)).rejected == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda one: one.with_fields(prompt_inputs=None), "no prompt_inputs"),
        (lambda one: one.with_fields(expected_patches=[]), "no expected patches"),
        (
            lambda one: one.with_fields(expected_patches=["--- a/x\n+++ b/x\n@@ -1,1 +1,1 @@\n-nowhere\n+here\n"]),
            "edits that end outside the region, or do not apply",
        ),
    ],
)
def test_what_cannot_be_learnt_is_left_out_with_the_reason(example, change, reason):
    assert encoder(example, "line_edits").encode(change(example(1))) == LeftOut(reason)


def test_what_is_too_long_is_left_out(example):
    assert encoder(example, "line_edits", max_tokens=60).encode(example(1)) == LeftOut("longer than 60 tokens")


def test_examples_of_one_file_are_known_to_be(example):
    made = encoder(example, "line_edits")
    assert made.encode(example(1)).file == made.encode(example(1, is_quiet=True)).file != made.encode(example(2)).file
    assert made.encode(example(1)).defeats_rule
    assert not made.encode(example(2)).defeats_rule


def test_of_a_synthesised_edit_the_part_in_the_region_is_asked_and_of_a_settled_one_all(example):
    """Forty lines do not fit the region: the rename goes on below it."""
    made = encoder(example, "line_edits")
    long = example(2, lines=60)
    found = made.encode(long)
    prompt = made.prompt_format.render(long.prompt_inputs, lambda text: len(made.tokenizer.encode(text).ids))
    answer = made.tokenizer.decode(found.tokens[found.answer_start :], skip_special_tokens=False)
    assert answer.count("<|again|>") == prompt.region_text.count("\n"), "every line of the region but the first"
    ours = long.value["foretype"]
    settled = long.with_fields(foretype={"settled": "something", **{k: ours[k] for k in ours if k != "synthesis"}})
    assert made.encode(settled) == LeftOut("edits outside the region")
