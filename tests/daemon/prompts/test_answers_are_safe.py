"""Whatever a model answers, no text is lost to it and no control text reaches the buffer: in every format.

``ANSWERS_PER_FAMILY`` generated answers per family (500; ``make soak`` takes 50,000) are cut at every byte.
"""

import os
import re
from collections import defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.inputs import EditEvent, ExcerptRanges, PredictionInputs, RelatedExcerpt, RelatedFile, Span
from daemon.prompts.base import FileEdits, NewRegion, NoEdit, NoEditReason, Prompt, Refusal, TargetError
from daemon.prompts.registry import FORMATS

ANSWERS_PER_FAMILY = int(os.environ.get("ANSWERS_PER_FAMILY", "500"))

TEXT = "def total(items):\n    count = 0\n\n    return count\n\nprint(total([]))"
MOMENTS = {  # text and cursor (bytes)
    "python": (TEXT, 20),
    "multibyte": ("größe = 1\n\nwenn größe:\n    drucke('\U0001d518 ¦')\n", 7),
    "blank": ("\n\n", 1),
    "empty": ("", 0),
    "return characters": ("a = 1\r\nb = 2\r\n\r\nc = 3", 4),
}
SENTINELS = ("NO_EDITS", "KEEP_PREVIOUS")
MARKED = re.compile(
    r"<\|[^|<>\s]{1,60}\|>|<\[[^\]\s]{1,40}\]>|</?[a-zA-Z_]{1,20}>|<\uff5c[^\uff5c\s]{1,40}\uff5c>|\[(?:SUF|PRE)FIX\]"
)
REFERENCES = re.compile(r"^(\d+:[0-9a-f]{2})\|", re.MULTILINE)


def formats_by_family():
    families = defaultdict(list)
    for prompt_format in dict.fromkeys(FORMATS.values()):
        codec = getattr(getattr(prompt_format, "zeta", None), "region", None)
        families[type(prompt_format if codec is None else codec).__name__].append(prompt_format)
    return dict(families)


FAMILIES = formats_by_family()
ALL = list(dict.fromkeys(FORMATS.values()))
each_format = pytest.mark.parametrize("prompt_format", ALL, ids=lambda item: item.name)
WHOLE_REGION = [
    FORMATS[name]
    for name in ("zeta1", "zeta2", "V0113Ordered", "sweep", "sweep_v2", "instinct", "mercury", "next_edit_qwen")
]
each_whole_region = pytest.mark.parametrize("prompt_format", WHOLE_REGION, ids=lambda item: item.name)


def inputs_of(text: str, cursor_bytes: int = 0) -> PredictionInputs:
    whole = Span(0, len(text.encode()))
    keys = ("editable_150", "editable_180", "editable_350", "editable_350_context_1024", "context_8192")
    keys += ("editable_150_context_350", "editable_180_context_350", "editable_350_context_150")
    rows = Span(0, text.count("\n"))
    return PredictionInputs(
        "src/a.py",
        text,
        cursor_bytes,
        ExcerptRanges(dict.fromkeys(keys, whole)),
        excerpt_start_row=0,
        events=(EditEvent("src/a.py", "src/a.py", "@@ -1,1 +1,1 @@\n-def sum(items):\n+def total(items):\n"),),
        related_files=(
            RelatedFile("src/a.py", rows.end, (RelatedExcerpt(rows, text, context_source="current_file"),)),
            RelatedFile("src/b.py", 9, (RelatedExcerpt(Span(0, 2), "from a import total\n\n", order=1),)),
        ),
    )


def rendered(prompt_format, text: str, cursor_bytes: int = 0) -> tuple[PredictionInputs, Prompt]:
    inputs = inputs_of(text, cursor_bytes)
    prompt = prompt_format.render(inputs, lambda part: len(part) // 3)
    assert isinstance(prompt, Prompt)
    return inputs, prompt


def control_texts(prompt: Prompt) -> set[str]:
    """What gives a prompt its structure; the moments hold nothing of the kind."""
    return {text for text in (*prompt.stop, *MARKED.findall(prompt.text)) if text.strip()}


def changes_of(prompt: Prompt, parsed):
    """Pairs of text before and after."""
    if isinstance(parsed, NewRegion):
        return [(prompt.region_text, parsed.text)]
    return [(edit.old_text, edit.new_text) for edit in parsed.edits] if isinstance(parsed, FileEdits) else []


def check_harmless(prompt: Prompt, parsed, controls, answer) -> None:
    assert isinstance(parsed, NewRegion | FileEdits | NoEdit), answer
    for old, new in changes_of(prompt, parsed):
        assert new != old, answer
        assert new.strip() or not old.strip() or isinstance(parsed, FileEdits), answer
        assert not [text for text in (*SENTINELS, *controls) if text in new], (answer, new)
        new.encode()  # no lone surrogates
    cursor = getattr(parsed, "cursor_offset_bytes", None)
    assert cursor is None or 0 <= cursor <= len(parsed.text.encode()), answer


def answers_for(prompt: Prompt) -> st.SearchStrategy[str]:
    """Answers of the kind a half-trained model gives: pieces of its language, of the region, and noise."""
    region = prompt.region_text
    lines = [line + "\n" for line in region.split("\n")][:6]
    references = REFERENCES.findall(prompt.text)[:4]
    pieces = [
        *sorted(control_texts(prompt)),
        *lines,
        *SENTINELS,
        *(f"<|set|>{reference}\n" for reference in references),
        *(f"<|insert|>{reference}\n" for reference in references),
        region,
        "<|marker_1|>",
        "<|marker_2|>",
        "<|marker_02|>",
        "<|marker_99999999999999999999999|>",
        "<|marker_x|>",
        "<|marker-0|>",
        "<|marker+1|>",
        "<|user_cursor|>",
        "<|set|>0:zz-9:00\n",
        ">>>>>>> UPDATED\n",
        "<<<<<<< CURRENT\n",
        "=======\n",
        "```\n",
        "None",
        "\n",
        "print(1)\n",
        "é𝔘",
        "\ud800",
    ]
    return st.lists(st.sampled_from(pieces) | st.text(max_size=4), min_size=1, max_size=7).map("".join)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_answer_cut_anywhere_does_harm(family):
    prompts = [
        (prompt_format, inputs, prompt, control_texts(prompt))
        for prompt_format in FAMILIES[family]
        for text, cursor in MOMENTS.values()
        for inputs, prompt in (rendered(prompt_format, text, cursor),)
    ]
    cases = st.sampled_from(range(len(prompts))).flatmap(
        lambda index: st.tuples(st.just(prompts[index]), answers_for(prompts[index][2]))
    )

    @settings(max_examples=ANSWERS_PER_FAMILY, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=cases)
    def check(case):
        (prompt_format, inputs, prompt, controls), answer = case
        data = answer.encode(errors="surrogatepass")
        for end in range(len(data) + 1):
            cut = data[:end].decode(errors="surrogateescape")
            check_harmless(prompt, prompt_format.parse(inputs, prompt, cut, finished=True), controls, cut)
        unfinished = prompt_format.parse(inputs, prompt, answer, finished=False)
        assert unfinished == NoEdit(NoEditReason.UNFINISHED)

    check()


@each_format
@pytest.mark.parametrize("answer", ["", "\n", "  \n\n"])
def test_an_empty_answer_deletes_nothing(prompt_format, answer):
    inputs, prompt = rendered(prompt_format, TEXT, 20)
    assert isinstance(prompt_format.parse(inputs, prompt, answer, finished=True), NoEdit)


@each_format
@pytest.mark.parametrize("answer", ["NO_EDITS", "NO_EDITS\n", "KEEP_PREVIOUS", " KEEP_PREVIOUS\n"])
def test_a_leaked_sentinel_means_no_edit(prompt_format, answer):
    inputs, prompt = rendered(prompt_format, TEXT)
    assert prompt_format.parse(inputs, prompt, answer, finished=True) == NoEdit(NoEditReason.SAID_SO)


LINES = st.lists(
    st.text(alphabet="ab é𝔘\t\r(}\x0b\x1c\u2028", max_size=6) | st.sampled_from(["", "}", "    return", "=" * 6]),
    min_size=1,
    max_size=40,
)


@each_format
@settings(max_examples=60, deadline=None)
@given(old=LINES, inserted=LINES | st.just([]), cut=st.tuples(st.integers(0, 40), st.integers(0, 40)))
def test_what_a_model_is_trained_to_answer_is_what_is_read_from_it(engine_cut, prompt_format, old, inserted, cut):
    """Or the format refuses to be trained on it."""
    old_text = "\n".join(old)
    inputs, prompt = rendered(prompt_format, old_text)
    lines = prompt.region_text.split("\n")
    new = NewRegion("\n".join([*lines[: min(cut)], *inserted, *lines[max(cut) :]]))
    try:
        target = prompt_format.training_target(inputs, prompt, new)
    except TargetError:
        return
    parsed = prompt_format.parse(inputs, prompt, engine_cut(target, prompt.stop), finished=True)
    if new.text == prompt.region_text:
        assert isinstance(parsed, NoEdit)
    elif isinstance(parsed, FileEdits):
        assert applied(old_text, parsed) == new.text
    else:
        assert parsed == new


def applied(text: str, parsed: FileEdits) -> str:
    """The cursor's file after edits of whole rows, from the last to the first."""
    lines = text.split("\n")
    for edit in sorted(parsed.edits, key=lambda edit: -edit.rows.start):
        assert edit.path == "src/a.py"
        is_open = edit.rows.end == len(lines) and edit.old_text and not edit.old_text.endswith("\n")
        new_text = edit.new_text if is_open else edit.new_text.removesuffix("\n")
        lines[edit.rows.start : edit.rows.end] = new_text.split("\n") if edit.new_text else []
        assert edit.new_text.endswith("\n") or not edit.new_text or edit.rows.end >= text.count("\n")
    return "\n".join(lines)


@each_format
def test_an_unchanged_region_is_taught_and_read_as_no_edit(engine_cut, prompt_format):
    inputs, prompt = rendered(prompt_format, TEXT, 20)
    target = prompt_format.training_target(inputs, prompt, NewRegion(prompt.region_text))
    assert isinstance(prompt_format.parse(inputs, prompt, engine_cut(target, prompt.stop), finished=True), NoEdit)


@each_format
@pytest.mark.parametrize("moment", MOMENTS)
def test_prompt_and_answer_are_bounded_by_the_delimiters(prompt_format, moment):
    text, cursor = MOMENTS[moment]
    _, prompt = rendered(prompt_format, text, cursor)
    asked = prompt.text.removesuffix(prompt.prefill)
    assert asked.startswith(prompt_format.delimiters.prompt_start)
    assert asked.rstrip("\n").endswith(prompt_format.delimiters.answer_start.rstrip("\n"))


@each_format
def test_text_that_holds_a_control_token_is_refused(prompt_format):
    for token in prompt_format.control_tokens:
        text = TEXT.replace("    count = 0", token if token.endswith("\n") else f"    count = '{token}'")
        assert prompt_format.render(inputs_of(text, 20), lambda part: len(part) // 3) is Refusal.CONTROL_TOKENS


@each_whole_region
def test_a_sentinel_inside_a_whole_region_never_reaches_the_buffer(prompt_format):
    inputs, prompt = rendered(prompt_format, TEXT)
    answer = prompt.region_text.replace("count = 0", "count = KEEP_PREVIOUS") + "\n"
    assert isinstance(prompt_format.parse(inputs, prompt, answer, finished=True), NoEdit)


@each_whole_region
def test_an_answer_that_ends_inside_a_line_does_not_delete_what_follows(prompt_format):
    inputs, prompt = rendered(prompt_format, TEXT)
    parsed = prompt_format.parse(inputs, prompt, "def total(items):\n    cou", finished=True)
    assert parsed == NoEdit(NoEditReason.MALFORMED)
