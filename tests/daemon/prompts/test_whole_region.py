"""Formats whose answer is the whole new region: what they ask, what they believe, what they teach."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.inputs import EditEvent, RelatedExcerpt, RelatedFile, Span
from daemon.prompts.base import NewRegion, NoEdit, NoEditReason, Prompt, Refusal, TargetError
from daemon.prompts.zed.answer import expected_output, parse_output
from daemon.prompts.zed.merge_markers import V0211_SEED_CODER, V0304_SEED_NO_EDITS, first_tenth
from daemon.prompts.zed.table import ZETA_PROMPTS

QWEN_NAMES = (
    "V0112MiddleAtEnd",
    "V0113Ordered",
    "V0114180EditableRegion",
    "V0120GitMergeMarkers",
    "V0131GitMergeMarkersPrefix",
    "V0211Prefill",
)
NAMES = (*QWEN_NAMES, "zeta2", "V0331SeedCoderModelPy", "V0304SeedNoEdits")
every = pytest.mark.parametrize("name", NAMES)
every_qwen = pytest.mark.parametrize("name", QWEN_NAMES)

TEXT = "def total(items):\n    count = 0\n\n    return count\n\nprint(total([]))"


@pytest.fixture
def asked(moment):
    """Inputs, and the prompt of a format for them; the region is the whole text while it is short."""

    def ask(name, marked=f"¦{TEXT}", **fields):
        inputs = moment(marked, syntax_ranges=(), **fields)
        prompt = ZETA_PROMPTS[name].render(inputs, len)
        assert isinstance(prompt, Prompt)
        return inputs, prompt

    return ask


# What is asked


CURSOR_SECTIONS = {
    "V0112MiddleAtEnd": """<|fim_prefix|>
{before}
<|fim_suffix|>

{after}
<|fim_middle|>current
{region}
<|fim_middle|>updated
""",
    "V0113Ordered": """<|fim_prefix|>
{before}
<|fim_middle|>current
{region}
<|fim_suffix|>

{after}
<|fim_middle|>updated
""",
    "V0120GitMergeMarkers": """<|fim_prefix|>{before}
<|fim_suffix|>
{after}
<|fim_middle|><<<<<<< CURRENT
{region}
=======
""",
    "V0131GitMergeMarkersPrefix": """<|fim_prefix|>{before}
<<<<<<< CURRENT
{region}
=======
<|fim_suffix|>
{after}
<|fim_middle|>""",
}


@pytest.mark.parametrize("name", CURSOR_SECTIONS)
def test_the_sections_of_the_cursors_file_stand_where_zed_puts_them(asked, name):
    lines = [f"line_{number:03} = {number:03}" for number in range(300)]
    lines[150] = "here = ¦1"
    _, prompt = asked(name, "\n".join(lines))
    text = prompt.text.partition("<|file_sep|>src/a.py\n")[2]
    region_lines = prompt.region_text.split("\n")
    first = lines.index(region_lines[0])
    last = first + len(region_lines)
    assert 0 < first < last < 300
    assert text == CURSOR_SECTIONS[name].format(
        before="\n".join(line for line in lines[:first] if line in text),
        region=prompt.region_text.replace("here = 1", "here = <|user_cursor|>1"),
        after="\n".join(line for line in lines[last:] if line in text),
    )


@every_qwen
def test_related_files_and_history_come_before_the_cursors_file(asked, name):
    related = RelatedFile("src/b.py", 1, (RelatedExcerpt(Span(0, 1), "import a\n"),))
    event = EditEvent("src/a.py", "src/a.py", "@@ -1,1 +1,1 @@\n-x\n+y\n")
    _, prompt = asked(name, related_files=(related,), events=(event,))
    assert prompt.text.startswith(
        "<|file_sep|>src/b.py\nimport a\n<|file_sep|>edit history\n--- a/src/a.py\n+++ b/src/a.py\n"
        "@@ -1,1 +1,1 @@\n-x\n+y\n<|file_sep|>src/a.py\n<|fim_prefix|>"
    )


@every_qwen
@pytest.mark.parametrize("token", ["<|endoftext|>", "<|im_end|>", "<|im_start|>", "<|fim_pad|>", "<|file_sep|>"])
def test_text_with_a_control_token_of_the_family_is_not_sent(moment, name, token):
    assert ZETA_PROMPTS[name].render(moment(f"x = '{token}'¦", syntax_ranges=()), len) is Refusal.CONTROL_TOKENS


@every_qwen
def test_a_qwen_model_may_end_its_answer_with_either_end_of_sequence(name):
    assert {"<|endoftext|>", "<|im_end|>"} <= set(ZETA_PROMPTS[name].stop)


# What is believed


@every
def test_a_complete_answer_is_the_new_region(engine_cut, asked, name):
    inputs, prompt = asked(name)
    new_text = TEXT.replace("count = 0", "count = 1")
    answer = new_text.removeprefix(prompt.prefill) + "\n" + ZETA_PROMPTS[name].zeta.end_marker
    parsed = ZETA_PROMPTS[name].parse(inputs, prompt, engine_cut(answer, prompt.stop), finished=True)
    assert parsed == NewRegion(new_text)


@every
@pytest.mark.parametrize("kept", [0.3, 0.5, 0.8, 0.95])
def test_an_answer_that_stops_inside_a_line_deletes_nothing(asked, name, kept):
    inputs, prompt = asked(name)
    rest = TEXT.removeprefix(prompt.prefill)
    cut = rest[: int(len(rest) * kept)].rstrip()
    assert ZETA_PROMPTS[name].parse(inputs, prompt, cut, finished=True) == NoEdit(NoEditReason.MALFORMED)


@every
def test_an_answer_that_stops_between_lines_deletes_nothing_although_zed_reads_it_so(asked, name):
    text = "\n".join(f"line_{number}" for number in range(12))
    inputs, prompt = asked(name, f"¦{text}")
    prompts = ZETA_PROMPTS[name]
    cut = "line_0\nline_one<|user_cursor|>\nline_2\nline_3\n"
    assert "line_9" not in parse_output(inputs, prompts.zeta, cut).new_editable_region
    parsed = prompts.parse(inputs, prompt, cut.removeprefix(prompt.prefill), finished=True)
    assert parsed == NoEdit(NoEditReason.MALFORMED)


@every
def test_lines_may_be_deleted_from_the_middle_of_the_region(asked, name):
    text = "\n".join(f"line_{number}" for number in range(12))
    inputs, prompt = asked(name, f"¦{text}")
    shorter = "line_0\nline_10\nline_11"
    answer = f"{shorter}\n".removeprefix(prompt.prefill)
    assert ZETA_PROMPTS[name].parse(inputs, prompt, answer, finished=True) == NewRegion(shorter)


@every
@pytest.mark.parametrize("answer", ["", "\n", " \n\n"])
def test_an_empty_answer_deletes_nothing_although_zed_reads_it_so(asked, name, answer):
    inputs, prompt = asked(name)
    assert parse_output(inputs, ZETA_PROMPTS[name].zeta, "").new_editable_region == ""
    assert ZETA_PROMPTS[name].parse(inputs, prompt, answer, finished=True) == NoEdit(NoEditReason.EMPTY)


@every
def test_a_second_cursor_marker_never_reaches_the_buffer(asked, name):
    inputs, prompt = asked(name)
    changed = TEXT.replace("count = 0", "count = <|user_cursor|>1<|user_cursor|>").removeprefix(prompt.prefill)
    assert "<|user_cursor|>" in parse_output(inputs, ZETA_PROMPTS[name].zeta, changed).new_editable_region
    parsed = ZETA_PROMPTS[name].parse(inputs, prompt, changed + "\n", finished=True)
    assert parsed == NoEdit(NoEditReason.CONTROL_TOKENS)


@every
def test_an_end_of_sequence_inside_an_answer_never_reaches_the_buffer(asked, name):
    inputs, prompt = asked(name)
    answer = TEXT.replace("count = 0", f"count = '{prompt.stop[-1]}'").removeprefix(prompt.prefill) + "\n"
    assert ZETA_PROMPTS[name].parse(inputs, prompt, answer, finished=True) == NoEdit(NoEditReason.CONTROL_TOKENS)


@pytest.mark.parametrize("answer", ["NO_EDITS\n", "NO_EDITS", "NO_EDITS\nprint(1)\n"])
def test_no_edits_at_the_start_of_an_answer_changes_nothing(asked, answer):
    inputs, prompt = asked("V0304SeedNoEdits")
    parsed = ZETA_PROMPTS["V0304SeedNoEdits"].parse(inputs, prompt, answer, finished=True)
    assert parsed == NoEdit(NoEditReason.SAID_SO)


def test_zed_reads_no_edits_only_with_its_newline(asked):
    inputs, _ = asked("V0304SeedNoEdits")
    assert parse_output(inputs, V0304_SEED_NO_EDITS, "NO_EDITS\n>>>>>>> UPDATED\n").new_editable_region == TEXT
    assert parse_output(inputs, V0304_SEED_NO_EDITS, "NO_EDITS").new_editable_region == "NO_EDITS"
    assert parse_output(inputs, V0211_SEED_CODER, "NO_EDITS\n").new_editable_region == "NO_EDITS\n"


# What is taught


@every
def test_an_unchanged_region_is_taught_as_no_edit(engine_cut, asked, name):
    inputs, prompt = asked(name)
    target = ZETA_PROMPTS[name].training_target(inputs, prompt, NewRegion(TEXT))
    said = engine_cut(target, prompt.stop)
    assert said == ("NO_EDITS\n" if name == "V0304SeedNoEdits" else TEXT.removeprefix(prompt.prefill) + "\n")
    assert isinstance(ZETA_PROMPTS[name].parse(inputs, prompt, said, finished=True), NoEdit)


CONTEXT_ONLY = "--- a/src/a.py\n+++ b/src/a.py\n@@ -1,1 +1,1 @@\n def total(items):\n"


def test_zed_says_no_edits_of_a_patch_without_hunks_only(asked):
    inputs, _ = asked("V0304SeedNoEdits")
    repeated = TEXT + "\n>>>>>>> UPDATED\n"
    assert expected_output(inputs, V0304_SEED_NO_EDITS, "", None) == "NO_EDITS\n>>>>>>> UPDATED\n"
    assert expected_output(inputs, V0304_SEED_NO_EDITS, CONTEXT_ONLY, None) == repeated
    assert expected_output(inputs, V0211_SEED_CODER, "", None) == repeated


@every
@pytest.mark.parametrize(
    ("new_text", "cursor"),
    [
        ("", None),
        ("  \n", None),
        (TEXT + "<|user_cursor|>", None),
        (TEXT + "\nNO_EDITS", None),
        (TEXT + "\n<|endoftext|>", None),
        (TEXT + "\ngröße", len(TEXT) + 4),
        (TEXT + "\nmore", len(TEXT) + 9),
        (TEXT + "\nmore", -1),
        (TEXT + "\n\ud800", None),
    ],
)
def test_what_would_be_read_otherwise_is_not_taught(asked, name, new_text, cursor):
    inputs, prompt = asked(name)
    with pytest.raises(TargetError):
        ZETA_PROMPTS[name].training_target(inputs, prompt, NewRegion(new_text, cursor))


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("V011")])
@pytest.mark.parametrize("line", [">>>>>>> UPDATED", "<<<<<<< CURRENT"])
def test_a_region_with_a_conflict_marker_is_not_taught(asked, name, line):
    inputs, prompt = asked(name)
    with pytest.raises(TargetError):
        ZETA_PROMPTS[name].training_target(inputs, prompt, NewRegion(f"{TEXT}\n{line}\nmore"))


@every
def test_a_region_that_loses_its_last_newline_is_not_taught(moment, name):
    inputs = moment("¦a = 1\nb = 2\n", syntax_ranges=())
    prompt = ZETA_PROMPTS[name].render(inputs, len)
    assert prompt.region_text.endswith("\n")
    with pytest.raises(TargetError):
        ZETA_PROMPTS[name].training_target(inputs, prompt, NewRegion("a = 1\nb = 3"))


# Prefill


def test_a_prefilled_prompt_ends_with_the_start_of_the_answer(asked):
    _, prompt = asked("V0211Prefill", "¦" + "a = 1\n" * 40)
    assert prompt.prefill == "a = 1\n" * 4
    assert prompt.text.endswith("<|fim_middle|>" + prompt.prefill)


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet="ab é𝔘\n", max_size=120))
def test_a_prefill_is_at_most_a_tenth_of_the_region_and_the_line_ends_behind_it(text):
    region = text.encode()
    prefill = first_tenth(region)
    assert region.startswith(prefill)
    assert len(prefill.rstrip(b"\n")) <= len(region) / 10
    prefill.decode()
    rest = region[len(prefill) :]
    assert not (prefill.endswith(b"\n") and rest.startswith(b"\n"))


def test_a_prefill_without_a_line_end_stops_before_a_space():
    assert first_tenth(b"ab cd ef" + b"x" * 80) == b"ab cd"


def test_an_answer_goes_on_where_the_prefill_stops(asked):
    inputs, prompt = asked("V0211Prefill")
    assert prompt.prefill == "def"
    answer = " total(things):\n" + TEXT.partition("\n")[2] + "\n"
    parsed = ZETA_PROMPTS["V0211Prefill"].parse(inputs, prompt, answer, finished=True)
    assert parsed == NewRegion(TEXT.replace("(items)", "(things)"))


def test_an_edit_of_what_the_prompt_writes_itself_is_not_taught(asked):
    inputs, prompt = asked("V0211Prefill")
    prompts = ZETA_PROMPTS["V0211Prefill"]
    assert prompts.training_target(inputs, prompt, NewRegion(TEXT, 3)).startswith("<|user_cursor|> total(")
    for new_region in (NewRegion("async " + TEXT), NewRegion(TEXT + "\nx", 1)):
        with pytest.raises(TargetError, match="prompt writes itself"):
            prompts.training_target(inputs, prompt, new_region)
