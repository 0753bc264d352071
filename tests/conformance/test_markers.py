"""Markers stand, are written and are read as Zed's own code was recorded to do it."""

from capture.inputs import PredictionInputs
from daemon.prompts.zed.hashed_markers import (
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
    apply_numbered,
    apply_on_own_lines,
    apply_relative,
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

FILE = "markers.jsonl"
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


def v0327_range(given):
    return {
        "range": v0327_editable_range(
            given["text"].encode(), given["cursor_offset"], given["editable_tokens"]
        ).to_json()
    }


def table(given):
    files = PredictionInputs.from_json(given["prompt_input"]).related_files
    rows = [
        {
            "file_ix": file,
            "excerpt_ix": excerpt,
            "markers": [[marker.id, marker.offset] for marker in markers],
        }
        for (file, excerpt), markers in hashed_marker_table(files or ()).items()
    ]
    return {"table": rows}


def span(given):
    found = extract_hashed_span(given["text"].encode())
    return {"start": found.start, "end": found.end, "content": found.content.decode()}


def region(given):
    found = extract_region(given["text"].encode())
    return {"text": None if found is None else found.decode()}


def located(given):
    place = locate_cursor(PredictionInputs.from_json(given["prompt_input"]))
    if place is None:
        return {"cursor": None}
    return {
        "cursor": {
            "file_ix": place.file_index,
            "excerpt_ix": place.excerpt_index,
            "offset_in_excerpt": place.offset,
        }
    }


def ensure(given):
    ensured = ensure_cursor_file_excerpt(PredictionInputs.from_json(given["prompt_input"]))
    files = ensured.related_files
    return {
        "covered": locate_cursor(ensured) is not None,
        "related_files": None if files is None else [file.to_json() for file in files],
    }


FUNCTIONS = {
    "marker_offsets": lambda given: {"offsets": marker_offsets(given["text"].encode(), LIMITS[given["variant"]])},
    "v0327_editable_range": v0327_range,
    "hashed_markers": lambda given: {
        "markers": [[marker.id, marker.offset] for marker in hashed_markers(given["text"].encode())]
    },
    "hashed_marker_table": table,
    "write_markers": write,
    "apply_markers": apply,
    "nearest_marker": lambda given: {"number": nearest_marker(given["offsets"], given["cursor_offset"])},
    "is_good_block_start": lambda given: {"value": is_good_block_start(given["trimmed_line"])},
    "hash_line": lambda given: {"hash": hash_line(given["line"].encode())},
    "related_file_patch_path": lambda given: {
        "path": related_file_patch_path(given["cursor_path"], given["related_path"])
    },
    "locate_cursor": located,
    "ensure_cursor_file_excerpt": ensure,
    "extract_hashed_span": span,
    "extract_region_from_markers": region,
}


def test_vector(vector, check):
    check(FUNCTIONS, vector)
