"""What can be read back from a prompt that somebody else rendered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.inputs import EditEvent, RelatedExcerpt, RelatedFile, Span
from daemon.prompts.base import NoEdit, Refusal
from daemon.prompts.raw_prompt import shown_path, shown_region
from daemon.prompts.registry import FORMATS

COPYING = ("zeta1", "zeta2", "V0120GitMergeMarkers", "V0131GitMergeMarkersPrefix", "V0331SeedCoderModelPy")
TAGGED = ("zeta2_1", "V0306SeedMultiRegions", "V0316SeedMultiRegions")
INSERTING = ("fim_qwen", "fim_starcoder2", "fim_deepseek", "fim_codestral")

lines = st.lists(
    st.sampled_from(["", "a = 1", "    return a", "# ======= #", "é = '\U0001f600'", "}"]), min_size=1, max_size=40
)


@st.composite
def marked_texts(draw):
    text = "\n".join(draw(lines)) + draw(st.sampled_from(["", "\n"]))
    at = draw(st.integers(0, len(text)))
    return f"{text[:at]}¦{text[at:]}"


def rendered(name, moment, marked):
    inputs = moment(marked)
    prompt = FORMATS[name].render(inputs, len)
    assert not isinstance(prompt, Refusal)
    return inputs, prompt


@pytest.mark.parametrize("name", [*COPYING, *TAGGED])
@given(marked=marked_texts())
def test_what_is_read_as_no_edit_changes_nothing(name, moment, marked):
    inputs, prompt = rendered(name, moment, marked)
    region = shown_region(prompt.text)
    assert region is not None
    if region.no_edit is None:
        return  # another test says when
    read = FORMATS[name].parse(inputs, prompt, region.no_edit, finished=True)
    assert isinstance(read, NoEdit), read


@pytest.mark.parametrize("name", COPYING)
@given(marked=marked_texts())
def test_a_region_that_answers_copy_is_the_formats_own_answer_to_no_change(name, moment, marked):
    _, prompt = rendered(name, moment, marked)
    region = shown_region(prompt.text)
    assert region.copies == (region.no_edit is not None)
    assert region.text.rstrip("\n") == prompt.region_text.rstrip("\n")


@pytest.mark.parametrize("marked", ["a = 1\n¦", "a = 1\n¦\n"])
def test_where_the_cursor_hides_whether_the_last_line_ends_nothing_is_supposed(moment, marked):
    prompts = {rendered("zeta2", moment, text)[1].text for text in ("a = 1\n¦", "a = 1\n¦\n")}
    assert len(prompts) == 1
    region = shown_region(rendered("zeta2", moment, marked)[1].text)
    assert (region.no_edit, region.copies) == (None, False)


@pytest.mark.parametrize("name", TAGGED)
def test_blocks_between_tags_are_no_copy(name, moment):
    _, prompt = rendered(name, moment, "a = 1\nb ¦= 2\n\nc = 3\n")
    assert not shown_region(prompt.text).copies


@pytest.mark.parametrize("name", INSERTING)
@given(marked=marked_texts())
def test_what_inserts_has_no_region(name, moment, marked):
    _, prompt = rendered(name, moment, marked)
    assert shown_region(prompt.text) is None


def test_the_last_region_of_a_prompt_counts(moment):
    _, prompt = rendered("zeta2", moment, "new¦ = 1\n")
    earlier = "<<<<<<< CURRENT\nold = 1\n=======\n"
    assert shown_region(earlier + prompt.text).text == "new = 1\n"


@pytest.mark.parametrize("name", [*COPYING, *TAGGED, "fim_qwen"])
def test_the_path_of_the_cursors_file_is_read(name, moment):
    events = (EditEvent("b.py", "b.py", "@@ -1,1 +1,1 @@\n-a\n+b\n"),)
    related = (RelatedFile("c.py", 3, (RelatedExcerpt(Span(0, 1), "def c():\n"),)),)
    inputs = moment("a = 1\n¦b = 2\n", events=events, related_files=related, excerpt_start_row=0)
    prompt = FORMATS[name].render(inputs, len)
    assert shown_path(prompt.text) == inputs.cursor_path


def test_a_prompt_may_name_no_path():
    assert shown_path("<fim_prefix>a<fim_suffix>b<fim_middle>") == ""


@given(st.text(max_size=60) | st.text("<|=>marker_1 CURENT\n", max_size=60))
def test_no_text_makes_it_fail(text):
    region = shown_region(text)
    assert region is None or len(region.text) < len(text)
    assert shown_path(text) in text
