"""The sections that several prompt formats share, each cut to a token budget.

Tokens are estimated, never counted: bytes // 3, as Zed does (`zeta_prompt` at 09adbb01). A section that is
left out is the empty string. Knows nothing of any one format: the caller gives file markers and names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from capture.editing.excerpt import BYTES_PER_TOKEN
from capture.editing.unified_diff import split_lines
from capture.inputs import ActiveBufferDiagnostic, EditEvent, RelatedExcerpt, RelatedFile, Span
from daemon.prompts.selection import smallest

MAX_EDIT_EVENTS = 6
MAX_DIAGNOSTICS = 10
DIAGNOSTIC_SNIPPET_TOKENS = 256
ACCEPTED_PREDICTION_LINE = "// User accepted prediction:\n"
OMITTED_ROWS_LINE = "...\n"


def estimate_tokens(text: str) -> int:
    """Estimated tokens of a text: its UTF-8 bytes divided by 3, rounded down."""
    return len(text.encode()) // BYTES_PER_TOKEN


def apply_budget_margin(max_tokens: int) -> int:
    """The nine tenths of a prompt budget that are planned with; the rest makes up for the estimate."""
    return max_tokens * 9 // 10


def ends_with_newline(text: str) -> str:
    """The text, with a newline added where it does not end in one."""
    return text if text.endswith("\n") else text + "\n"


def contains_special_tokens(text: str, special_tokens: Iterable[str]) -> bool:
    """Whether the text would be read as control tokens.

    A token that ends in a newline clashes only with a whole line equal to it, any other wherever it occurs.
    """
    lines = frozenset(split_lines(text))
    return any(token.removesuffix("\n") in lines if token.endswith("\n") else token in text for token in special_tokens)


def path_components(path: str) -> list[str]:
    """Components of a path as Rust's std::path sees them: a leading "/" is one, "." only where it leads."""
    root = ["/"] if path.startswith("/") else []
    parts = path.split("/")
    leading_dot = ["."] if parts[0] == "." else []
    return root + leading_dot + [part for part in parts if part not in ("", ".")]


def write_event(event: EditEvent) -> str:
    """One edit event: two file headers and the hunks as they are."""
    old_path = "".join(f"/{part}" for part in path_components(event.old_path))
    path = "".join(f"/{part}" for part in path_components(event.path))
    accepted = ACCEPTED_PREDICTION_LINE if event.predicted else ""
    return f"{accepted}--- a{old_path}\n+++ b{path}\n{event.diff}"


def format_edit_history(
    events: Sequence[EditEvent],
    file_marker: str,
    name: str,
    max_tokens: int,
    max_events: int = MAX_EDIT_EVENTS,
) -> str:
    """The newest events that fit, oldest first, under the header ``{file_marker}{name}``.

    The first event that does not fit ends the selection.
    """
    header = f"{file_marker}{name}\n"
    spent = estimate_tokens(header)
    if spent >= max_tokens:
        return ""
    chosen: list[str] = []
    for event in list(reversed(events))[:max_events]:
        text = write_event(event)
        spent += estimate_tokens(text)
        if spent > max_tokens:
            break
        chosen.append(text)
    return header + "".join(reversed(chosen)) if chosen else ""


def filter_redundant_excerpts(
    related_files: Iterable[RelatedFile], cursor_path: str, cursor_rows: Span
) -> tuple[RelatedFile, ...]:
    """Drop the excerpts of the cursor's file that the cursor's own context already shows in full.

    Paths are equal when their components are. Files without an excerpt, whichever they are, are dropped as well.
    """
    cursor_components = path_components(cursor_path)
    kept: list[RelatedFile] = []
    for file in related_files:
        excerpts = file.excerpts
        if path_components(file.path) == cursor_components:
            excerpts = tuple(
                excerpt
                for excerpt in file.excerpts
                if excerpt.row_range.start < cursor_rows.start or excerpt.row_range.end > cursor_rows.end
            )
        if excerpts:
            kept.append(replace(file, excerpts=excerpts))
    return tuple(kept)


def format_related_files(related_files: Sequence[RelatedFile], file_marker: str, max_tokens: int) -> str:
    """The most important excerpts that fit, in their original order, each file under ``{file_marker}{path}``.

    Excerpts compete by ``(order, file, excerpt)``; the first that does not fit ends the selection.
    """
    candidates = sorted(
        (excerpt.order, file_index, excerpt_index)
        for file_index, file in enumerate(related_files)
        for excerpt_index, excerpt in enumerate(file.excerpts)
    )
    chosen: defaultdict[int, list[int]] = defaultdict(list)
    spent = 0
    for _, file_index, excerpt_index in candidates:
        file = related_files[file_index]
        cost = _excerpt_tokens(file.excerpts[excerpt_index], file.max_row)
        if file_index not in chosen:
            cost += estimate_tokens(_file_header(file_marker, file))
        if spent + cost > max_tokens:
            break
        spent += cost
        chosen[file_index].append(excerpt_index)

    parts: list[str] = []
    for file_index in sorted(chosen):
        file = related_files[file_index]
        parts.append(_file_header(file_marker, file))
        parts.append(_excerpts_text([file.excerpts[index] for index in sorted(chosen[file_index])], file.max_row))
    return "".join(parts)


def _file_header(file_marker: str, file: RelatedFile) -> str:
    return f"{file_marker}{file.path}\n"


def _excerpt_tokens(excerpt: RelatedExcerpt, max_row: int) -> int:
    """What an excerpt costs; the line for omitted rows is counted even where none is written after it."""
    text = _excerpt_lines(excerpt)
    return estimate_tokens(text + OMITTED_ROWS_LINE if excerpt.row_range.end < max_row else text)


def _excerpt_lines(excerpt: RelatedExcerpt) -> str:
    return ends_with_newline(excerpt.text) if excerpt.text else ""


def _excerpts_text(excerpts: list[RelatedExcerpt], max_row: int) -> str:
    """Excerpts of one file, with a line of dots wherever rows are left out between them or after them."""
    parts: list[str] = []
    next_starts = [excerpt.row_range.start for excerpt in excerpts[1:]] + [max_row]
    for excerpt, next_start in zip(excerpts, next_starts, strict=True):
        parts.append(_excerpt_lines(excerpt))
        if excerpt.row_range.end < next_start:
            parts.append(OMITTED_ROWS_LINE)
    return "".join(parts)


def clamp_text(text: str, max_tokens: int) -> str:
    """The whole lines at the start of the text that fit; the text itself where it fits."""
    data = text.encode()
    limit_bytes = (max_tokens + 1) * BYTES_PER_TOKEN - 1
    if len(data) <= limit_bytes:
        return text
    return data[: data.rfind(b"\n", 0, limit_bytes) + 1].decode()


def format_diagnostics(
    diagnostics: Sequence[ActiveBufferDiagnostic], file_marker: str, cursor_row: int | None, max_tokens: int
) -> str:
    """The diagnostics nearest to the cursor row that fit, in that order; in given order without a row.

    Equally near ones stand as Zed has them, which above 10 diagnostics is not the given order (`selection`).
    """
    header = f"{file_marker}diagnostics\n"
    spent = estimate_tokens(header)
    if not diagnostics or spent >= max_tokens:
        return ""
    nearest = diagnostics[:MAX_DIAGNOSTICS]
    if cursor_row is not None:
        distances = [_rows_between(item.snippet_buffer_row_range, cursor_row) for item in diagnostics]
        nearest = [diagnostics[index] for index in smallest(distances, MAX_DIAGNOSTICS)]
    chosen: list[str] = []
    for diagnostic in nearest:
        text = _diagnostic_text(diagnostic)
        spent += estimate_tokens(text)
        if spent > max_tokens:
            break
        chosen.append(text)
    return header + "".join(chosen) if chosen else ""


def _rows_between(rows: Span, cursor_row: int) -> int:
    return abs(cursor_row - rows.start) + abs(cursor_row - rows.end)


def _diagnostic_text(diagnostic: ActiveBufferDiagnostic) -> str:
    snippet = clamp_text(diagnostic.snippet, DIAGNOSTIC_SNIPPET_TOKENS)
    if not snippet:
        return f"*{diagnostic.message}*\n"
    dots = "..." if snippet != diagnostic.snippet else ""
    return f"*{diagnostic.message}*:\n```\n{snippet}{dots}\n```\n"
