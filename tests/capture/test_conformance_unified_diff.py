"""Unified diffs are read, applied and written as Zed's own code was recorded to do it."""

from collections import Counter
from pathlib import Path

import orjson
import pytest

from capture.editing.unified_diff import (
    Hunk,
    PatchError,
    apply_patch,
    encode_cursor,
    extract_cursor,
    parse_patch,
    strip_metadata,
    strip_path_prefix,
    write_hunks,
)

VECTORS = [
    orjson.loads(line)
    for line in (Path(__file__).parents[1] / "conformance" / "udiff.jsonl").read_bytes().split(b"\n")
    if line.strip()
]


def of(function):
    return [vector for vector in VECTORS if vector["function"] == function]


def replay(*functions):
    vectors = [vector for function in functions for vector in of(function)]
    return pytest.mark.parametrize("vector", vectors, ids=lambda vector: vector["id"])


def written_diff(given):
    return write_hunks(
        given["old"],
        given["new"],
        old_start_row=given["old_start_row"],
        new_start_row=given["new_start_row"],
        context_lines=given["context_lines"],
    )


def event_json(event):
    if not isinstance(event, Hunk):
        return {"file_end": {"renamed_to": event.renamed_to}}
    return {
        "hunk": {
            "context": event.context,
            "edits": [{"range": edit.range.to_json(), "text": edit.text} for edit in event.edits],
            "path": event.path,
            "start_line": event.start_row,
            "status": event.status.value,
        }
    }


@replay("apply_patch")
def test_a_patch_is_applied_or_refused_as_recorded(vector):
    given, expected = vector["input"], vector["output"]
    if "error" in expected:
        with pytest.raises(PatchError):
            apply_patch(given["patch"], given["text"])
        return
    text, first_hunk_offset = apply_patch(given["patch"], given["text"])
    assert {"text": text, "first_hunk_offset": first_hunk_offset} == expected


@replay("parse_patch")
def test_a_patch_is_read_as_recorded(vector):
    assert [event_json(event) for event in parse_patch(vector["input"]["patch"])] == vector["output"]["events"]


@replay("extract_cursor")
def test_the_cursor_is_taken_out_as_recorded(vector):
    patch, cursor_offset = extract_cursor(vector["input"]["patch"])
    assert {"patch": patch, "cursor_offset": cursor_offset} == vector["output"]


@replay("encode_cursor")
def test_the_cursor_is_put_in_as_recorded(vector):
    patch = encode_cursor(vector["input"]["patch"], vector["input"]["cursor_offset"])
    assert patch == vector["output"]["patch"]
    assert encode_cursor(patch, vector["input"]["cursor_offset"]) == patch


@replay("strip_diff_metadata")
def test_lines_that_are_no_diff_are_dropped_as_recorded(vector):
    assert strip_metadata(vector["input"]["patch"]) == vector["output"]["patch"]


@replay("strip_path_prefix")
def test_a_folder_is_taken_off_the_paths_as_recorded(vector):
    assert strip_path_prefix(vector["input"]["patch"], vector["input"]["prefix"]) == vector["output"]["patch"]


@replay("unified_diff")
def test_a_diff_is_written_exactly_as_recorded(vector):
    assert written_diff(vector["input"]) == vector["output"]["diff"]


def test_every_vector_was_replayed():
    counts = Counter(vector["function"] for vector in VECTORS)
    assert counts == {
        "apply_patch": 43,
        "parse_patch": 26,
        "unified_diff": 22,
        "encode_cursor": 18,
        "extract_cursor": 13,
        "strip_diff_metadata": 3,
        "strip_path_prefix": 3,
    }
