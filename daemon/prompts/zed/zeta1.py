"""Zeta1: the format of the first open weights (2025), plain text with headings and fences.

The region stands between two tags inside the excerpt; the model writes the tags and the new region. The first
two functions are as trusting as Zed (`zeta_prompt` at 09adbb01): an answer without tags is taken whole.
``Zeta1`` wants the start tag, and neither tag twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from capture.editing.excerpt import ranges_of_inputs
from capture.inputs import EditEvent, PredictionInputs, Span
from daemon.prompts.base import (
    Answer,
    CountTokens,
    Delimiters,
    NewRegion,
    NoEdit,
    NoEditReason,
    Prompt,
    Refusal,
    TargetError,
)
from daemon.prompts.guards import (
    is_boundary,
    is_covered,
    judge,
    no_edit_at_sight,
    stops_early,
    without_added_newline,
    without_clashing_context,
)
from daemon.prompts.sections import MAX_EDIT_EVENTS, contains_special_tokens, estimate_tokens, path_components
from daemon.prompts.zed.format import CURSOR_MARKER
from daemon.prompts.zed.safe import EXTRA_ANSWER_TOKENS

ZETA1_CURSOR_MARKER = "<|user_cursor_is_here|>"
START_OF_FILE = "<|start_of_file|>"
REGION_START = "<|editable_region_start|>"
REGION_END = "<|editable_region_end|>"
CLASH_TOKENS = (ZETA1_CURSOR_MARKER, START_OF_FILE, REGION_START, REGION_END)

EDITABLE_TOKENS = 350
CONTEXT_TOKENS = 150
MAX_PROMPT_TOKENS = 4096  # ours: Zed cuts nothing here, and a long history would leave no room for an answer

# The sentence the weights were trained with, to the letter.
INSTRUCTION = (
    "You are a code completion assistant and your task is to analyze user edits and then rewrite an excerpt "
    "that the user provides, suggesting the appropriate edits within the excerpt, taking into account the "
    "cursor location."
)


def format_zeta1_prompt(inputs: PredictionInputs, editable: Span, context: Span) -> str:
    """The prompt for an editable and a context range (bytes of the excerpt); never cut."""
    events = "\n\n".join(filter(None, map(_event_text, inputs.events[-MAX_EDIT_EVENTS:])))
    return (
        f"### Instruction:\n{INSTRUCTION}\n\n### User Edits:\n\n{events}"
        f"\n\n### User Excerpt:\n\n{_excerpt_text(inputs, editable, context)}\n\n### Response:\n"
    )


def clean_zeta1_output(output: str) -> str:
    """The new region as Zed reads it: between the tags, one line break trimmed on either side.

    A start tag that is missing is where the answer starts, an end tag where it ends; in the wrong order they
    leave nothing. The first cursor comes back as ``<|user_cursor|>``.
    """
    start_tag, end_tag, cursor_tag = (text.encode() for text in (REGION_START, REGION_END, ZETA1_CURSOR_MARKER))
    answer = output.encode()
    content = answer.replace(cursor_tag, b"")
    start, end = _region_start(content, start_tag), content.find(end_tag)
    if end < 0:
        end = len(content)
    elif content[:end].endswith(b"\n"):
        end -= 1
    if start > end:
        return ""
    text = content[start:end]
    cursor = answer.find(cursor_tag)
    if cursor < 0:
        return text.decode()
    offset = min(max(0, cursor - _region_start(answer[:cursor], start_tag)), len(text))
    return (text[:offset] + CURSOR_MARKER.encode() + text[offset:]).decode()


class Zeta1:
    """The ``PromptFormat`` of the Zeta1 weights, with the ranges of Zed's local provider."""

    name = "zeta1"
    stop = (REGION_END,)
    control_tokens = CLASH_TOKENS
    delimiters = Delimiters("### Instruction:\n", "### Response:\n")

    def render(self, inputs: PredictionInputs, count_tokens: CountTokens) -> Prompt | Refusal:
        """Zed's prompt less events that hold control tokens, the oldest ones left out where it grows too long."""
        ranges = ranges_of_inputs(inputs, EDITABLE_TOKENS, CONTEXT_TOKENS)
        if ranges is None or not is_covered(inputs, *ranges):
            return Refusal.CURSOR_NOT_COVERED
        editable, context = ranges
        shown = inputs.excerpt_bytes[context.start : context.end].decode()
        if "\n" in inputs.cursor_path or contains_special_tokens(f"{inputs.cursor_path}\n{shown}", CLASH_TOKENS):
            return Refusal.CONTROL_TOKENS
        screened = without_clashing_context(inputs, CLASH_TOKENS)
        candidates = (format_zeta1_prompt(fewer, editable, context) for fewer in _with_fewer_events(screened))
        text = next((prompt for prompt in candidates if estimate_tokens(prompt) <= MAX_PROMPT_TOKENS), None)
        if text is None:
            return Refusal.OVER_BUDGET
        region_text = inputs.excerpt_bytes[editable.start : editable.end].decode()
        return Prompt(
            text=text,
            stop=self.stop,
            region=editable,
            region_text=region_text,
            max_answer_tokens=count_tokens(region_text) * 3 // 2 + EXTRA_ANSWER_TOKENS,
        )

    def parse(self, inputs: PredictionInputs, prompt: Prompt, answer: str, *, finished: bool) -> Answer:
        """The new region and the first cursor in it, or no edit with the reason; never raises."""
        del inputs
        refused = no_edit_at_sight(answer, finished=finished)
        if refused is not None:
            return refused
        if answer.count(REGION_START) != 1 or answer.count(REGION_END) > 1:
            return NoEdit(NoEditReason.MALFORMED)
        _, _, behind_start = answer.partition(REGION_START)
        if REGION_END in answer and REGION_END not in behind_start:
            return NoEdit(NoEditReason.MALFORMED)
        # The engine cuts the end tag off, but not the line break before it.
        shown, end_tag, _ = behind_start.partition(REGION_END)
        written = shown.removeprefix("\n")
        before_cursor, cursor_marker, _ = written.partition(ZETA1_CURSOR_MARKER)
        written = written.replace(ZETA1_CURSOR_MARKER, "")
        if not end_tag and stops_early(prompt.region_text, written):
            return NoEdit(NoEditReason.MALFORMED)
        new_text = written.removesuffix("\n")
        text = without_added_newline(prompt.region_text, new_text)
        cursor = min(len(before_cursor.encode()), len(text.encode())) if cursor_marker else None
        return judge(prompt.region_text, NewRegion(text, cursor), CLASH_TOKENS)

    def training_target(self, inputs: PredictionInputs, prompt: Prompt, new_region: NewRegion) -> str:
        """The tags and the new region; raises TargetError when ``parse`` would not give it back."""
        data, cursor = new_region.text.encode(), new_region.cursor_offset_bytes
        if cursor is not None:
            if not 0 <= cursor <= len(data) or not is_boundary(data, cursor):
                raise TargetError(f"the cursor at byte {cursor} is no place in the new region")
            data = data[:cursor] + ZETA1_CURSOR_MARKER.encode() + data[cursor:]
        target = f"{REGION_START}\n{data.decode()}\n{REGION_END}"
        read = self.parse(inputs, prompt, target, finished=True)
        unchanged = new_region.text == prompt.region_text and isinstance(read, NoEdit)
        if read != new_region and not unchanged:
            raise TargetError("the format cannot say this region: its answer would be read as another or as no edit")
        return target


ZETA1 = Zeta1()


def _region_start(content: bytes, start_tag: bytes) -> int:
    """Where the region starts: behind the tag and its line break, 0 without a tag."""
    tag = content.find(start_tag)
    if tag < 0:
        return 0
    behind = tag + len(start_tag)
    return behind + 1 if content[behind : behind + 1] == b"\n" else behind


def _event_text(event: EditEvent) -> str:
    """A rename and the hunks in a fence; empty for an event that has neither."""
    renamed = path_components(event.old_path) != path_components(event.path)
    rename = f"User renamed {event.old_path} to {event.path}\n\n" if renamed else ""
    return rename + (f"User edited {event.path}:\n```diff\n{event.diff}\n```" if event.diff else "")


def _excerpt_text(inputs: PredictionInputs, editable: Span, context: Span) -> str:
    excerpt, cursor = inputs.excerpt_bytes, inputs.cursor_offset_in_excerpt
    starts_file = inputs.excerpt_start_row == 0 and context.start == 0
    parts: Sequence[bytes] = (
        excerpt[context.start : editable.start],
        f"{REGION_START}\n".encode(),
        excerpt[editable.start : cursor],
        ZETA1_CURSOR_MARKER.encode(),
        excerpt[cursor : editable.end],
        f"\n{REGION_END}".encode(),
        excerpt[editable.end : context.end],
    )
    opening = f"```{inputs.cursor_path}\n" + (f"{START_OF_FILE}\n" if starts_file else "")
    return opening + b"".join(parts).decode() + "\n```"


def _with_fewer_events(inputs: PredictionInputs) -> Iterator[PredictionInputs]:
    """The inputs with the newest events, fewer and fewer, down to none."""
    newest = inputs.events[-MAX_EDIT_EVENTS:]
    for left_out in range(len(newest) + 1):
        yield replace(inputs, events=newest[left_out:])
