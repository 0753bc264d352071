"""Edits of several files in one answer: the prompt covers the cursor, and nothing is dropped in silence."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.editing.unified_diff import with_file_headers, write_hunks
from capture.inputs import RelatedExcerpt, RelatedFile, Span
from daemon.prompts.base import FileEdit, FileEdits, NewRegion, NoEdit, NoEditReason, Prompt, Refusal, TargetError
from daemon.prompts.zed.hash_region_prompts import HASH_REGIONS
from daemon.prompts.zed.hash_regions import format_hash_regions_prompt, hash_regions_target, parse_hash_regions
from daemon.prompts.zed.hashed_markers import (
    HashedSpan,
    ensure_cursor_file_excerpt,
    extract_hashed_span,
    extract_region,
    hashed_marker_table,
    locate_cursor,
)
from daemon.prompts.zed.marker_spans import MarkerError
from daemon.prompts.zed.truncation import drops_the_end

END = "<[end\u2581of\u2581sentence]>"
TEXT = "\n".join("" if row % 8 == 7 else f"value_{row} = {row}" for row in range(40)) + "\n"
OTHER = RelatedFile("src/b.py", 30, (RelatedExcerpt(Span(3, 6), "x = 1\ny = 2\nz = 3\n"),))


@pytest.fixture
def rendered(moment):
    def render(text=TEXT, *, related=(OTHER,), row=0):
        inputs = moment("¦" + text, excerpt_start_row=row, related_files=related)
        return inputs, HASH_REGIONS.render(inputs, len)

    return render


@pytest.fixture
def tags(rendered):
    """The tags of the cursor's file, then those of the other one."""
    inputs, _ = rendered()
    table = hashed_marker_table(ensure_cursor_file_excerpt(inputs).related_files)
    return [[marker.tag.decode() for marker in markers] for markers in table.values()]


@pytest.fixture
def read(rendered):
    inputs, prompt = rendered()
    return lambda answer: HASH_REGIONS.parse(inputs, prompt, answer, finished=True)


def applied(text, edits, path, start_row=0):
    lines = text.split("\n")
    for edit in sorted((edit for edit in edits if edit.path == path), key=lambda edit: -edit.rows.start):
        rows = slice(edit.rows.start - start_row, edit.rows.end - start_row)
        assert "\n".join(lines[rows]) == edit.old_text.removesuffix("\n")
        is_open = rows.stop == len(lines) and not edit.old_text.endswith("\n")  # the last row has no line end
        new_text = edit.new_text if is_open and edit.old_text else edit.new_text.removesuffix("\n")
        lines[rows] = new_text.split("\n") if edit.new_text else []
    return "\n".join(lines)


def test_the_cursors_own_excerpt_is_put_in_where_it_is_missing(rendered):
    inputs, prompt = rendered("a = 1\nb = 2")
    assert format_hash_regions_prompt(inputs) is None
    assert "<filename>src/a.py\n<|marker_" in prompt.text
    assert "\n<|user_cursor|>a = 1\nb = 2\n<|marker_" in prompt.text
    assert prompt.text.startswith("<[fim-suffix]>\n<[fim-prefix]>")
    assert (prompt.region, prompt.region_text) == (Span(0, 11), "a = 1\nb = 2")


def test_the_region_is_what_the_two_excerpts_share(moment):
    excerpt = RelatedExcerpt(Span(11, 13), "b = 2\nc = 3\n", context_source="current_file")
    files = (RelatedFile("src/a.py", 99, (excerpt,)),)
    inputs = moment("a = 1\nb = ¦2\nc = 3\nd = 4", excerpt_start_row=10, related_files=files)
    prompt = HASH_REGIONS.render(inputs, len)
    assert (prompt.region, prompt.region_text) == (Span(6, 17), "b = 2\nc = 3")
    target = HASH_REGIONS.training_target(inputs, prompt, NewRegion("b = 2\nc = 4"))
    parsed = HASH_REGIONS.parse(inputs, prompt, target, finished=True)
    assert parsed == FileEdits((FileEdit("src/a.py", Span(12, 13), "c = 3\n", "c = 4\n"),))


def test_an_excerpt_of_the_cursors_file_that_says_other_text_gives_way(moment):
    stale = RelatedExcerpt(Span(0, 2), "a = 0\nb = 0", context_source="current_file")
    inputs = moment("a = 1\nb = ¦2", excerpt_start_row=0, related_files=(RelatedFile("src/a.py", 2, (stale,)), OTHER))
    prompt = HASH_REGIONS.render(inputs, len)
    assert "a = 0" not in prompt.text
    assert prompt.region_text == "a = 1\nb = 2"


def test_of_a_long_file_the_rows_around_the_cursor_are_shown(moment):
    lines = [f"value_{row:04} = {row:04}" for row in range(1200)]
    inputs = moment("\n".join([*lines[:900], "¦" + lines[900], *lines[901:]]), excerpt_start_row=50)
    prompt = HASH_REGIONS.render(inputs, len)
    assert "<|user_cursor|>value_0900" in prompt.text
    assert "value_0000" not in prompt.text
    assert inputs.excerpt_bytes[prompt.region.start : prompt.region.end].decode() == prompt.region_text
    target = HASH_REGIONS.training_target(inputs, prompt, NewRegion(prompt.region_text.replace("= 0901", "= 1")))
    parsed = HASH_REGIONS.parse(inputs, prompt, target, finished=True)
    assert parsed == FileEdits((FileEdit("src/a.py", Span(951, 952), "value_0901 = 0901\n", "value_0901 = 1\n"),))


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({}, Refusal.CURSOR_NOT_COVERED),  # no start row: nobody knows which rows the excerpt has
        ({"excerpt_start_row": 0, "cursor_path": "a\n<filename>b"}, Refusal.CONTROL_TOKENS),
    ],
)
def test_a_moment_without_a_place_for_the_cursor_is_refused(moment, fields, refusal):
    assert HASH_REGIONS.render(moment("a¦", **fields), len) is refusal


def test_control_tokens_at_the_cursor_are_refused_and_elsewhere_left_out(rendered):
    assert rendered("x = '<|marker_abcd|>'")[1] is Refusal.CONTROL_TOKENS
    assert rendered("a" * 30_000)[1] is Refusal.OVER_BUDGET
    bad = RelatedFile("src/c.py", 1, (RelatedExcerpt(Span(0, 1), "<[fim-middle]>\n"),))
    odd = RelatedFile("src/\nd.py", 1, (RelatedExcerpt(Span(0, 1), "d = 1\n"),))
    inputs, prompt = rendered(related=(bad, odd, OTHER))
    assert "src/c.py" not in prompt.text
    assert "d = 1" not in prompt.text
    # What was left out gives its markers to nobody, so an answer still finds its place.
    edits = FileEdits((FileEdit("src/b.py", Span(4, 5), "y = 2\n", "y = 3\n"),))
    target = HASH_REGIONS.target_of_edits(inputs, edits)
    assert HASH_REGIONS.parse(inputs, prompt, target, finished=True) == edits


def test_edits_of_several_files_have_rows_of_those_files(rendered, read):
    inputs, _ = rendered()
    edits = FileEdits(
        (
            FileEdit("src/b.py", Span(4, 5), "y = 2\n", "y = 3\n"),
            FileEdit("src/a.py", Span(0, 1), "value_0 = 0\n", "value_0 = 10\n"),
            FileEdit("src/a.py", Span(3, 3), "", "new = 1\n"),
            FileEdit("src/a.py", Span(33, 35), "value_33 = 33\nvalue_34 = 34\n", ""),
        )
    )
    target = HASH_REGIONS.target_of_edits(inputs, edits)
    assert target.count("<|marker_") == 6  # two edits share a block
    assert read(target.removesuffix(END)) == edits


def test_zed_makes_the_same_patch_of_the_same_answer(rendered):
    inputs, _ = rendered()
    shown = ensure_cursor_file_excerpt(inputs)
    edits = FileEdits((FileEdit("src/a.py", Span(1, 2), "value_1 = 1\n", "value_1 = 10\n"),))
    new_text = TEXT.replace("value_1 = 1\n", "value_1 = 10\n")
    patch = with_file_headers(write_hunks(TEXT, new_text), "src/a.py")
    target = HASH_REGIONS.target_of_edits(inputs, edits)
    assert parse_hash_regions(shown, target) == patch
    assert hash_regions_target(shown, patch, None) == target


def test_zed_drops_in_silence_what_it_cannot_say_and_the_daemon_does_not(rendered):
    inputs, _ = rendered()
    patch = "--- a/src/none.py\n+++ b/src/none.py\n@@ -1,1 +1,1 @@\n-a\n+b\n"
    assert hash_regions_target(ensure_cursor_file_excerpt(inputs), patch, None) == "NO_EDITS" + END
    for edit in (
        FileEdit("src/none.py", Span(0, 1), "a\n", "b\n"),
        FileEdit("src/b.py", Span(8, 9), "far = 1\n", "far = 2\n"),
        FileEdit("src/b.py", Span(4, 5), "stale = 1\n", "y = 3\n"),
        FileEdit("src/b.py", Span(4, 5), "y = 2\n", "y = '<|marker_abcd|>'\n"),
        FileEdit("src/b.py", Span(3, 6), "x = 1\ny = 2\nz = 3\n", ""),
    ):
        with pytest.raises(TargetError):
            HASH_REGIONS.target_of_edits(inputs, FileEdits((edit,)))


def test_an_edit_in_an_excerpt_that_did_not_fit_is_not_taught(rendered):
    long = RelatedFile("src/c.py", 999, (RelatedExcerpt(Span(0, 900), "long = 'abcdefghijklmnop'\n" * 900),))
    inputs, prompt = rendered(related=(long, OTHER))
    assert "long" not in prompt.text
    edit = FileEdit("src/c.py", Span(0, 1), "long = 'abcdefghijklmnop'\n", "short = 1\n")
    with pytest.raises(TargetError, match="left out"):
        HASH_REGIONS.target_of_edits(inputs, FileEdits((edit,)))


def test_overlapping_edits_are_not_taught(rendered):
    inputs, _ = rendered()
    edits = [
        FileEdit("src/b.py", Span(3, 5), "x = 1\ny = 2\n", "a\n"),
        FileEdit("src/b.py", Span(4, 5), "y = 2\n", "b\n"),
    ]
    with pytest.raises(TargetError, match="overlap"):
        HASH_REGIONS.target_of_edits(inputs, FileEdits(tuple(edits)))


def test_nothing_to_change_is_said_in_words(rendered, read):
    inputs, prompt = rendered()
    assert HASH_REGIONS.training_target(inputs, prompt, NewRegion(prompt.region_text)) == "NO_EDITS" + END
    assert read("NO_EDITS") == NoEdit(NoEditReason.SAID_SO)


def test_a_repeated_tag_says_no_edit(read, tags):
    assert read(tags[0][1] * 2) == NoEdit(NoEditReason.SAID_SO)
    assert read(f"{tags[0][1]}\ninserted\n{tags[0][1]}") == NoEdit(NoEditReason.MALFORMED)


def test_answers_whose_spans_make_no_sense_are_no_edit(read, tags):
    own, other = tags
    block = "x = 1\ny = 2\nz = 4\n"
    good = f"{other[0]}\n{block}{other[1]}"
    assert isinstance(read(good), FileEdits)
    for answer in (
        "text only",
        other[0],
        f"{other[0]}\n{block}",
        f"{good}\n{own[0]}",  # a tag without its pair
        f"so:\n{good}",
        f"{good}\nleft over\n{own[0]}{own[0]}",
        f"{other[1]}\n{block}{other[0]}",
        f"{own[0]}\n{block}{other[1]}",
        f"{other[0]}\n{block}<|marker_ZZZZ|>",
        f"{good}\n{good}",  # they overlap: Zed drops the second
        f"{own[0]}\nvalue_0 = 0\n{own[-1]}",  # stopped before its end marker
    ):
        assert read(answer) == NoEdit(NoEditReason.MALFORMED), answer


def test_no_control_text_gets_through_and_no_file_is_emptied(read, tags):
    _, other = tags
    assert read(f"{other[0]}\nx = '<[fim-middle]>'\n{other[1]}") == NoEdit(NoEditReason.CONTROL_TOKENS)
    assert read(f"{other[0]}\n{other[1]}") == NoEdit(NoEditReason.EMPTY)
    assert read(f"{other[0]}\nx = 1\ny = 2\nz = 3\n{other[1]}") == NoEdit(NoEditReason.UNCHANGED)


def test_every_cursor_marker_is_taken_out(read, tags):
    _, other = tags
    answer = f"{other[0]}\nx = <|user_cursor|>1\ny = 2<|user_cursor|>\nz = 4\n{other[1]}"
    assert read(answer) == FileEdits((FileEdit("src/b.py", Span(5, 6), "z = 3\n", "z = 4\n"),))


def test_the_cursor_may_stand_in_an_excerpt_of_any_source_but_inside_its_rows(moment):
    def located(excerpt):
        inputs = moment("a\nb¦\nc", excerpt_start_row=5, related_files=(RelatedFile("root/src/a.py", 9, (excerpt,)),))
        return locate_cursor(inputs)

    assert located(RelatedExcerpt(Span(5, 7), "a\nb\n")).offset == 3
    assert located(RelatedExcerpt(Span(0, 5), "0\n1\n2\n3\n4\na\nb\n")) is None
    assert located(RelatedExcerpt(Span(6, 7), "")) is None


@pytest.mark.parametrize(
    ("new", "drops"),
    [("a\nb\nc\nd\n", False), ("a\nb\nc\n", False), ("a\nb\nc\nd\ne\nf\nG\n", False), ("A\nb\n", True), ("a\nb", True)],
)
def test_a_text_that_stops_and_drops_more_than_three_lines_is_noticed(new, drops):
    assert drops_the_end("a\nb\nc\n\nd\ne\nf\n", new) is drops


@pytest.mark.parametrize(
    ("text", "region"),
    [
        (b"<|marker_a|>\nx\n\n<|marker_b|>", b"x"),  # up to two line breaks go
        (b"<|marker_a|>x<|marker_c|>\ny<|marker_b|>z", b"xy"),
        (b"<|marker_a|>x<|marker_b|><|marker_", None),  # a tag that does not end
        (b"<|marker_a|>x", None),
    ],
)
def test_a_region_is_taken_from_between_its_tags(text, region):
    assert extract_region(text) == region


def test_a_span_needs_two_different_tags_whatever_they_name():
    assert extract_hashed_span(b"..<|marker_no id|>\nx\n<|marker_b|>..") == HashedSpan("no id", "b", b"x\n")
    for text in (b"<|marker_a|>x<|marker_a|>", b"<|marker_a|>x", b"<|marker_a|>x<|marker_"):
        with pytest.raises(MarkerError):
            extract_hashed_span(text)


def test_rows_at_the_end_of_a_file_go_or_are_not_taught_to_leave_an_empty_row(moment, engine_cut):
    inputs = moment("¦x\n}\na\n\na", excerpt_start_row=0, related_files=(OTHER,))
    prompt = HASH_REGIONS.render(inputs, len)
    target = HASH_REGIONS.training_target(inputs, prompt, NewRegion("x\n}"))
    parsed = HASH_REGIONS.parse(inputs, prompt, engine_cut(target, prompt.stop), finished=True)
    assert applied("x\n}\na\n\na", parsed.edits, "src/a.py") == "x\n}"
    with pytest.raises(TargetError):
        HASH_REGIONS.training_target(inputs, prompt, NewRegion("x\n}\n"))


lines = st.lists(st.sampled_from(["", "a", "b", "}", "é", "    return"]), min_size=1, max_size=30)


@settings(deadline=None)
@given(old=lines, kept=st.tuples(st.integers(0, 30), st.integers(0, 30)), inserted=lines, row=st.integers(0, 3))
def test_what_is_taught_is_read_back(moment, engine_cut, old, kept, inserted, row):
    text = "\n".join(old)
    inputs = moment("¦" + text, excerpt_start_row=row, related_files=(OTHER,))
    prompt = HASH_REGIONS.render(inputs, len)
    if not text:
        assert prompt is Refusal.CURSOR_NOT_COVERED
        return
    assert isinstance(prompt, Prompt)
    assert prompt.region_text == text
    new = "\n".join([*old[: min(kept)], *inserted, *old[max(kept) :]])
    try:
        target = HASH_REGIONS.training_target(inputs, prompt, NewRegion(new))
    except TargetError:
        return
    parsed = HASH_REGIONS.parse(inputs, prompt, engine_cut(target, prompt.stop), finished=True)
    if new == text:
        assert parsed == NoEdit(NoEditReason.SAID_SO)
    else:
        assert applied(text, parsed.edits, "src/a.py", row) == new
