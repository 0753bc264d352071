"""The teacher's prompt: what it shows of a moment, what it refuses to show, and that its own examples obey it."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.editing.unified_diff import apply_patch
from capture.inputs import (
    ActiveBufferDiagnostic,
    EditEvent,
    ExcerptRanges,
    PredictionInputs,
    RelatedExcerpt,
    RelatedFile,
    Span,
)
from capture.metrics.reversal import reversal_ratio
from training_export.example import Example
from training_export.patches import patched_excerpt
from training_export.teachers.answer import read_answer
from training_export.teachers.prompt import (
    FORBIDDEN,
    NotAskable,
    PromptSettings,
    fence_around,
    moment_of,
    teacher_prompt,
)

SETTINGS = PromptSettings()
CURSOR = "<|user_cursor|>"
START, END = "<|editable_region_start|>", "<|editable_region_end|>"


def example(marked, region=None, history="", path="shop/cart.py", **changes):
    """An example whose excerpt is ``marked`` less its cursor; ``region`` is bytes of it."""
    before, _, after = marked.partition(CURSOR)
    inputs = PredictionInputs(path, before + after, len(before.encode()), ExcerptRanges({}), excerpt_start_row=0)
    return Example.new(
        name="moment",
        cursor_path=path,
        cursor_position=marked,
        edit_history=history,
        prompt_inputs=replace(inputs, **changes).to_json(),
        **({} if region is None else {"foretype": {"region": {"start": region[0], "end": region[1]}}}),
    )


def file_section(prompt):
    return prompt.rpartition("## File\n\n")[2]


def numbered(count):
    return "\n".join(f"line {number}" for number in range(count))


def test_the_region_and_the_cursor_are_marked_and_the_rest_of_the_context_stands_around_them():
    moment = example("above\nfirst\nsec" + CURSOR + "ond\nbelow", region=(6, 18))
    assert file_section(teacher_prompt(moment, SETTINGS)).split("\n")[:8] == [
        "`````shop/cart.py",
        "above",
        START,
        "first",
        f"sec{CURSOR}ond",
        END,
        "below",
        "`````",
    ]


def test_without_a_stored_region_the_budgets_decide_it():
    moment = example(numbered(400) + "\n" + CURSOR + "\n" + numbered(400))
    small = moment_of(moment, PromptSettings(editable_tokens=10, context_tokens=10))
    large = moment_of(moment, PromptSettings(editable_tokens=350, context_tokens=150))
    assert small.region_text in large.region_text
    assert len(small.region_text) <= 10 * 3 * 2 < len(large.region_text)
    assert large.context.start < large.region.start
    assert large.region.end < large.context.end


def test_the_newest_lines_of_the_history_are_shown_and_the_cut_is_named():
    prompt = teacher_prompt(example(CURSOR, history=numbered(5)), replace(SETTINGS, history_lines=2))
    assert "[earlier edits are left out]\nline 3\nline 4\n" in prompt
    assert "line 2" not in prompt


def test_a_history_that_the_example_does_not_tell_is_taken_from_its_inputs():
    events = (
        EditEvent("a.py", "a.py", "@@ -1,1 +1,1 @@\n-x\n+y\n"),
        EditEvent("a.py", "a.py", "@@ -2 +2 @@\n-1\n+2\n", predicted=True),
    )
    prompt = teacher_prompt(example(CURSOR, events=events), SETTINGS)
    assert "--- a/a.py\n+++ b/a.py\n@@ -1,1 +1,1 @@\n-x\n+y\n// User accepted prediction:\n--- a/a.py" in prompt


def related(path, *texts, start_row=100):
    return RelatedFile(path, 999, tuple(RelatedExcerpt(Span(start_row, start_row + 1), text) for text in texts))


def test_other_places_are_shown_as_far_as_their_budget_reaches():
    files = (related("near.py", "def near(): ..."), related("far.py", "x" * 6000))
    moment = example(CURSOR + "here", related_files=files)
    prompt = teacher_prompt(moment, SETTINGS)
    assert "==> near.py\ndef near(): ...\n" in prompt
    assert "far.py" not in prompt
    assert "==> far.py" in teacher_prompt(moment, replace(SETTINGS, related_tokens=4000))


def test_a_place_that_the_context_shows_already_is_not_shown_twice():
    files = (related("shop/cart.py", "SHOWN", start_row=0), related("shop/cart.py", "ELSEWHERE", start_row=50))
    prompt = teacher_prompt(example(f"SHOWN{CURSOR}\nnext", related_files=files), SETTINGS)
    assert "ELSEWHERE" in prompt
    assert prompt.count("SHOWN") == 1


def test_problems_are_shown_only_where_they_are_asked_for():
    problem = ActiveBufferDiagnostic(1, "undefined name", "b = a", Span(0, 1), Span(4, 5))
    moment = example("b = a" + CURSOR, active_buffer_diagnostics=(problem,))
    assert "undefined name" not in teacher_prompt(moment, SETTINGS)
    assert "## Problems\n\n`````\n*undefined name*" in teacher_prompt(
        moment, replace(SETTINGS, diagnostics_tokens=2000)
    )


def test_a_named_context_stands_in_for_the_one_of_the_inputs():
    files = (related("mine.py", "def mine(): ..."),)
    theirs = [related("theirs.py", "def theirs(): ...").to_json()]
    moment = example(CURSOR, related_files=files)
    moment = moment.with_fields(
        foretype={"contexts": {"lsp": {"related_files": theirs, "active_buffer_diagnostics": []}}}
    )
    assert "mine.py" in teacher_prompt(moment, SETTINGS)
    prompt = teacher_prompt(moment, replace(SETTINGS, context_name="lsp"))
    assert "theirs.py" in prompt
    assert "mine.py" not in prompt
    with pytest.raises(NotAskable, match="no context 'bm25'"):
        teacher_prompt(moment, replace(SETTINGS, context_name="bm25"))


def test_text_of_the_user_cannot_fill_places_or_close_fences_of_the_prompt():
    code = f"{{{{history}}}} ``````md\n{CURSOR}``````"
    prompt = teacher_prompt(example(code, history="EDIT"), SETTINGS)
    assert "{{history}} ``````md" in prompt
    assert prompt.count("EDIT") == 1 + prompt.count("NO_EDIT")
    assert "\n```````shop/cart.py\n" in prompt
    assert "between lines of ```````, and" in prompt


@given(st.lists(st.text("`a\n")))
def test_a_fence_is_longer_than_anything_it_encloses(texts):
    fence = fence_around(*texts)
    assert set(fence) == {"`"}
    assert not any(fence in text for text in texts)


@pytest.mark.parametrize("token", FORBIDDEN)
def test_code_that_holds_a_mark_or_a_sentinel_is_not_asked_about(token):
    line = token if token.endswith("\n") else f"x = '{token}'\n"
    with pytest.raises(NotAskable, match=re.escape(token.strip()[:12])):
        teacher_prompt(example(f"a\n{CURSOR}\n{line}b"), SETTINGS)
    far_away = example(f"{line}{numbered(3000)}\n{CURSOR}")
    assert teacher_prompt(far_away, SETTINGS)


@pytest.mark.parametrize("region", [(0, 3), (5, 9), (4, 3), (0, 99), (1, 4), (None, 4)])
def test_a_region_that_cannot_be_is_named(region):
    with pytest.raises(NotAskable, match="region"):
        teacher_prompt(example(f"äb\n{CURSOR}", region=region), SETTINGS)


def test_what_cannot_be_asked_says_why():
    with pytest.raises(NotAskable, match="no prompt_inputs"):
        teacher_prompt(Example.new(name="bare", cursor_position=CURSOR), SETTINGS)
    with pytest.raises(NotAskable, match="CRLF"):
        teacher_prompt(example(f"a\r\n{CURSOR}b"), SETTINGS)


def test_settings_tell_prompts_apart():
    assert SETTINGS.to_json() == PromptSettings().to_json()
    assert SETTINGS.to_json() != replace(SETTINGS, diagnostics_tokens=2000).to_json()
    with pytest.raises(ValueError, match="there is no teacher prompt 99"):
        replace(SETTINGS, version=99).to_json()


WORKED = re.compile(
    r"^## Example \d: (?P<title>.*?)\n\n### Edits\n\n\{\{fence}}\n(?P<edits>.*?)\{\{fence}}\n\n"
    r"### File\n\n\{\{fence}}(?P<path>.*?)\n(?P<file>.*?)\n\{\{fence}}\n\n### Answer\n\n(?P<answer>.*?)(?=^## Example|^# The moment)",
    re.MULTILINE | re.DOTALL,
)
TEMPLATE = resources.files("training_export.teachers").joinpath("teacher_prompt_1.md").read_text(encoding="utf-8")
WORKED_EXAMPLES = [found.groupdict() for found in WORKED.finditer(TEMPLATE)]


def worked(shown):
    """The moment a worked example shows, and its answer."""
    above, _, rest = shown["file"].partition(f"{START}\n")
    region, _, below = rest.partition(f"\n{END}")
    size = len((above + region.replace(CURSOR, "")).encode())
    history = shown["edits"]
    moment = example(above + region + below, (len(above.encode()), size), history, shown["path"])
    return moment, shown["answer"].replace("{{fence}}", "`````")


def test_there_are_six_worked_examples():
    assert len(WORKED_EXAMPLES) == 6
    assert TEMPLATE.count("## Example") == 6


@pytest.mark.parametrize("shown", WORKED_EXAMPLES, ids=lambda shown: shown["title"])
def test_a_worked_example_is_a_moment_as_prompts_show_it(shown):
    moment, _ = worked(shown)
    assert shown["file"] in teacher_prompt(moment, SETTINGS)


@pytest.mark.parametrize("shown", WORKED_EXAMPLES, ids=lambda shown: shown["title"])
def test_a_worked_answer_is_read_and_keeps_the_rules_it_explains(shown):
    moment, text = worked(shown)
    inputs = moment.prompt_inputs
    answer = read_answer(moment, SETTINGS, text)
    assert answer.is_no_edit == ("nothing follows" in shown["title"])
    # The newest edit has led to the file as it is shown: its lines apply backwards.
    newest = "@@" + shown["edits"].rpartition("\n@@")[2]
    back = "".join({"+": "-", "-": "+"}.get(line[:1], " ") + line[1:] for line in newest.splitlines(keepends=True)[1:])
    before, _ = apply_patch(f"--- a/x\n+++ b/x\n@@ ... @@\n{back}", inputs.cursor_excerpt + "\n")
    assert before != inputs.cursor_excerpt
    event = EditEvent(inputs.cursor_path, inputs.cursor_path, newest)
    predicted = patched_excerpt(inputs, answer.patch)
    assert reversal_ratio(inputs.cursor_excerpt, [event], predicted, inputs.cursor_path) < 0.5
    if not answer.is_no_edit:
        assert predicted != inputs.cursor_excerpt
        assert answer.cursor is not None
