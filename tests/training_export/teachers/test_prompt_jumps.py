"""Edits far from the cursor: what is shown with which markers, and that answers come to what they say."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.editing.unified_diff import FileEnd, apply_patch, parse_patch
from capture.inputs import EditEvent, ExcerptRanges, PredictionInputs, RelatedExcerpt, RelatedFile, Span
from daemon.prompts.zed.hash_snippets import snippets_of
from daemon.prompts.zed.hashed_markers import encode_between
from training_export.example import Example
from training_export.teachers.answer import AnswerUnreadable, read_answer, read_answer_for
from training_export.teachers.prompt import FORBIDDEN, NotAskable, PromptSettings, moment_of, teacher_prompt

SETTINGS = PromptSettings(jumps=True)
CURSOR = "<|user_cursor|>"
FENCE = "`````"
CART = "import tax\n\n\ndef total(rows):\n    return sum(rows)\n\n\ndef mean(rows):\n    return 0\n"
PAGE = "from shop.cart import total\n\n\ndef show(items):\n    print(total(items))\n\n\ndef hide():\n    pass\n"


def related(path, text, start_row=0, **fields):
    return RelatedFile(path, 999, (RelatedExcerpt(Span(start_row, start_row + text.count("\n")), text, **fields),))


def example(cart=CART, files=(), row=10, **changes):
    inputs = PredictionInputs("shop/cart.py", cart, 3, ExcerptRanges({}), excerpt_start_row=row, related_files=files)
    return Example.new(
        name="moment",
        cursor_path="shop/cart.py",
        cursor_position=cart[:3] + CURSOR + cart[3:],
        prompt_inputs=replace(inputs, **changes).to_json(),
    )


HELD = example(files=(related("shop/page.py", PAGE, 70),))


def code_section(prompt):
    return re.fullmatch(r".*\n## Code\n\n`{5,}\n(.*?)\n`{5,}\n.*", prompt, re.DOTALL)[1]


def answer_of(texts, held=HELD):
    """A well-formed answer that turns the shown files into ``texts``, by path."""
    blocks = [
        encode_between(snippet.text, texts[snippet.patch_path].encode(), snippet.markers, None).decode().rstrip("\n")
        for snippet in snippets_of(moment_of(held, SETTINGS).inputs)
        if snippet.patch_path in texts
    ]
    return "Because.\n" + "".join(f"\n{FENCE * 2}\n{block}\n{FENCE * 2}\n" for block in blocks)


def texts_after(patch, texts):
    """Each file's shown text after a patch of several files."""
    parts = re.split(r"(?=^--- a/)", patch, flags=re.MULTILINE)[1:]
    paths = [re.match(r"--- a/(.*)\n", part)[1] for part in parts]
    return {**texts, **{path: apply_patch(part, texts[path])[0] for path, part in zip(paths, parts, strict=True)}}


def test_all_code_stands_between_markers_the_file_at_the_cursor_first():
    shown = code_section(teacher_prompt(HELD, SETTINGS))
    files = shown.split("==> ")[1:]
    assert [file.partition("\n")[0] for file in files] == ["shop/cart.py", "shop/page.py"]
    assert "imp<|user_cursor|>ort tax\n" in files[0]
    unmarked = re.sub(r"<\|marker_.{4}\|>\n?", "", shown.replace(CURSOR, ""))
    assert unmarked == f"==> shop/cart.py\n{CART}==> shop/page.py\n{PAGE}"
    markers = re.findall(r"<\|marker_(.{4})\|>", shown)
    assert len(set(markers)) == len(markers) >= 4


def test_other_files_are_shown_as_far_as_their_budget_reaches():
    files = (related("shop/late.py", "LATE\n" * 2000, order=2), related("shop/page.py", PAGE, order=1))
    prompt = teacher_prompt(example(files=files), SETTINGS)
    assert "shop/page.py" in prompt
    assert "LATE" in prompt
    prompt = teacher_prompt(example(files=files), replace(SETTINGS, related_tokens=100))
    assert "shop/page.py" in prompt
    assert "LATE" not in prompt


def test_other_excerpts_of_the_cursors_file_give_way_to_its_whole_excerpt():
    files = (related("shop/cart.py", "OLD\n", 500), related("shop/page.py", PAGE))
    assert "OLD" not in teacher_prompt(example(files=files), SETTINGS)


def test_the_newest_six_edits_are_shown():
    events = tuple(EditEvent("a.py", "a.py", f"@@ -1,1 +1,1 @@\n-{n}\n+edit {n};\n") for n in range(9))
    prompt = teacher_prompt(example(events=events), SETTINGS)
    assert [n for n in range(9) if f"edit {n};" in prompt] == [3, 4, 5, 6, 7, 8]


def test_code_elsewhere_that_holds_a_marker_is_left_out_and_at_the_cursor_refused():
    files = (related("shop/page.py", "x = '<|marker_1|>'\n"), related("shop/fine.py", PAGE))
    prompt = teacher_prompt(example(files=files), SETTINGS)
    assert "shop/page.py" not in prompt
    assert "shop/fine.py" in prompt
    with pytest.raises(NotAskable, match="marker"):
        teacher_prompt(example(CART + "x = '<|marker_1|>'\n"), SETTINGS)


def test_without_the_excerpts_row_no_edit_elsewhere_can_be_named():
    with pytest.raises(NotAskable, match="row"):
        teacher_prompt(example(row=None), SETTINGS)


def test_edits_of_several_files_become_one_patch_with_the_rows_of_the_files():
    wanted = {"shop/cart.py": CART.replace("rows", "items"), "shop/page.py": PAGE.replace("    pass", "    print()")}
    answer = read_answer(HELD, SETTINGS, answer_of(wanted))
    assert answer.cursor is None
    assert "--- a/shop/cart.py\n+++ b/shop/cart.py\n@@ -11,9 +11,9 @@\n" in answer.patch
    assert "--- a/shop/page.py\n+++ b/shop/page.py\n@@ -76,4 +76,4 @@\n" in answer.patch
    assert texts_after(answer.patch, {"shop/cart.py": CART, "shop/page.py": PAGE}) == wanted


LINES = st.sampled_from(["a = 1", "b = ä", "    return x", "```", "-- x", "}", "def f():", " "])
TEXTS = st.lists(LINES, min_size=1, max_size=80).map(lambda lines: "".join(f"{line}\n" for line in lines))


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_what_is_stated_well_comes_out_exactly(cart, page, new_cart, new_page):
    held = example(f"{cart}import tax\n", (related("shop/page.py", f"{page}end\n", 70),))
    texts = {"shop/cart.py": f"{cart}import tax\n", "shop/page.py": f"{page}end\n"}
    wanted = {"shop/cart.py": f"{new_cart}import tax\n", "shop/page.py": f"{new_page}end\n"}
    changed = {path: text for path, text in wanted.items() if text != texts[path]}
    if not changed:
        return
    try:
        answer = read_answer(held, SETTINGS, answer_of(changed, held))
    except AnswerUnreadable as error:
        if "-- x" not in cart + page or "cannot say" not in error.reason:
            assert "stops before its end" in error.reason  # noqa: PT017
        return
    paths = [event.path for event in parse_patch(answer.patch) if not isinstance(event, FileEnd)]
    assert set(paths) == set(changed)
    for part in re.split(r"(?=^--- a/)", answer.patch, flags=re.MULTILINE)[1:]:
        path = part.split("\n")[0].removeprefix("--- a/")
        start_row = 70 if path == "shop/page.py" else 10
        assert apply_patch(counted_from(part, start_row), texts[path], trust_rows=True)[0] == wanted[path]


def counted_from(patch, start_row):
    """The patch with rows that count from a row of the file."""
    return re.sub(r"@@ -(\d+)", lambda at: f"@@ -{int(at[1]) - start_row}", patch)


HOSTILE = st.lists(
    st.sampled_from(
        [
            *re.findall(r"<\|marker_.{4}\|>\n", code_section(teacher_prompt(HELD, SETTINGS))),
            "<|marker_xxxx|>\n", CURSOR, "NO_EDITS\n", "KEEP_PREVIOUS\n", f"{FENCE}\n", f"{FENCE}\n", f"{FENCE}\n", "```\n",
            "x = 1\n", "    pass\n", "<|marker_", "<|endoftext|>", "\r\n", "\n", "--- a/x\n",
        ]
    ),
    max_size=16,
).map("".join)  # fmt: skip


@given(HOSTILE)
def test_no_answer_whatever_puts_a_marker_or_a_sentinel_into_a_patch(text):
    try:
        answer = read_answer_for(moment_of(HELD, SETTINGS), text)
    except AnswerUnreadable:
        return
    for token in FORBIDDEN:
        assert token not in answer.patch
    texts_after(answer.patch, {"shop/cart.py": CART, "shop/page.py": PAGE})


def marked(*lines):
    return f"Because.\n{FENCE}\n" + "\n".join(lines) + f"\n{FENCE}\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("I would rename it.", "no code block"),
        (marked("x = 1"), "no code block"),
        (marked("{0}", "x = 1"), "begin with one marker"),
        (marked("{0}", "x = 1", "{1}", "y = 1", "{2}"), "begin with one marker"),
        (marked("x = 1", "{0}", "{1}"), "begin with one marker"),
        (marked("{0}", "x = 1", "{0}"), "same marker"),
        (marked("{1}", "x = 1", "{0}"), "comes after"),
        (marked("{0}", "x = 1", "{last}"), "do not follow each other"),
        (marked("{0}", "x = 1", "<|marker_no-1|>"), "none of the prompt's"),
        (marked("{0}", "import tax", "{2}"), "stops before"),
        (marked("{0}", "x = 1", "{1}") + marked("{0}", "x = 2", "{1}"), "same lines"),
        (marked("{0}", "x = NO_EDITS", "{1}"), "NO_EDITS"),
        (marked("{0}", "++ x", "{1}"), "cannot say"),
        (f"{FENCE}\n{{0}}\nx = 1\n{{1}}\n", "in the middle"),
    ],
)
def test_an_answer_that_names_no_place_or_loses_text_is_refused(text, reason):
    markers = re.findall(r"<\|marker_.{4}\|>", code_section(teacher_prompt(HELD, SETTINGS)))
    places = {"0": markers[0], "1": markers[1], "2": markers[2], "last": markers[-1]}
    text = re.sub(r"\{(\w+)}", lambda place: places[place[1]], text)
    with pytest.raises(AnswerUnreadable, match=reason):
        read_answer(HELD, SETTINGS, text)


def test_no_edit_is_said_in_a_block_of_its_own():
    assert read_answer(HELD, SETTINGS, marked("NO_EDITS")).is_no_edit


def test_blank_lines_at_the_ends_of_a_piece_stay_as_they_are():
    shown = code_section(teacher_prompt(HELD, SETTINGS)).replace(CURSOR, "")
    first, second = re.findall(r"<\|marker_.{4}\|>", shown)[:2]
    piece = shown.split(f"{first}\n")[1].split(second)[0]
    assert piece.endswith("\n\n")
    assert read_answer(HELD, SETTINGS, marked(first, piece.strip("\n"), second)).is_no_edit
    edited = read_answer(HELD, SETTINGS, marked(first, piece.replace("tax", "taxes").strip("\n"), second))
    assert texts_after(edited.patch, {"shop/cart.py": CART})["shop/cart.py"] == CART.replace("tax", "taxes")


WORKED = re.compile(
    r"^## Example \d: (?P<title>.*?)\n\n### Edits\n\n\{\{fence}}\n(?P<edits>.*?)\{\{fence}}\n\n"
    r"### Code\n\n\{\{fence}}\n(?P<code>.*?)\n\{\{fence}}\n\n### Answer\n\n(?P<answer>.*?)(?=^## Example|^# The moment)",
    re.MULTILINE | re.DOTALL,
)
TEMPLATE = resources.files("training_export.teachers").joinpath("teacher_jumps_prompt_1.md").read_text(encoding="utf-8")
WORKED_EXAMPLES = [found.groupdict() for found in WORKED.finditer(TEMPLATE)]


def worked(shown):
    """The moment that a worked example shows."""
    bare = re.sub(r"<\|marker_.{4}\|>\n?", "", shown["code"] + "\n")
    files = [part.partition("\n")[::2] for part in bare.split("==> ")[1:]]
    (path, text), *others = files
    before, _, after = text.partition(CURSOR)
    inputs = PredictionInputs(
        path,
        before + after,
        len(before.encode()),
        ExcerptRanges({}),
        excerpt_start_row=0,
        related_files=tuple(related(other, text) for other, text in others),
    )
    return Example.new(
        name="worked",
        cursor_path=path,
        cursor_position=text,
        edit_history=shown["edits"],
        prompt_inputs=inputs.to_json(),
    )


def test_there_are_four_worked_examples():
    assert len(WORKED_EXAMPLES) == TEMPLATE.count("## Example") == 4


@pytest.mark.parametrize("shown", WORKED_EXAMPLES, ids=lambda shown: shown["title"])
def test_a_worked_example_is_shown_as_prompts_show_it_and_its_answer_is_read(shown):
    held = worked(shown)
    assert code_section(teacher_prompt(held, SETTINGS)) == shown["code"]
    answer = read_answer(held, SETTINGS, shown["answer"].replace("{{fence}}", FENCE))
    assert answer.is_no_edit == ("nothing follows" in shown["title"])
    # The rules hold in it, too: nothing that the edits took away comes back.
    gone = {line[1:] for line in shown["edits"].splitlines() if line.startswith("-") and not line.startswith("---")}
    assert not gone & {line[1:] for line in answer.patch.splitlines() if line.startswith("+")}


def test_settings_tell_the_two_prompts_apart():
    assert SETTINGS.to_json()["text"] != PromptSettings().to_json()["text"]
    assert SETTINGS.related_budget_tokens > PromptSettings().related_budget_tokens
