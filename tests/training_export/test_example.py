"""Examples as JSON lines: what survives, what is refused and by which name, where the cursor is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_export.errors import ExampleRejected
from training_export.example import KEYS, SPEC_KEYS, Example
from training_export.example_format.cursor_position import (
    CursorForm,
    CursorUnreadable,
    read_cursor_position,
    write_inline,
    write_with_comment,
)
from training_export.example_format.doubts import warnings_of
from training_export.example_format.json_line import parse_object, write_object
from training_export.example_format.patch_traps import traps, why_not_applicable
from training_export.example_format.records import ExamplePrediction

PATCH = "--- a/cart.py\n+++ b/cart.py\n@@ -1,2 +1,2 @@\n a = 1\n-b = a\n+b = a<|user_cursor|>2\n"
INPUTS = {
    "cursor_path": "cart.py",
    "cursor_excerpt": "a = 1\nb = ä",
    "cursor_offset_in_excerpt": 10,
    "excerpt_start_row": 4,
    "events": [
        {"event": "BufferChange", "path": "cart.py", "old_path": "cart.py", "diff": "@@ -1 +1 @@\n-a\n+b\n"}
    ],
    "related_files": [
        {"path": "shop.py", "max_row": 9, "excerpts": [{"row_range": {"start": 0, "end": 2}, "text": "x\ny"}]}
    ],
    "active_buffer_diagnostics": [
        {
            "severity": 1,
            "message": "no",
            "snippet": "bä",
            "snippet_buffer_row_range": {"start": 0, "end": 1},
            "diagnostic_range_in_snippet": {"start": 0, "end": 3},
        }
    ],
    "excerpt_ranges": {
        key: {"start": 0, "end": 12}
        for key in (
            "editable_150", "editable_180", "editable_350", "editable_150_context_350",
            "editable_180_context_350", "editable_350_context_150",
        )
    },
    "syntax_ranges": [{"start": 6, "end": 12}],
}  # fmt: skip


def plain(**changes):
    """A sound example as JSON, some keys set or (None) left out."""
    value = {
        "name": "cart",
        "repository_url": "https://example.org/ada/shop.git",
        "revision": "4be1c5d",
        "cursor_path": "cart.py",
        "cursor_position": "a = 1\nb = <|user_cursor|>a\n",
        "edit_history": "--- a/cart.py\n+++ b/cart.py\n@@ -1,1 +1,1 @@\n-a = 0\n+a = 1\n",
        "expected_patches": [PATCH],
        **changes,
    }
    return {key: part for key, part in value.items() if part is not None}


def full():
    """A sound example with every key there is."""
    return plain(
        tags=["t"],
        reasoning="why",
        uncommitted_diff="",
        recently_opened_files=[{"path": "shop.py", "cursor_position": 3}, {"path": "x.py"}],
        recently_viewed_files=[],
        uncommitted_diff_contains_edit_history=True,
        cursor_position="a = 1\nb = <|user_cursor|>ä\n",
        expected_patches=[PATCH.replace("-b = a", "-b = ä")],
        rejected_patch="",
        telemetry={
            "request_id": "r",
            "device_id": "d",
            "time": "2026-01-31T10:00:00Z",
            "rejection_reason": "",
            "was_shown": True,
        },
        human_feedback=[{"message": "good"}],
        rating="Positive",
        prompt_inputs=INPUTS,
        prompt={"input": "in", "expected_output": "out", "rejected_output": None, "provider": "zeta2:V0211SeedCoder"},
        predictions=[
            {
                "actual_patch": "p",
                "actual_output": None,
                "actual_cursor": {"path": "cart.py", "row": 1, "column": 2, "offset": 8, "editable_region_offset": 8},
                "provider": "teacher:sonnet46",
                "avg_logprob": -0.25,
            }
        ],
        score=[{"delta_chr_f": 91.67, "wrong_editable_region": None, "exact_lines_tp": 1}],
        qa=[{"confidence": 4, "reverts_edits": False}],
        zed_version="1.2.3",
    )


def line_of(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def refused(value_or_line):
    line = value_or_line if isinstance(value_or_line, str) else line_of(value_or_line)
    with pytest.raises(ExampleRejected) as found:
        Example.from_line(line)
    return found.value


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
)  # fmt: skip
JSON_VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
)
UNKNOWN = st.dictionaries(TEXTS.filter(lambda key: key not in KEYS), JSON_VALUES, max_size=4)


@given(UNKNOWN, UNKNOWN, st.randoms())
def test_unknown_fields_survive_in_their_order_at_the_top_and_inside(top, inner, random):
    value = full()
    value["predictions"][0] |= {key: part for key, part in inner.items() if key not in ExamplePrediction.__slots__}
    items = [*value.items(), *top.items()]
    random.shuffle(items)
    line = line_of(dict(items))
    written = Example.from_line(line).to_line()
    assert json.dumps(json.loads(written)) == json.dumps(json.loads(line))  # also 1 against 1.0, -0.0, order


@given(JSON_VALUES)
def test_any_json_that_python_keeps_survives(value):
    line = json.dumps({"x": value})
    read = parse_object(line)
    assert json.dumps(read) == line
    written = write_object(read)
    assert json.dumps(json.loads(written)) == line
    assert len(written.splitlines()) == 1


def test_what_zed_writes_comes_back_byte_for_byte():
    line = line_of(full())
    assert Example.from_line(line).to_line() == line


def test_text_is_written_raw_but_for_characters_that_end_lines_elsewhere():
    written = Example.from_line(line_of(plain(name="é\u2028\u2029\x85\x7f😀"))).to_line()
    assert '"é\\u2028\\u2029\\u0085\x7f😀"' in written
    assert Example.from_line(written).name == "é\u2028\u2029\x85\x7f😀"


def test_every_field_has_its_type():
    example = Example.from_line(line_of(full()))
    assert example.tags == ("t",)
    assert example.recently_opened_files[0].cursor_position == 3
    assert example.recently_opened_files[1].cursor_position is None
    assert example.telemetry is not None
    assert example.telemetry.was_shown
    assert example.human_feedback == ("good",)
    assert example.rating == "Positive"
    assert example.prompt_inputs is not None
    assert example.prompt_inputs.syntax_ranges is not None
    assert example.prompt is not None
    assert example.prompt.expected_output == "out"
    (prediction,) = example.predictions
    assert prediction.actual_output == ""
    assert prediction.actual_cursor is not None
    assert prediction.actual_cursor.offset == 8
    assert example.score[0].delta_chr_f == 91.67
    assert example.qa[0] is not None
    assert example.qa[0].confidence == 4
    assert example.zed_version == "1.2.3"
    assert example.cursor_excerpt.text == "a = 1\nb = ä\n"
    assert not list(warnings_of(example))


def test_records_write_what_they_read():
    value = full()
    example = Example.from_line(line_of(value))
    assert example.telemetry is not None
    assert example.prompt is not None
    assert example.telemetry.to_json() == value["telemetry"]
    assert example.prompt.to_json() == value["prompt"]
    assert [item.to_json() for item in example.predictions] == [{**value["predictions"][0], "actual_output": ""}]
    assert [item.to_json() for item in example.recently_opened_files] == value["recently_opened_files"]
    assert [item and item.to_json() for item in example.qa] == value["qa"]


def test_a_stage_changes_its_own_field_and_no_other():
    before = {"later": 1.0, **full(), "zed_version": None, "own": {"b": 1, "a": None}}
    after = Example.from_line(line_of(before)).with_fields(prompt=None, score=[], revision="x")
    expected = {key: part for key, part in before.items() if key not in {"prompt", "score"}} | {"revision": "x"}
    assert after.to_line() == line_of(expected)


def test_a_new_field_goes_where_zed_writes_it():
    example = Example.from_line(line_of(plain(extra=1))).with_fields(zed_version="1", tags=["a"], qa=[None])
    assert list(example.value) == [
        "name", "repository_url", "revision", "tags", "cursor_path", "cursor_position", "edit_history",
        "expected_patches", "qa", "zed_version", "extra",
    ]  # fmt: skip


def test_a_new_example_leaves_out_what_zed_leaves_out():
    example = Example.new(
        cursor_path="a.py", cursor_position="<|user_cursor|>", tags=[], rejected_patch="", rating=None
    )
    assert example.to_line() == (
        '{"name":"","repository_url":"","revision":"","uncommitted_diff":"","cursor_path":"a.py",'
        '"cursor_position":"<|user_cursor|>","edit_history":"","expected_patches":[],"rejected_patch":""}'
    )


def test_the_spec_is_the_same_whatever_stages_added_and_however_it_is_ordered():
    value = full()
    turned = {key: value[key] for key in reversed(value)} | {"unknown": 1, "predictions": [], "prompt": None}
    spec = Example.from_line(line_of(value)).spec_json()
    assert line_of(Example.from_line(line_of(turned)).spec_json()) == line_of(spec)
    assert set(spec) <= set(SPEC_KEYS)
    other = Example.from_line(line_of({**value, "revision": "another"}))
    assert other.spec_json() != spec


@pytest.mark.parametrize(
    ("line", "field", "reason"),
    [
        ("", "", "not JSON"),
        ("{'name': 1}", "", "not JSON"),
        ('{"name": "a\nb"}', "", "not JSON"),
        ("[1]", "", "not an object but a list"),
        ("12", "", "not an object but a number"),
        ("\ufeff{}", "", "byte order mark"),
        ('{"a": 1, "a": 1}', "", "'a' occurs twice"),
        ('{"p": [{"q": {"a": 1, "b": 2, "a": 3}}]}', "p[0].q", "'a' occurs twice"),
        ('{"a": {"b": NaN}}', "a.b", "NaN is no JSON number"),
        ('{"a": [-Infinity]}', "a[0]", "-Infinity is no JSON number"),
        ('{"a": 18446744073709551616}', "a", "does not survive"),
        ('{"a": -9223372036854775809}', "a", "does not survive"),
        ('{"a": ' + "9" * 5000 + "}", "a", "does not survive"),
        ('{"a": 1e400}', "a", "too large"),
        ('{"a": 1e-400}', "a", "does not survive"),
        ('{"a": 0.10000000000000000555}', "a", "it is read as 0.1"),
        ('{"a": 9007199254740993.0}', "a", "does not survive"),
        ('{"a": ["\\ud800"]}', "a[0]", "surrogate"),
        ('{"a": {"\\uDfff": 1}}', "a", "surrogate"),
        ('{"a": ' + "[" * 127 + "]" * 127 + "}", "", "nested deeper"),
        ('{"a": ' + "[" * 99999 + "]" * 99999 + "}", "", "nested deeper"),
    ],
)
def test_a_line_that_would_not_survive_is_refused_by_path(line, field, reason):
    error = refused(line)
    assert error.field == field
    assert reason in error.reason


@pytest.mark.parametrize(
    "literal", ["1e5", "1E+2", "0.10", "-0.0", "0e0", "1.0", "-0", "1e-7", "123456789.125", "5e-324"]
)
def test_a_number_that_keeps_its_value_is_taken(literal):
    read = parse_object(f'{{"a": {literal}}}')
    assert str(float(read["a"])) == str(float(literal))
    assert parse_object(write_object(read)) == read


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"cursor_path": None}, "cursor_path", "is missing"),
        ({"name": 1}, "name", "must be a string, is a number"),
        ({"expected_patches": "x"}, "expected_patches", "must be a list"),
        ({"expected_patches": ["", 1]}, "expected_patches[1]", "must be a string"),
        ({"uncommitted_diff_contains_edit_history": 1}, "uncommitted_diff_contains_edit_history", "true or false"),
        ({"recently_opened_files": [{"path": "a", "cursor_position": 1.0}]}, "recently_opened_files[0].cursor_position", "whole number, is 1.0"),
        ({"recently_viewed_files": [{"path": "a", "cursor_position": -1}]}, "recently_viewed_files[0].cursor_position", "between 0"),
        ({"predictions": [{"provider": "p"}]}, "predictions[0].actual_output", "is missing"),
        ({"rating": "positive"}, "rating", "'Positive', 'Negative'"),
        ({"qa": [None, {"confidence": True}]}, "qa[1].confidence", "whole number, is true or false"),
        ({"telemetry": {}}, "telemetry.request_id", "is missing"),
        ({"score": [{"delta_chr_f": 1, "jump_location": {"lines_tp": 1}}]}, "score[0].jump_location.lines_fp", "is missing"),
        ({"score": [{"delta_chr_f": "1"}]}, "score[0].delta_chr_f", "must be a number"),
        ({"prompt_inputs": {**INPUTS, "events": [{"event": "FileOpened", "path": "", "old_path": "", "diff": ""}]}}, "prompt_inputs.events[0].event", "'BufferChange', is 'FileOpened'"),
        ({"prompt_inputs": {**INPUTS, "cursor_offset_in_excerpt": 11}}, "prompt_inputs.cursor_offset_in_excerpt", "inside a UTF-8 character"),
        ({"prompt_inputs": {**INPUTS, "cursor_offset_in_excerpt": 13}}, "prompt_inputs.cursor_offset_in_excerpt", "outside the excerpt of 12 bytes"),
        ({"prompt_inputs": {**INPUTS, "excerpt_ranges": {"editable_150": {"start": 3, "end": 2}}}}, "prompt_inputs.excerpt_ranges.editable_150", "behind its end"),
        ({"prompt_inputs": {**INPUTS, "syntax_ranges": [{"start": 0, "end": 99}]}}, "prompt_inputs.syntax_ranges[0].end", "outside"),
        ({"cursor_position": "no cursor"}, "cursor_position", "no cursor"),
        ({"cursor_position": "a<|user_cursor|>b<|user_cursor|>"}, "cursor_position", "more than once"),
        ({"cursor_position": "a[CURSOR_POSITION]b"}, "cursor_position", "behind ^ or <"),
        ({"expected_patches": ["@@ -1,2 +1,2 @@\n a\n-b\n+c\n"]}, "expected_patches[0]", "no hunk can be read"),
        ({"rejected_patch": "diff --git a b\n-b\n+c\n+d\n"}, "rejected_patch", "no hunk can be read"),
    ],
)  # fmt: skip
def test_what_would_poison_training_is_refused_by_path(changes, field, reason):
    error = refused(plain(**changes))
    assert error.field == field
    assert reason in error.reason


def test_null_stands_for_absent_only_where_zed_takes_it():
    for key in ("reasoning", "rejected_patch", "telemetry", "rating", "prompt_inputs", "prompt", "zed_version"):
        line = line_of({**plain(), key: None})
        assert Example.from_line(line).to_line() == line
    for key in ("name", "tags", "uncommitted_diff", "predictions", "score", "qa", "human_feedback"):
        assert refused({**plain(), key: None}).field == key


def test_a_value_json_cannot_hold_is_refused_when_it_is_written():
    example = Example.new(**plain())
    with pytest.raises(ExampleRejected) as found:
        example.with_fields(own={"a": [1.0, float("nan")]}).to_line()
    assert found.value.field == "own.a[1]"
    with pytest.raises(ExampleRejected, match="surrogate"):
        example.with_fields(reasoning="\ud800").to_line()


# The cursor in its excerpt.


@pytest.mark.parametrize(
    ("marked", "text", "cursor"),
    [
        ("x = <|user_cursor|>1\n", "x = 1\n", 4),
        ("def f():\n    x = 1\n    #   ^[CURSOR_POSITION]\n    y\n\n", "def f():\n    x = 1\n    y", 17),
        ("a\n    x = 1\n// <[CURSOR_POSITION]\nb", "a\n    x = 1\nb", 2),
        ("a\n    x = 1\n //<[CURSOR_POSITION]\nb", "a\n    x = 1\nb", 3),
        ("é = 1\n// ^[CURSOR_POSITION]", "é = 1", 3),
        ("\n// <[CURSOR_POSITION]", "", 0),
        ("a ^ b\n# ^ ^[CURSOR_POSITION]", "a ^ b", 2),
    ],
)
def test_the_cursor_is_read_from_its_mark(marked, text, cursor):
    found = read_cursor_position(marked)
    assert (found.text, found.offset_bytes) == (text, cursor)


@pytest.mark.parametrize(
    "marked",
    [
        "x\n//   ^[CURSOR_POSITION]",  # behind the line's end
        "x\n//   ^[CURSOR_POSITION]\nlonger",
        "é\n/^[CURSOR_POSITION]",  # inside a character
        "// <[CURSOR_POSITION]\nx",  # no line above
        "x\n# ^[CURSOR_POSITION]\n# ^[CURSOR_POSITION]",
        "a\n\n// <[CURSOR_POSITION]",  # Zed trims the cursor's line away
    ],
)
def test_a_mark_that_points_nowhere_is_refused(marked):
    with pytest.raises(CursorUnreadable):
        read_cursor_position(marked)


CODE = st.text(st.sampled_from("ab \té\n#/😀^<"), max_size=30)


@given(CODE, st.integers(0, 60), st.sampled_from(["#", "//", "--", "<!--"]))
def test_a_cursor_written_either_way_is_read_back(text, at, sign):
    data = text.encode()
    offset = len(data[: min(at, len(data))].decode(errors="ignore").encode())
    found = read_cursor_position(write_inline(text, offset))
    assert (found.text, found.offset_bytes, found.form) == (text, offset, CursorForm.INLINE)
    try:
        marked = write_with_comment(text, offset, sign)
    except CursorUnreadable:
        return
    found = read_cursor_position(marked)
    assert (found.text, found.offset_bytes, found.form) == (text, offset, CursorForm.COMMENT)


def test_the_comment_stands_as_zed_sets_it():
    text = "fn main() {\n    let x = 42;\n}"
    for where, marker_line in (
        ("42", "    //      ^[CURSOR_POSITION]"),
        ("et x", "//   ^[CURSOR_POSITION]"),
        ("    let", "// <[CURSOR_POSITION]"),
        ("   let", " // <[CURSOR_POSITION]"),
    ):
        assert write_with_comment(text, text.index(where), "//").split("\n")[2] == marker_line


def test_an_imported_cursor_counts_where_the_prompt_inputs_agree():
    agreeing = plain(cursor_position="a = 1\nb = [CURSOR_POSITION]ä", prompt_inputs=INPUTS, expected_patches=[])
    example = Example.from_line(line_of(agreeing))
    assert [warned.field for warned in warnings_of(example)] == ["cursor_position"]
    assert refused({**agreeing, "cursor_position": "[CURSOR_POSITION]a = 1\nb = ä"}).field == "cursor_position"


# Traps in patches.

HEAD = "--- a/q.sql\n+++ b/q.sql\n"


@pytest.mark.parametrize(
    ("patch", "part"),
    [
        (f"{HEAD}@@ -1,2 +1,1 @@\n--- old remark\n select 1\n", "line 4 is a deleted line"),
        (f"{HEAD}@@ ... @@\n--- old remark\n select 1\n", "line 4 is a deleted line"),
        (f"{HEAD}@@ -1,1 +1,2 @@\n select 1\n+++ counter\n", "line 5 is an added line"),
        (f"{HEAD}@@ -1,1 +1,1 @@\n--- old\n+++ new\n@@ -5 +5 @@\n-a\n+b\n", "line 4 is a deleted line"),
        (f"{HEAD}@@ -1 +1 @@\r\n-a\r\n+b\r\n", "carriage returns"),
        (f"{HEAD}@@ -1 +1 @@\n-a\n+b\n@@ -9 +9 @@\n-c\n+d<|user_cursor|>\n", "later hunk"),
        (f"{HEAD}@@ -1,2 +1,2 @@\n a<|user_cursor|>\n-b\n+c\n", "line that is not added"),
        (f"{HEAD}@@ -1,2 +1,2 @@\n a\n-b\n+<|user_cursor|>c<|user_cursor|>\n", "2 cursors"),
        ("@@ -1 +1 @@\n-a\n+b\n", "at most 3 lines"),
        ("-a\n+b\n", "at most 3 lines"),
        (f"@@ -1 +1 @@\n-a\n+b\n{HEAD}@@ -1 +1 @@\n-a\n+b\n", "line 2 belongs to no file's part"),
        (f"{HEAD}@@ -1,3 +1,3 @@\n a\nforgot the mark\n-b\n+c\n", "line 6 belongs to no file's part"),
        ("Nothing to change here.\n", "no unified diff"),
    ],
)  # fmt: skip
def test_a_patch_zed_would_misread_is_named(patch, part):
    assert any(part in trap for trap in traps(patch)), list(traps(patch))


@pytest.mark.parametrize(
    "patch",
    [
        "",
        HEAD,
        f"{HEAD}@@ -1 +1 @@\n-a\n+b\n",
        f"{HEAD}@@ -1,2 +1,2 @@ fn main\n a\n-b\n+c<|user_cursor|>\n--- a/x\n+++ b/x\n@@ -1,0 +1,1 @@\n+z\n",
        f"{HEAD}@@ -1,9 +1,9 @@\n a\n-b\n+c\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-y\n+z\n",  # counts a model made up
        f"// group\n{HEAD}@@ -1,1 +1,1 @@\n----\n+----\n\\ No newline at end of file\n",
    ],
)
def test_a_sound_patch_has_no_trap(patch):
    assert not list(traps(patch))


def test_a_patch_is_tried_on_the_excerpt():
    assert not why_not_applicable(PATCH, "a = 1\nb = a\n")
    assert "does not apply" in why_not_applicable(PATCH, "a = 1\n")
    assert "changes nothing" in why_not_applicable(f"{HEAD}@@ -1 +1 @@\n-a\n+a\n", "a\n")
    assert not why_not_applicable("", "a\n")


@given(st.text(st.sampled_from("+- @\nab/\r\\<|"), max_size=60) | st.text(max_size=40), st.text(max_size=20))
def test_no_patch_is_too_strange_to_be_judged(patch, text):
    assert all(isinstance(trap, str) for trap in traps(patch))
    assert isinstance(why_not_applicable(patch, text), str)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"cursor_path": "other.py"}, "prompt_inputs.cursor_path"),
        ({"cursor_position": "a = 1\n<|user_cursor|>b = ä\n"}, "prompt_inputs.cursor_offset_in_excerpt"),
        ({"prompt_inputs": {**INPUTS, "excerpt_ranges": {}}}, "prompt_inputs.excerpt_ranges"),
        ({"prompt_inputs": {**INPUTS, "syntax_ranges": [{"start": 0, "end": 2}]}}, "prompt_inputs.syntax_ranges[0]"),
        ({"prompt_inputs": {**INPUTS, "related_files": [{"path": "s", "max_row": 0, "excerpts": [{"row_range": {"start": 0, "end": 2}, "text": ""}]}]}}, "prompt_inputs.related_files[0].excerpts[0].row_range"),
        ({"prompt_inputs": {**INPUTS, "active_buffer_diagnostics": [{**INPUTS["active_buffer_diagnostics"][0], "diagnostic_range_in_snippet": {"start": 0, "end": 2}}]}}, "prompt_inputs.active_buffer_diagnostics[0].diagnostic_range_in_snippet"),
        ({"edit_history": "nothing\n"}, "edit_history"),
        ({"score": []}, None),
        ({"score": [{"delta_chr_f": 1}] * 2}, "score"),
        ({"qa": [{"confidence": 9}]}, "qa[0].confidence"),
    ],
)  # fmt: skip
def test_what_looks_wrong_is_warned_of(changes, field):
    warned = [warning.field for warning in warnings_of(Example.from_line(line_of({**full(), **changes})))]
    assert warned == ([] if field is None else [field])
