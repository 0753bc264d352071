"""What may go into a prompt, and what may come out of an answer, whatever the format.

A prompt is tokenised with control tokens recognised, so text of the user that looks like one would change
the prompt's structure; and no answer may put a control token or a left-over sentinel into a buffer, or delete
text because it was cut short. Knows nothing of any one format: each hands in its own tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from capture.inputs import PredictionInputs, RelatedFile, Span
from daemon.prompts.base import Answer, NewRegion, NoEdit, NoEditReason
from daemon.prompts.sections import contains_special_tokens, write_event

# Words that training targets of some models leaked: they mean "no edit", whatever the format says.
SENTINELS = ("NO_EDITS", "KEEP_PREVIOUS")

# No answer may add any of these, in any format: sentinels, and what gives the known families' prompts their
# structure. One that ends in a newline counts as a whole line.
NEVER_IN_A_BUFFER = (
    *SENTINELS,
    "<<<<<<< CURRENT\n",
    ">>>>>>> UPDATED\n",
    "<|user_cursor",
    "<|marker",
    "<[fim-",
    "<[end\u2581of\u2581sentence]>",
    "<|endoftext|>",
    "<|file_sep|>",
    "<|fim_",
    "<|im_end|>",
    "<|im_start|>",
)


def is_covered(inputs: PredictionInputs, editable: Span, context: Span) -> bool:
    """Whether the ranges lie in the excerpt and around the cursor, all on character boundaries."""
    data, cursor = inputs.excerpt_bytes, inputs.cursor_offset_in_excerpt
    offsets = [0, context.start, editable.start, cursor, editable.end, context.end, len(data)]
    return offsets == sorted(offsets) and all(is_boundary(data, offset) for offset in offsets)


def is_boundary(data: bytes, offset: int) -> bool:
    """Whether no UTF-8 character spans this byte offset."""
    return offset >= len(data) or data[offset] & 0xC0 != 0x80


def without_clashing_context(inputs: PredictionInputs, tokens: Sequence[str]) -> PredictionInputs:
    """The inputs less the events, excerpts and diagnostics that contain a control token of the format."""
    events = tuple(event for event in inputs.events if not contains_special_tokens(write_event(event), tokens))
    related = None if inputs.related_files is None else _without_clashes(inputs.related_files, tokens)
    diagnostics = tuple(
        item
        for item in inputs.active_buffer_diagnostics
        if not contains_special_tokens(f"{item.message}\n{item.snippet}", tokens)
    )
    return replace(inputs, events=events, related_files=related, active_buffer_diagnostics=diagnostics)


def _without_clashes(files: Sequence[RelatedFile], tokens: Sequence[str]) -> tuple[RelatedFile, ...]:
    return tuple(
        replace(
            file,
            excerpts=tuple(excerpt for excerpt in file.excerpts if not contains_special_tokens(excerpt.text, tokens)),
        )
        for file in files
        if not contains_special_tokens(file.path, tokens)
    )


def no_edit_at_sight(answer: str, *, finished: bool) -> NoEdit | None:
    """The reason why an answer is no edit before its format is even looked at, None if there is none."""
    if not finished:
        return NoEdit(NoEditReason.UNFINISHED)
    words = answer.strip()
    if not words:
        return NoEdit(NoEditReason.EMPTY)
    if words in SENTINELS:
        return NoEdit(NoEditReason.SAID_SO)
    if any("\ud800" <= character <= "\udfff" for character in words):
        return NoEdit(NoEditReason.MALFORMED)
    return None


def stops_early(region_text: str, answer: str) -> bool:
    """Whether a whole-region answer ends inside a line before the region's end, so that text is missing.

    Complete answers end in a newline, or else in the region's last line, or have all of the region's lines.
    """
    if answer.endswith("\n"):
        return False
    region_lines, answer_lines = region_text.removesuffix("\n").split("\n"), answer.split("\n")
    return answer_lines[-1] != region_lines[-1] and len(answer_lines) < len(region_lines)


def without_added_newline(region_text: str, new_text: str) -> str:
    """Undo the newline that formats put behind a region that has none of its own."""
    if region_text.endswith("\n"):
        return new_text if new_text.endswith("\n") else new_text + "\n"
    return new_text.removesuffix("\n")


def judge(region_text: str, new: NewRegion, tokens: Sequence[str]) -> Answer:
    """The new region if it may be shown, else why not: unchanged, all text gone, or control tokens added."""
    if new.text == region_text:
        return NoEdit(NoEditReason.UNCHANGED)
    if region_text.strip() and not new.text.strip():
        return NoEdit(NoEditReason.EMPTY)
    found = ((token, _times(token, new.text)) for token in (*tokens, *NEVER_IN_A_BUFFER))
    if any(times and times > _times(token, region_text) for token, times in found):
        return NoEdit(NoEditReason.CONTROL_TOKENS)
    return new


def _times(token: str, text: str) -> int:
    """How often a token occurs; one that ends in a newline counts only as a whole line."""
    if token.endswith("\n"):
        if token[:-1] not in text:
            return 0
        line = token.removesuffix("\n")
        return sum(candidate.removesuffix("\r") == line for candidate in text.split("\n"))
    return text.count(token)
