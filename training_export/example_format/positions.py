"""Offsets and markers of an example that must be right, or its prompt would be cut at the wrong place.

Zed ends with a panic on most of these; here they are refused by path and reason, before training sees them.
Takes JSON of the right shape (`example_shape`). Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training_export.errors import ExampleRejected
from training_export.example_format.cursor_position import CursorForm, CursorUnreadable, read_cursor_position
from training_export.example_format.patch_traps import why_unreadable


def check_positions(value: Mapping[str, Any]) -> None:
    """Raises ExampleRejected where an offset, a cursor or a patch cannot be what was meant."""
    inputs = value.get("prompt_inputs")
    if inputs is not None:
        _check_inputs(inputs)
    _check_cursor(value["cursor_position"], inputs)
    for index, patch in enumerate(value["expected_patches"]):
        _check_patch(f"expected_patches[{index}]", patch)
    if value.get("rejected_patch") is not None:
        _check_patch("rejected_patch", value["rejected_patch"])


def _check_cursor(marked: str, inputs: Mapping[str, Any] | None) -> None:
    try:
        found = read_cursor_position(marked)
    except CursorUnreadable as error:
        raise ExampleRejected("cursor_position", str(error)) from error
    if found.form is CursorForm.IMPORTED and (
        inputs is None
        or (inputs["cursor_excerpt"], inputs["cursor_offset_in_excerpt"]) != (found.text, found.offset_bytes)
    ):
        reason = "[CURSOR_POSITION] must stand in a comment line behind ^ or <; in the text, mark with <|user_cursor|>"
        raise ExampleRejected("cursor_position", reason)


def _check_patch(path: str, patch: str) -> None:
    reason = why_unreadable(patch)
    if reason:
        raise ExampleRejected(path, reason)


def _check_inputs(inputs: Mapping[str, Any]) -> None:
    excerpt = inputs["cursor_excerpt"].encode()
    _check_offset("prompt_inputs.cursor_offset_in_excerpt", inputs["cursor_offset_in_excerpt"], excerpt)
    ranges = [(f"excerpt_ranges.{key}", span) for key, span in inputs["excerpt_ranges"].items() if span is not None]
    ranges += [(f"syntax_ranges[{index}]", span) for index, span in enumerate(inputs.get("syntax_ranges") or ())]
    for key, span in ranges:
        path = f"prompt_inputs.{key}"
        if span["start"] > span["end"]:
            raise ExampleRejected(path, f"starts at {span['start']}, behind its end {span['end']}")
        for side in ("start", "end"):
            _check_offset(f"{path}.{side}", span[side], excerpt)


def _check_offset(path: str, offset: int, text: bytes) -> None:
    if offset > len(text):
        raise ExampleRejected(path, f"{offset} lies outside the excerpt of {len(text)} bytes")
    if offset < len(text) and text[offset] & 0xC0 == 0x80:
        raise ExampleRejected(path, f"{offset} lies inside a UTF-8 character of the excerpt")
