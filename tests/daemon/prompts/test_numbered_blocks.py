"""Formats that cut the region into blocks by tags: what they ask, what they believe, what they teach."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.inputs import ActiveBufferDiagnostic, RelatedExcerpt, RelatedFile, Span
from daemon.prompts.base import NewRegion, NoEdit, NoEditReason, Prompt, Refusal, TargetError
from daemon.prompts.zed.answer import expected_output, parse_output
from daemon.prompts.zed.markers import v0327_editable_range
from daemon.prompts.zed.numbered_blocks import V0306_SEED_MULTI_REGIONS, V0317_SEED_MULTI_REGIONS
from daemon.prompts.zed.table import ZETA_PROMPTS

GLUED = ("V0316SeedMultiRegions", "zeta2_1", "V0327SingleFile", "V0420Diagnostics", "V0608QwenMultiRegions")
NAMES = ("V0306SeedMultiRegions", "V0317SeedMultiRegions", *GLUED)
every = pytest.mark.parametrize("name", NAMES)

LINES = [f"line_{number}" for number in range(24)]
TEXT = "\n".join(LINES)
RELATED = RelatedFile("src/b.py", 1, (RelatedExcerpt(Span(0, 1), "import a\n"),))


@pytest.fixture(scope="module")
def asked(moment):
    """Inputs, and the prompt of a format for them; the region is the whole text while it is short."""

    def ask(name, marked=f"¦{TEXT}", **fields):
        inputs = moment(marked, syntax_ranges=(), **fields)
        prompt = ZETA_PROMPTS[name].render(inputs, len)
        assert isinstance(prompt, Prompt)
        return inputs, prompt

    return ask


def changed(region_text: str, old: str, new: str) -> NewRegion:
    """The region with a line changed and the cursor behind the change."""
    lines = region_text.split("\n")
    row = lines.index(old)
    before = "\n".join([*lines[:row], new])
    return NewRegion("\n".join([before, *lines[row + 1 :]]), len(before.encode()))


# What is asked


def test_v0306_shows_tags_on_their_own_lines_inside_merge_markers(asked):
    _, prompt = asked("V0306SeedMultiRegions", "a = ¦1")
    assert prompt.text.endswith(
        "<filename>src/a.py\n<<<<<<< CURRENT\n<|marker_1|>\na = <|user_cursor|>1\n<|marker_2|>\n=======\n<[fim-middle]>"
    )


def test_v0317_counts_blocks_from_that_of_the_cursor(asked):
    _, prompt = asked("V0317SeedMultiRegions", TEXT.replace("line_9", "line_¦9"))
    assert "<|marker-1|>line_0\n" in prompt.text
    assert "<|marker-0|>line_8\nline_<|user_cursor|>9\n" in prompt.text
    assert "<|marker+1|>line_16\n" in prompt.text
    assert prompt.text.endswith("line_23<|marker+2|>\n<[fim-middle]>")


def test_v0327_shows_the_whole_excerpt_and_no_other_file(asked):
    text = "\n".join(f"line_{number}" for number in range(600)).replace("line_300", "line_¦300")
    inputs, prompt = asked("V0327SingleFile", text, related_files=(RELATED,))
    assert "import a" not in prompt.text
    assert all(f"line_{number}" in prompt.text for number in range(600) if number != 300)
    assert 700 < len(prompt.region) <= 3 * 350 + 20
    assert prompt.region.start < inputs.cursor_offset_in_excerpt < prompt.region.end


@settings(max_examples=200, deadline=None)
@given(
    lines=st.lists(st.sampled_from(["", "}", "x = 1", "größe = ü", "return"]), max_size=60),
    tokens=st.integers(1, 60),
    data=st.data(),
)
def test_the_region_of_v0327_is_whole_lines_around_the_cursor(lines, tokens, data):
    text = "\n".join(lines)
    cursor = len(text[: data.draw(st.integers(0, len(text)))].encode())
    region = v0327_editable_range(text.encode(), cursor, tokens)
    encoded = text.encode()
    assert region.start <= cursor <= region.end
    assert region.start == 0 or encoded[region.start - 1 : region.start] == b"\n"
    assert region.end == len(encoded) or encoded[region.end - 1 : region.end] == b"\n"


@pytest.mark.parametrize("name", ["V0420Diagnostics", "zeta2_1"])
def test_only_v0420_shows_diagnostics_and_before_all_other_context(asked, name):
    item = ActiveBufferDiagnostic(1, "undefined name", "a = b", Span(0, 1), Span(4, 5))
    _, prompt = asked(name, active_buffer_diagnostics=(item,), related_files=(RELATED,))
    section = "<filename>diagnostics\n*undefined name*:\n```\na = b\n```\n\n" if name == "V0420Diagnostics" else ""
    assert f"<[fim-prefix]>{section}<filename>src/b.py\nimport a\n\n<filename>src/a.py\n" in prompt.text


def test_diagnostics_nearest_to_the_cursor_come_first(asked):
    far, near = (
        ActiveBufferDiagnostic(1, message, "", Span(row, row), Span(0, 0))
        for message, row in (("far", 90), ("near", 12))
    )
    _, prompt = asked("V0420Diagnostics", excerpt_start_row=10, active_buffer_diagnostics=(far, near))
    assert "<filename>diagnostics\n*near*\n*far*\n" in prompt.text


def test_v0608_asks_in_the_tokens_and_the_order_of_qwen(asked):
    _, prompt = asked("V0608QwenMultiRegions", "a = ¦1", related_files=(RELATED,))
    assert prompt.text == (
        "<|fim_prefix|><|file_sep|>src/b.py\nimport a\n\n<|file_sep|>src/a.py\n"
        "<|marker_1|>a = <|user_cursor|>1<|marker_2|>\n<|fim_suffix|>\n<|fim_middle|>"
    )
    assert set(prompt.stop) == {"<|im_end|>", "<|endoftext|>"}


@every
def test_an_empty_row_at_the_end_of_the_context_hides_no_excerpt(asked, name):
    """The last row of the context is row 2, so an excerpt of rows 0 to 3 shows more than the context."""
    own = RelatedFile("src/a.py", 9, (RelatedExcerpt(Span(0, 3), "more\n"), RelatedExcerpt(Span(0, 2), "hidden\n")))
    _, prompt = asked(name, "¦a\nb\n", excerpt_start_row=0, related_files=(own,))
    assert ("more" in prompt.text) == (name != "V0327SingleFile")
    assert "hidden" not in prompt.text


@every
def test_text_with_a_marker_tag_is_not_sent(moment, name):
    inputs = moment("x = '<|marker_1|>'¦", syntax_ranges=())
    assert ZETA_PROMPTS[name].render(inputs, len) is Refusal.CONTROL_TOKENS


# What is believed


@pytest.mark.parametrize("name", GLUED)
def test_a_tag_with_too_large_a_number_never_reaches_the_buffer(asked, name):
    inputs, prompt = asked(name)
    answer = "<|marker_1|>line_0\n<|marker_99999999999999999999999|>\n<|marker_2|>"
    assert "<|marker_999" in parse_output(inputs, ZETA_PROMPTS[name].zeta, answer).new_editable_region
    assert ZETA_PROMPTS[name].parse(inputs, prompt, answer, finished=True) == NoEdit(NoEditReason.CONTROL_TOKENS)


@every
@pytest.mark.parametrize("answer", ["line_0\nline_1\n", "<|marker_1|>\nline_0\n", "<|marker-0|>line", "<|marker_x|>"])
def test_an_answer_without_two_tags_is_no_edit(asked, name, answer):
    inputs, prompt = asked(name)
    assert ZETA_PROMPTS[name].parse(inputs, prompt, answer, finished=True) == NoEdit(NoEditReason.MALFORMED)


@pytest.mark.parametrize(
    "answer", ["<|marker+1|>a\n<|marker-0|>", "<|marker-0|>a\n<|marker+9|>", "<|marker-2|>a\n<|marker-0|>"]
)
def test_relative_tags_that_fall_or_lie_outside_the_region_are_no_edit(asked, answer):
    inputs, prompt = asked("V0317SeedMultiRegions")
    parsed = ZETA_PROMPTS["V0317SeedMultiRegions"].parse(inputs, prompt, answer, finished=True)
    assert parsed == NoEdit(NoEditReason.MALFORMED)


def test_relative_tags_are_read_from_the_block_of_the_cursor(asked):
    inputs, prompt = asked("V0317SeedMultiRegions", TEXT.replace("line_9", "line_¦9"))
    blocks = "<|marker-1|>new\n<|marker-0|>"
    parsed = ZETA_PROMPTS["V0317SeedMultiRegions"].parse(inputs, prompt, blocks, finished=True)
    assert parsed == NewRegion("\n".join(["new", *LINES[8:]]))


@pytest.mark.parametrize("answer", ["NO_EDITS\n", "NO_EDITS", "NO_EDITS\n<|marker_1|>\nx\n<|marker_2|>\n"])
def test_no_edits_at_the_start_of_an_answer_of_v0306_changes_nothing(asked, answer):
    inputs, prompt = asked("V0306SeedMultiRegions")
    parsed = ZETA_PROMPTS["V0306SeedMultiRegions"].parse(inputs, prompt, answer, finished=True)
    assert parsed == NoEdit(NoEditReason.SAID_SO)


# What is taught


@every
@pytest.mark.parametrize("line", ["line_0", "line_9", "line_23"])
def test_a_taught_edit_is_read_back_with_its_cursor(engine_cut, asked, name, line):
    marked = "\n".join(f"¦{each}" if each == line else each for each in LINES)
    inputs, prompt = asked(name, marked)
    new_region = changed(prompt.region_text, line, "größer")
    target = ZETA_PROMPTS[name].training_target(inputs, prompt, new_region)
    parsed = ZETA_PROMPTS[name].parse(inputs, prompt, engine_cut(target, prompt.stop), finished=True)
    assert parsed == new_region


@every
def test_an_unchanged_region_is_taught_as_no_edit(engine_cut, asked, name):
    inputs, prompt = asked(name)
    target = ZETA_PROMPTS[name].training_target(inputs, prompt, NewRegion(prompt.region_text))
    said = {"V0306SeedMultiRegions": "NO_EDITS\n", "V0317SeedMultiRegions": "<|marker-0|><|marker-0|>"}
    assert engine_cut(target, prompt.stop) == said.get(name, "<|marker_1|><|marker_1|>")
    parsed = ZETA_PROMPTS[name].parse(inputs, prompt, engine_cut(target, prompt.stop), finished=True)
    assert parsed == NoEdit(NoEditReason.SAID_SO)


@every
def test_a_cursor_outside_the_blocks_that_change_is_not_taught(asked, name):
    lines = [f"line_{number}" for number in range(60)]
    inputs, prompt = asked(name, "\n".join(lines).replace("line_30", "line_¦30"))
    text = prompt.region_text.replace("line_20\n", "line_twenty\n")
    assert text != prompt.region_text
    with pytest.raises(TargetError):
        ZETA_PROMPTS[name].training_target(inputs, prompt, NewRegion(text, len(text)))


def test_relative_tags_that_would_be_read_from_another_block_are_not_taught(asked):
    inputs, prompt = asked("V0317SeedMultiRegions")
    prompts, patch = (
        ZETA_PROMPTS["V0317SeedMultiRegions"],
        "--- a/src/a.py\n+++ b/src/a.py\n@@ -18,1 +18,1 @@\n-line_17\n+x\n",
    )
    written = expected_output(inputs, V0317_SEED_MULTI_REGIONS, patch, 1)
    assert written.startswith("<|marker-0|>line_16\n")
    misread = parse_output(inputs, V0317_SEED_MULTI_REGIONS, written).new_editable_region
    assert misread.startswith("line_16\n")  # Zed reads it from the block of the old cursor
    new_region = changed(TEXT, "line_17", "x")
    with pytest.raises(TargetError):
        prompts.training_target(inputs, prompt, new_region)
    inputs, prompt = asked("V0317SeedMultiRegions", TEXT.replace("line_17", "¦line_17"))
    assert prompts.training_target(inputs, prompt, new_region) == written


def test_v0306_is_taught_the_tags_that_zed_never_writes(asked):
    inputs, prompt = asked("V0306SeedMultiRegions")
    patch = "--- a/src/a.py\n+++ b/src/a.py\n@@ -1,1 +1,1 @@\n-line_0\n+x\n"
    new_text = TEXT.replace("line_0", "x", 1)
    assert expected_output(inputs, V0306_SEED_MULTI_REGIONS, patch, None) == new_text + "\n>>>>>>> UPDATED\n"
    target = ZETA_PROMPTS["V0306SeedMultiRegions"].training_target(inputs, prompt, NewRegion(new_text))
    block = "\n".join(["x", *LINES[1:8]])
    assert target == f"<|marker_1|>\n{block}\n<|marker_2|>\n>>>>>>> UPDATED\n"


def test_lines_put_in_where_a_marker_of_v0306_stands_are_taught_with_the_block_beside_it(asked):
    inputs, prompt = asked("V0306SeedMultiRegions")
    new = NewRegion("\n".join([*LINES[:8], "new", *LINES[8:]]))
    target = ZETA_PROMPTS["V0306SeedMultiRegions"].training_target(inputs, prompt, new)
    assert target.startswith("<|marker_2|>\nnew\nline_8\n")


@every
@settings(max_examples=60, deadline=None)
@given(
    old=st.lists(st.sampled_from(["", "}", "x = 1", "größe", "return"]), min_size=1, max_size=40),
    new=st.lists(st.sampled_from(["", "}", "x = 2", "größer", "return"]), max_size=40),
    data=st.data(),
)
def test_whatever_is_taught_is_read_back(engine_cut, asked, name, old, new, data):
    inputs, prompt = asked(name, "¦" + "\n".join(old))
    text = "\n".join(new)
    cursor = data.draw(st.none() | st.integers(0, len(text.encode())))
    new_region = NewRegion(text, cursor)
    try:
        target = ZETA_PROMPTS[name].training_target(inputs, prompt, new_region)
    except TargetError:
        return
    parsed = ZETA_PROMPTS[name].parse(inputs, prompt, engine_cut(target, prompt.stop), finished=True)
    assert parsed == new_region or (text == prompt.region_text and isinstance(parsed, NoEdit))
