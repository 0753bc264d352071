"""The Zeta formats behind the daemon's interface: Zed's prompts, and a reading of answers that is not Zed's.

Zed trusts an answer: an empty or truncated one deletes the region, and sentinels become text. Here such
answers are no edit, and what would not be read back is not taught. Knows nothing of any one format beyond its
``ZetaFormat``.
"""

from __future__ import annotations

from dataclasses import dataclass

from capture.inputs import PredictionInputs
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
    without_added_newline,
    without_clashing_context,
)
from daemon.prompts.sections import contains_special_tokens
from daemon.prompts.zed.answer import take_cursor
from daemon.prompts.zed.format import ZetaConstants, ZetaFormat
from daemon.prompts.zed.marker_spans import MarkerError
from daemon.prompts.zed.prompt import format_zeta_ranges

# An answer may be half as long again as the region, and this much more for insertions and tags.
EXTRA_ANSWER_TOKENS = 128


def stop_strings(zeta: ZetaConstants) -> tuple[str, ...]:
    """What ends an answer: the end marker, less its newline so that one token less is decoded, and ends of sequence."""
    end_marker = zeta.end_marker.removesuffix("\n")
    return tuple(dict.fromkeys((end_marker, *zeta.tokens.ends) if end_marker else zeta.tokens.ends))


@dataclass(frozen=True, slots=True)
class ZetaPrompts:
    """A ``PromptFormat`` over a Zeta format; ``stop`` ends an answer (see ``stop_strings``)."""

    name: str
    zeta: ZetaFormat
    stop: tuple[str, ...]

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """Zed's own for this format, and those of the model's family."""
        tokens = self.zeta.tokens
        return (*self.zeta.clash_tokens, *tokens.ends, *tokens.others)

    @property
    def delimiters(self) -> Delimiters:
        """Those Zed trains with."""
        return Delimiters(self.zeta.instruction_part, self.zeta.response_part)

    def render(self, inputs: PredictionInputs, count_tokens: CountTokens) -> Prompt | Refusal:
        """Zed's prompt for the inputs, less events and excerpts that hold control tokens.

        Refused when the cursor's own surroundings hold them, when the ranges do not hold the cursor, and over
        budget.
        """
        ranges = self.zeta.ranges(inputs, self.zeta.editable_tokens, self.zeta.context_tokens)
        if ranges is None or not is_covered(inputs, *ranges):
            return Refusal.CURSOR_NOT_COVERED
        editable, context = ranges
        region = inputs.excerpt_bytes[editable.start : editable.end]
        region_text = region.decode()
        shown = inputs.excerpt_bytes[context.start : context.end].decode()
        if (
            contains_special_tokens(f"{inputs.cursor_path}\n{shown}", self.control_tokens)
            or "\n" in inputs.cursor_path
            or any(stop in region_text for stop in self.stop)
        ):
            return Refusal.CONTROL_TOKENS
        text = format_zeta_ranges(without_clashing_context(inputs, self.control_tokens), self.zeta, ranges)
        if text is None:
            return Refusal.OVER_BUDGET
        prefill = self.zeta.prefill(region).decode()
        return Prompt(
            text=text + prefill,
            stop=self.stop,
            region=editable,
            region_text=region_text,
            max_answer_tokens=count_tokens(region_text) * 3 // 2 + EXTRA_ANSWER_TOKENS,
            prefill=prefill,
        )

    def parse(self, inputs: PredictionInputs, prompt: Prompt, answer: str, *, finished: bool) -> Answer:
        """The new region, or no edit with the reason; never raises, whatever the answer."""
        refused = no_edit_at_sight(answer, finished=finished)
        if refused is not None:
            return refused
        region = prompt.region_text.encode()
        written = (prompt.prefill + answer).removesuffix(self.zeta.end_marker).encode()
        cursor = inputs.cursor_offset_in_excerpt - prompt.region.start
        doubt = self.zeta.region.doubt(region, written, cursor)
        if doubt is not None:
            return NoEdit(doubt)
        try:
            read = self.zeta.region.read(region, written, cursor).decode()
        except MarkerError:
            return NoEdit(NoEditReason.MALFORMED)
        new_text, cursor_offset = take_cursor(read)
        text = without_added_newline(prompt.region_text, new_text)
        if cursor_offset is not None:
            cursor_offset = min(cursor_offset, len(text.encode()))
        return judge(prompt.region_text, NewRegion(text, cursor_offset), (*self.control_tokens, *self.stop))

    def training_target(self, inputs: PredictionInputs, prompt: Prompt, new_region: NewRegion) -> str:
        """The answer for a new region, without the prefill and with the end marker, as Zed writes it.

        Raises TargetError when ``parse`` would not give the region back, its cursor included: for a region
        that becomes blank or loses its last newline, for one that holds control text, for a cursor the answer
        has no place for.
        """
        target = self._written(prompt, new_region)
        if not target.startswith(prompt.prefill):
            raise TargetError("the edit or the cursor lies in the part of the region that the prompt writes itself")
        target = target.removeprefix(prompt.prefill)
        read = self.parse(inputs, prompt, _up_to_stop(target, self.stop), finished=True)
        unchanged = new_region.text == prompt.region_text and isinstance(read, NoEdit)
        if read != new_region and not unchanged:
            raise TargetError(f"the answer for this region would be read as {_described(read)}")
        return target

    def _written(self, prompt: Prompt, new_region: NewRegion) -> str:
        """The whole answer; a region is written with a newline at its end whether it has one or not."""
        region, new_text = prompt.region_text, new_region.text
        cursor = new_region.cursor_offset_bytes
        if any("\ud800" <= character <= "\udfff" for character in new_text):
            raise TargetError("the new region holds half a character")
        if cursor is not None and not _is_offset_in(new_text, cursor):
            raise TargetError(f"the cursor at byte {cursor} lies in no character of the new region")
        if not region.endswith("\n"):
            region, new_text = region + "\n", new_text + "\n"
        return self.zeta.region.write(region.encode(), new_text.encode(), cursor).decode() + self.zeta.end_marker


def _is_offset_in(text: str, offset_bytes: int) -> bool:
    data = text.encode()
    return 0 <= offset_bytes <= len(data) and is_boundary(data, offset_bytes)


def _up_to_stop(answer: str, stop: tuple[str, ...]) -> str:
    """The answer as the engine hands it over."""
    return answer[: min((answer.find(text) for text in stop if text in answer), default=len(answer))]


def _described(answer: Answer) -> str:
    return f"no edit ({answer.reason.value})" if isinstance(answer, NoEdit) else "another edit"
