"""Unified diffs are read, applied and written as Zed's own code was recorded to do it."""

from capture.editing.unified_diff import (
    Hunk,
    apply_patch,
    encode_cursor,
    extract_cursor,
    parse_patch,
    strip_metadata,
    strip_path_prefix,
    write_hunks,
)

FILE = "udiff.jsonl"


def applied(given):
    text, first_hunk_offset = apply_patch(given["patch"], given["text"])
    return {"text": text, "first_hunk_offset": first_hunk_offset}


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


def without_cursor(given):
    patch, cursor_offset = extract_cursor(given["patch"])
    return {"patch": patch, "cursor_offset": cursor_offset}


def written(given):
    rows = {"old_start_row": given["old_start_row"], "new_start_row": given["new_start_row"]}
    return {"diff": write_hunks(given["old"], given["new"], **rows, context_lines=given["context_lines"])}


FUNCTIONS = {
    "apply_patch": applied,
    "parse_patch": lambda given: {"events": [event_json(event) for event in parse_patch(given["patch"])]},
    "extract_cursor": without_cursor,
    "encode_cursor": lambda given: {"patch": encode_cursor(given["patch"], given["cursor_offset"])},
    "strip_diff_metadata": lambda given: {"patch": strip_metadata(given["patch"])},
    "strip_path_prefix": lambda given: {"patch": strip_path_prefix(given["patch"], given["prefix"])},
    "unified_diff": written,
}


def test_vector(vector, check):
    check(FUNCTIONS, vector)
