"""The Zeta formats behind the daemon's interface: Zed's prompts, and a reading of answers that is not Zed's.

Zed trusts an answer: an empty or truncated one deletes the region, and sentinels become text. Here such
answers are no edit. Knows nothing of any one format beyond its ``ZetaFormat``.
"""

from __future__ import annotations

from dataclasses import dataclass

from capture.inputs import PredictionInputs
from daemon.prompts.base import Answer, CountTokens, NewRegion, NoEdit, NoEditReason, Prompt, Refusal
from daemon.prompts.guards import (
    is_covered,
    judge,
    no_edit_at_sight,
    without_added_newline,
    without_clashing_context,
)
from daemon.prompts.sections import contains_special_tokens
from daemon.prompts.zed.answer import take_cursor
from daemon.prompts.zed.format import ZetaFormat
from daemon.prompts.zed.marker_spans import MarkerError
from daemon.prompts.zed.prompt import format_zeta_prompt

# An answer may be half as long again as the region, and this much more for insertions and tags.
EXTRA_ANSWER_TOKENS = 128


@dataclass(frozen=True, slots=True)
class ZetaPrompts:
    """A ``PromptFormat`` over a Zeta format.

    ``stop`` ends an answer: at least the end marker without its newline, so that one token less is decoded.
    """

    name: str
    zeta: ZetaFormat
    stop: tuple[str, ...]

    def render(self, inputs: PredictionInputs, count_tokens: CountTokens) -> Prompt | Refusal:
        """Zed's prompt for the inputs, less events and excerpts that hold control tokens.

        Refused when the cursor's own surroundings hold them, when the ranges do not hold the cursor, and over
        budget.
        """
        ranges = self.zeta.ranges(inputs, self.zeta.editable_tokens, self.zeta.context_tokens)
        if ranges is None or not is_covered(inputs, *ranges):
            return Refusal.CURSOR_NOT_COVERED
        editable, context = ranges
        region_text = inputs.excerpt_bytes[editable.start : editable.end].decode()
        shown = inputs.excerpt_bytes[context.start : context.end].decode()
        if (
            contains_special_tokens(f"{inputs.cursor_path}\n{shown}", self.zeta.clash_tokens)
            or "\n" in inputs.cursor_path
            or any(stop in region_text for stop in self.stop)
        ):
            return Refusal.CONTROL_TOKENS
        screened = without_clashing_context(inputs, self.zeta.clash_tokens)
        text = format_zeta_prompt(screened, self.zeta)
        if text is None:
            return Refusal.OVER_BUDGET
        return Prompt(
            text=text,
            stop=self.stop,
            region=editable,
            region_text=region_text,
            max_answer_tokens=count_tokens(region_text) * 3 // 2 + EXTRA_ANSWER_TOKENS,
        )

    def parse(self, inputs: PredictionInputs, prompt: Prompt, answer: str, *, finished: bool) -> Answer:
        """The new region, or no edit with the reason; never raises, whatever the answer."""
        refused = no_edit_at_sight(answer, finished=finished)
        if refused is not None:
            return refused
        region, written = prompt.region_text.encode(), answer.removesuffix(self.zeta.end_marker).encode()
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
        return judge(prompt.region_text, NewRegion(text, cursor_offset), self.zeta.clash_tokens)

    def training_target(self, inputs: PredictionInputs, prompt: Prompt, new_region: NewRegion) -> str:
        """The answer for a new region, end marker included; the same that Zed writes for the patch to it.

        ``parse`` gives the region back, with two limits of the formats: a region that ends in a newline
        keeps one, and a region cannot become blank.
        """
        del inputs
        region = prompt.region_text
        new_text = new_region.text
        if not region.endswith("\n"):
            region, new_text = region + "\n", new_text + "\n"
        elif not new_text.endswith("\n"):
            new_text += "\n"
        written = self.zeta.region.write(region.encode(), new_text.encode(), new_region.cursor_offset_bytes)
        return written.decode() + self.zeta.end_marker
