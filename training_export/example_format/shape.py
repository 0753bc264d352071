"""The shape of an Example as JSON: which keys, which types, what may be absent or null.

The tables follow Zed's serde structs (`example_spec.rs`, `example.rs`, `qa.rs`, `prediction_score.rs` and
`zeta_prompt` at 09adbb01): a key of a list or text with a default may be absent but not null, an optional one
may be both. Keys the tables do not name are let through untouched. Knows nothing of what the texts hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, get_args

from capture.inputs import ContextSource
from training_export.errors import ExampleRejected
from training_export.example_format.json_line import join_path, kind_of

Shape = Callable[[object, str], None]

U8_MAX: Final = 2**8 - 1
U32_MAX: Final = 2**32 - 1
USIZE_MAX: Final = 2**64 - 1


def check_shape(value: Mapping[str, Any]) -> None:
    """Raises ExampleRejected at the first key that is missing or of the wrong type."""
    EXAMPLE(value, "")


def text(value: object, path: str) -> None:
    """Any string."""
    if not isinstance(value, str):
        raise ExampleRejected(path, f"must be a string, is {kind_of(value)}")


def truth(value: object, path: str) -> None:
    """True or false."""
    if not isinstance(value, bool):
        raise ExampleRejected(path, f"must be true or false, is {kind_of(value)}")


def number(value: object, path: str) -> None:
    """Any number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ExampleRejected(path, f"must be a number, is {kind_of(value)}")


def whole(largest: int) -> Shape:
    """An integer from 0 to ``largest``; 1.0 is none."""

    def check(value: object, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            found = repr(value) if isinstance(value, float) else kind_of(value)
            raise ExampleRejected(path, f"must be a whole number, is {found}")
        if not 0 <= value <= largest:
            raise ExampleRejected(path, f"must lie between 0 and {largest}, is {value}")

    return check


def one_of(*names: str) -> Shape:
    """One of some strings."""

    def check(value: object, path: str) -> None:
        if value not in names:
            found = repr(value) if isinstance(value, str) else kind_of(value)
            raise ExampleRejected(path, f"must be one of {', '.join(map(repr, names))}, is {found}")

    return check


def nullable(shape: Shape) -> Shape:
    """Null, or what ``shape`` says."""

    def check(value: object, path: str) -> None:
        if value is not None:
            shape(value, path)

    return check


def list_of(shape: Shape) -> Shape:
    """A list whose items are all of one shape."""

    def check(value: object, path: str) -> None:
        if not isinstance(value, list):
            raise ExampleRejected(path, f"must be a list, is {kind_of(value)}")
        for index, item in enumerate(value):
            shape(item, join_path(path, index))

    return check


def record(required: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None) -> Shape:
    """An object with some keys; others may be there too."""
    known = {**required, **(optional or {})}

    def check(value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise ExampleRejected(path, f"must be an object, is {kind_of(value)}")
        for key in required:
            if key not in value:
                raise ExampleRejected(join_path(path, key), "is missing")
        for key, shape in known.items():
            if key in value:
                shape(value[key], join_path(path, key))

    return check


_U32 = whole(U32_MAX)
_USIZE = whole(USIZE_MAX)
_BYTES = record({"start": _USIZE, "end": _USIZE})
_ROWS = record({"start": _U32, "end": _U32})

_EVENT = record(
    {"event": one_of("BufferChange"), "path": text, "old_path": text, "diff": text},
    {"old_range": _BYTES, "new_range": _BYTES, "predicted": truth, "in_open_source_repo": truth},
)
_RELATED_EXCERPT = record(
    {"row_range": _ROWS, "text": text},
    {"order": _USIZE, "context_source": one_of(*get_args(ContextSource))},
)
_RELATED_FILE = record(
    {"path": text, "max_row": _U32, "excerpts": list_of(_RELATED_EXCERPT)}, {"in_open_source_repo": truth}
)
_DIAGNOSTIC = record(
    {"message": text, "snippet": text, "snippet_buffer_row_range": _ROWS, "diagnostic_range_in_snippet": _BYTES},
    {"severity": nullable(whole(2**31 - 1))},
)


def _excerpt_ranges(value: object, path: str) -> None:
    """Any keys: which there are depends on Zed's version, and a null counts as absent."""
    record({})(value, path)
    if isinstance(value, dict):
        for key, span in value.items():
            nullable(_BYTES)(span, join_path(path, key))


PROMPT_INPUTS = record(
    {
        "cursor_path": text,
        "cursor_excerpt": text,
        "cursor_offset_in_excerpt": _USIZE,
        "events": list_of(_EVENT),
        "excerpt_ranges": _excerpt_ranges,
    },
    {
        "excerpt_start_row": nullable(_U32),
        "related_files": nullable(list_of(_RELATED_FILE)),
        "active_buffer_diagnostics": list_of(_DIAGNOSTIC),
        "syntax_ranges": nullable(list_of(_BYTES)),
        "in_open_source_repo": truth,
        "can_collect_data": truth,
        "repo_url": nullable(text),
    },
)

_RECENT_FILE = record({"path": text}, {"cursor_position": nullable(_USIZE)})
_TELEMETRY = record({"request_id": text, "device_id": text, "time": text, "rejection_reason": text, "was_shown": truth})
_PROMPT = record(
    {"input": text, "provider": text},
    {"expected_output": nullable(text), "rejected_output": nullable(text), "prefill": nullable(text)},
)
_CURSOR = record(
    {"path": text, "row": _U32, "column": _U32, "offset": _USIZE}, {"editable_region_offset": nullable(_USIZE)}
)
_PREDICTION = record(
    {"actual_output": nullable(text), "provider": text},
    {
        "actual_patch": nullable(text),
        "actual_cursor": nullable(_CURSOR),
        "error": nullable(text),
        "cumulative_logprob": nullable(number),
        "avg_logprob": nullable(number),
    },
)
_QA = record(
    {},
    {
        "reasoning": nullable(text),
        "reverts_edits": nullable(truth),
        "confidence": nullable(whole(U8_MAX)),
        "response": nullable(text),
        "error": nullable(text),
    },
)
_LOCATION = record(
    {
        f"{of}_{what}": shape
        for of in ("lines", "files")
        for shape, names in ((_USIZE, ("tp", "fp", "fn")), (number, ("precision", "recall", "f1")))
        for what in names
    }
)
_SCORE = record(
    {"delta_chr_f": number},
    {
        **dict.fromkeys(
            (
                "delta_chr_f_true_positives", "delta_chr_f_false_positives", "delta_chr_f_false_negatives",
                "braces_disbalance", "exact_lines_tp", "exact_lines_fp", "exact_lines_fn",
                "inserted_tokens", "deleted_tokens",
            ),
            _USIZE,
        ),
        **dict.fromkeys(("delta_chr_f_precision", "delta_chr_f_recall", "delta_chr_f_beta", "reversal_ratio"), number),
        **dict.fromkeys(
            ("cursor_distance", "kept_chars", "correctly_deleted_chars", "discarded_chars"), nullable(_USIZE)
        ),
        **dict.fromkeys(("kept_rate", "recall_rate", "cumulative_logprob", "avg_logprob"), nullable(number)),
        **dict.fromkeys(("cursor_exact_match", "wrong_editable_region"), nullable(truth)),
        "has_isolated_whitespace_changes": truth,
        "editable_context_coverage": nullable(_LOCATION),
        "jump_location": nullable(_LOCATION),
    },
)  # fmt: skip

EXAMPLE = record(
    {
        "repository_url": text,
        "revision": text,
        "cursor_path": text,
        "cursor_position": text,
        "edit_history": text,
        "expected_patches": list_of(text),
    },
    {
        "name": text,
        "tags": list_of(text),
        "reasoning": nullable(text),
        "uncommitted_diff": text,
        "recently_opened_files": list_of(_RECENT_FILE),
        "recently_viewed_files": list_of(_RECENT_FILE),
        "uncommitted_diff_contains_edit_history": truth,
        "rejected_patch": nullable(text),
        "telemetry": nullable(_TELEMETRY),
        "human_feedback": list_of(record({"message": text})),
        "rating": nullable(one_of("Positive", "Negative")),
        "prompt_inputs": nullable(PROMPT_INPUTS),
        "prompt": nullable(_PROMPT),
        "predictions": list_of(_PREDICTION),
        "score": list_of(_SCORE),
        "qa": list_of(nullable(_QA)),
        "zed_version": nullable(text),
    },
)
