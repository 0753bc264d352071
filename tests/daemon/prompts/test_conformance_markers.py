"""Every recorded vector of ``markers.jsonl``, and the marker answers of ``target.jsonl``, byte for byte.

All functions of markers.jsonl are replayed. The V0306, V0317, V0327, hashline and hashed (V0615) functions
serve formats that have no prompt format here yet.
"""

import pytest

from capture.inputs import PredictionInputs
from daemon.prompts.zed.hashed_markers import (
    encode_hashed,
    ensure_cursor_file_excerpt,
    extract_hashed_span,
    extract_region,
    hashed_marker_table,
    hashed_markers,
    locate_cursor,
    related_file_patch_path,
    write_hashed,
)
from daemon.prompts.zed.hashline import hash_line
from daemon.prompts.zed.marker_spans import (
    MarkerError,
    apply_numbered,
    apply_on_own_lines,
    apply_relative,
    encode_numbered,
    encode_on_own_lines,
    encode_relative,
)
from daemon.prompts.zed.markers import (
    V0316_LIMITS,
    V0318_LIMITS,
    V0618_LIMITS,
    is_good_block_start,
    marker_offsets,
    nearest_marker,
    v0327_editable_range,
    write_numbered,
    write_on_own_lines,
    write_relative,
)

LIMITS = {"v0316": V0316_LIMITS, "v0318": V0318_LIMITS, "v0618": V0618_LIMITS}


def write(given):
    text, cursor = given["text"].encode(), given.get("cursor_offset")
    writers = {
        "v0306": lambda: write_on_own_lines(text, cursor),
        "v0316": lambda: write_numbered(text, cursor, V0316_LIMITS),
        "v0317": lambda: write_relative(text, cursor),
        "v0318": lambda: write_numbered(text, cursor, V0318_LIMITS),
        "v0615": lambda: write_hashed(text, hashed_markers(text), cursor),
    }
    return {"text": writers[given["variant"]]().decode()}


def apply(given):
    old, answer = given["old"].encode(), given["output"].encode()
    readers = {
        "v0306": lambda: apply_on_own_lines(old, answer),
        "v0316": lambda: apply_numbered(old, answer, V0316_LIMITS),
        "v0317": lambda: apply_relative(old, answer, given.get("cursor_offset_in_old")),
        "v0318": lambda: apply_numbered(old, answer, V0318_LIMITS),
    }
    return {"text": readers[given["variant"]]().decode()}


def encode(given):
    old, new = given["old"].encode(), given["new"].encode()
    cursor, end = given["cursor_offset_in_new"], given["end_marker"].encode()
    encoders = {
        "v0306": lambda: encode_on_own_lines(old, new, cursor, end),
        "v0316": lambda: encode_numbered(old, new, cursor, end, V0316_LIMITS),
        "v0317": lambda: encode_relative(old, new, cursor, end),
        "v0318": lambda: encode_numbered(old, new, cursor, end, V0318_LIMITS),
        "v0615": lambda: encode_hashed(old, new, cursor),
    }
    return {"output": encoders[given["variant"]]().decode()}


def table(given):
    files = PredictionInputs.from_json(given["prompt_input"]).related_files
    rows = [
        {
            "file_ix": file,
            "excerpt_ix": excerpt,
            "markers": [[marker.id, marker.offset] for marker in markers],
        }
        for (file, excerpt), markers in hashed_marker_table(files).items()
    ]
    return {"table": rows}


def span(given):
    found = extract_hashed_span(given["text"].encode())
    return {"start": found.start, "end": found.end, "content": found.content.decode()}


def region(given):
    found = extract_region(given["text"].encode())
    return {"text": None if found is None else found.decode()}


def ensure(given):
    ensured = ensure_cursor_file_excerpt(PredictionInputs.from_json(given["prompt_input"]))
    return {
        "covered": locate_cursor(ensured) is not None,
        "related_files": [file.to_json() for file in ensured.related_files],
    }


MARKER_FUNCTIONS = {
    "marker_offsets": (36, lambda i: {"offsets": marker_offsets(i["text"].encode(), LIMITS[i["variant"]])}),
    "v0327_editable_range": (
        5,
        lambda i: {
            "range": v0327_editable_range(i["text"].encode(), i["cursor_offset"], i["editable_tokens"]).to_json()
        },
    ),
    "hashed_markers": (
        14,
        lambda i: {"markers": [[marker.id, marker.offset] for marker in hashed_markers(i["text"].encode())]},
    ),
    "hashed_marker_table": (2, table),
    "write_markers": (14, write),
    "apply_markers": (16, apply),
    "nearest_marker": (3, lambda i: {"number": nearest_marker(i["offsets"], i["cursor_offset"])}),
    "is_good_block_start": (3, lambda i: {"value": is_good_block_start(i["trimmed_line"])}),
    "hash_line": (1, lambda i: {"hash": hash_line(i["line"].encode())}),
    "related_file_patch_path": (
        6,
        lambda i: {"path": related_file_patch_path(i["cursor_path"], i["related_path"])},
    ),
    "locate_cursor": (
        2,
        lambda i: {"cursor": locate_cursor(PredictionInputs.from_json(i["prompt_input"]))},
    ),
    "ensure_cursor_file_excerpt": (5, ensure),
    "extract_hashed_span": (2, span),
    "extract_region_from_markers": (2, region),
}


@pytest.mark.parametrize("function", MARKER_FUNCTIONS)
def test_markers_agree_with_zed(replay, function):
    expected, implementation = MARKER_FUNCTIONS[function]
    assert replay("markers.jsonl", function, implementation, errors=MarkerError) == expected


def test_all_111_vectors_of_the_markers_file_are_replayed():
    assert sum(count for count, _ in MARKER_FUNCTIONS.values()) == 111


def test_marker_answers_agree_with_zed(replay):
    assert replay("target.jsonl", "encode_markers", encode) == 28
