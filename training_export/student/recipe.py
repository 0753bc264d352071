"""What a student is taught to speak: the prompt format, and the sizes that go with it.

``line_edits`` is the embedded student. ``zeta2`` rewrites the whole region; it is for the benchmark alone, because
drafting and stopping early are judged on answers that copy.
"""

from __future__ import annotations

from dataclasses import dataclass

from daemon.prompts.base import PromptFormat
from daemon.prompts.line_edits import LineEdits
from daemon.prompts.registry import FORMATS
from training_export.student.model import StudentConfig


@dataclass(frozen=True, slots=True)
class Recipe:
    """``max_tokens`` is of one example, prompt and answer; ``max_window_lines`` of the text around the cursor."""

    prompt_format: PromptFormat
    context_tokens: int
    max_tokens: int
    max_window_lines: int

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """Tokens of the format that the vocabulary holds whole; markers that are lines of text stay text."""
        return tuple(token for token in self.prompt_format.control_tokens if "\n" not in token)

    @property
    def config(self) -> StudentConfig:
        """The network."""
        return StudentConfig(context_tokens=self.context_tokens)


RECIPES = {
    "line_edits": Recipe(LineEdits(), context_tokens=1152, max_tokens=640, max_window_lines=24),
    "zeta2": Recipe(FORMATS["zeta2"], context_tokens=1536, max_tokens=1200, max_window_lines=40),
}
